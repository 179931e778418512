"""Parts out of lists of names: what the lists say, and everything wrong with them at once."""

import json
from pathlib import Path

import pytest

from autosam.data.given_split import given_splits, read_lists
from autosam.data.manifest import Item
from autosam.errors import InputError


def slices(volume: str, zs: range) -> list[Item]:
    return [Item(f"{volume}_z{z:04d}", volume, volume, z, (8, 8), "uint8", "uint8") for z in zs]


def lone(*names: str) -> list[Item]:
    return [Item(name, "", None, None, (8, 8), "uint8", "uint8") for name in names]


def write(tmp_path: Path, content: object) -> Path:
    file = tmp_path / "splits.json"
    file.write_text(json.dumps(content))
    return file


def test_stems_of_slices_are_their_z() -> None:
    lists = {"train": ["00", "im0001.png"], "gap": ["02"], "val": ["v_z0003"]}
    assert given_splits(slices("v", range(5)), lists, name="x") == {
        "v_z0000": "train",
        "v_z0001": "train",
        "v_z0002": None,
        "v_z0003": "val",
        "v_z0004": None,
    }


def test_lone_images_are_found_by_name_alone() -> None:
    items = lone("003cee89357d", "Tissue_1", "7")
    assert given_splits(items, {"train": ["Tissue 1"], "test": ["003cee89357d"]}, name="x") == {
        "003cee89357d": "test",
        "Tissue_1": "train",
        "7": None,
    }
    with pytest.raises(InputError, match="1 fault in the lists of x: 07 of val fits no image"):
        given_splits(items, {"val": ["07"]}, name="x")


def test_every_fault_is_named_at_once() -> None:
    items = slices("a", range(2)) + slices("b", range(2))
    lists = {"train": ["a_z0000", "0001", "9"], "val": ["a_z0000", "none"]}
    with pytest.raises(InputError) as error:
        given_splits(items, lists, name="x")
    text = str(error.value)
    assert text.startswith("4 faults in the lists of x: ")
    assert "0001 of train fits 2 images: a_z0001, b_z0001" in text
    assert "9 of train fits no image;" in text
    assert "none of val fits no image;" in text
    assert "a_z0000 is listed 2 times" in text
    assert "\n" not in text


def test_nothing_listed() -> None:
    assert given_splits([], {}, name="x") == {}
    assert given_splits(lone("a"), {"train": []}, name="x") == {"a": None}


def test_which_source(tmp_path: Path) -> None:
    two = write(tmp_path, {"epfl": {"train": ["1"]}, "vnc": {"val": ["2"], "gap": []}})
    assert read_lists(two, None, default="vnc") == ("vnc", {"val": ["2"], "gap": []})
    assert read_lists(two, "epfl", default="vnc") == ("epfl", {"train": ["1"]})
    with pytest.raises(InputError, match=r"has no source mito; name one of epfl, vnc as .*splits.json:SOURCE"):
        read_lists(two, None, default="mito")
    one = write(tmp_path, {"epfl": {"train": ["1"]}})
    assert read_lists(one, None, default="mito") == ("epfl", {"train": ["1"]})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1], "is not a split file"),
        ({"s": ["a"]}, "s is not a set of lists"),
        ({"s": {"train": [1]}}, "s is not a set of lists"),
        ({"s": {"training": ["a"]}}, "unknown part training; wanted train, val, test, gap"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_lists(write(tmp_path, content), None, default="s")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    for name in ("a.json", "none.json"):
        with pytest.raises(InputError, match=f"{name} cannot be read as JSON"):
            read_lists(tmp_path / name, None, default="s")

"""Training images out of a store."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from blobs import discs, small_config, write_discs
from memory_store import noise, write_store

from autosam.config import Config
from autosam.data.store import Store
from autosam.data.stored_images import names_store, stored_labeled_images
from autosam.errors import ConfigError, InputError
from autosam.training.samples.load_images import load_part

SIDE = 64


def store(path: Path, count: int = 4, **splits: str) -> Path:
    pairs = {}
    for seed in range(count):
        image, labels = discs(seed, SIDE)
        # Ids with gaps, as releases have them.
        pairs[f"d{seed}"] = (image[..., 0], np.where(labels > 0, labels * 1000, 0).astype(np.uint16))
    write_store(path, pairs)
    Store.open(path).with_splits(splits)  # type: ignore[arg-type]
    return path


def sources(*entries: str) -> Config:
    return small_config(f"data.sources=[{', '.join(entries)}]")


@pytest.mark.parametrize("form", ["s.h5", "s.zarr"])
def test_parts_and_instances_are_the_stores(tmp_path: Path, form: str) -> None:
    path = store(tmp_path / form, d0="train", d1="val", d2="train", d3="test")
    assert names_store(path)
    train, val = (load_part(path, small_config(), part) for part in ("train", "val"))
    assert [labeled_image.name for labeled_image in train] == ["test/d0", "test/d2"]
    assert [labeled_image.name for labeled_image in val] == ["test/d1"]
    image, labels = discs(2, SIDE)
    np.testing.assert_array_equal(train[1].labels, labels)
    assert train[1].labels.dtype == np.int32
    assert train[1].image.shape == (SIDE, SIDE, 3)
    # Normalized over the whole image, the order of intensities stays.
    assert train[1].image[labels > 0].mean() > train[1].image[labels == 0].mean() + 100
    assert (image[..., 0].min(), int(train[1].image.min())) != (0, 255)


def test_a_source_may_be_a_store_among_folders(tmp_path: Path) -> None:
    store(tmp_path / "a.h5", d0="train", d1="val")
    store(tmp_path / "b.h5", d2="train", d3="val")
    config = sources("{name: a, images: a.h5, labels: a.h5}", "{name: b, images: b.h5, labels: b.h5}")
    assert [labeled_image.name for labeled_image in load_part(tmp_path, config, "train")] == ["a/d0", "b/d2"]
    assert [labeled_image.source for labeled_image in load_part(tmp_path, config, "val")] == ["a", "b"]


def test_a_store_without_parts(tmp_path: Path) -> None:
    path = store(tmp_path / "s.h5")
    with pytest.raises(InputError, match=r"s.h5 is not split; divide it with `autosam data split .*s.h5`\.$"):
        load_part(path, small_config(), "train")
    Store.open(path).with_splits({"d0": "train", "d1": "test"})
    with pytest.raises(InputError, match=r"no image in the part val \(1 train, 0 val, 1 test\)"):
        load_part(path, small_config(), "val")


def test_images_that_cannot_be_learned_from(tmp_path: Path) -> None:
    nan = np.full((SIDE, SIDE), np.nan, np.float32)
    labels = np.zeros((SIDE, SIDE), np.uint8)
    path = write_store(tmp_path / "s.h5", {"a": (noise(1), None), "b": (nan, labels), "c": (noise(2), labels)})
    Store.open(path).with_splits(dict.fromkeys("abc", "train"))
    with pytest.raises(InputError) as error:
        stored_labeled_images(path, "train")
    text = str(error.value)
    assert text.startswith(f"2 faults in {path}: a: a has no labels")
    assert "; b: " in text
    assert "\n" not in text
    assert ".;" not in text


def test_settings_that_have_no_effect_on_a_store(tmp_path: Path) -> None:
    path = store(tmp_path / "s.h5", d0="train", d1="val")
    with pytest.raises(ConfigError, match="settings under data have no effect"):
        load_part(path, small_config("data.split=splits.json"), "train")
    for entry, words in (
        ("{name: a, images: s.h5, labels: labels}", "name the store as its labels too, not labels"),
        ("{name: a, images: s.h5, labels: s.h5, components: true}", "leave components and min_size out"),
        ("{name: a, images: s.h5, labels: s.h5, min_size: 9}", "leave components and min_size out"),
    ):
        with pytest.raises(ConfigError, match=words) as error:
            load_part(tmp_path, sources(entry), "train")
        assert "\n" not in str(error.value)


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone.h5: no such store"):
        load_part(tmp_path / "gone.h5", small_config(), "train")


def test_another_programs_manifest_makes_no_store(tmp_path: Path) -> None:
    write_discs(tmp_path / "data", 2)
    (tmp_path / "data/manifest.json").write_text('{"name": "a web app"}')
    assert not names_store(tmp_path / "data")
    assert [labeled_image.name for labeled_image in load_part(tmp_path / "data", small_config(), "train")] == [
        "data/0"
    ]


def test_classes_in_a_store_are_refused(tmp_path: Path) -> None:
    image, labels = discs(0)
    write_store(
        tmp_path / "s.h5", {"d0": (image[..., 0], np.where(labels > 0, 1 + labels % 2, 0).astype(np.uint8))}
    )
    Store.open(tmp_path / "s.h5").with_splits({"d0": "train"})
    with pytest.raises(InputError, match=r"look semantic.*import it again with --instances components-2d"):
        load_part(tmp_path / "s.h5", small_config(), "train")


@pytest.mark.parametrize(
    ("name", "pixels", "words"),
    [
        ("labels", np.full((SIDE, SIDE), -1), "hold the negative id -1"),
        ("labels", np.full((SIDE, SIDE), 1.5), "hold float64 values; wanted ids"),
        ("labels", np.zeros((3, SIDE), np.uint8), r"an image of \(64, 64\) and labels of \(3, 64\)"),
        ("labels", np.zeros((2, 3, 3), np.uint8), "wanted numbers on 2 axes"),
        ("image", np.array([b"a", b"b"]), "wanted numbers on 2 axes"),
        ("image", None, "cannot be read"),
    ],
)
def test_what_others_put_into_a_store_is_refused(
    tmp_path: Path, name: str, pixels: np.ndarray | None, words: str
) -> None:
    path = store(tmp_path / "s.h5", d0="train", d1="train")
    with h5py.File(path, "r+") as file:
        del file[f"images/d1/{name}"]
        if pixels is not None:
            file[f"images/d1/{name}"] = pixels
    with pytest.raises(InputError, match=words) as error:
        load_part(path, small_config(), "train")
    assert str(error.value).startswith(f"1 fault in {path}: d1: ")
    assert "\n" not in str(error.value)

"""Training data: pairs by name, every fault of a folder named, ids kept apart."""

import json
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
import zarr
from blobs import discs, small_config, write_discs

from autosam.config import ImagesConfig
from autosam.data.folders import divide, evenly_spaced, load_labeled_images, read_split
from autosam.data.sources.release_files import read_mask
from autosam.errors import InputError
from autosam.images import read_labels
from autosam.training.samples.load_images import load_part

GRAY = np.arange(48, dtype=np.uint8).reshape(6, 8)


def message(error: pytest.ExceptionInfo[InputError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    return tmp_path / "images", tmp_path / "labels"


def put(folder: Path, name: str, array: np.ndarray) -> None:
    tifffile.imwrite(folder / name, array)


def only(pair: tuple[Path, Path], labels: np.ndarray, **settings: bool | int) -> np.ndarray:
    """Load one scene with these labels."""
    put(pair[0], "a.tif", np.resize(GRAY, labels.shape))
    put(pair[1], "a.tif", labels)
    (labeled_image,) = load_labeled_images(*pair, source="s", **settings)
    assert labeled_image.labels.dtype == np.int32
    return labeled_image.labels


def test_pairs_by_stem_sorted(pair: tuple[Path, Path]) -> None:
    for stem in ("b", "a", "c"):
        put(pair[0], f"{stem}.tiff", GRAY)
        put(pair[1], f"{stem}.TIF", (GRAY > 20).astype(np.uint8))
    (pair[0] / "notes.txt").write_text("no image")
    (pair[0] / "._a.tif").write_bytes(b"what macOS leaves on a stick")
    (pair[0] / "sub.tif").mkdir()
    labeled_images = load_labeled_images(*pair, source="s")
    assert [labeled_image.name for labeled_image in labeled_images] == ["s/a", "s/b", "s/c"]
    assert {labeled_image.source for labeled_image in labeled_images} == {"s"}
    assert labeled_images[0].image.shape == (6, 8, 3)
    assert labeled_images[0].image.dtype == np.uint8
    # normalized over the whole image
    assert (labeled_images[0].image[0, 0] == 0).all()
    assert (labeled_images[0].image[-1, -1] == 255).all()
    assert [labeled_image.name for labeled_image in load_labeled_images(*pair, source="s", stems=["c", "a"])] == [
        "s/a",
        "s/c",
    ]
    assert load_labeled_images(*pair, source="s", stems=[]) == []


def test_missing_partners_are_all_named(pair: tuple[Path, Path]) -> None:
    for stem in "abc":
        put(pair[0], f"{stem}.tif", GRAY)
    put(pair[1], "b.tif", GRAY)
    with pytest.raises(InputError) as error:
        load_labeled_images(*pair, source="vnc", stems=["a", "b", "c", "d"])
    text = message(error)
    assert text.startswith("4 faults in vnc: ")
    for says in (f"no labels a in {pair[1]}", f"no labels c in {pair[1]}", f"no image d in {pair[0]}"):
        assert says in text
    assert "no image b" not in text


def test_many_faults_are_counted(pair: tuple[Path, Path]) -> None:
    for index in range(13):
        put(pair[0], f"{index:02}.tif", GRAY)
    put(pair[1], "other.tif", GRAY)
    with pytest.raises(
        InputError,
        match=r"^13 faults in s: .*no labels 09 in .*; and 3 more: add the files, or",
    ):
        load_labeled_images(*pair, source="s")


def test_sizes_unreadable_files_and_missing_numbers_are_reported_together(pair: tuple[Path, Path]) -> None:
    for stem in "abc":
        put(pair[0], f"{stem}.tif", GRAY)
        put(pair[1], f"{stem}.tif", GRAY)
    put(pair[1], "a.tif", GRAY.T)
    (pair[0] / "b.tif").write_bytes((pair[0] / "b.tif").read_bytes()[:20])
    put(pair[0], "c.tif", np.where(GRAY == 3, np.nan, GRAY).astype(np.float32))
    with pytest.raises(InputError) as error:
        load_labeled_images(*pair, source="s")
    text = message(error)
    assert text.startswith("3 faults in s: a has an image of (6, 8) and labels of (8, 6); replace one of them; ")
    assert str(pair[0] / "b.tif") in text
    assert f"{pair[0] / 'c.tif'}: " in text
    put(pair[1], "a.tif", GRAY)
    put(pair[0], "b.tif", GRAY)
    assert len(load_labeled_images(*pair, source="s", settings=ImagesConfig(non_finite="background"))) == 3


def test_two_files_of_one_name_are_refused(pair: tuple[Path, Path]) -> None:
    put(pair[0], "a.tif", GRAY)
    put(pair[0], "a.tiff", GRAY)
    with pytest.raises(InputError, match=r"holds both a\.tif and a\.tiff"):
        load_labeled_images(*pair, source="s")


def test_empty_and_missing_folders(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"images holds no image; wanted files ending in \.tif, "):
        load_labeled_images(*pair, source="s")
    with pytest.raises(InputError, match="images holds no image"):
        divide(pair[0], "train")
    with pytest.raises(InputError, match=r"no folder .*gone; correct the data folder or data\.sources"):
        load_labeled_images(tmp_path / "gone", pair[1], source="s")


def test_masks_become_components(pair: tuple[Path, Path]) -> None:
    mask = np.zeros((6, 8), dtype=np.uint8)
    mask[0:2, 0:3] = 255  # 6 pixels
    mask[4:6, 4:8] = 255  # 8 pixels
    mask[5, 0] = 255  # too small
    expected = np.zeros((6, 8), dtype=np.int32)
    expected[0:2, 0:3], expected[4:6, 4:8] = 1, 2
    np.testing.assert_array_equal(only(pair, mask, component_size=2), expected)


def test_ids_are_numbered_without_gaps_and_never_wrapped(pair: tuple[Path, Path]) -> None:
    # 70000 and 70000 - 65536 are one id in 16 bits, 3 and 259 in 8
    labels = np.array([[0, 70_000, 4_464], [3, 259, 0]], dtype=np.uint32)
    np.testing.assert_array_equal(only(pair, labels), [[0, 4, 3], [1, 2, 0]])


def test_labels_without_background_keep_their_first_object(pair: tuple[Path, Path]) -> None:
    np.testing.assert_array_equal(only(pair, np.array([[5, 5], [9, 9]], dtype=np.uint8)), [[1, 1], [2, 2]])


def test_labels_without_objects(pair: tuple[Path, Path]) -> None:
    assert not only(pair, np.zeros((4, 4), dtype=np.uint8)).any()


# Splits


def test_split_file(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"a": {"train": ["1", "2"], "val": []}}))
    assert read_split(path, "a", "train") == ["1", "2"]
    assert read_split(path, "a", "val") == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read"),
        ("{}", r"has no list a\.train; add it or correct data\.sources"),
        ('{"a": {"val": []}}', r"has no list a\.train"),
        ("[1]", r"has no list a\.train"),
        ('{"a": {"train": "12"}}', r"a\.train must be a list of file stems"),
        ('{"a": {"train": [1, 2]}}', r"a\.train must be a list of file stems"),
    ],
)
def test_faults_of_a_split_file(tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "s.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=says) as error:
        read_split(path, "a", "train")
    assert str(path) in message(error)


@pytest.mark.parametrize(("count", "val"), [(2, 1), (3, 1), (5, 1), (10, 2), (14, 2), (23, 4)])
def test_the_last_fifth_validates_in_the_order_of_names(tmp_path: Path, count: int, val: int) -> None:
    names = [f"{index:02}" for index in range(count)]
    for name in reversed(names):
        (tmp_path / f"{name}.png").touch()
    assert divide(tmp_path, "train") == names[:-val]
    assert divide(tmp_path, "val") == names[-val:]


def test_a_single_image_trains_and_validates(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert divide(tmp_path, "train") == divide(tmp_path, "val") == ["a"]


def test_parts_of_several_sources(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_discs(tmp_path / name, 2)
    sources = ", ".join(f"{{name: {n}, images: {n}/images, labels: {n}/labels}}" for n in ("two", "one"))
    config = small_config(f"data.sources=[{sources}]")
    assert [labeled_image.name for labeled_image in load_part(tmp_path, config, "train")] == ["two/0", "one/0"]
    assert [labeled_image.name for labeled_image in load_part(tmp_path, config, "val")] == ["two/1", "one/1"]
    np.testing.assert_array_equal(load_part(tmp_path, config, "val")[0].labels, discs(1)[1])

    (tmp_path / "s.json").write_text(
        json.dumps({"one": {"train": ["0", "1"], "val": []}, "two": {"train": ["1"], "val": []}})
    )
    split = config.model_copy(update={"data": config.data.model_copy(update={"split": "s.json"})})
    assert [labeled_image.name for labeled_image in load_part(tmp_path, split, "train")] == [
        "two/1",
        "one/0",
        "one/1",
    ]
    assert load_part(tmp_path, split, "val") == []


def test_every_setting_of_the_images_is_obeyed(tmp_path: Path) -> None:
    write_discs(tmp_path, 1)
    image = discs(0)[0][..., 0].astype(np.float32)
    image[0, 0] = np.nan
    (tmp_path / "images" / "0.png").unlink()
    put(tmp_path / "images", "0.tif", image)
    with pytest.raises(InputError, match=r"0\.tif: .*NaN"):
        load_part(tmp_path, small_config(), "train")
    (labeled_image,) = load_part(tmp_path, small_config("images.non_finite=background"), "train")
    assert not labeled_image.image[0, 0].any()
    (clipped,) = load_part(tmp_path, small_config("images.non_finite=background", "images.high=60"), "train")
    assert (clipped.image == 255).mean() > (labeled_image.image == 255).mean() + 0.1


# Shares


@pytest.mark.parametrize(
    ("count", "fraction", "taken"),
    [
        (10, 1.0, list(range(10))),
        (10, 0.5, [1, 3, 5, 7, 9]),
        (10, 0.2, [2, 7]),
        (7, 0.4, [1, 3, 5]),
        (3, 0.001, [1]),
        (1, 0.5, [0]),
        (0, 0.5, []),
    ],
)
def test_a_share_is_spread_evenly(count: int, fraction: float, taken: list[int]) -> None:
    assert evenly_spaced(range(count), fraction) == taken


# An user's prompts


def prompts_in(folder: Path, **tables: str) -> Path:
    folder.mkdir()
    for name, rows in tables.items():
        (folder / f"{name}.csv").write_text(rows)
    return folder


def three(pair: tuple[Path, Path]) -> None:
    for stem in "abc":
        put(pair[0], f"{stem}.tif", GRAY)
        put(pair[1], f"{stem}.tif", (GRAY > 20).astype(np.uint8))


def test_prompts_are_read_beside_their_images(pair: tuple[Path, Path], tmp_path: Path) -> None:
    three(pair)
    tables = prompts_in(
        tmp_path / "prompts",
        a="object,row,col,label\n1,4,5,1\n1,0,0,0\n2,5.5,7,1\n",
        b="image,object,row_min,col_min,row_max,col_max\nb.tif,1,3,0,5,7\nother.tif,1,0,0,1,1\n",
        other="not a table",
    )
    a, b, c = load_labeled_images(*pair, source="s", prompts=tables)
    assert [item.points.tolist() for item in a.prompts] == [[[4, 5], [0, 0]], [[5.5, 7]]]
    assert [item.box.tolist() for item in b.prompts if item.box is not None] == [[3, 0, 5, 7]]
    assert c.prompts == ()
    assert all(labeled_image.prompts == () for labeled_image in load_labeled_images(*pair, source="s"))


def test_no_table_for_any_image(pair: tuple[Path, Path], tmp_path: Path) -> None:
    three(pair)
    tables = prompts_in(tmp_path / "prompts", d="object,row,col,label\n")
    with pytest.raises(
        InputError, match=r"none of the 3 training images of s has a table in .*prompts; call"
    ) as error:
        load_labeled_images(*pair, source="s", prompts=tables)
    message(error)
    with pytest.raises(InputError, match=r"no folder .*gone of prompts; correct prompts of the source s") as error:
        load_labeled_images(*pair, source="s", prompts=tmp_path / "gone")
    message(error)
    assert load_labeled_images(*pair, source="s", stems=[], prompts=tables) == []


def test_faults_of_tables_are_reported_together(pair: tuple[Path, Path], tmp_path: Path) -> None:
    three(pair)
    tables = prompts_in(
        tmp_path / "prompts",
        a="object,row,col,label\n1,6,5,1\n",  # the image ends with row 5
        b="object,row,col,label\n1,4,5,1\n",
        c="nonsense\n",
    )
    with pytest.raises(InputError) as error:
        load_labeled_images(*pair, source="s", prompts=tables)
    text = message(error)
    assert text.startswith("2 faults in s: ")
    for says in ("a.csv", "lies outside the image of 6 × 8", "c.csv"):
        assert says in text


def rims(count: int = 4) -> np.ndarray:
    """Give classes: 1 for nuclei, 2 for the rim around each."""
    labels = np.zeros((12, 12 * count), np.uint8)
    for number in range(count):
        labels[1:11, 12 * number + 1 : 12 * number + 11] = 2
        labels[3:9, 12 * number + 3 : 12 * number + 9] = 1
    return labels


def test_classes_given_as_ids_are_refused(pair: tuple[Path, Path]) -> None:
    with pytest.raises(
        InputError, match=r"labels of s look semantic: the only ids are 1, 2, in 8 separate pieces"
    ):
        only(pair, rims())
    # Their components are the objects.
    assert only(pair, rims(), component_size=5).max() == 4
    with pytest.raises(InputError, match=r"the only id is 1, in 4 separate pieces.*components: true"):
        only(pair, (rims() > 0).astype(np.uint8))
    # White masks with one object in each image are instances all the same.
    assert only(pair, 255 * (rims(1) > 0).astype(np.uint8)).max() == 1


def test_images_of_every_format_train(tmp_path: Path) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    labels.mkdir()
    pixels = np.arange(400, dtype=np.int16).reshape(20, 20)
    ids = np.zeros((20, 20), dtype=np.uint8)
    ids[3:7, 3:7], ids[9:15, 9:15] = 1, 2
    with mrcfile.new(images / "a.mrc") as file:
        file.set_data(pixels)
    zarr.save(images / "b.zarr", pixels)
    with h5py.File(images / "c.h5", "w") as file:
        file["raw"] = pixels
    tifffile.imwrite(images / "d.tif", pixels)
    for stem in "acd":
        tifffile.imwrite(labels / f"{stem}.tif", ids)
    zarr.save(labels / "b.zarr", ids)
    found = load_labeled_images(images, labels, source="all")
    assert [one.name for one in found] == ["all/a", "all/b", "all/c", "all/d"]
    for one in found:
        np.testing.assert_array_equal(one.image, found[3].image)
        np.testing.assert_array_equal(one.labels, ids)


def test_a_channel_axis_is_scaled_channel_by_channel_as_segment_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    dim, bright = rng.integers(0, 200, (24, 32)), rng.integers(0, 30_000, (24, 32))
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    stack = np.stack([dim, bright]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "images" / "a.tif", stack, imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "labels" / "a.tif", (dim > 150).astype(np.uint8))
    (found,) = load_labeled_images(tmp_path / "images", tmp_path / "labels", source="x", component_size=1)
    # The dim channel spans the range of red as the bright one does that of green; nothing is blue.
    assert found.image[..., 0].max() == found.image[..., 1].max() == 255
    assert found.image[..., 2].max() == 0


def test_masks_of_bits_are_read_as_stored(tmp_path: Path) -> None:
    mask = np.arange(24 * 32).reshape(24, 32) % 7 == 0
    # tifffile writes bits with white as zero.
    tifffile.imwrite(tmp_path / "a.tif", mask)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), mask)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), mask)

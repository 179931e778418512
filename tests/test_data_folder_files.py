"""Folders as people and programs leave them: which label file belongs to which image."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from blobs import small_config

from autosam.data.folders import LabeledImage, load_labeled_images
from autosam.data.importing import import_release
from autosam.data.sources import open_release
from autosam.errors import InputError
from autosam.training.samples.load_images import load_part

IMAGE = np.arange(80, dtype=np.uint8).reshape(8, 10)
IDS = np.zeros((8, 10), np.uint16)
IDS[1:3, 1:4], IDS[5:7, 5:9] = 1, 300


def put(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, {"masks": array})  # type: ignore[arg-type]
    elif path.suffix == ".tif":
        tifffile.imwrite(path, array)
    else:
        path.write_bytes(imagecodecs.png_encode(array))
    return path


def train(data: Path) -> list[LabeledImage]:
    return load_part(data, small_config(), "train")


def is_right(labels: np.ndarray) -> bool:
    return bool((labels == np.where(IDS == 300, 2, IDS)).all())


ENDINGS = [
    (".ome.tif", ".tif"),
    (".tif", ".ome.tif"),
    (".tif", "_labels.tif"),
    (".ome.tif", "_labels.ome.tif"),
    (".tif", "_masks.tif"),
    (".tif", "_mask.png"),
    (".png", "_label.tif"),
    (".tif", "_cp_masks.png"),
    (".tif", "_seg.npy"),
    ("_img.png", "_masks.tif"),
]


FOLDERS = [("images", "labels"), ("raw", "masks"), ("", "")]


@pytest.mark.parametrize(
    ("image", "labels", "folders"),
    # Without a mark, labels beside an image could not be told from it.
    [(*ends, folders) for ends in ENDINGS for folders in FOLDERS if folders[0] or ends[1][0] != "."],
)
def test_train_and_import_pair_the_same_names(
    tmp_path: Path, image: str, labels: str, folders: tuple[str, str]
) -> None:
    for name in ("s0", "s1"):
        put(tmp_path / "in" / folders[0] / f"{name}{image}", IMAGE)
        put(tmp_path / "in" / folders[1] / f"{name}{labels}", IDS)
    images = train(tmp_path / "in")
    assert len(images) == 1
    assert is_right(images[0].labels)
    store, _ = import_release(open_release(str(tmp_path / "in")), tmp_path / "s.h5")
    assert len(store) == 2
    assert all((store.labels(item.name) == IDS).all() for item in store.items)


def test_a_folder_of_cellpose(tmp_path: Path) -> None:
    put(tmp_path / "s.tif", IMAGE)
    for name in ("s_masks.tif", "s_cp_masks.png", "s_seg.npy"):
        put(tmp_path / name, IDS)
    (image,) = train(tmp_path)
    assert (image.name, is_right(image.labels)) == ("data/s", True)


@pytest.mark.parametrize("beside", [False, True])
def test_two_files_that_differ_are_refused(tmp_path: Path, beside: bool) -> None:
    labels = tmp_path if beside else tmp_path / "labels"
    put(tmp_path / "s.tif" if beside else tmp_path / "images" / "s.tif", IMAGE)
    put(labels / "s_masks.tif", IDS)
    put(labels / "s_cp_masks.png", IDS // 2)
    with pytest.raises(InputError, match=r"s_cp_masks\.png and s_masks\.tif hold different labels of one image"):
        train(tmp_path)
    with pytest.raises(InputError, match="hold different labels"):
        import_release(open_release(str(tmp_path)), tmp_path / "s.h5")


def test_pictures_among_the_labels_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "images" / "s.png", IMAGE)
    put(tmp_path / "labels" / "s_labels.tif", IDS)
    # What autosam segment and others leave beside: an overlay, and a colored picture of the image's own name.
    put(tmp_path / "labels" / "s_overlay.png", np.dstack([IMAGE] * 3))
    put(tmp_path / "labels" / "s.png", np.dstack([IMAGE] * 3))
    assert is_right(train(tmp_path)[0].labels)
    store, _ = import_release(open_release(str(tmp_path)), tmp_path / "s.h5")
    assert len(store) == 1


def test_labels_without_an_image_are_named_by_import(tmp_path: Path) -> None:
    put(tmp_path / "images" / "s.png", IMAGE)
    put(tmp_path / "labels" / "s_labels.tif", IDS)
    put(tmp_path / "labels" / "t_labels.tif", IDS)
    with pytest.raises(InputError, match=r"1 fault in the folder pair: .*t_labels\.tif has no image"):
        open_release(str(tmp_path))


def test_an_image_called_mask_is_an_image(tmp_path: Path) -> None:
    for name in ("cell_mask.tif", "cell.tif"):
        put(tmp_path / "images" / name, IMAGE)
        put(tmp_path / "labels" / name, IDS)
    found = load_labeled_images(tmp_path / "images", tmp_path / "labels", source="s")
    assert [image.name for image in found] == ["s/cell", "s/cell_mask"]


def test_lists_may_have_suffixes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path / "images" / f"{name}.ome.tif", IMAGE)
        put(tmp_path / "labels" / f"{name}.tif", IDS)
    stems = ["b.ome.tif", "b", "a.tif"]
    found = load_labeled_images(tmp_path / "images", tmp_path / "labels", source="s", stems=stems)
    assert [image.name for image in found] == ["s/a", "s/b"]


def test_empty_and_cut_label_files_are_named(tmp_path: Path) -> None:
    for name in "abc":
        put(tmp_path / "images" / f"{name}.tif", IMAGE)
        put(tmp_path / "labels" / f"{name}_labels.tif", IDS)
    (tmp_path / "labels" / "a_labels.tif").write_bytes(b"")
    (tmp_path / "labels" / "b_labels.tif").write_bytes((tmp_path / "labels" / "b_labels.tif").read_bytes()[:60])
    with pytest.raises(InputError, match="2 faults in s") as error:
        load_labeled_images(tmp_path / "images", tmp_path / "labels", source="s")
    for name in ("a_labels.tif", "b_labels.tif"):
        assert str(tmp_path / "labels" / name) in str(error.value)


def test_a_folder_without_labels(tmp_path: Path) -> None:
    put(tmp_path / "s.tif", IMAGE)
    with pytest.raises(InputError, match=r"no folder .*images; correct the data folder"):
        train(tmp_path)

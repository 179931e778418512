"""Which label file belongs to which image."""

from pathlib import Path

import pytest

from autosam.images.label_names import LABEL_MARKS, label_candidates, labels_beside, without_suffix


def paths(*names: str) -> list[Path]:
    return [Path(name) for name in names]


@pytest.mark.parametrize("mark", LABEL_MARKS)
def test_marks(mark: str) -> None:
    assert label_candidates({"a", "b"}, paths(f"a{mark}.tif", f"b{mark.upper()}.PNG", f"c{mark}.tif")) == {
        "a": paths(f"a{mark}.tif"),
        "b": paths(f"b{mark.upper()}.PNG"),
    }
    assert labels_beside(paths("a.ome.tif", f"a{mark}.png")) == {Path(f"a{mark}.png"): Path("a.ome.tif")}


def test_an_equal_name_comes_first() -> None:
    files = paths("a_masks.tif", "a.tif", "a_cp_masks.png", "a_seg.npy", "a_labels.tif")
    assert label_candidates({"a"}, files)["a"] == paths(
        "a.tif", "a_labels.tif", "a_cp_masks.png", "a_masks.tif", "a_seg.npy"
    )


def test_an_image_whose_name_ends_like_labels_keeps_its_own() -> None:
    found = label_candidates({"a", "a_mask"}, paths("a.tif", "a_mask.tif", "a_mask_mask.tif"))
    assert found == {"a": paths("a.tif"), "a_mask": paths("a_mask.tif", "a_mask_mask.tif")}
    assert labels_beside(paths("cell_mask.tif", "other.tif")) == {}


def test_images_of_cellpose() -> None:
    assert label_candidates({"a_img"}, paths("a_masks.tif")) == {"a_img": paths("a_masks.tif")}
    assert labels_beside(paths("a_img.png", "a_cp_masks.png", "a_seg.npy")) == {
        Path("a_cp_masks.png"): Path("a_img.png"),
        Path("a_seg.npy"): Path("a_img.png"),
    }


def test_nothing() -> None:
    assert label_candidates(set(), paths("a.tif")) == {}
    assert labels_beside([]) == {}
    assert without_suffix(".tif") == ".tif"


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("s.tif", "s_seg.tif"),
        ("s.tif", "s.labels.tif"),
        ("s.tif", "s_GT.png"),
        ("s.ome.tif", "s.ome_labels.tif"),
        ("s.tif", "s.tif_labels.tif"),
        ("img_1.png", "mask_1.png"),
        ("s_0000.tif", "s.tif"),
    ],
)
def test_names_of_other_programs(image: str, labels: str) -> None:
    name = without_suffix(image)
    assert label_candidates({name}, paths(labels)) == {name: paths(labels)}

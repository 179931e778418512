"""COCO files as annotation tools write them: nothing is lost without a word."""

import json
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from typer.testing import CliRunner

from autosam.cli.data import data
from autosam.data.importing import import_release
from autosam.data.sources import open_release
from autosam.data.store import Store
from autosam.errors import InputError

H, W = 20, 30
NUCLEUS, TISSUE = {"id": 1, "name": "nucleus"}, {"id": 2, "name": "tissue"}


def box(top: int, left: int, bottom: int, right: int) -> list[int]:
    """Outline of a rectangle, x before y, from pixel corner to pixel corner."""
    return [left, top, right, top, right, bottom, left, bottom]


def runs(*boxes: tuple[int, int, int, int]) -> dict[str, list[int]]:
    mask = np.zeros((H, W), int)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = 1
    flat = np.concatenate([[0], mask.T.ravel(), [2]])
    return {"size": [H, W], "counts": np.diff(np.concatenate([[0], np.flatnonzero(np.diff(flat))])).tolist()}


def note(number: int, shape: object, **more: object) -> dict[str, object]:
    return {"id": number, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": shape} | more


class Release:
    """A folder with one COCO file and its images."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "in"

    def image(self, name: str, shape: tuple[int, int] = (H, W)) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(imagecodecs.png_encode(np.zeros(shape, np.uint8)))
        return path

    def write(self, annotations: list[object], file: str = "annotations/instances.json", **more: object) -> None:
        content = {
            "images": [{"id": 1, "file_name": "s.png", "height": H, "width": W}],
            "annotations": annotations,
            "categories": [NUCLEUS, TISSUE],
        } | more
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    def store(self, target: str | None = None) -> Store:
        release = open_release(str(self.folder), target=target)
        assert release.source == "coco"
        return import_release(release, self.folder.parent / "s.h5", restart=True)[0]

    def sizes(self, target: str | None = None) -> list[int]:
        """Import, and give the pixels of each object of the image s."""
        return np.bincount(self.store(target).labels("s").ravel())[1:].tolist()

    def notes(self, target: str | None = None) -> str:
        return "; ".join(self.store(target).manifest.notes)


@pytest.fixture
def coco(tmp_path: Path) -> Release:
    release = Release(tmp_path)
    release.image("images/s.png")
    return release


NUCLEI = [note(1, [box(2, 2, 6, 6)]), note(2, [box(8, 8, 11, 12)])]


@pytest.mark.parametrize("last", [False, True])
def test_a_region_around_objects_of_another_category_is_refused(coco: Release, last: bool) -> None:
    region = note(9, [box(0, 0, H, W)], category_id=2)
    coco.write([*NUCLEI, region] if last else [region, *NUCLEI])
    with pytest.raises(
        InputError, match=r"annotation 9 of s\.png, category tissue, wholly covers 2 objects .*--target"
    ):
        coco.sizes()
    for target in ("nucleus", "NUCLEUS", "1"):
        assert coco.sizes(target) == [16, 12]
    assert coco.sizes("2") == [H * W]
    assert "1 of 3 annotations are of other categories than nucleus" in coco.notes("nucleus")
    # Both were asked for: the first in the file keeps the pixels, and what is lost is counted.
    together = coco.notes("nucleus,tissue")
    assert ("2 of 3 objects are wholly covered by others and lost" in together) is not last
    with pytest.raises(
        InputError, match=r"has no category cell; its categories: nucleus \(id 1\), tissue \(id 2\)"
    ):
        coco.sizes("cell")


def test_categories_side_by_side_are_all_taken(coco: Release) -> None:
    coco.write(
        [NUCLEI[0], note(2, [box(8, 8, 11, 12)], category_id=2), note(3, [box(15, 15, 17, 17)], category_id=7)]
    )
    assert coco.sizes() == [16, 12, 4]
    assert "all categories were taken (1 nucleus, 1 tissue, 1 category 7)" in coco.notes()
    assert coco.sizes("category 7") == coco.sizes("7") == [4]


def test_covered_objects_of_one_category_are_counted(coco: Release) -> None:
    coco.write([note(5, [box(0, 0, 10, 10)]), *NUCLEI])
    assert coco.sizes() == [100, 12 - 4]
    notes = coco.notes()
    assert "1 of 3 objects is wholly covered by others and lost, such as annotation 1 of s.png" in notes
    assert "1 of 3 objects is partly covered by others, such as annotation 2 of s.png" in notes


def test_masks_marked_as_crowds_are_objects_where_most_are(coco: Release) -> None:
    coco.write([note(n, runs((4 * n, 2, 4 * n + 3, 6)), iscrowd=1) for n in range(1, 4)])
    assert coco.sizes() == [12, 12, 12]
    assert "3 of 3 masks are marked as crowds (iscrowd 1) and were taken for objects" in coco.notes()


def test_a_crowd_beside_objects_is_told_by_its_pixels(coco: Release) -> None:
    coco.write(
        [
            *NUCLEI,
            note(3, [box(16, 2, 19, 6)]),
            note(4, runs((14, 20, 18, 24)), iscrowd=1),
            note(5, runs((2, 16, 4, 18), (2, 22, 4, 24)), iscrowd=1),
            note(6, runs((0, 14, H, W)), iscrowd=1),
        ]
    )
    # 4 is one piece of an object's size; 5 has two pieces; 6 is half of the image.
    assert coco.sizes() == [16, 12, 12, 16]
    assert "2 of 6 objects are left out as a region of many objects (iscrowd 1), whose pixels do" in coco.notes()
    # What is not outlined there does not count; what is does.
    valid = coco.store().valid("s")
    assert valid is not None
    truth = np.ones((H, W), bool)
    truth[:, 14:] = False
    truth[14:18, 20:24] = True
    np.testing.assert_array_equal(valid, truth)


def test_images_without_crowds_have_no_mask(coco: Release) -> None:
    coco.write(NUCLEI)
    assert coco.store().valid("s") is None


@pytest.mark.parametrize("shape", [[[5, 5, 9, 9]], [], [[]], [[1, 1, 5, 5, 9, 9]], [[3, 3]], None])
def test_outlines_without_area_are_left_out_and_counted(coco: Release, shape: object) -> None:
    coco.write([*NUCLEI, note(99, shape)])
    assert coco.sizes() == [16, 12]
    assert "1 of 3 objects is without area" in coco.notes()
    assert "annotation 99 of s.png" in coco.notes()


def test_an_import_that_leaves_everything_out_fails(coco: Release) -> None:
    coco.write([note(1, [[5, 5, 9, 9]]), note(2, [box(50, 50, 60, 60)])])
    out = coco.folder.parent / "out.h5"
    result = CliRunner().invoke(data, ["import", str(coco.folder), "-o", str(out)])
    assert isinstance(result.exception, InputError)
    assert "no object of the coco data could be drawn: " in str(result.exception)
    assert "1 of 2 objects is wholly outside the image and lost, such as annotation 2" in str(result.exception)
    assert not out.exists()
    # Nothing is left that would be in the way of another try.
    coco.write(NUCLEI)
    assert CliRunner().invoke(data, ["import", str(coco.folder), "-o", str(out)]).exit_code == 0


def test_an_image_of_another_size_is_refused_with_both_sizes(coco: Release) -> None:
    coco.image("images/s.png", (H // 2, W // 2))
    coco.write(NUCLEI)
    with pytest.raises(InputError, match=rf"of {H} × {W} pixels, and .*s\.png has {H // 2} × {W // 2}"):
        coco.sizes()
    # Nothing is known, and nothing stops the import, where the file gives no size.
    coco.write(NUCLEI, images=[{"id": 1, "file_name": "s.png", "height": 0, "width": None}])
    assert coco.sizes() == [16, 4 * 2 - 0]


def test_cut_off_at_the_border_is_said(coco: Release) -> None:
    coco.write([note(1, [box(-4, 2, 4, 6)]), note(2, [[8, 8, 11, 8, 11, 20.5, 8, 20.5]])])
    assert coco.sizes() == [16, 36]
    assert "1 of 2 objects is cut off by the image's border, such as annotation 1" in coco.notes()


def test_boxes_alone_are_refused(coco: Release) -> None:
    for shape in ({}, {"segmentation": []}, {"segmentation": None}):
        coco.write([{"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 4, 4]} | shape])
        with pytest.raises(InputError, match="have boxes alone; wanted polygons or run lengths"):
            coco.sizes()


def test_several_polygons_are_one_object(coco: Release) -> None:
    # They overlap, and join all the same.
    coco.write([note(1, [box(2, 2, 6, 6), box(4, 4, 8, 8), box(15, 15, 16, 16)]), note(2, box(10, 2, 12, 4))])
    assert coco.sizes() == [16 + 16 - 4 + 1, 4]


def test_names_in_folders_and_of_windows(coco: Release) -> None:
    coco.image("images/a/b/t.png")
    coco.write(
        [note(1, [box(1, 1, 3, 3)]), note(2, [box(2, 2, 5, 5)], image_id="2")],
        images=[{"id": 1, "file_name": "far/away/s.png"}, {"id": 2, "file_name": "a\\b\\t.png"}],
    )
    store = coco.store()
    assert [item.name for item in store.items] == ["a_b_t", "far_away_s"]
    assert np.count_nonzero(store.labels("a_b_t")) == 9


def test_images_without_annotations_are_empty(coco: Release) -> None:
    coco.image("images/t.png")
    coco.write(NUCLEI, images=[{"id": 1, "file_name": "s.png"}, {"id": 2, "file_name": "t.png"}])
    assert not coco.store().labels("t").any()


def test_faults_of_a_file_are_named_together(coco: Release) -> None:
    coco.write(
        [note(1, [box(1, 1, 3, 3)]), note(2, [box(1, 1, 3, 3)], image_id=8)],
        images=[
            {"id": 1, "file_name": "s.png"},
            {"id": 1, "file_name": "x/s.png"},
            {"id": 2, "file_name": "gone.png"},
        ],
    )
    with pytest.raises(InputError, match="4 faults") as error:
        coco.sizes()
    for words in ("two images have the id 1", "unknown image id 8", "no image gone.png", "are both the image"):
        assert words in str(error.value)


def test_repeated_ids_of_annotations_are_said(coco: Release) -> None:
    coco.write([NUCLEI[0], NUCLEI[1] | {"id": 1}])
    assert coco.sizes() == [16, 12]
    assert "1 annotation ids are used more than once" in coco.notes()


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ([[1, 2, 3]], "not a list of x, y"),
        ([["a", 2, 3, 4, 5, 6]], "not a list of"),
        ([[1, 2, 3, 4, 5, None]], "not a list of"),
        ("text", "neither polygons nor run lengths"),
        ({"size": [H, W], "counts": [1]}, "fill 1 pixels"),
        ({"size": [W, H], "counts": [H * W]}, "wanted one size"),
        ({"size": None, "counts": "x"}, "are not numbers"),
        ({"counts": [1]}, "no 'size'"),
    ],
)
def test_damaged_segmentations(coco: Release, shape: object, words: str) -> None:
    coco.write([*NUCLEI, note(3, shape)])
    with pytest.raises(InputError, match=words) as error:
        coco.sizes()
    assert "\n" not in str(error.value)
    assert "annotation 3" in str(error.value)


@pytest.mark.parametrize("where", ["images/{}/{}.png", "{}2017/{}.png", "images/{1}.png"])
def test_one_file_for_each_part(tmp_path: Path, where: str) -> None:
    coco = Release(tmp_path)
    for part in ("train", "val"):
        coco.image(where.format(part, f"of_{part}"))
        images = [{"id": 1, "file_name": f"of_{part}.png"}]
        coco.write([note(1, [box(1, 1, 3, 3)])], f"annotations/instances_{part}2017.json", images=images)
        # Captions have no outlines, and are not asked for.
        coco.write(
            [{"id": 1, "image_id": 1, "caption": "x"}], f"annotations/captions_{part}2017.json", images=images
        )
    assert [(item.name, item.split) for item in coco.store().items] == [("of_train", "train"), ("of_val", "val")]


def test_parts_in_folders_of_their_own(tmp_path: Path) -> None:
    coco = Release(tmp_path)
    for part in ("train", "valid", "test"):
        coco.image(f"{part}/of_{part}.png")
        coco.write(
            [note(1, [box(1, 1, 3, 3)])],
            f"{part}/_annotations.coco.json",
            images=[{"id": 1, "file_name": f"of_{part}.png"}],
        )
    assert {item.name: item.split for item in coco.store().items} == {
        "of_train": "train", "of_valid": "val", "of_test": "test",
    }  # fmt: skip


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e300, -1e300])
def test_numbers_that_no_image_has(coco: Release, number: float) -> None:
    coco.write([note(1, [[1, 1, 5, 1, 5, number]])])
    with pytest.raises(
        InputError, match=r"annotation 1 of s\.png has an outline with NaN, infinity or a number above"
    ):
        coco.sizes()
    # A mask of another size is refused before it takes memory.
    coco.write([note(1, {"size": [10**6, 10**6], "counts": [10**12]})])
    with pytest.raises(InputError, match="wanted one size"):
        coco.sizes()


def test_regions_of_the_category_of_their_objects_are_left_out(coco: Release) -> None:
    slide, inner = note(5, [box(0, 0, H, W)]), note(6, [box(1, 1, H, W)])
    coco.write([slide, inner, *NUCLEI])
    assert coco.sizes() == [16, 12]
    assert "2 of 4 objects are left out as a region around others" in coco.notes()

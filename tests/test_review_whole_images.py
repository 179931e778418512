"""Whole images to review: their parts, their order, and what becomes of images whose parts were called right."""

import json
from dataclasses import replace

import numpy as np
import pytest
from results_folders import discs, write_results

from autosam.errors import InputError
from autosam.images import read_labels, write_labels
from autosam.images.read import read_pixels
from autosam.review.corrections import Correction
from autosam.review.corrections_file import append_corrections
from autosam.review.find_doubts import find_doubts
from autosam.review.page import make_review as make_review_module
from autosam.review.page.make_review import ReviewOptions, make_review
from autosam.review.page.review_page import render_review
from autosam.review.review_results import ReviewImage, ReviewResults
from autosam.review.whole_images import far_apart, whole_images

WIDE = discs([(30, 30, 12), (60, 700, 20), (90, 1000, 9)], shape=(130, 1100))
SMALL = discs([(20, 20, 8)])


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path / "out", {"a": WIDE, "b": SMALL})


def test_parts_cover_each_image_and_overlap(results):
    found = whole_images(ReviewResults.open(results))
    assert [(one.image, one.crop) for one in found.doubts] == [
        ("a", (0, 0, 130, 618)),
        ("a", (0, 482, 130, 1100)),
        ("b", (0, 0, *SMALL.shape)),
    ]
    assert {(one.kind, one.objects) for one in found.doubts} == {("part", ())}
    assert found.doubts[1].why.startswith("Part 2 of 2 of this image")
    assert found.doubts[2].why.startswith("The whole image")
    assert (found.others, found.notes) == (0, ())


def test_parts_leave_no_pixel_out(tmp_path):
    shapes = [(40, 2000), (641, 640), (130, 131), (20, 20)]
    images = {f"{at}": discs([(10, 10, 5)], shape=shape) for at, shape in enumerate(shapes)}
    parts = whole_images(ReviewResults.open(write_results(tmp_path / "out", images))).doubts
    for name, labels in images.items():
        seen = np.zeros(labels.shape, int)
        for top, left, bottom, right in (one.crop for one in parts if one.image == name):
            assert 0 <= top < bottom <= labels.shape[0]
            assert 0 <= left < right <= labels.shape[1]
            seen[top:bottom, left:right] += 1
        assert seen.min() == 1


def test_an_image_is_listed_whole_or_not_at_all(results):
    opened = ReviewResults.open(results)
    found = whole_images(opened)
    assert whole_images(opened, most=2).doubts == found.doubts[:2]
    assert whole_images(opened, most=2).others == 1
    # The first one does not fit, and the second does.
    assert (whole_images(opened, most=1).doubts, whole_images(opened, most=1).others) == (found.doubts[2:], 2)
    (results / "b_labels.tif").unlink()
    with pytest.raises(InputError, match="--crops is 1, and no image has fewer than 2 parts"):
        whole_images(ReviewResults.open(results), most=1)


def test_parts_are_smaller_where_objects_are_crowded(tmp_path):
    places = [(row, col, 6) for row in range(16, 320, 32) for col in range(16, 320, 32)]
    crowded, few = discs(places, shape=(320, 320)), discs(places[:9], shape=(320, 320))
    opened = ReviewResults.open(write_results(tmp_path / "out", {"crowded": crowded, "few": few}))
    parts = [one.crop for one in whole_images(opened).doubts if one.image == "crowded"]
    # A dozen of 100 objects would be 111 pixels, and 128 is the least: two and a half parts to a side.
    assert parts == [(0, 0, 180, 180), (0, 140, 180, 320), (140, 0, 320, 180), (140, 140, 320, 320)]
    assert [one.crop for one in whole_images(opened).doubts if one.image == "few"] == [(0, 0, 320, 320)]


def change_record(folder, **changes):
    """Change the entry of the image b; None removes a field."""
    record = folder / "autosam_run.json"
    kept = json.loads(record.read_text(encoding="utf-8"))
    entry = kept["images"]["b"] | changes
    kept["images"]["b"] = {key: value for key, value in entry.items() if value is not None}
    record.write_text(json.dumps(kept), encoding="utf-8")


def test_images_that_cannot_become_complete_are_left_out(results):
    change_record(results, inside_px=50)
    found = whole_images(ReviewResults.open(results))
    assert {one.image for one in found.doubts} == {"a"}
    (note,) = found.notes
    assert "b was segmented inside an area alone" in note
    (results / "a_labels.tif").unlink()
    with pytest.raises(InputError, match="b was segmented inside an area alone"):
        whole_images(ReviewResults.open(results))


def test_labels_that_cannot_be_read_stop_no_other_image(results):
    write_labels(results / "b_labels.tif", np.zeros((2, *SMALL.shape), np.int32))
    found = whole_images(ReviewResults.open(results))
    assert {one.image for one in found.doubts} == {"a"}
    assert "b have shape (2, 96, 128)" in found.notes[0]
    write_labels(results / "b_labels.tif", SMALL[:50])
    (note,) = whole_images(ReviewResults.open(results)).notes
    assert "the labels of b have another size than its image" in note


def test_an_image_that_is_gone_takes_no_place(results):
    (results.parent / "images" / "a.tif").unlink()
    page = make_review(ReviewResults.open(results), ReviewOptions(crops=2, whole=True))
    assert {crop.doubt.image for crop in page.crops} == {"b"}
    assert page.notes[0].lower().startswith("a: ")


def test_an_image_of_several_channels_is_refused_before_it_is_reviewed(results, monkeypatch):
    load = ReviewImage.load

    def several(image, origins):
        loaded = load(image, origins)
        return replace(loaded, image=[loaded.image, loaded.image]) if image.name == "b" else loaded

    monkeypatch.setattr(ReviewImage, "load", several)
    found = whole_images(ReviewResults.open(results))
    assert {one.image for one in found.doubts} == {"a"}
    assert "b has several channels" in found.notes[0]


@pytest.mark.parametrize("number", [0, 1, 2, 3, 12])
def test_the_order_of_images_has_each_once(number):
    assert sorted(far_apart(range(number))) == list(range(number))


def test_the_beginning_of_the_order_is_spread():
    for count in (2, 4, 8):
        gaps = np.diff(sorted(far_apart(range(64))[:count]))
        assert set(gaps) == {64 // count}


def test_results_that_do_not_tell_the_size_are_read(results):
    change_record(results, rows=None, columns=None)
    assert [one.shape for one in ReviewResults.open(results).images.values()] == [WIDE.shape, SMALL.shape]


def test_the_page_shows_parts_and_asks_no_model(autosam, results, monkeypatch):
    monkeypatch.setattr(make_review_module, "find_doubts", None)
    status, out, _ = autosam("review", "out", "--whole-images", "--crops", 2)
    assert status == 0
    assert "2 parts of 3 to review: out/review.html" in out
    text = render_review(make_review(ReviewResults.open(results), ReviewOptions(crops=2, whole=True)))
    assert "Parts of images, one image after the other" in text
    assert "Parts of images that are not on this page: 1." in text
    assert "most doubtful" not in text
    assert "All in this part is right" in text


def test_an_image_whose_parts_are_right_has_complete_labels(autosam, tmp_path, results):
    """Each part is called right by its box, as the page does."""
    parts = [one for one in whole_images(ReviewResults.open(results)).doubts if one.image == "a"]
    boxes = [(top, left, bottom - 1, right - 1) for top, left, bottom, right in (one.crop for one in parts)]
    append_corrections(
        results / "corrections.csv",
        [Correction("a", "delete", (3,)), *(Correction("a", "reviewed", box=box) for box in boxes)],
    )
    assert autosam("apply", "out", "out/corrections.csv", "-o", "fixed")[0] == 0
    training = tmp_path / "fixed" / "training"
    assert (read_pixels(training / "valid" / "a.tif") != 0).all()
    assert np.unique(read_labels(training / "labels" / "a.tif")).tolist() == [0, 1, 2]
    assert not list((training / "images").glob("b*"))
    # Nothing of it is asked again.
    again = ReviewResults.open(tmp_path / "fixed")
    assert {one.image for one in whole_images(again).doubts} == {"b"}
    assert {one.image for one in find_doubts(again, device="cpu").doubts} == {"b"}
    (results.parent / "images" / "b.tif").unlink()
    left = whole_images(again)
    assert left.doubts == ()
    assert left.notes[0].startswith("b: ")

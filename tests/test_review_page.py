"""The content of the review page, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from results_folders import discs, write_results

from autosam.errors import InputError
from autosam.images import write_labels
from autosam.review.corrections import Correction
from autosam.review.corrections_file import append_corrections
from autosam.review.doubt import Doubt
from autosam.review.page.make_review import ReviewOptions, corrections_file, make_review
from autosam.review.page.review_crops import make_crops
from autosam.review.page.review_page import render_review
from autosam.review.review_results import ReviewResults

TWO = discs([(30, 30, 12), (60, 90, 9)])
THREE = discs([(20, 20, 8), (20, 60, 8), (60, 90, 9)])


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path / "out", {"a": TWO, "day1/b": THREE})


def test_crops_have_pixels_outlines_and_ids(results):
    doubts = [
        Doubt("day1/b", (50, 70, 80, 110), (3,), "score", 0.5, "Low."),
        Doubt("a", (0, 0, 5, 5), (), "missed", 0.1, ""),
    ]
    made = make_crops(ReviewResults.open(results), doubts)
    assert made.notes == ()
    first, second = made.crops
    assert (first.picture.height, first.picture.width) == (30, 40)
    assert first.picture.jpeg
    assert list(first.picture.layers["objects"]) == [3]
    data = first.for_page()
    assert np.array_equal(np.repeat(data["runs"][::2], data["runs"][1::2]), THREE[50:80, 70:110].ravel())
    assert (data["row"], data["col"], data["height"], data["width"]) == (50, 70, 30, 40)
    assert first.data["layers"]["objects"][0][2] == 0.9
    # Nothing lies in it.
    assert second.for_page()["runs"] == [0, 25]
    assert make_crops(ReviewResults.open(results), []).crops == ()


def test_the_page_has_the_most_doubtful_crops_and_tells_of_the_rest(results):
    page = make_review(ReviewResults.open(results), ReviewOptions(crops=2))
    assert [crop.doubt.objects for crop in page.crops] == [(1,), (1,)]
    assert page.hidden == 3
    text = render_review(page)
    assert "Less doubtful places that are not on this page: 3." in text
    assert "connect-src" not in text
    assert "connect-src 'self'" in render_review(page, saved_as="corrections.csv")
    assert text == render_review(page)
    # What comes then, to be typed as it stands.
    assert f"autosam apply out corrections.csv -o fixed\nautosam adapt fixed --model {page.model} -o mine" in text
    assert page.model
    # Neither corrected results nor the next model have the names of what they are made from.
    again = render_review(replace(page, title="fixed", model="mine.safetensors"))
    assert "autosam apply fixed corrections.csv -o fixed_again\nautosam adapt fixed_again" in again
    assert "--model mine.safetensors -o mine_again" in again
    third = render_review(replace(page, title="fixed_again"))
    assert "autosam apply fixed_again corrections.csv -o fixed_again_again" in third


def test_the_browser_keeps_what_was_clicked_for_the_same_results(results):
    keys = {make_review(ReviewResults.open(results), ReviewOptions(crops=crops)).key for crops in (1, 2, 100)}
    assert len(keys) == 1
    path = results / "a_labels.tif"
    write_labels(path, np.where(TWO == 2, 0, TWO))
    assert make_review(ReviewResults.open(results), ReviewOptions(crops=1)).key not in keys


def test_another_image_that_is_there_is_enough(results):
    opened = ReviewResults.open(results)
    doubts = [Doubt("a", (0, 0, 40, 40), (1,), "score", 0.5, "Low.")]
    (results.parent / "images" / "a.tif").unlink()
    made = make_crops(opened, doubts)
    assert made.crops[0].picture.jpeg
    assert made.notes[0].startswith("a: ")


def test_an_image_that_is_gone_is_shown_by_its_overlay(results):
    (results.parent / "images" / "a.tif").unlink()
    page = make_review(ReviewResults.open(results), ReviewOptions())
    assert all(crop.picture.jpeg for crop in page.crops)
    assert [note for note in page.notes if note.startswith("a: ")]
    (results.parent / "images" / "day1" / "b.tif").unlink()
    with pytest.raises(InputError, match=r"not one image of .* can be shown .*--images"):
        make_review(ReviewResults.open(results), ReviewOptions())


def test_corrected_results_have_a_file_of_their_own_for_further_corrections(autosam, tmp_path, results):
    append_corrections(results / "corrections.csv", [Correction("a", "delete", (1,))])
    assert corrections_file(results).name == "corrections.csv"
    assert autosam("apply", "out", "out/corrections.csv", "-o", "fixed")[0] == 0
    assert corrections_file(tmp_path / "fixed").name == "further_corrections.csv"
    status, out, _ = autosam("review", "fixed", "-o", "page.html", "--crops", 1)
    assert status == 0
    assert "1 crop of 4 to review: page.html" in out


def test_what_is_refused_is_told_in_one_line(autosam, tmp_path, results):
    def refused(words, *arguments):
        status, out, err = autosam("review", *arguments)
        assert (status, out) == (2, "")
        (line,) = err.strip().splitlines()
        assert words in line

    refused("no such folder", "gone")
    refused("no name of an HTML file", "out", "-o", "page.txt")
    refused("there is no folder", "out", "-o", "none/page.html")
    (tmp_path / "report.html").write_text('<meta name="generator" content="autosam 0.5">', encoding="utf-8")
    refused("is there and is no review page", "out", "-o", "report.html")
    append_corrections(results / "corrections.csv", [Correction("a", "delete", (9,))])
    refused("a has no object 9", "out")
    (results / "corrections.csv").unlink()
    record = results / "autosam_run.json"
    record.write_text(record.read_text(encoding="utf-8")[:200], encoding="utf-8")
    refused("autosam_run.json", "out")
    assert not (results / "review.html").exists()

"""The review page with its server, in a real browser: clicks are answered by SAM, and saved at once."""

import time
import webbrowser
from contextlib import contextmanager

import numpy as np
import pytest
import tifffile
from fake_networks import use_rule_models
from real_browser import PATIENCE, Keys, browser, find, needs_browser, press, show, until  # noqa: F401
from results_folders import discs, image_of, write_results
from test_review_page_browser import click, crop_of, start_on, told

from autosam.cli.open_page import open_page
from autosam.images import find_sources, read_labels
from autosam.models.files.file_hash import file_sha256
from autosam.pipeline.batch import segment_batch
from autosam.pipeline.segmenter import Segmenter
from autosam.review import corrections
from autosam.review.apply import apply_corrections
from autosam.review.check_corrections import check_corrections
from autosam.review.corrections import Correction
from autosam.review.corrections_file import append_corrections, read_corrections
from autosam.review.drawn_mask import read_mask_text
from autosam.review.page.make_review import ReviewOptions, make_review
from autosam.review.review_results import ReviewResults
from autosam.review.server import review_app
from autosam.review.server.live_answers import LiveAnswers
from autosam.review.server.serve_review import serve_review
from autosam.review.server.take_port import take_port

pytestmark = needs_browser
FOUR = discs([(20, 20, 8), (20, 60, 8), (60, 90, 9), (70, 30, 12)])


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Segment an image by networks that answer by rule, and lose an object."""
    use_rule_models(monkeypatch)
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"stands for the weights")
    tifffile.imwrite(tmp_path / "a.tif", image_of(FOUR), photometric="minisblack")
    sources = find_sources([tmp_path / "a.tif"])
    segmenter = Segmenter.from_model(model)
    list(segment_batch(sources, segmenter, tmp_path / "out", model_sha256=file_sha256(model)))
    path = tmp_path / "out" / "a_labels.tif"
    labels = tifffile.imread(path)
    tifffile.imwrite(path, np.where(labels == labels[20, 60], 0, labels))
    return tmp_path / "out"


def saved(results, *actions):
    """Wait until these corrections stand in the file, and give them."""
    path, end, found = results / "corrections.csv", time.monotonic() + PATIENCE, []
    while [one.action for one in found] != list(actions):
        assert time.monotonic() < end, found
        time.sleep(0.05)
        found = read_corrections(path) if path.exists() else []
    return found


def test_clicks_are_answered_and_saved(browser, results):  # noqa: F811
    opened = ReviewResults.open(results)
    page = make_review(opened, ReviewOptions())
    show(browser, 1280, "light")
    with serve_review(opened, page, LiveAnswers(opened), take_port(0)) as url:
        browser.get(url)
        # What was lost comes first.
        assert find(browser, "#kind").text == "missed"
        add_by_a_click(browser, "outline, score")
        (added,) = saved(results, "add")
        assert (added.made_by, added.point_labels) == ("sam", (1,))
        crop = read_mask_text(added.mask)
        assert np.array_equal(crop.mask, FOUR[crop.window] == 2)
        assert find(browser, "#crops > li").get_attribute("data-state") == "done"
        # Where SAM sees nothing, nothing is saved.
        press(browser, "a")
        click(browser, 45, 60)
        until(browser, "document.getElementById('told').textContent === 'SAM sees no object here.'")
        press(browser, Keys.ENTER)
        assert told(browser).startswith("SAM sees no object here: add points")
        press(browser, Keys.ESCAPE)
        number = int(tifffile.imread(results / "a_labels.tif")[60, 90])
        start_on(browser, crop_of(browser, "a", number))
        press(browser, "d")
        saved(results, "add", "delete")
        # The last word counts.
        press(browser, "y")
        saved(results, "add", "accept")
        # Another visit shows them.
        browser.get(url)
        assert "2 corrections" in find(browser, "#advance").text
        assert browser.get_log("browser") == []
    # What was clicked is what is applied.
    apply_corrections(check_corrections(saved(results, "add", "accept"), opened), results.parent / "fixed")
    assert np.array_equal(read_labels(results.parent / "fixed" / "a_labels.tif") > 0, FOUR > 0)
    # The server has ended: the page keeps what it cannot save, and says so.
    start_on(browser, crop_of(browser, "a", number))
    press(browser, "d")
    until(browser, "!document.getElementById('trouble').hidden")
    assert "the server does not answer" in find(browser, "#trouble").text
    assert "delete object" in find(browser, "#here").text
    assert len(read_corrections(results / "corrections.csv")) == 2


@contextmanager
def page_of(browser, results):  # noqa: F811
    """Serve a folder without a model, and open its page on an object."""
    opened = ReviewResults.open(results)
    with serve_review(opened, make_review(opened, ReviewOptions()), LiveAnswers(opened), take_port(0)) as url:
        show(browser, 1280, "light")
        browser.get(url)
        start_on(browser, crop_of(browser, "a", 1))
        yield


@pytest.fixture
def near(tmp_path):
    return write_results(tmp_path / "out", {"a": discs([(20, 20, 8), (20, 42, 8)])})


def add_by_a_click(browser, told):  # noqa: F811
    """Click where an object is missing, wait for what the page tells of SAM's outline, and save it."""
    find(browser, ".stage").click()
    press(browser, "a")
    click(browser, 20, 60)
    until(browser, f"document.getElementById('told').textContent.includes('{told}')")
    assert browser.execute_script("return document.querySelectorAll('.over canvas').length") == 1
    press(browser, Keys.ENTER)


def choose_both(browser):  # noqa: F811
    click(browser, 20, 20)
    click(browser, 20, 42, keys=Keys.SHIFT)


def test_of_an_outline_that_is_too_long_the_points_are_saved(browser, results, monkeypatch):  # noqa: F811
    monkeypatch.setattr(corrections, "LONGEST_MASK", 20)
    monkeypatch.setattr(review_app, "LONGEST_MASK", 20)
    show(browser, 1280, "light")
    opened = ReviewResults.open(results)
    with serve_review(opened, make_review(opened, ReviewOptions()), LiveAnswers(opened), take_port(0)) as url:
        browser.get(url)
        add_by_a_click(browser, "outline is too long")
        (added,) = saved(results, "add")
        assert (added.made_by, added.point_labels, added.mask) == ("sam", (1,), "")


def test_a_correction_of_several_objects_keeps_the_rest(browser, near):  # noqa: F811
    with page_of(browser, near):
        choose_both(browser)
        press(browser, "d")
        saved(near, "delete")
        click(browser, 20, 20)
        press(browser, "y")
        found = saved(near, "delete", "accept")
        assert [one.objects for one in found] == [(2,), (1,)]
        start_on(browser, crop_of(browser, "a", 1))
        press(browser, "u")
        (one,) = saved(near, "delete")
        assert one.objects == (1, 2)


def test_what_is_refused_destroys_nothing_and_stays_told(browser, near):  # noqa: F811
    path = near / "corrections.csv"
    with page_of(browser, near):
        click(browser, 20, 20)
        press(browser, "d")
        saved(near, "delete")
        # Another program says something of the other object, which the page does not know.
        append_corrections(path, [Correction("a", "delete", (2,))])
        choose_both(browser)
        press(browser, "y")
        until(browser, "!document.getElementById('trouble').hidden")
        assert find(browser, "#troubles").text.startswith("Not saved: corrections cannot be applied: object")
        assert [one.objects for one in saved(near, "delete", "delete")] == [(1,), (2,)]
        start_on(browser, crop_of(browser, "a", 1))
        assert find(browser, "#here").text.startswith("delete object 1")
        press(browser, "c")
        saved(near, "delete", "delete", "reviewed")
        until(browser, "document.getElementById('advance').textContent.includes('2 corrections')")
        assert find(browser, "#troubles").text.startswith("Not saved: ")
        find(browser, "#understood").click()
        assert not find(browser, "#trouble").is_displayed()


def test_what_could_not_be_written_is_tried_again(browser, near):  # noqa: F811
    path = near / "corrections.csv"
    with page_of(browser, near):
        path.write_text("image,row\nx,,,\n")
        click(browser, 20, 20)
        press(browser, "d")
        until(browser, "!document.getElementById('trouble').hidden")
        assert find(browser, "#troubles").text.startswith("Not saved yet: corrections ")
        assert find(browser, "#here").text.startswith("delete object 1")
        assert not find(browser, "#saved").is_displayed()
        # What is taken back waits no more.
        press(browser, "u")
        until(browser, "document.getElementById('trouble').hidden")
        assert find(browser, "#saved").is_displayed()
        press(browser, "d")
        until(browser, "!document.getElementById('trouble').hidden")
        path.unlink()
        assert find(browser, "#understood").text == "Try again"
        find(browser, "#understood").click()
        assert [one.objects for one in saved(near, "delete")] == [(1,)]
        until(browser, "document.getElementById('trouble').hidden")


def test_only_the_last_crop_is_prepared(browser, near):  # noqa: F811
    with page_of(browser, near):
        browser.execute_script(
            "window.asked = []; window.fetch = (what, { signal }) => { asked.push([what, signal]);"
            " return new Promise(() => {}); };"
        )
        find(browser, ".stage").click()
        for _ in range(5):
            press(browser, "n")
        found = browser.execute_script("return asked.map(([what, signal]) => [what, signal.aborted])")
        assert found == [*[["prepare", True]] * 4, ["prepare", False]]


def test_the_file_that_a_browser_opens_leads_to_the_page(browser, near, monkeypatch):  # noqa: F811
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", browser.get)
    show(browser, 1280, "light")
    opened = ReviewResults.open(near)
    with serve_review(opened, make_review(opened, ReviewOptions()), LiveAnswers(opened), take_port(0)) as url:
        with open_page(url):
            until(browser, f"document.URL === '{url}' && document.getElementById('review')")
        start_on(browser, crop_of(browser, "a", 1))
        press(browser, "d")
        saved(near, "delete")

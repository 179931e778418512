"""The review page in a real browser: what is clicked comes out as corrections."""

import json
import time

import numpy as np
import pytest
from real_browser import (  # noqa: F401
    CONTRAST,
    PATIENCE,
    By,
    Keys,
    browser,
    find,
    needs_browser,
    press,
    show,
    until,
    webdriver,
)
from results_folders import discs, write_results

from autosam.review.check_corrections import check_corrections
from autosam.review.corrections import Correction
from autosam.review.corrections_file import append_corrections, read_corrections
from autosam.review.page.make_review import ReviewOptions, make_review
from autosam.review.page.review_page import write_review
from autosam.review.review_results import ReviewResults

pytestmark = needs_browser
HOSTILE = "b,\"x<script>document.title='hacked'<"
FIVE = discs([(20, 20, 10), (20, 60, 10), (20, 82, 10), (70, 30, 14), (70, 100, 10)])
TWO = discs([(30, 30, 12), (60, 90, 9)])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("review") / "out", {"a": FIVE, HOSTILE: TWO})


@pytest.fixture(scope="module")
def page(results):
    """Write a page about two images, with a correction that was made earlier."""
    append_corrections(results / "corrections.csv", [Correction(HOSTILE, "delete", (2,), action_id="7")])
    file = results / "review.html"
    write_review(file, make_review(ReviewResults.open(results), ReviewOptions()))
    return file


@pytest.fixture
def opened(browser, page):  # noqa: F811
    """Open the page with nothing clicked, at 1280 pixels."""
    show(browser, 1280, "light")
    browser.get(page.as_uri())
    browser.execute_script("localStorage.clear()")
    browser.get(page.as_uri())
    return browser


def click(driver, row, col, *, keys=None, drag_to=None):
    """Click a place of the image, or drag from there to another one."""
    script = """
    const crop = Page.data.crops[Number(document.querySelector('[data-crop][aria-current="true"]').dataset.crop)];
    const canvas = document.querySelector(".canvas").getBoundingClientRect();
    const stage = document.querySelector(".stage").getBoundingClientRect();
    return arguments[0].map(([row, col]) => [
      canvas.x + ((col - crop.col + 0.5) / crop.width) * canvas.width - stage.x - stage.width / 2,
      canvas.y + ((row - crop.row + 0.5) / crop.height) * canvas.height - stage.y - stage.height / 2,
    ].map(Math.round));
    """
    stage = find(driver, ".stage")
    places = driver.execute_script(script, [(row, col), *([drag_to] if drag_to else [])])
    chain = webdriver.ActionChains(driver, duration=20)
    chain = chain.key_down(keys) if keys else chain
    chain.move_to_element_with_offset(stage, *places[0]).click_and_hold()
    if drag_to:
        chain.move_to_element_with_offset(stage, *places[1])
    chain.release()
    (chain.key_up(keys) if keys else chain).perform()


def told(driver):
    return find(driver, "#told").text


def downloaded(driver, folder):
    """Press the button that downloads, and read the file."""
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    find(driver, "#download").click()
    file = folder / "corrections.csv"
    until_there = time.monotonic() + PATIENCE
    while not file.exists() and time.monotonic() < until_there:
        time.sleep(0.02)
    return file


def start_on(driver, number):
    driver.execute_script(f"document.querySelector('[data-crop=\"{number}\"]').click()")


def test_clicks_become_corrections(opened, results, tmp_path):
    checked = ReviewResults.open(results)
    assert find(opened, "#where").text == "1 of 7"
    start_on(opened, crop_of(opened, "a", 1))
    press(opened, "y")
    start_on(opened, crop_of(opened, "a", 2))
    press(opened, "m")
    click(opened, 20, 20)
    assert told(opened) == "These objects lie more than 16 pixels apart, and cannot be merged."
    click(opened, 20, 82)
    start_on(opened, crop_of(opened, "a", 4))
    press(opened, "s")
    click(opened, 45, 60)
    assert told(opened) == "Click on object 4 itself."
    click(opened, 70, 22)
    click(opened, 70, 38)
    start_on(opened, crop_of(opened, "a", 5))
    press(opened, "r")
    click(opened, 70, 100)
    click(opened, 70, 115, keys=Keys.SHIFT)
    press(opened, Keys.ENTER)
    press(opened, "a")
    click(opened, 80, 70, drag_to=(90, 84))
    press(opened, Keys.ENTER)
    start_on(opened, crop_of(opened, HOSTILE, 1))
    press(opened, "c")
    assert opened.get_log("browser") == []
    file = downloaded(opened, tmp_path)
    found = read_corrections(file)
    assert file.read_bytes().decode().splitlines()[0] == (results / "corrections.csv").read_text().splitlines()[0]
    assert [one.action for one in found] == ["delete", "accept", "merge", "split", "redraw", "add", "reviewed"]
    assert [one.action_id for one in found] == ["7", "8", "9", "10", "11", "12", "13"]
    assert [one.objects for one in found] == [(2,), (1,), (2, 3), (4,), (5,), (), ()]
    assert [one.made_by for one in found] == ["hand", "model", "hand", "hand", "sam", "sam", "hand"]
    assert {one.results for one in found[1:6]} == {checked.images["a"].results}
    assert found[4].point_labels == (1, 0)
    assert found[3].points[0] == pytest.approx((70, 22), abs=0.6)
    assert found[5].box == pytest.approx((80, 70, 90, 84), abs=1)
    # What the page writes can be applied.
    assert len(check_corrections(found, checked).all) == 7
    # The same bytes as autosam writes.
    written = tmp_path / "again.csv"
    append_corrections(written, found)
    assert written.read_bytes() == file.read_bytes()


def crop_of(driver, image, *objects):
    """Give the number of the crop that is about these objects."""
    script = "return Page.data.crops.map((one) => [one.image, ...one.objects])"
    return driver.execute_script(script).index([image, *objects])


def test_what_was_corrected_earlier_is_done_and_can_be_undone(opened, tmp_path):
    number = crop_of(opened, HOSTILE, 2)
    states = opened.execute_script(
        "return [...document.querySelectorAll('#crops > li')].map((one) => one.dataset.state)"
    )
    assert [place for place, state in enumerate(states) if state == "done"] == [number]
    assert "1 of 7 looked at, 1 correction" in find(opened, "#advance").text
    start_on(opened, number)
    find(opened, "#here button").click()
    assert "0 corrections" in find(opened, "#advance").text
    assert read_corrections(downloaded(opened, tmp_path)) == []


def test_the_last_word_counts_and_undo_brings_the_first_one_back(opened, tmp_path):
    start_on(opened, crop_of(opened, "a", 1))
    press(opened, "d")
    assert find(opened, "#here").text.startswith("delete object 1")
    press(opened, "y")
    until(opened, "document.getElementById('where').textContent !== '1 of 7'")
    press(opened, "u")
    assert find(opened, "#here").text.startswith("delete object 1")
    # Kept when the page is opened again.
    opened.refresh()
    start_on(opened, crop_of(opened, "a", 1))
    assert find(opened, "#here").text.startswith("delete object 1")
    press(opened, "a")
    press(opened, Keys.ENTER)
    assert told(opened) == "Click a point or drag a box first."
    click(opened, 45, 45)
    press(opened, "n")
    assert told(opened) == "Enter saves what you have drawn, and Esc drops it."
    press(opened, Keys.ESCAPE)
    found = read_corrections(downloaded(opened, tmp_path))
    assert [(one.action, one.objects) for one in found] == [("delete", (2,)), ("delete", (1,))]
    assert opened.get_log("browser") == []


def test_what_a_correction_says_of_other_objects_stays(opened, tmp_path):
    start_on(opened, crop_of(opened, "a", 2))
    click(opened, 20, 82, keys=Keys.SHIFT)
    assert told(opened) == "Chosen: objects 2, 3."
    press(opened, "d")
    click(opened, 20, 60)
    press(opened, "y")
    found = read_corrections(downloaded(opened, tmp_path))
    assert [(one.action, one.objects) for one in found] == [("delete", (2,)), ("delete", (3,)), ("accept", (2,))]
    # The former state comes back in one step.
    press(opened, "u")
    (tmp_path / "corrections.csv").unlink()
    found = read_corrections(downloaded(opened, tmp_path))
    assert [(one.action, one.objects) for one in found] == [("delete", (2,)), ("delete", (2, 3))]
    press(opened, "u")
    assert "1 correction" in find(opened, "#advance").text
    # One that was taken back by its own button is not to be undone.
    start_on(opened, crop_of(opened, "a", 1))
    press(opened, "d")
    start_on(opened, crop_of(opened, "a", 4))
    press(opened, "d")
    find(opened, "#here button").click()
    press(opened, "u")
    assert "1 correction" in find(opened, "#advance").text


def test_keys_move_and_switch_outlines(opened):
    assert find(opened, "#where").text == "1 of 7"
    find(opened, ".stage").click()
    press(opened, "n")
    assert find(opened, "#where").text == "2 of 7"
    press(opened, "p")
    assert find(opened, "#where").text == "1 of 7"
    # Both were looked at, and the one that was corrected earlier.
    assert "3 of 7 looked at" in find(opened, "#advance").text
    assert find(opened, ".canvas .layer-objects").is_displayed()
    press(opened, "o")
    assert not find(opened, ".canvas .layer-objects").is_displayed()
    press(opened, "o")
    before = opened.execute_script("return document.querySelector('.canvas').offsetWidth")
    press(opened, "+")
    assert opened.execute_script("return document.querySelector('.canvas').offsetWidth") > before
    # Every button says its key.
    for button in opened.find_elements(By.CSS_SELECTOR, "#actions button"):
        assert button.get_attribute("aria-keyshortcuts") == button.find_element(By.TAG_NAME, "kbd").text


def test_a_browser_that_keeps_nothing_says_so(browser, page, tmp_path):  # noqa: F811
    script = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('refused'); }})"
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        browser.get(page.as_uri())
        assert "keeps nothing" in find(browser, "#trouble").text
        start_on(browser, crop_of(browser, "a", 1))
        press(browser, "d")
        assert [one.objects for one in read_corrections(downloaded(browser, tmp_path))] == [(2,), (1,)]
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": added["identifier"]})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window_and_text_is_legible(opened, width, scheme):
    show(opened, width, scheme)
    press(opened, "a")
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width
    assert opened.execute_script(CONTRAST) == []


def test_names_of_files_are_text_and_nothing_is_loaded(opened, page):
    assert opened.title == "out – autosam review"
    names = opened.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert all(name.startswith("data:") for name in names)
    assert HOSTILE in json.dumps(
        opened.execute_script("return Object.keys(Page.data.results)"), ensure_ascii=False
    ).replace('\\"', '"')
    assert page.stat().st_size < 300_000


def test_a_part_of_a_whole_image_is_done_when_all_in_it_is_right(browser, tmp_path):  # noqa: F811
    folder = write_results(tmp_path / "out", {"a": np.tile(FIVE, (1, 10)), "b": TWO})
    file = folder / "review.html"
    write_review(file, make_review(ReviewResults.open(folder), ReviewOptions(whole=True)))
    show(browser, 1280, "light")
    browser.get(file.as_uri())
    browser.execute_script("localStorage.clear()")
    browser.get(file.as_uri())
    states = "return [...document.querySelectorAll('#crops > li')].map((one) => one.dataset.state)"
    crops = browser.execute_script("return Page.data.crops.map((one) => [one.image, one.col, one.width])")
    assert [image for image, _, _ in crops] == ["a", "a", "b"]
    # The first two overlap.
    first, second, _ = crops
    border = second[1]
    assert first[1] + first[2] > border
    # Neither an accepted object nor an added one ends a part, nor does it do to have seen it.
    click(browser, 70, 30)
    press(browser, "y")
    press(browser, "a")
    click(browser, 80, border - 30, drag_to=(90, border + 4))
    press(browser, Keys.ENTER)
    assert find(browser, "#where").text == "1 of 3"
    press(browser, "n")
    # What was added at the border is shown on both sides of it.
    assert find(browser, "#here li:last-child").text.startswith("added object")
    assert browser.execute_script(states) == ["", "", ""]
    press(browser, "c")
    press(browser, "c")
    assert browser.execute_script(states) == ["", "done", "done"]
    assert "2 of 3 parts called right, 1 of 2 images complete, 4 corrections" in find(browser, "#advance").text
    assert find(browser, "#where").text == "1 of 3"
    press(browser, "c")
    assert told(browser) == "Every part on this page was called right."
    assert browser.get_log("browser") == []
    found = read_corrections(downloaded(browser, tmp_path))
    assert [one.action for one in found] == ["accept", "add", "reviewed", "reviewed", "reviewed"]
    assert found[4].box == (0, 0, FIVE.shape[0] - 1, first[2] - 1)


def test_boxes_cover_a_crop_together(opened):
    def covered(*boxes):
        return opened.execute_script("return CropState.covered([10, 10, 19, 29], arguments[0])", boxes)

    left, right = [0, 0, 50, 19], [0, 20, 50, 60]
    assert covered(left, right)
    assert covered([0, 0, 14, 60], [15, 0, 50, 25], [12, 22, 50, 60])
    assert covered(None)
    assert not covered()
    assert not covered(left)
    assert not covered(left, [0, 21, 50, 60])
    # All but the pixel in the middle.
    assert not covered([0, 0, 14, 60], [16, 0, 50, 60], [15, 0, 15, 19], [15, 21, 15, 60])

"""The report in a real browser, see `real_browser`."""

from pathlib import Path

import numpy as np
import pytest
from real_browser import CONTRAST, By, Keys, browser, find, needs_browser, press, show, until, webdriver  # noqa: F401
from results_folders import discs, write_results

from autosam.evaluation.results_page.make_report import ReportOptions, make_report
from autosam.images import write_labels
from autosam.report.html_page import write_page

pytestmark = needs_browser
HOSTILE = "x<script>document.title='hacked'<"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Write a report with all its parts, with a hostile name and a long one."""
    place = tmp_path_factory.mktemp("report")
    truth = discs([(30, 30, 12), (60, 90, 9), (20, 100, 8)])
    images = {
        HOSTILE: truth,
        "b2": discs([(30, 30, 12)]),
        "b10": truth,
        "c" * 120: truth,
        "d": np.zeros_like(truth),
    }
    entries = {
        "b2": {"out_of_distribution": True, "novelty": 1.7},
        "gone": {"input": "gone.tif", "error": "gone.tif cannot be read " + "x" * 200},
    }
    folder = write_results(place / "out", images, entries=entries, pixel_size_nm=250.0)
    (place / "truth").mkdir()
    for name in images:
        write_labels(place / "truth" / f"{name}.tif", truth)
    groups = "".join(f"{name},{'early' if at % 2 else 'late'}\n" for at, name in enumerate(images))
    (place / "groups.csv").write_text(f"image,group\n{groups}", encoding="utf-8")
    file = place / "out" / "report.html"
    write_page(file, make_report(folder, ReportOptions(truth=str(place / "truth"), groups=place / "groups.csv")))
    return file


@pytest.fixture
def opened(browser, page):  # noqa: F811
    """Open the report as it is at first, at 1280 pixels."""
    show(browser, 1280, "light")
    browser.get(page.as_uri())
    browser.execute_script("try { localStorage.clear(); } catch { /* none */ }")
    return browser


def draw_outlines(browser):  # noqa: F811
    """Go to the images, whose outlines are drawn when they come near."""
    browser.execute_script("document.getElementById('images').scrollIntoView({behavior: 'instant'})")
    until(browser, "document.querySelector('.card .layer-objects')")


def column(browser, title):  # noqa: F811
    """Give the cells of a column of the table of images, and its heading."""
    script = """
    const table = document.querySelector("table.sorts");
    const at = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent.trim() === arguments[0]);
    return [...table.tBodies[0].rows].map((row) => row.cells[at].textContent.trim());
    """
    return browser.execute_script(script, title)


def test_no_error_no_script_of_others_and_no_request(opened):
    draw_outlines(opened)
    assert opened.title.endswith("autosam report")
    assert opened.get_log("browser") == []
    names = opened.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert all(name.startswith("data:") for name in names)
    assert opened.execute_script(
        "return [...document.images].every((one) => one.naturalWidth > 0 || one.hidden || !one.src)"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window_and_text_is_legible(opened, width, scheme):
    show(opened, width, scheme)
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width
    assert opened.execute_script(CONTRAST) == []


def test_the_theme_changes_and_stays(opened, page):
    def ground():
        return opened.execute_script("return getComputedStyle(document.body).backgroundColor")

    light = ground()
    find(opened, "#theme").send_keys(Keys.ENTER)
    assert find(opened, "#theme").get_attribute("aria-pressed") == "true"
    dark = ground()
    assert dark != light
    assert opened.execute_script(CONTRAST) == []
    opened.get(page.as_uri())
    assert ground() == dark
    show(opened, 1280, "dark")
    find(opened, "#theme").send_keys(Keys.ENTER)
    assert ground() == light


def test_outlines_switch_on_and_off_by_button_and_by_key(opened):
    draw_outlines(opened)

    def shown(layer):
        return find(opened, f".card .layer-{layer}").is_displayed()

    assert shown("objects")
    assert shown("truth")
    find(opened, "#images [data-switch=objects]").send_keys(Keys.SPACE)
    assert not shown("objects")
    assert shown("truth")
    find(opened, "body").send_keys("o", "t")
    assert shown("objects")
    assert not shown("truth")
    pressed = [
        one.get_attribute("aria-pressed") for one in opened.find_elements(By.CSS_SELECTOR, "[data-switch=truth]")
    ]
    assert pressed == ["false", "false"]


def test_the_table_sorts_by_keyboard_and_says_how(opened):
    heading = "//table[contains(@class, 'sorts')]//th[normalize-space()='{}']"
    assert column(opened, "image")[-1] == HOSTILE
    button = opened.find_element(By.XPATH, heading.format("objects") + "/button")
    button.send_keys(Keys.ENTER)
    # What is not known comes last.
    assert column(opened, "objects") == ["0", "1", "3", "3", "3", "–"]
    button.send_keys(Keys.SPACE)
    assert column(opened, "objects") == ["3", "3", "3", "1", "0", "–"]
    sorts = {
        one.text: one.get_attribute("aria-sort")
        for one in opened.find_elements(By.CSS_SELECTOR, ".sorts th[aria-sort]")
    }
    assert [name for name, sort in sorts.items() if sort != "none"] == ["objects"]
    assert sorts["objects"] == "descending"
    assert find(opened, ".said").text == "Sorted by objects, descending."
    opened.find_element(By.XPATH, heading.format("image") + "/button").send_keys(Keys.ENTER)
    assert column(opened, "image")[:2] == ["b2", "b10"]


def test_the_viewer_by_keyboard(opened):
    find(opened, "#image-1 .open").send_keys(Keys.ENTER)
    until(opened, "document.getElementById('viewer').open")
    title, canvas = find(opened, "#viewer h2"), "document.querySelector('#viewer .canvas')"
    assert title.text == "b2"
    assert opened.execute_script("return document.activeElement.className") == "stage"
    before = opened.execute_script(f"return {canvas}.offsetWidth")
    press(opened, "+")
    assert opened.execute_script(f"return {canvas}.offsetWidth") == pytest.approx(1.5 * before, abs=2)
    place = opened.execute_script(f"return {canvas}.style.transform")
    press(opened, Keys.ARROW_LEFT)
    assert opened.execute_script(f"return {canvas}.style.transform") != place
    press(opened, "0")
    assert opened.execute_script(f"return {canvas}.offsetWidth") == pytest.approx(before, abs=2)
    press(opened, "o")
    assert not find(opened, "#viewer .layer-objects").is_displayed()
    press(opened, "n")
    assert title.text == "b10"
    # A layer that was switched off stays off.
    assert not find(opened, "#viewer .layer-objects").is_displayed()
    # Capitals as the page writes them, or by Caps Lock.
    press(opened, "P")
    assert title.text == "b2"
    press(opened, "O")
    assert find(opened, "#viewer .layer-objects").is_displayed()
    press(opened, Keys.ESCAPE)
    until(opened, "!document.getElementById('viewer').open")
    assert opened.execute_script("return document.activeElement.dataset.title") == "b2"
    assert opened.get_log("browser") == []


def test_an_object_tells_its_score(opened):
    find(opened, "#image-1 .open").send_keys(Keys.ENTER)
    until(opened, "document.querySelector('#viewer .object')")
    stage = find(opened, "#viewer .stage")
    center = opened.execute_script(
        "const a = document.querySelector('#viewer .object').getBoundingClientRect();"
        "const b = document.querySelector('#viewer .stage').getBoundingClientRect();"
        "return [a.x + a.width / 2 - b.x - b.width / 2, a.y + a.height / 2 - b.y - b.height / 2]"
    )
    webdriver.ActionChains(opened).move_to_element_with_offset(stage, *map(round, center)).click().perform()
    assert find(opened, "#viewer .told").text in ("object 1, score 0.6", "true object 1")
    press(opened, Keys.ESCAPE)


def test_the_filter_holds_for_images_and_table(opened):
    find(opened, "#filter").send_keys("b1")
    assert [one.text for one in opened.find_elements(By.CSS_SELECTOR, ".card h3") if one.is_displayed()] == ["b10"]
    assert find(opened, "#filtered").text == "1 shown"
    find(opened, "#filter").clear()
    find(opened, "#filter").send_keys(" ")
    find(opened, "#doubtful").send_keys(Keys.ENTER)
    shown = [one.text for one in opened.find_elements(By.CSS_SELECTOR, ".card h3") if one.is_displayed()]
    assert shown == ["b2", "d"]
    # An image that the filter hides is opened by its name in the notices: the first one that is shown comes next.
    opened.execute_script("document.querySelector('#image-2 .open').click()")
    assert find(opened, "#viewer h2").text == "b10"
    press(opened, "n")
    assert find(opened, "#viewer h2").text == "b2"
    press(opened, Keys.ESCAPE)
    find(opened, "#filter").send_keys("no such image")
    opened.execute_script("document.querySelector('#image-2 .open').click()")
    press(opened, "n")
    assert find(opened, "#viewer h2").text == "b10"
    press(opened, Keys.ESCAPE)
    assert opened.get_log("browser") == []


def test_the_print_has_all_outlines_and_no_buttons(opened):
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    opened.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert opened.execute_script("return document.querySelectorAll('.frame[data-picture] svg').length") == len(
        opened.find_elements(By.CSS_SELECTOR, ".frame[data-picture]")
    )
    assert not find(opened, "#theme").is_displayed()
    assert not find(opened, ".contents").is_displayed()
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_the_page_is_small(page):
    assert Path(page).stat().st_size < 500_000

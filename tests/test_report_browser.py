"""The report in a real browser: Debian's chromium, driven by selenium; skipped where they are missing.

One browser serves all tests, for it takes seconds to start.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from results_folders import discs, write_results

from autosam.evaluation.results_page.make_report import ReportOptions, make_report
from autosam.images import write_labels
from autosam.report.html_page import write_page

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    BROWSER is None or DRIVER is None,
    reason="chromium and chromedriver are missing: apt-get install chromium-driver",
)
PATIENCE = 120
"""Seconds for what takes a moment on a machine that does nothing else."""
HOSTILE = "x<script>document.title='hacked'<"
CONTRAST = """
const parse = (color) => color.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b]
  .map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
const ground = (one) => {
  for (; one; one = one.parentElement) {
    const color = parse(getComputedStyle(one).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return [255, 255, 255];
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const one = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !one.getClientRects().length) continue;
  if (one.closest("script, style, .skip, title")) continue;
  const style = getComputedStyle(one);
  const [a, b] = [light(parse(one.closest("svg") ? style.fill : style.color)), light(ground(one))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) found.push(`${one.tagName} ${ratio.toFixed(2)}: ${one.textContent.slice(0, 60)}`);
}
return found;
"""


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


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = Options()
    options.binary_location = BROWSER
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
    ):
        options.add_argument(argument)
    options.add_argument("--disable-background-networking")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(PATIENCE)
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, page):
    """Open the report as it is at first, at 1280 pixels."""
    show(browser, 1280, "light")
    browser.get(page.as_uri())
    browser.execute_script("try { localStorage.clear(); } catch { /* none */ }")
    return browser


def show(browser, width, scheme):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    # Without smooth scrolling, which moves what is to be clicked.
    wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in wanted.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def find(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def until(browser, script):
    """Wait until an expression of JavaScript is true."""
    WebDriverWait(browser, PATIENCE).until(lambda one: one.execute_script(f"return Boolean({script})"))


def draw_outlines(browser):
    """Go to the images, whose outlines are drawn when they come near."""
    browser.execute_script("document.getElementById('images').scrollIntoView({behavior: 'instant'})")
    until(browser, "document.querySelector('.card .layer-objects')")


def press(browser, keys):
    browser.switch_to.active_element.send_keys(keys)


def column(browser, title):
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

"""The report of folders of results: what it says of images that are there, gone, changed, failed or empty."""

import json

import numpy as np
import pytest
import tifffile
from results_folders import RUN, SETTINGS, discs, write_results

from autosam.config import make_config
from autosam.errors import ConfigError, InputError
from autosam.evaluation.results_page.make_report import ReportOptions, make_report
from autosam.images import write_labels
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.model_header import read_header
from autosam.models.files.zoo import BUNDLED
from autosam.report.html_page import write_page
from autosam.report.svg_charts import number

TWO = discs([(30, 30, 12), (60, 90, 9)])
EMPTY = np.zeros((96, 128), np.int32)


def said(content, level=None):
    return [(n.text, n.images) for n in content.notices if level in (None, n.level)]


def rows(content):
    titles = [column.title for column in content.table.columns]
    return {row[0].text: dict(zip(titles, (cell.text for cell in row), strict=True)) for row in content.table.rows}


def card(content, name):
    return next(card for card in content.cards if card.name == name)


def test_two_images_that_are_fine(tmp_path):
    content = make_report(write_results(tmp_path / "out", {"a": TWO, "b10": TWO, "b9": EMPTY}), ReportOptions())
    assert said(content) == [("1 image: nothing found.", ("b9",))]
    facts = {fact.label: fact.value for fact in content.summary}
    assert facts["images"] == "3"
    assert facts["objects"] == "4"
    # Names are sorted by their numbers.
    assert list(rows(content)) == ["a", "b9", "b10"]
    assert rows(content)["a"]["objects"] == "2"
    assert rows(content)["b9"]["median px"] == "–"
    assert list(card(content, "a").picture.layers["objects"]) == [1, 2]
    assert card(content, "a").picture.jpeg
    assert card(content, "a").missing == ""
    assert card(content, "a").scores == {1: 0.6, 2: 0.9}
    assert card(content, "b9").badges == ("nothing found",)
    assert len(content.charts) == 2


def test_no_object_at_all(tmp_path):
    content = make_report(write_results(tmp_path / "out", {"a": EMPTY}), ReportOptions())
    assert content.charts == ()
    assert {fact.label: fact.value for fact in content.summary}["objects"] == "0"


def test_sizes_in_micrometers(tmp_path):
    content = make_report(write_results(tmp_path / "out", {"a": TWO}, pixel_size_nm=500.0), ReportOptions())
    sizes = [fact.value for fact in content.summary if fact.label == "median size"]
    area = np.median(np.bincount(TWO.ravel())[1:])
    assert sizes == [f"{number(area)} px", f"{number(area / 4)} µm²"]
    assert rows(content)["a"]["per mm²"] == f"{round(2 / (TWO.size * 0.25e-6)):,}"


def test_warnings_come_first_and_failures_before_them(tmp_path):
    entries = {
        "a": {"out_of_distribution": True, "novelty": 1.4},
        "b": {"warnings": ["most of the image is dark after scaling"]},
        "bad": {"input": "bad.tif", "error": "bad.tif cannot\nbe read"},
    }
    folder = write_results(tmp_path / "out", {"a": TWO, "b": TWO}, entries=entries)
    content = make_report(folder, ReportOptions())
    assert said(content) == [
        ("bad.tif cannot be read", ("bad",)),
        ("1 image: unlike the training images.", ("a",)),
        ("1 image: most of the image is dark after scaling.", ("b",)),
    ]
    assert [notice.level for notice in content.notices] == ["error", "warning", "warning"]
    assert rows(content)["bad"]["to check"] == "failed: bad.tif cannot be read"


def test_an_image_that_is_gone_is_shown_by_its_overlay(tmp_path):
    folder = write_results(tmp_path / "out", {"a": TWO, "b": TWO, "c": TWO})
    (tmp_path / "images" / "a.tif").unlink()
    (tmp_path / "images" / "b.tif").unlink()
    (folder / "b_overlay.png").unlink()
    tifffile.imwrite(tmp_path / "images" / "c.tif", np.full((96, 128), 9, np.uint8), photometric="minisblack")
    content = make_report(folder, ReportOptions())
    assert "not where the run record says" in card(content, "a").missing
    assert card(content, "a").picture.layers == {}
    assert not card(content, "b").picture.jpeg
    assert list(card(content, "b").picture.layers["objects"]) == [1, 2]
    assert "changed since" in card(content, "c").missing
    assert rows(content)["a"]["objects"] == "2"
    assert {names for _, names in said(content, "note")} == {("a", "b"), ("c",)}
    assert str(tmp_path) not in "".join(text for text, _ in said(content))


def test_no_folder_of_this_machine_is_in_the_page(tmp_path):
    entries = {
        "b": {"warnings": [f"its labels are those of {tmp_path}/images/b.tif."]},
        "bad": {"input": f"{tmp_path}/bad.tif", "error": f"{tmp_path}/bad.tif cannot be read"},
    }
    made = {"model": f"{tmp_path}/models/mine.safetensors"}
    folder = write_results(tmp_path / "out", {"a": TWO, "b": TWO, "c": TWO}, entries=entries, run=made)
    (tmp_path / "images" / "a.tif").unlink()
    (tmp_path / "images" / "b.tif").write_bytes(b"no image")
    (folder / "c_labels.tif").write_bytes((folder / "c_labels.tif").read_bytes()[:40])
    content = make_report(folder, ReportOptions())
    page = tmp_path / "page.html"
    write_page(page, content)
    text = page.read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    assert "the model mine.safetensors" in text
    assert ("bad.tif cannot be read", ("bad",)) in said(content)
    assert ("1 image: its labels are those of b.tif.", ("b",)) in said(content), "one period, not two"


def test_labels_that_are_gone_or_cut_short_are_told(tmp_path):
    folder = write_results(tmp_path / "out", {"a": TWO, "b": TWO, "c": TWO})
    (folder / "a_labels.tif").unlink()
    (folder / "b_labels.tif").write_bytes((folder / "b_labels.tif").read_bytes()[:40])
    content = make_report(folder, ReportOptions())
    assert [names for _, names in said(content, "error")] == [("a",), ("b",)]
    assert [card.name for card in content.cards] == ["c"]
    assert rows(content)["b"]["to check"].startswith("failed: ")


def test_corrected_labels_are_measured_anew(tmp_path):
    folder = write_results(tmp_path / "out", {"a": TWO})
    write_labels(folder / "a_labels.tif", discs([(30, 30, 12)]))
    content = make_report(folder, ReportOptions())
    assert rows(content)["a"]["objects"] == "1"
    assert said(content, "note")[0][1] == ("a",)
    assert card(content, "a").scores == {}


def test_runs_of_other_settings_are_listed_apart(tmp_path):
    other = {"settings": {**SETTINGS, "merge": {**SETTINGS["merge"], "min_size": 7}}}
    run = {"run": 2, "earlier_runs": {"1": {k: v for k, v in RUN.items() if k != "earlier_runs"}}, **other}
    folder = write_results(tmp_path / "out", {"a": TWO, "b": TWO}, run=run, entries={"b": {"run": 2}})
    content = make_report(folder, ReportOptions())
    assert [run.title for run in content.runs] == ["Run 2", "Run 1"]
    assert "merge.min_size" in {row[0].text for row in content.runs[0].settings.rows}
    assert content.runs[1].settings is None
    assert any("2 runs" in text for text, _ in said(content, "warning"))


def test_an_upper_bound_is_no_result(tmp_path):
    run = {"options": {"oracle_mask_sha256": "cd" * 32}}
    content = make_report(write_results(tmp_path / "out", {"a": TWO}, run=run), ReportOptions())
    assert any("upper bound" in text for text, _ in said(content, "warning"))


def test_records_of_another_version_are_read(tmp_path):
    folder = write_results(tmp_path / "out", {"a": TWO})
    record = json.loads((folder / "autosam_run.json").read_text(encoding="utf-8"))
    old = {
        "model": "mito",
        "model_sha256": "ab",
        "settings": {"merge": {"min_size": 3}, "from_the_future": {"x": 1}},
        "images": {"a": {"input": record["images"]["a"]["input"], "instances": 2}},
    }
    (folder / "autosam_run.json").write_text(json.dumps(old), encoding="utf-8")
    content = make_report(folder, ReportOptions())
    assert rows(content)["a"]["objects"] == "2"
    assert "autosam  " not in content.methods[0]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"images": []}', '{"images": {"a": 3}, "settings": {}}'])
def test_a_damaged_record_is_refused(tmp_path, text):
    folder = write_results(tmp_path / "out", {"a": TWO})
    (folder / "autosam_run.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="damaged or half written"):
        make_report(folder, ReportOptions())


def test_what_is_no_folder_of_results_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "mito_run.json").write_text("{}", encoding="utf-8")
    for name, words in (
        ("gone", "no such folder"),
        ("empty", "holds no autosam_run"),
        ("volume", "autosam volume"),
    ):
        with pytest.raises(InputError, match=words):
            make_report(tmp_path / name, ReportOptions())


def test_scores_and_worst_objects_with_a_truth(tmp_path):
    truth = discs([(30, 30, 12), (60, 90, 12), (20, 110, 8)])
    found = TWO.copy()
    found[80:90, 10:20] = 3
    folder = write_results(tmp_path / "out", {"a": found, "b": TWO})
    (tmp_path / "truth").mkdir()
    write_labels(tmp_path / "truth" / "a.tif", truth)
    write_labels(tmp_path / "truth" / "other.tif", truth)
    content = make_report(folder, ReportOptions(truth=str(tmp_path / "truth")))
    kinds = {fact.label: fact.value for fact in content.truth.kinds}
    assert kinds == {"found": "2", "missed": "1", "merged": "0", "split": "0", "spurious": "1"}
    assert [crop.kind for crop in content.truth.crops] == ["missed", "spurious", "loose"]
    assert content.truth.crops[0].lines == (f"true object 3, {(truth == 3).sum()} px", "best IoU 0.00")
    assert content.truth.crops[1].lines[1] == "score 0.9"
    assert rows(content)["a"]["AP@.5"] == "0.500"
    assert rows(content)["b"]["AP@.5"] == "–"
    assert list(card(content, "a").picture.layers) == ["objects", "truth"]
    assert any("1 image has no truth, and is not scored" in note for note in content.truth.notes)


def test_masks_of_valid_pixels_count_in_the_report_too(tmp_path):
    truth = discs([(30, 30, 12), (60, 90, 9)])
    folder = write_results(tmp_path / "out", {"a": discs([(30, 30, 12), (20, 110, 8)])})
    for name, array in (
        ("labels", truth),
        ("valid", np.where(np.arange(128) < 64, 255, 0) * np.ones((96, 1), int)),
    ):
        (tmp_path / "data" / name).mkdir(parents=True)
        tifffile.imwrite(tmp_path / "data" / name / "a.tif", array.astype(np.uint8), photometric="minisblack")
    content = make_report(folder, ReportOptions(truth=str(tmp_path / "data" / "labels")))
    kinds = {fact.label: fact.value for fact in content.truth.kinds}
    assert kinds == {"found": "1", "missed": "0", "merged": "0", "split": "0", "spurious": "0"}
    assert content.truth.crops == ()


@pytest.mark.parametrize(
    ("name", "shape", "words"), [("z", (96, 128), "no truth of the images"), ("a", (9, 9), "a: ")]
)
def test_a_truth_that_does_not_fit_is_refused(tmp_path, name, shape, words):
    folder = write_results(tmp_path / "out", {"a": TWO, "b": TWO})
    (tmp_path / "truth").mkdir()
    for one in (name, "y"):
        write_labels(tmp_path / "truth" / f"{one}.tif", discs([(4, 4, 2)], shape))
    with pytest.raises(InputError, match=words):
        make_report(folder, ReportOptions(truth=str(tmp_path / "truth")))


def test_groups_are_compared_by_image(tmp_path):
    many = {f"s{n}": discs([(20 + n, 30, 8), (60, 90, 9), (20, 100, 6)]) for n in range(4)}
    few = {f"t{n}": discs([(30, 30 + n, 12 + n)]) for n in range(4)}
    folder = write_results(tmp_path / "out", many | few | {"x": TWO})
    table = tmp_path / "groups.csv"
    table.write_text("image;group\n" + "".join(f"{n}.tif;{n[0]}\n" for n in many | few), encoding="utf-8")
    content = make_report(folder, ReportOptions(groups=table))
    density, size, share = content.groups.measures
    assert [row[1].text for row in density.spreads.rows] == ["4", "4"]
    assert density.shifts.rows[0][0].text == "t − s"
    assert density.shifts.rows[0][3].text == "−1"
    assert "Mann-Whitney U" in density.sentence
    assert "adjusted for 3 measures" in share.sentence
    assert size.chart.svg.count('class="dot"') == 8
    assert "unit of replication is the image" in content.groups.notes[0]
    assert content.groups.notes[1].startswith("1 image is in no group")
    assert rows(content)["x"]["group"] == "–"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,group\nz,1\n", "no results of z"),
        ("image,group\na,1\na.tif,2\n", "a.tif is in 1 and in 2"),
        ("image,group\na,\n", "a has no group"),
        ("name,group\na,1\n", "has no column image"),
        ("image,group\n", "names no image"),
        ("", "has no column image and group"),
        ('image,group\n"a,1\n', "cannot be read"),
    ],
)
def test_groups_that_do_not_fit_are_refused(tmp_path, text, words):
    folder = write_results(tmp_path / "out", {"a": TWO, "b": TWO})
    (tmp_path / "groups.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        make_report(folder, ReportOptions(groups=tmp_path / "groups.csv"))


def test_images_in_folders_are_found_by_their_bare_names(tmp_path):
    folder = write_results(tmp_path / "out", {"day1/a": TWO, "day2/b": TWO})
    (tmp_path / "groups.csv").write_text("image,group\na,1\nday2/b,2\n", encoding="utf-8")
    content = make_report(folder, ReportOptions(groups=tmp_path / "groups.csv"))
    assert [rows(content)[name]["group"] for name in ("day1/a", "day2/b")] == ["1", "2"]
    assert card(content, "day1/a").missing == ""


def test_a_model_that_is_there_tells_its_own_settings(tmp_path):
    path = BUNDLED["mito"].path
    own = make_config(read_header(path).settings).model_dump(mode="json", exclude={"training", "data"})
    own["merge"]["min_size"] = 77
    run = {"model": "mito", "model_sha256": file_sha256(path), "settings": own}
    content = make_report(write_results(tmp_path / "out", {"a": TWO}, run=run), ReportOptions())
    (row,) = content.runs[0].settings.rows
    assert [cell.text for cell in row[:2]] == ["merge.min_size", "77"]
    assert "merge.min_size=77" in content.methods[0]
    assert "license CC BY-NC-SA 3.0" in content.methods[0]


@pytest.mark.parametrize(
    ("changes", "told", "cited"),
    [
        ({}, "A UNet predicts probability maps, which are divided into regions. The regions become prompts", True),
        ({"decode": {"sam": False}}, "The regions become the instances.", True),
        ({"prompts": {"method": "grid"}}, "A grid of points over the image is the prompts", False),
        ({"model": {"generator": None}, "prompts": {"method": "user"}}, "Prompts come from the user alone", False),
        ({"model": {"generator": {"encoder": "sam"}}}, "A decoder on SAM's image encoder predicts", False),
    ],
)
def test_the_methods_are_those_of_the_model(tmp_path, changes, told, cited):
    settings = {
        section: {**values, **changes.get(section, {})} if isinstance(values, dict) else values
        for section, values in SETTINGS.items()
    }
    content = make_report(write_results(tmp_path / "out", {"a": TWO}, run={"settings": settings}), ReportOptions())
    assert told in content.methods[0]
    assert any("Ronneberger" in entry for entry in content.cite) is cited


def test_a_single_group_is_compared_with_nothing(tmp_path):
    folder = write_results(tmp_path / "out", {"a": TWO})
    (tmp_path / "groups.csv").write_text("image,group\na,one\n")
    content = make_report(folder, ReportOptions(groups=tmp_path / "groups.csv"))
    assert not any("compared" in text for text in content.methods)

"""`autosam report` and `segment --report` as a user runs them."""

import os
import sys

import numpy as np
import pytest
import tifffile
from fake_networks import draw_ellipses, use_rule_models
from results_folders import discs, write_results

from autosam.errors import OutputError

TWO = discs([(30, 30, 12), (60, 90, 9)])


def test_a_report_lies_beside_the_results(autosam, tmp_path):
    write_results(tmp_path / "out", {"a": TWO})
    status, out, _ = autosam("report", "out")
    assert status == 0
    assert "Report on 1 image: out/report.html" in out
    first = (tmp_path / "out" / "report.html").read_bytes()
    assert autosam("report", "out", "-o", "again.html")[0] == 0
    assert (tmp_path / "again.html").read_bytes() == first
    assert autosam("report", "out")[0] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux alone")
def test_a_folder_whose_name_is_no_utf8(autosam, tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    write_results(folder, {"a": TWO})
    for command, page in (("report", "report.html"), ("review", "review.html")):
        status, _, err = autosam(command, folder)
        assert status == 0, err
        assert "caf\\udce9" in (folder / page).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("gone",), "no such folder"),
        (("out/a_labels.tif",), "is a file"),
        (("images",), "holds no autosam_run.json"),
        (("out", "-o", "out/summary.csv"), "no name of an HTML file"),
        (("out", "-o", "none/r.html"), "there is no folder none"),
        (("out", "--components"), "--components came without --labels"),
        (("out", "--labels", "gone"), "gone"),
        (("out", "--labels", "images"), "images"),
        (("out", "--groups", "gone.csv"), "gone.csv cannot be read"),
        (("out", "--groups", "groups.csv"), "no results of z"),
    ],
)
def test_one_line_and_nothing_written(autosam, tmp_path, arguments, words):
    write_results(tmp_path / "out", {"a": TWO})
    (tmp_path / "groups.csv").write_text("image,group\nz,1\n", encoding="utf-8")
    tifffile.imwrite(tmp_path / "images" / "a.tif", np.zeros((5, 6, 3), np.uint8), photometric="rgb")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    status, out, err = autosam("report", *arguments)
    assert (status, out) == (2, "")
    (line,) = err.strip().splitlines()
    assert words in line
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_with_its_report(autosam, tmp_path, monkeypatch):
    use_rule_models(monkeypatch)
    (tmp_path / "model.safetensors").write_bytes(b"stands for the weights")
    spots, _ = draw_ellipses((100, 150), [(20, 30, 9, 12), (50, 100, 14, 10)])
    tifffile.imwrite(tmp_path / "a.tif", spots, photometric="minisblack")
    (tmp_path / "bad.tif").write_bytes(b"no image")
    status, out, _ = autosam("segment", "a.tif", "bad.tif", "-o", "out", "-m", "model.safetensors", "--report")
    # One image failed, and the report says so.
    assert status == 1
    assert "out/report.html" in out
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "unlike" in page
    # Without room for the report, the results are told all the same.
    (tmp_path / "b.tif").write_bytes((tmp_path / "a.tif").read_bytes())

    def full(path, *_):
        raise OutputError(f"{path} cannot be written (No space left on device)")

    with monkeypatch.context() as patch:
        patch.setattr("autosam.report.html_page.write_page", full)
        status, out, err = autosam("segment", "b.tif", "-o", "out", "-m", "model.safetensors", "--report")
        assert (status, err.count("no report is written: out/report.html cannot be written (No space")) == (2, 1)
        assert "1 image segmented" in out
        status, _, err = autosam("segment", "bad.tif", "-o", "out", "-m", "model.safetensors", "--report")
        assert status == 1
        assert "no report is written" in err
        assert "bad.tif" in err
    (tmp_path / "out" / "report.html").write_text("mine", encoding="utf-8")
    status, _, err = autosam("segment", "a.tif", "-o", "out", "-m", "model.safetensors", "--report")
    assert status == 2
    assert "is no report of autosam" in err

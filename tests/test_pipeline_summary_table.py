"""summary.csv from entries of the run record, with numbers known by hand."""

import csv

import pytest

from autosam.pipeline.summary_table import COLUMNS, write_summary


def rows(path, images):
    write_summary(path, images)
    with path.open(newline="", encoding="utf-8") as file:
        return {row["image"]: row for row in csv.DictReader(file)}


def test_density_and_size_by_pixels_and_by_area(tmp_path):
    # 1000 × 2000 pixels of 500 nm are 0.5 mm².
    entry = {"rows": 1000, "columns": 2000, "instances": 10, "median_area": 40.0, "area_share": 0.25}
    told = rows(
        tmp_path / "summary.csv",
        {
            "b": {**entry, "pixel_size_nm": 500.0, "novelty": 1.5, "warnings": ["unlike the training images"]},
            "a": {**entry, "pixel_size_nm": None, "warnings": []},
        },
    )
    assert list(told) == ["a", "b"]
    assert list(told["a"]) == list(COLUMNS)
    assert (told["a"]["objects_per_megapixel"], told["a"]["objects_per_mm2"]) == ("5", "")
    assert (told["b"]["objects_per_megapixel"], told["b"]["objects_per_mm2"]) == ("5", "20")
    assert (told["a"]["median_area"], told["a"]["median_area_um2"]) == ("40", "")
    # 40 pixels of 0.25 µm²
    assert float(told["b"]["median_area_um2"]) == pytest.approx(10)
    assert (told["b"]["area_share"], told["b"]["novelty"]) == ("0.25", "1.5")
    assert (told["b"]["state"], told["b"]["warnings"]) == ("done", "unlike the training images")


def test_counts_are_exact(tmp_path):
    entry = {"rows": 100_000, "columns": 100_000, "instances": 12_345_678, "median_area": 1234567.5}
    told = rows(tmp_path / "summary.csv", {"a": entry})["a"]
    assert (told["objects"], told["median_area"]) == ("12345678", "1234567.5")


def test_failed_images_and_those_of_old_records(tmp_path):
    told = rows(
        tmp_path / "summary.csv",
        {
            "day1/a": {"input": "a", "error": "it is\ndamaged, cut; short"},
            "old": {"input": "b", "instances": 3},
            "empty": {"rows": 10, "columns": 10, "instances": 0, "median_area": None, "area_share": 0.0},
        },
    )
    assert (told["day1/a"]["state"], told["day1/a"]["warnings"]) == ("failed", "it is damaged, cut; short")
    assert (told["old"]["objects"], told["old"]["objects_per_megapixel"]) == ("3", "")
    assert (told["empty"]["objects"], told["empty"]["median_area"], told["empty"]["area_share"]) == ("0", "", "0")


def test_no_image(tmp_path):
    assert rows(tmp_path / "summary.csv", {}) == {}

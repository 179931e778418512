"""Measurements, by hand."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from autosam.errors import InputError, OutputError
from autosam.instances.measure import measure_instances, write_table


def example() -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros((10, 12), np.int32)
    labels[2:6, 3:9] = 1
    labels[9, 11] = 3
    image = np.arange(120, dtype=np.uint8).reshape(10, 12)
    return labels, image


def test_by_hand() -> None:
    labels, image = example()
    first, last = measure_instances(labels, image, np.array([0.9, 0.1, 0.5]), pixel_size_nm=500)
    assert (first.id, first.score, first.area_px, first.area_um2) == (1, 0.9, 24, 6.0)
    assert (first.centroid_row, first.centroid_col) == (3.5, 5.5)
    assert (first.row_min, first.col_min, first.row_max, first.col_max) == (2, 3, 5, 8)
    # The border pixels' centers span a rectangle of 3 × 5.
    assert first.perimeter_px == pytest.approx(16)
    # Second moments of a 4 × 6 block: (16 - 1) / 12 and (36 - 1) / 12, plus 1/12 for the pixels' own extent.
    assert first.eccentricity == pytest.approx(np.sqrt(1 - 16 / 36), abs=0.02)
    assert first.mean_intensity == pytest.approx(3.5 * 12 + 5.5)
    assert (last.id, last.area_px, last.eccentricity, last.perimeter_px) == (3, 1, 0, 0)
    assert (last.row_min, last.row_max, last.mean_intensity) == (9, 9, 119)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64])
def test_label_types(dtype: type) -> None:
    labels, image = example()
    assert [row.id for row in measure_instances(labels.astype(dtype), image, np.ones(3))] == [1, 3]


def test_without_pixel_size_there_is_no_area_in_um2() -> None:
    labels, image = example()
    assert measure_instances(labels, image, np.ones(3))[0].area_um2 is None


def test_color_and_missing_intensities() -> None:
    labels, _ = example()
    image = np.zeros((10, 12, 3), np.float32)
    image[...] = (1, 2, 6)
    image[2, 3] = np.nan
    image[9, 11] = np.inf
    first, last = measure_instances(labels, image, np.ones(3))
    assert first.mean_intensity == pytest.approx(3)
    assert last.mean_intensity is None


def test_no_instances() -> None:
    assert measure_instances(np.zeros((4, 5), int), np.zeros((4, 5)), np.zeros(0)) == []
    assert measure_instances(np.zeros((0, 5), int), np.zeros((0, 5)), np.zeros(0)) == []


def test_what_does_not_fit_is_refused() -> None:
    labels, image = example()
    for arguments, says in (
        ((labels, image, np.ones(2)), "2 scores"),
        ((labels - 1, image, np.ones(3)), "from -1"),
        ((labels, image[1:], np.ones(3)), "same rows"),
        ((labels.astype(float), image, np.ones(3)), "float64"),
    ):
        with pytest.raises(InputError, match=says):
            measure_instances(*arguments)
    for size in (0, -1, np.nan):
        with pytest.raises(InputError, match="pixel size"):
            measure_instances(labels, image, np.ones(3), pixel_size_nm=size)


def test_table(tmp_path: Path) -> None:
    labels, image = example()
    path = tmp_path / "a.csv"
    write_table(path, measure_instances(labels, image, np.array([1 / 3, 0, 1])))
    with path.open(newline="") as file:
        first, last = csv.DictReader(file)
    assert first["id"] == "1"
    assert first["score"] == "0.333333333"
    assert first["area_px"] == "24"
    assert first["area_um2"] == ""
    assert first["centroid_row"] == "3.5"
    assert last["row_max"] == "9"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_an_empty_table_has_its_header(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", [])
    assert (tmp_path / "a.csv").read_text() == (
        "id,score,centroid_row,centroid_col,row_min,col_min,row_max,col_max,"
        "area_px,area_um2,perimeter_px,eccentricity,mean_intensity\n"
    )


def test_a_table_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/a\.csv cannot be written"):
        write_table(tmp_path / "file" / "a.csv", [])

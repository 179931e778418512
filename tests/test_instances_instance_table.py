"""NAME_instances.csv: what is written, and what is read of older tables."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from autosam.errors import InputError, OutputError
from autosam.instances import measure_instances, read_table, write_table
from autosam.instances.measure import INTENSITY_COLUMNS, SHAPE_COLUMNS


def example() -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros((10, 12), np.int32)
    labels[2:6, 3:9] = 1
    labels[9, 11] = 3
    return labels, np.arange(120, dtype=np.uint8).reshape(10, 12)


def test_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_table(path, measure_instances(*example(), np.array([1 / 3, 0, 1])))
    with path.open(newline="") as file:
        first, last = csv.DictReader(file)
    assert first["label"] == "1"
    assert first["score"] == "0.333333333"
    assert first["area"] == "24"
    assert first["area_um2"] == ""
    assert first["centroid-0"] == "3.5"
    assert first["intensity_max"] == "68"
    assert last["bbox-2"] == "10"
    assert last["circularity"] == ""
    assert os.listdir(tmp_path) == ["a.csv"]


def test_an_empty_table_has_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_table(path, measure_instances(np.zeros((4, 5), int), None, None))
    assert path.read_text() == ",".join(SHAPE_COLUMNS + INTENSITY_COLUMNS) + "\n"
    assert len(read_table(path)) == 0


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    table = measure_instances(*example(), np.ones(3), pixel_size_nm=4.6)
    write_table(path, table)
    again = read_table(path)
    assert list(again.columns) == list(table.columns)
    for name, values in table.columns.items():
        np.testing.assert_allclose(again[name], values, rtol=1e-8, err_msg=name)


def test_tables_of_older_versions_are_read(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_text(
        "id,score,centroid_row,centroid_col,row_min,col_min,row_max,col_max,"
        "area_px,area_um2,perimeter_px,eccentricity,mean_intensity\n"
        "3,0.5,9,11,9,11,9,11,1,,0,0,119\n"
    )
    table = read_table(path)
    assert (table["label"].tolist(), table["area"].tolist(), table["score"].tolist()) == ([3], [1], [0.5])
    assert np.isnan(table["area_um2"]).all()
    assert table["intensity_mean"].tolist() == [119]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("score\n1\n", "no column 'label'"),
        ("label,score\n1.5,1\n", "no whole numbers"),
        ("label,score\n1\n", "shorter or longer"),
    ],
)
def test_other_tables_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        read_table(path)


def test_a_table_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/a\.csv cannot be written"):
        write_table(tmp_path / "file" / "a.csv", measure_instances(*example(), None))

"""The table of a volume: every column by hand, and the same from both kinds of files."""

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from autosam.errors import InputError, OutputError
from autosam.volumes import object_table
from autosam.volumes.instance_sums import InstanceSums, sum_region
from autosam.volumes.object_table import (
    InstanceScores,
    ObjectTable,
    add_scores,
    make_object_table,
    write_object_table,
)
from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.skeleton_length import measure_skeletons
from autosam.volumes.slice_objects import FILLED, FOUND, INTERPOLATED, SliceObjects, objects_of_labels
from autosam.volumes.store_levels import plan_levels

COLUMNS = [
    "label", "score", "voxels", "volume_um3", "surface_um2", "skeleton_length_um", "skeleton_level",
    "centroid-0", "centroid-1", "centroid-2", "bbox-0", "bbox-1", "bbox-2", "bbox-3", "bbox-4", "bbox-5",
    "z_extent", "slices_filled", "touches_border",
]  # fmt: skip
SIZE = (40.0, 10.0, 10.0)
NO_SCORES = InstanceScores.add([])


def labeled() -> np.ndarray:
    labels = np.zeros((6, 30, 40), np.uint16)
    labels[1:5, 10:20, 5:35] = 3
    labels[2:3, 25:30, 1:3] = 8
    return labels


def stored(folder: Path, labels: np.ndarray) -> LabelStore:
    store = LabelStore(
        folder / "labels.zarr", folder / "written", labels.dtype.str, plan_levels(labels.shape, SIZE)
    )
    store.create({})
    for region in store.regions():
        store.write(region, labels[region])
    return store


def measured(folder: Path, labels: np.ndarray) -> InstanceSums:
    store = stored(folder, labels)
    return InstanceSums.add([sum_region(store, region) for region in store.regions()])


def part(z: int, tile: int, score: float, origin: int, area: int = 4) -> SliceObjects:
    return objects_of_labels(np.ones((1, area), int), z=z, tile=tile, scores=score, origin=origin)


def test_every_column(tmp_path: Path) -> None:
    labels = labeled()
    store = stored(tmp_path, labels)
    sums = sum_region(store, store.regions()[0])
    skeletons = measure_skeletons(store, sums.ids, sums.boxes, SIZE)
    scores = InstanceScores(
        np.array([3, 7], np.uint64), np.array([8, 1]), np.array([6 << 20, 1 << 20]), np.array([2, 0])
    )
    table = make_object_table(sums, scores, skeletons, shape=labels.shape, voxel_size=SIZE)
    assert list(table.columns) == COLUMNS
    found = {name: values.tolist() for name, values in table.columns.items()}
    assert found["label"] == [3, 8]
    assert found["voxels"] == [1200, 10]
    np.testing.assert_allclose(found["volume_um3"], [1200 * 4e-6, 10 * 4e-6])
    # 2 * (4 * 10 * 40 * 10 + 4 * 30 * 40 * 10 + 10 * 30 * 100) nm2; flat sides come out too small.
    assert found["surface_um2"][0] == pytest.approx(0.188, rel=0.25)
    assert 0.18 < found["skeleton_length_um"][0] < 0.32
    assert found["skeleton_level"] == [0, 0]
    assert [found[f"centroid-{axis}"][0] for axis in range(3)] == [2.5, 14.5, 19.5]
    assert [found[f"bbox-{side}"] for side in range(6)] == [[1, 2], [10, 25], [5, 1], [5, 3], [20, 30], [35, 3]]
    assert found["z_extent"] == [4, 1]
    assert found["touches_border"] == [False, True]
    assert found["slices_filled"] == [2, 0]
    assert found["score"][0] == 0.75
    assert np.isnan(found["score"][1])


def test_scores_are_weighted_by_the_pixels_that_tiles_own() -> None:
    parts = [
        part(0, 0, 0.5, FOUND, area=2),
        part(1, 0, 0.25, FILLED),
        part(1, 1, 0.25, FOUND),
        part(2, 0, 1.0, INTERPOLATED, area=6),
        part(2, 1, 1.0, FILLED, area=6),
        part(3, 0, 0.75, FOUND),
        part(3, 1, 0.0, FOUND),
    ]
    objects = SliceObjects.concatenate(parts)
    instances = np.array([5, 5, 5, 5, 5, 9, 0], np.uint64)
    whole = add_scores(objects, instances)
    assert whole.ids.tolist() == [5, 9]
    assert whole.pixels.tolist() == [22, 4]
    assert (whole.weighted / 2**20).tolist() == [15, 3]
    # In slice 1, one of two tiles found it.
    assert whole.filled.tolist() == [1, 0]
    slabs = [add_scores(objects.take(objects.z == z), instances[objects.z == z]) for z in (3, 0, 2, 1)]
    for name in ("ids", "pixels", "weighted", "filled"):
        np.testing.assert_array_equal(getattr(InstanceScores.add(slabs), name), getattr(whole, name))


def test_objects_that_other_tiles_own_do_not_count() -> None:
    labels = np.array([[0, 1, 1, 0]])
    own = objects_of_labels(labels, z=0, tile=0, scores=0.5)
    other = objects_of_labels(labels, z=0, tile=1, scores=1.0, core=(slice(0, 1), slice(3, 9)))
    objects = SliceObjects.concatenate([own, other])
    assert objects.owned.tolist() == [2, 0]
    scores = add_scores(objects, np.array([1, 1], np.uint64))
    assert (scores.weighted / scores.pixels / 2**20).tolist() == [0.5]
    assert len(add_scores(SliceObjects.empty(), np.zeros(0, np.uint64)).ids) == 0


def test_without_a_voxel_size_there_are_voxels_alone(tmp_path: Path) -> None:
    table = make_object_table(measured(tmp_path, labeled()), NO_SCORES, None, shape=(6, 30, 40), voxel_size=None)
    for name in ("volume_um3", "surface_um2", "skeleton_length_um", "score"):
        assert np.isnan(table.columns[name]).all()
    assert table.columns["voxels"].tolist() == [1200, 10]
    assert table.columns["skeleton_level"].tolist() == [-1, -1]


def test_in_a_single_slice_only_the_outer_pixels_are_the_border(tmp_path: Path) -> None:
    labels = np.zeros((1, 9, 9), np.uint8)
    labels[0, 3:5, 3:5] = 1
    labels[0, 7:9, 3:5] = 2
    table = make_object_table(measured(tmp_path, labels), NO_SCORES, None, shape=(1, 9, 9), voxel_size=SIZE)
    assert table.columns["touches_border"].tolist() == [False, True]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_both_files_hold_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_table, "_ROWS", 1)
    labels = labeled()
    table = make_object_table(measured(tmp_path, labels), NO_SCORES, None, shape=labels.shape, voxel_size=SIZE)
    write_object_table(tmp_path / "t.csv", table)
    write_object_table(tmp_path / "t.parquet", table)
    rows, again = read(tmp_path / "t.csv"), pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert [list(row) for row in rows] == [COLUMNS, COLUMNS]
    assert (rows[1]["label"], rows[1]["score"], rows[1]["touches_border"]) == ("8", "", "1")
    for texts, values in zip(rows, again, strict=True):
        for name, text in texts.items():
            assert (text == "") == (values[name] is None), name
            assert not text or float(text) == pytest.approx(float(values[name])), name
    assert pq.read_schema(tmp_path / "t.parquet").field("label").type == "uint64"
    first = (tmp_path / "t.parquet").read_bytes()
    write_object_table(tmp_path / "t.parquet", table)
    assert (tmp_path / "t.parquet").read_bytes() == first


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_an_empty_volume_has_a_header(tmp_path: Path, name: str) -> None:
    table = make_object_table(InstanceSums.empty(), NO_SCORES, None, shape=(2, 3, 4), voxel_size=SIZE)
    write_object_table(tmp_path / name, table)
    if name == "t.csv":
        assert (tmp_path / name).read_text() == ",".join(COLUMNS) + "\n"
    else:
        found = pq.read_table(tmp_path / name)
        assert found.column_names == COLUMNS
        assert found.num_rows == 0


def test_other_suffixes_and_places_that_refuse(tmp_path: Path) -> None:
    table = ObjectTable({"label": np.zeros(0, np.uint64)})
    with pytest.raises(InputError, match=r"tables are written to \.csv \.parquet"):
        write_object_table(tmp_path / "t.xlsx", table)
    with pytest.raises(OutputError, match="cannot be written"):
        write_object_table(tmp_path / "missing" / "t.csv", table)

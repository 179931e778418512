"""Files of tasks."""

import numpy as np
import pytest
from test_volumes_slice_objects import some_labels

from autosam.errors import InputError
from autosam.volumes.edges import ObjectEdges
from autosam.volumes.slice_objects import SliceObjects, objects_of_labels
from autosam.volumes.task_files import (
    gather_columns,
    read_columns,
    read_edges,
    read_notes,
    read_objects,
    write_edges,
    write_objects,
)

OBJECT_FIELDS = ("ids", "boxes", "areas", "owned", "scores", "origins", "starts", "runs")
EDGE_FIELDS = ("a", "b", "step", "iou", "containment")


def equal(one, other, fields):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        and getattr(one, name).dtype == getattr(other, name).dtype
        for name in fields
    )


@pytest.mark.parametrize(
    "objects",
    [SliceObjects.empty(), objects_of_labels(some_labels(), z=7, tile=1, scores=0.3)],
    ids=["none", "some"],
)
def test_objects_come_back(tmp_path, objects):
    write_objects(tmp_path / "o.parquet", objects, notes={"holes": [1, 2]})
    again, notes = read_objects(tmp_path / "o.parquet")
    assert equal(again, objects, OBJECT_FIELDS)
    assert notes == read_notes(tmp_path / "o.parquet") == {"holes": [1, 2]}
    ids, owned = read_columns(tmp_path / "o.parquet", ("id", "owned"))
    assert np.array_equal(ids, objects.ids)
    assert np.array_equal(owned, objects.owned)


def test_columns_of_several_files_are_joined_in_order(tmp_path):
    parts = [objects_of_labels(some_labels(), z=z, tile=1) for z in (7, 3)]
    parts.insert(1, SliceObjects.empty())
    files = [tmp_path / f"{number}.parquet" for number in range(3)]
    for file, part in zip(files, parts, strict=True):
        write_objects(file, part)
    ids, owned = gather_columns(files, {"id": np.uint64, "owned": np.int64})
    assert ids.tolist() == [*parts[0].ids, *parts[2].ids]
    assert owned.tolist() == [*parts[0].owned, *parts[2].owned]
    assert ids.dtype == np.uint64
    assert [len(column) for column in gather_columns([], {"id": np.uint64})] == [0]
    files[1].write_bytes(b"torn")
    with pytest.raises(InputError, match=r"1\.parquet"):
        gather_columns(files, {"id": np.uint64})


def test_edges_come_back_sorted(tmp_path):
    columns = ([5, 3, 3], [9, 8, 4], [1, 2, 0], [0.5, 0.25, 1], [1, 0.5, 1])
    types = (np.uint64, np.uint64, np.uint8, np.float32, np.float32)
    edges = ObjectEdges.concatenate([ObjectEdges(*(np.array(c, t) for c, t in zip(columns, types, strict=True)))])
    assert edges.a.tolist() == [3, 3, 5]
    assert edges.b.tolist() == [4, 8, 9]
    for some in (edges, ObjectEdges.empty()):
        write_edges(tmp_path / "e.parquet", some)
        again, notes = read_edges(tmp_path / "e.parquet")
        assert equal(again, some, EDGE_FIELDS)
        assert notes == {}


def test_equal_objects_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_objects(tmp_path / name, objects_of_labels(some_labels(), z=0, tile=0))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("content", [b"", b"PAR1 nothing", None])
def test_a_damaged_file_is_one_line(tmp_path, content):
    path = tmp_path / "o.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"is no whole file of a task: .*; delete it and repeat") as caught:
        read_objects(path)
    assert "\n" not in str(caught.value)


def test_edges_are_no_objects(tmp_path):
    write_edges(tmp_path / "e.parquet", ObjectEdges.empty())
    with pytest.raises(InputError, match="the column id is not there; delete"):
        read_objects(tmp_path / "e.parquet")

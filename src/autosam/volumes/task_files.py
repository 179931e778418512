"""Files of tasks: columns in Parquet, which are there whole or not at all."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.write import atomic_path
from autosam.volumes.edges import ObjectEdges
from autosam.volumes.slice_objects import SliceObjects

_NOTES = b"autosam"

_OBJECT_COLUMNS = (
    "id",
    "first_row",
    "first_col",
    "stop_row",
    "stop_col",
    "area",
    "owned",
    "score",
    "origin",
    "runs",
)
_EDGE_COLUMNS = ("a", "b", "step", "iou", "containment")


def write_objects(path: Path, objects: SliceObjects, *, notes: dict[str, Any] | None = None) -> None:
    """Write objects, one row each.

    Parameters
    ----------
    notes : dict, optional
        What else a task has found out; JSON in the file's metadata.

    Raises
    ------
    OutputError
        If the system refuses.
    """
    boxes = objects.boxes.T
    runs = pa.LargeListArray.from_arrays(pa.array(objects.starts), pa.array(objects.runs))
    plain = (objects.ids, *boxes, objects.areas, objects.owned, objects.scores, objects.origins)
    _write(path, dict(zip(_OBJECT_COLUMNS, [*(pa.array(column) for column in plain), runs], strict=True)), notes)


def read_objects(path: Path) -> tuple[SliceObjects, dict[str, Any]]:
    """Read objects and notes.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    table, notes = _read(path, _OBJECT_COLUMNS)
    runs = table["runs"].combine_chunks()
    # An array of a table without rows has no chunk to combine.
    runs = runs if isinstance(runs, pa.LargeListArray) else runs.chunk(0)
    return (
        SliceObjects(
            _column(table, "id"),
            np.stack([_column(table, name) for name in _OBJECT_COLUMNS[1:5]], axis=1),
            _column(table, "area"),
            _column(table, "owned"),
            _column(table, "score"),
            _column(table, "origin"),
            np.asarray(runs.offsets.to_numpy(), np.int64),
            np.asarray(runs.values.to_numpy(), np.uint32),
        ),
        notes,
    )


def write_edges(path: Path, edges: ObjectEdges, *, notes: dict[str, Any] | None = None) -> None:
    """Write edges, one row each; see `write_objects`."""
    columns = (edges.a, edges.b, edges.step, edges.iou, edges.containment)
    _write(path, {name: pa.array(column) for name, column in zip(_EDGE_COLUMNS, columns, strict=True)}, notes)


def read_edges(path: Path) -> tuple[ObjectEdges, dict[str, Any]]:
    """Read edges and notes; see `read_objects`."""
    table, notes = _read(path, _EDGE_COLUMNS)
    return ObjectEdges(*(_column(table, name) for name in _EDGE_COLUMNS)), notes


def read_notes(path: Path) -> dict[str, Any]:
    """Read the notes of a file alone; see `read_objects`."""
    with _of_task(path):
        return dict(json.loads((pq.read_schema(path).metadata or {})[_NOTES]))


def read_columns(path: Path, names: Sequence[str]) -> list[NDArray[Any]]:
    """Read some columns of plain numbers; see `read_objects`."""
    with _of_task(path), pq.ParquetFile(path) as file:
        table = file.read(columns=list(names), use_threads=False)
        return [_column(table, name) for name in names]


def gather_columns(files: Sequence[Path], types: Mapping[str, type[np.generic]]) -> list[NDArray[Any]]:
    """Join some columns of many files, one after the other; see `read_columns`.

    Parameters
    ----------
    types : mapping of str to type
        The columns and what they hold.

    Returns
    -------
    list of ndarray, shape (n,)
        No more memory is taken than for these and one of the files.
    """
    counts = []
    for file in files:
        with _of_task(file):
            counts.append(pq.read_metadata(file).num_rows)
    whole = [np.empty(sum(counts), kind) for kind in types.values()]
    first = 0
    for file, count in zip(files, counts, strict=True):
        for column, part in zip(whole, read_columns(file, tuple(types)), strict=True):
            column[first : first + count] = part
        first += count
    return whole


def _write(path: Path, columns: dict[str, pa.Array], notes: dict[str, Any] | None) -> None:
    told = {_NOTES: json.dumps(notes or {}, sort_keys=True).encode()}
    table = pa.table(columns).replace_schema_metadata(told)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
        # Renamed only once its content is on the disk: after a power cut, too, a name means a whole file.
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())


def _read(path: Path, wanted: tuple[str, ...]) -> tuple[pa.Table, dict[str, Any]]:
    # A file of one task is small, and `read_table` would look for many.
    with _of_task(path), pq.ParquetFile(path) as file:
        table = file.read(use_threads=False)
        missing = [name for name in wanted if name not in table.column_names]
        if missing:
            raise KeyError(f"the column {missing[0]} is not there")
        return table, json.loads((table.schema.metadata or {})[_NOTES])


@contextmanager
def _of_task(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        reason = " ".join(str(error).strip("'\"").split()).rstrip(".")
        raise InputError(
            f"{path} is no whole file of a task: {reason}; delete it and repeat the command."
        ) from None


def _column(table: pa.Table, name: str) -> NDArray[Any]:
    return np.asarray(table[name].to_numpy())

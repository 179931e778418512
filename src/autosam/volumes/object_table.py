"""The table of a volume's instances: sizes, places, lengths, scores, and what was repaired."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.write import atomic_path
from autosam.instances.instance_table import as_cells
from autosam.volumes.instance_sums import InstanceSums
from autosam.volumes.skeleton_length import SkeletonLengths
from autosam.volumes.slice_objects import FOUND, SliceObjects
from autosam.volumes.surface import area_weights

SUFFIXES = (".csv", ".parquet")

_ROWS = 1 << 16
"""Rows that are written at once."""
_SCORE_STEPS = 1 << 20
"""Scores are added up as whole numbers of this fraction of 1, so that their order does not matter."""


@dataclass(frozen=True, eq=False)
class InstanceScores:
    """What the objects of instances add up to, by rising id.

    Attributes
    ----------
    ids : ndarray of uint64, shape (n,)
    pixels : ndarray of int64, shape (n,)
        Of the objects, as far as their tiles own them.
    weighted : ndarray of int64, shape (n,)
        Scores times pixels, in steps of 2**-20.
    filled : ndarray of int64, shape (n,)
        Slices of which every object was filled in, by SAM or by interpolation.
    """

    ids: NDArray[np.uint64]
    pixels: NDArray[np.int64]
    weighted: NDArray[np.int64]
    filled: NDArray[np.int64]

    @classmethod
    def add(cls, parts: Sequence["InstanceScores"]) -> "InstanceScores":
        """Add up parts of different slices; their order does not matter."""
        ids, index = np.unique(
            np.concatenate([np.zeros(0, np.uint64), *(part.ids for part in parts)]), return_inverse=True
        )
        sums = []
        for name in ("pixels", "weighted", "filled"):
            total = np.zeros(len(ids), np.int64)
            np.add.at(total, index, np.concatenate([np.zeros(0, np.int64), *(getattr(p, name) for p in parts)]))
            sums.append(total)
        return cls(ids, *sums)


def add_scores(objects: SliceObjects, instances: NDArray[np.unsignedinteger[Any]]) -> InstanceScores:
    """Add up the objects of some slices.

    Parameters
    ----------
    objects : SliceObjects
        All objects of these slices: of all tiles.
    instances : ndarray of unsigned integers, shape (n,)
        Id of the instance that each belongs to; objects of 0 are left out.
    """
    own = np.flatnonzero((instances != 0) & (objects.owned > 0))
    if not own.size:
        return InstanceScores(np.zeros(0, np.uint64), *(np.zeros(0, np.int64) for _ in range(3)))
    ids, index = np.unique(instances[own].astype(np.uint64), return_inverse=True)
    pixels, weighted, filled = (np.zeros(len(ids), np.int64) for _ in range(3))
    steps = np.rint(objects.scores[own].astype(np.float64) * _SCORE_STEPS).astype(np.int64)
    np.add.at(pixels, index, objects.owned[own])
    np.add.at(weighted, index, objects.owned[own] * steps)
    # One slice of one instance is filled if none of its objects was found.
    order = np.lexsort((objects.z[own], index))
    key = np.stack([index[order], objects.z[own][order]], axis=1)
    first = np.flatnonzero(np.concatenate([[True], (key[1:] != key[:-1]).any(axis=1)]))
    found = np.logical_or.reduceat(objects.origins[own][order] == FOUND, first)
    np.add.at(filled, key[first, 0], ~found)
    return InstanceScores(ids, pixels, weighted, filled)


@dataclass(frozen=True, eq=False)
class ObjectTable:
    """Measurements of the instances of a volume.

    Attributes
    ----------
    columns : mapping of str to ndarray, shape (n,)
        In the order of the file, by rising ``label``. Integers and bool, or floats of which NaN is unknown.
    """

    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.columns["label"])


def make_object_table(
    sums: InstanceSums,
    scores: InstanceScores,
    skeletons: SkeletonLengths | None,
    *,
    shape: tuple[int, int, int],
    voxel_size: tuple[float, float, float] | None,
) -> ObjectTable:
    """Put together what was measured; instances without a voxel have no row.

    Parameters
    ----------
    skeletons : SkeletonLengths, optional
        In nm; None where they were not measured.
    shape : tuple of int
        Of the volume.
    voxel_size : tuple of float or None
        Spacing of slices, rows and columns in nm; without it, volumes, surfaces and lengths are unknown.
    """
    ids, boxes = sums.ids, sums.boxes
    volume = surface = length = np.full(len(sums), np.nan)
    if voxel_size is not None:
        um = (voxel_size[0] / 1000, voxel_size[1] / 1000, voxel_size[2] / 1000)
        volume = sums.voxels * (um[0] * um[1] * um[2])
        surface = sums.crossings @ area_weights(um)
    level = np.full(len(sums), -1)
    if skeletons is not None:
        length = _aligned(skeletons.ids, skeletons.lengths / 1000, ids, np.nan)
        level = _aligned(skeletons.ids, skeletons.levels, ids, -1)
    mean = scores.weighted / np.maximum(scores.pixels, 1) / _SCORE_STEPS
    # With a single slice, everything lies on the first and the last one.
    sides = [axis for axis in range(3) if axis or shape[0] > 1]
    at_first = boxes[:, sides] == 0
    at_last = boxes[:, [3 + axis for axis in sides]] == np.array(shape)[sides]
    columns: dict[str, NDArray[Any]] = {
        "label": ids,
        "score": _aligned(scores.ids, mean, ids, np.nan),
        "voxels": sums.voxels,
        "volume_um3": volume,
        "surface_um2": surface,
        "skeleton_length_um": length,
        "skeleton_level": level,
        **{f"centroid-{axis}": sums.places[:, axis] / sums.voxels for axis in range(3)},
        **{f"bbox-{side}": boxes[:, side] for side in range(6)},
        "z_extent": boxes[:, 3] - boxes[:, 0],
        "slices_filled": _aligned(scores.ids, scores.filled, ids, 0),
        "touches_border": (at_first | at_last).any(axis=1),
    }
    return ObjectTable(columns)


def _aligned(
    ids: NDArray[np.uint64], values: NDArray[Any], wanted: NDArray[np.uint64], missing: float
) -> NDArray[Any]:
    """Give the values of the wanted ids; ``ids`` rise."""
    at = np.searchsorted(ids, wanted)
    known = at < len(ids)
    known[known] = ids[at[known]] == wanted[known]
    found = np.full(len(wanted), missing, values.dtype)
    found[known] = values[at[known]]
    return found


def write_object_table(path: Path, table: ObjectTable) -> None:
    """Write the table as .csv or .parquet, by the suffix.

    An unknown value is an empty cell or null. In CSV, ``touches_border`` is 0 or 1. Rows are written in portions,
    so that a large table takes little memory.

    Raises
    ------
    InputError
        If the suffix is another one.
    OutputError
        If the file cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: tables are written to {' '.join(SUFFIXES)}, not to {path.suffix!r}.")
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".csv":
            _write_csv(temporary, table)
        else:
            _write_parquet(temporary, table)


def _portions(table: ObjectTable) -> Iterator[dict[str, NDArray[Any]]]:
    for first in range(0, len(table), _ROWS):
        yield {name: values[first : first + _ROWS] for name, values in table.columns.items()}


def _write_csv(path: Path, table: ObjectTable) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(table.columns) + "\n")
        for part in _portions(table):
            cells = [as_cells(values) for values in part.values()]
            file.writelines(",".join(row) + "\n" for row in zip(*cells, strict=True))


def _write_parquet(path: Path, table: ObjectTable) -> None:
    # A slow import, for those who want Parquet.
    import pyarrow as pa
    import pyarrow.parquet as pq

    def rows(columns: Mapping[str, NDArray[Any]]) -> pa.Table:
        # NaN, which is unknown, becomes null.
        return pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})

    schema = rows({name: values[:0] for name, values in table.columns.items()}).schema
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in _portions(table):
            writer.write_table(rows(part))

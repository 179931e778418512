"""How the objects in slices of a run were made, and how many of them are right."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.evaluation.diagnosis.volume_sections import VolumeSections
from autosam.images.label_names import without_suffix

ORIGINS = ("found", "filled", "interpolated")
"""In order of the numbers in the column `origin`; see `volumes.slice_objects`."""


@dataclass(frozen=True)
class OriginCounts:
    """Cross-sections of instances by their origin.

    Attributes
    ----------
    count, right : tuple of int, length 3
        All of them, and those with a partner of IoU >= .5 in their slice; in order of ``ORIGINS``.
    """

    count: tuple[int, ...]
    right: tuple[int, ...]

    def __add__(self, other: "OriginCounts") -> "OriginCounts":
        count, right = (
            tuple(a + b for a, b in zip(*both, strict=True))
            for both in ((self.count, other.count), (self.right, other.right))
        )
        return OriginCounts(count, right)

    def document(self) -> dict[str, dict[str, int]]:
        """Give the counts by origin, for JSON."""
        return {
            name: {"count": count, "right": right}
            for name, count, right in zip(ORIGINS, self.count, self.right, strict=True)
        }


def slices_table(labels: Path) -> Path | None:
    """Find the table of slices that ``autosam volume`` writes beside its labels; None if it is not there."""
    table = labels.with_name(f"{without_suffix(labels.name)}_slices.parquet")
    return table if table.is_file() else None


def count_origins(
    sections: VolumeSections, table: Path, *, start: tuple[int, int, int] = (0, 0, 0)
) -> OriginCounts:
    """Count the cross-sections of a run's instances by how they were made.

    Parameters
    ----------
    table : Path
        Columns ``label``, ``z`` and ``origin``, a row for each instance and slice.
    start : tuple of int
        z, row and column of the first voxel that was compared.

    Raises
    ------
    InputError
        If the table cannot be read or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns = pq.read_table(table, columns=["label", "z", "origin"])
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{table} cannot be read ({reason}): move it away, or repeat autosam volume") from error
    ids, z, origins = (np.asarray(columns[name].to_numpy()) for name in ("label", "z", "origin"))
    known: dict[tuple[int, int], int] = dict(
        zip(zip(ids.tolist(), z.tolist(), strict=True), origins.tolist(), strict=True)
    )
    pred = sections.pred
    counted = np.flatnonzero(pred.index >= 0)
    keys = zip(sections.table.pred_ids[pred.index[counted]].tolist(), pred.z[counted].tolist(), strict=True)
    origin: NDArray[np.int64] = np.array([known.get((i, at + start[0]), -1) for i, at in keys], np.int64)
    areas = pred.areas[sections.pred_at] + sections.truth.areas[sections.truth_at]
    right = np.zeros(len(pred), bool)
    right[sections.pred_at[3 * sections.overlap >= areas]] = True
    of_right = right[counted]
    return OriginCounts(
        tuple(int((origin == number).sum()) for number in range(len(ORIGINS))),
        tuple(int(((origin == number) & of_right).sum()) for number in range(len(ORIGINS))),
    )

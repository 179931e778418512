"""Which of many overlapping masks to keep."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from autosam.errors import ConfigError
from autosam.instances.crop import MaskCrop

COMPARABLE = 0.75
"""A part counts against a mask that may be a merge if its score is at least this fraction of the mask's."""

DISJOINT = 0.1
"""Two parts are disjoint if they share at most this fraction of the smaller one."""


def suppress_masks(
    crops: Sequence[MaskCrop], *, iou_threshold: float, ios_threshold: float, merge_coverage: float = 0.7
) -> NDArray[np.int64]:
    """Choose the masks that stand for different objects.

    1. Merge test, smallest mask first: a mask is a false merge, and is dropped, if at least two smaller masks
       that were not dropped lie inside it (by more than ``ios_threshold`` of themselves), are disjoint, have a
       comparable score (at least ``COMPARABLE`` times its own) and together cover at least ``merge_coverage`` of
       it. The parts are taken greedily, best first. The test comes before the suppression, in which a merge with
       a high score would remove the good masks inside it.
    2. Suppression, best mask first: a mask is dropped if, with a better mask that was kept, its intersection over
       union exceeds ``iou_threshold`` or its intersection over the smaller one exceeds ``ios_threshold``.

    Parameters
    ----------
    crops : sequence of MaskCrop
        The masks; empty masks are dropped.
    iou_threshold, ios_threshold : float
        Of the suppression, 0 to 1.
    merge_coverage : float
        Of the merge test, 0 to 1; above 1 there is no test.

    Returns
    -------
    ndarray of int64, shape (k,)
        Indices of the kept masks, best score first; equals by first row of the crop, then column, then index.
        (0,) where there are no masks.

    Raises
    ------
    ConfigError
        If a threshold is negative.
    """
    thresholds = {
        "iou_threshold": iou_threshold,
        "ios_threshold": ios_threshold,
        "merge_coverage": merge_coverage,
    }
    for name, value in thresholds.items():
        if not value >= 0:
            raise ConfigError(f"{name} is {value}, wanted a fraction from 0 to 1: give one")
    area = np.array([np.count_nonzero(crop.mask) for crop in crops], dtype=np.int64)
    rank = _rank(crops)
    overlaps: list[dict[int, int]] = [{} for _ in crops]
    for i, j, shared in _overlaps(crops):
        overlaps[i][j] = overlaps[j][i] = shared

    standing = area > 0
    position = np.empty(len(crops), dtype=np.int64)
    position[rank] = np.arange(len(crops))
    for whole in np.lexsort((position, area)):
        if standing[whole]:
            parts = sorted(
                (
                    part
                    for part, shared in overlaps[whole].items()
                    if standing[part]
                    and area[part] < area[whole]
                    and shared > ios_threshold * area[part]
                    and crops[part].score >= COMPARABLE * crops[whole].score
                ),
                key=position.__getitem__,
            )
            standing[whole] = not _is_merge(int(whole), parts, crops, area, overlaps, merge_coverage)

    kept: list[int] = []
    for best in rank:
        if standing[best]:
            kept.append(int(best))
            for other, shared in overlaps[best].items():
                union = area[best] + area[other] - shared
                smaller = min(area[best], area[other])
                if position[other] > position[best] and (
                    shared > iou_threshold * union or shared > ios_threshold * smaller
                ):
                    standing[other] = False
    return np.array(kept, dtype=np.int64)


def _rank(crops: Sequence[MaskCrop]) -> NDArray[np.int64]:
    """Order masks by score, best first; equals by row, then column, then index."""
    keys = [[crop.col for crop in crops], [crop.row for crop in crops], [-crop.score for crop in crops]]
    return np.lexsort(np.array(keys, dtype=np.float64).reshape(3, -1)).astype(np.int64)


def _is_merge(
    whole: int,
    parts: list[int],
    crops: Sequence[MaskCrop],
    area: NDArray[np.int64],
    overlaps: list[dict[int, int]],
    coverage: float,
) -> bool:
    """Take disjoint parts, best first, and see how much of the whole they cover."""
    taken: list[int] = []
    for part in parts:
        if all(overlaps[part].get(other, 0) <= DISJOINT * min(area[part], area[other]) for other in taken):
            taken.append(part)
    if len(taken) < 2 or sum(overlaps[whole][part] for part in taken) < coverage * area[whole]:
        return False
    covered = np.zeros_like(crops[whole].mask)
    for part in taken:
        own, others = _common(crops[whole], crops[part])
        covered[own] |= crops[part].mask[others]
    return bool(np.count_nonzero(covered & crops[whole].mask) >= coverage * area[whole])


def _overlaps(crops: Sequence[MaskCrop]) -> Iterator[tuple[int, int, int]]:
    """Sweep down the rows: only masks whose boxes meet are compared pixel by pixel."""
    first = np.array([(crop.row, crop.col) for crop in crops], dtype=np.int64).reshape(-1, 2)
    end = first + np.array([crop.mask.shape for crop in crops], dtype=np.int64).reshape(-1, 2)
    order = np.argsort(first[:, 0], kind="stable")
    starts = first[order, 0]
    for at, i in enumerate(order):
        below = order[at + 1 : np.searchsorted(starts, end[i, 0])]
        meets = (first[below, 1] < end[i, 1]) & (end[below, 1] > first[i, 1])
        for j in below[meets]:
            own, others = _common(crops[i], crops[j])
            shared = np.count_nonzero(crops[i].mask[own] & crops[j].mask[others])
            if shared:
                yield int(i), int(j), int(shared)


def _common(a: MaskCrop, b: MaskCrop) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slice the part that two overlapping boxes share out of either crop."""
    (rows, cols), (others, across) = a.window, b.window
    top, left = max(a.row, b.row), max(a.col, b.col)
    bottom, right = min(rows.stop, others.stop), min(cols.stop, across.stop)
    return (
        (slice(top - a.row, bottom - a.row), slice(left - a.col, right - a.col)),
        (slice(top - b.row, bottom - b.row), slice(left - b.col, right - b.col)),
    )

"""Where the objects of a volume are lost: in single slices, or in linking them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from autosam.evaluation.diagnosis.assignment import Fault
from autosam.evaluation.diagnosis.volume_links import SectionLinks, largest_sections
from autosam.evaluation.diagnosis.volume_sections import Sections, VolumeSections
from autosam.metrics import average_precision, match_objects
from autosam.metrics.contingency import ContingencyTable
from autosam.metrics.matching import best_ious
from autosam.metrics.precision_counts import AveragePrecision

LIMIT = Fraction(1, 2)
"""IoU from which an object is found, in 3D and in a slice."""

Counts = NDArray[np.int64]


class VolumeStage(StrEnum):
    """What became of an object of a volume."""

    FOUND = "found"
    NOT_FOUND = "not found"
    DROPPED = "dropped"
    MASK = "bad mask"
    SPLIT = "split"
    MERGED = "merged"


@dataclass(frozen=True, eq=False)
class VolumeErrors:
    """What became of the T true objects and the P instances of a volume.

    Attributes
    ----------
    table : ContingencyTable
        Of the volumes; objects are in the order of its ids.
    stages : tuple of VolumeStage, length T
    faults : tuple of Fault or None, length T
        What is wrong with most of its cross-sections, where the stage is a bad mask.
    places : ndarray of int64, shape (T, 3)
        z, row and column of a voxel of the object where the error can be seen; -1 for an object without voxels
        that count.
    missing, bad, good, dropped : ndarray of int64, shape (T,)
        Its voxels in cross-sections at which nothing points; at which something does, with IoU < .5; and with a
        partner of IoU >= .5. Of the first, those at which an object pointed that was dropped.
    split, merged : ndarray of int64, shape (T,)
        Its voxels in other instances than its main one, and voxels of the main one that belong elsewhere.
    instances : ndarray of int64, shape (T,)
        Instances with a cross-section that belongs to it.
    other : ndarray of uint64, shape (T,)
        Of a split object, the instance with its second largest part; of a merged one, the other true object that
        its instance holds most of; otherwise 0.
    linked_iou, label_iou : ndarray of float64, shape (T,)
        Its IoU if its cross-sections were linked without a fault, and the highest with an instance.
    false_stages : tuple of VolumeStage or None, length P
        Where an instance without a partner comes from; None for one with a partner.
    false_places : ndarray of int64, shape (P, 3)
    precisions : dict of str to AveragePrecision
        Of the result, and of its cross-sections linked without a fault.
    """

    table: ContingencyTable
    stages: tuple[VolumeStage, ...]
    faults: tuple[Fault | None, ...]
    places: Counts
    missing: Counts
    bad: Counts
    good: Counts
    dropped: Counts
    split: Counts
    merged: Counts
    instances: Counts
    other: NDArray[np.uint64]
    linked_iou: NDArray[np.float64]
    label_iou: NDArray[np.float64]
    false_stages: tuple[VolumeStage | None, ...]
    false_places: Counts
    precisions: dict[str, AveragePrecision]


def diagnose_volume(sections: VolumeSections, *, dropped: NDArray[np.bool_] | None = None) -> VolumeErrors:
    """Say of every object of a volume whether it was found, and if not, in which step it was lost.

    `SectionLinks` says which true object a predicted cross-section points at and belongs to. A true object
    without a partner at IoU >= .5 is lost

    * in linking, if the cross-sections that belong to it, as one instance, would have IoU >= .5 with it: merged,
      if its main instance holds more voxels that belong elsewhere than the object has in other instances; else
      split;
    * otherwise not found, if nothing points at cross-sections with more than half of its voxels: dropped, if
      something that was dropped pointed at cross-sections with more than half of these;
    * by bad masks otherwise.

    Of instances without a partner, the main ones of merged objects are merged. Those of which at least half lies
    on no object have the stage not found. Those that share most with a split object, or with one that has another
    partner, are split. The others have a bad mask.

    Parameters
    ----------
    dropped : ndarray of bool, optional
        Of each true cross-section: whether an object that is not in the result points at it.
    """
    links, table = SectionLinks(sections), sections.table
    matches = match_objects(table, LIMIT)
    lost = np.ones(len(table.truth_ids), bool)
    lost[matches.truth_index] = False
    shared, union = links.linked
    linking = lost & (2 * shared >= union)
    merged = linking & (links.merged > links.split)
    unseen = lost & ~linking & (2 * links.missing > table.truth_sizes)
    at = np.zeros(len(sections.truth), bool) if dropped is None else dropped & (links.state == 0)
    gone = np.zeros(len(lost), np.int64)
    np.add.at(gone, sections.truth.index[at], sections.truth.areas[at])
    conditions = {
        VolumeStage.FOUND: ~lost,
        VolumeStage.MERGED: merged,
        VolumeStage.SPLIT: linking,
        VolumeStage.DROPPED: unseen & (2 * gone > links.missing),
        VolumeStage.NOT_FOUND: unseen,
    }
    stages = [
        next((stage for stage, where in conditions.items() if where[number]), VolumeStage.MASK)
        for number in range(len(lost))
    ]
    faults = [
        fault if stage is VolumeStage.MASK else None for fault, stage in zip(links.faults(), stages, strict=True)
    ]
    second = np.where(merged, links.merged_with(), links.second_instances())
    return VolumeErrors(
        table=table,
        stages=tuple(stages),
        faults=tuple(faults),
        places=_places(links, stages),
        missing=links.missing,
        bad=links.bad,
        good=links.good,
        dropped=gone,
        split=links.split,
        merged=links.merged,
        instances=links.instances,
        other=np.where(linking, second, np.uint64(0)),
        linked_iou=shared / np.maximum(union, 1),
        label_iou=best_ious(table),
        false_stages=_false_stages(links, stages, matches.pred_index),
        false_places=_place_of(
            sections.pred, largest_sections(sections.pred, sections.pred.areas, len(table.pred_ids))
        ),
        precisions={
            "this result": average_precision(table=table),
            "linked without a fault": average_precision(table=links.linked_table()),
        },
    )


def _false_stages(
    links: SectionLinks, stages: Sequence[VolumeStage], matched: Counts
) -> tuple[VolumeStage | None, ...]:
    table = links.sections.table
    mergers = set(links.main[_are(stages, VolumeStage.MERGED)].tolist())
    with_partner = set(matched.tolist())
    best = np.full(len(table.pred_ids), -1, np.int64)
    order = np.lexsort((-table.truth_index, table.overlap))
    best[table.pred_index[order]] = table.truth_index[order]
    found: list[VolumeStage | None] = []
    for number, truth in enumerate(best.tolist()):
        if number in with_partner:
            found.append(None)
        elif number in mergers:
            found.append(VolumeStage.MERGED)
        elif truth < 0 or 2 * table.pred_spurious[number] >= table.pred_sizes[number]:
            found.append(VolumeStage.NOT_FOUND)
        elif stages[truth] in (VolumeStage.SPLIT, VolumeStage.FOUND):
            found.append(VolumeStage.SPLIT)
        else:
            found.append(VolumeStage.MASK)
    return tuple(found)


def _places(links: SectionLinks, stages: Sequence[VolumeStage]) -> Counts:
    """Choose a cross-section where the error can be seen.

    Of what was not found the largest that is missing, of bad masks the largest bad one, of a merged object that
    nearest a foreign cross-section of its instance, and of a split one that nearest a part of its main instance.
    """
    truth, n = links.sections.truth, len(stages)
    chosen = largest_sections(truth, truth.areas, n)
    for state, kinds in ((0, (VolumeStage.NOT_FOUND, VolumeStage.DROPPED)), (1, (VolumeStage.MASK,))):
        worst = largest_sections(truth, np.where(links.state == state, truth.areas, 0), n)
        where = _are(stages, *kinds) & (worst >= 0)
        chosen[where] = worst[where]
    pairs, parts = _members(truth.index[links.sections.truth_at]), _members(links.sections.pred.index)
    for number in np.flatnonzero(_are(stages, VolumeStage.SPLIT, VolumeStage.MERGED)).tolist():
        at = _nearest_break(
            links,
            pairs(number),
            parts(links.main[number]) if stages[number] is VolumeStage.MERGED else None,
            number,
        )
        chosen[number] = chosen[number] if at is None else at
    return _place_of(truth, chosen)


def _are(stages: Sequence[VolumeStage], *wanted: VolumeStage) -> NDArray[np.bool_]:
    return np.array([stage in wanted for stage in stages], bool)


def _members(index: Counts) -> Callable[[int], Counts]:
    """Give a function that lists the positions of an object among those of all."""
    order = np.argsort(index, kind="stable")
    sorted_index = index[order]

    def of(number: int) -> Counts:
        first, stop = np.searchsorted(sorted_index, [number, number + 1])
        return order[first:stop]

    return of


def _nearest_break(links: SectionLinks, pairs: Counts, main_parts: Counts | None, number: int) -> int | None:
    """Find the true cross-section of an object that is nearest the place where linking went wrong; None for none.

    `pairs` are those of the object, `main_parts` the cross-sections of the instance of a merged one.
    """
    found, main = links.sections, links.main[number]
    own = pairs[links.owner[found.pred_at[pairs]] == number]
    of_main = found.pred.index[found.pred_at[own]] == main
    if main_parts is None:
        at, away = found.truth_at[own[~of_main]], found.pred.z[found.pred_at[own[of_main]]]
    else:
        at, away = found.truth_at[own[of_main]], found.pred.z[main_parts[links.owner[main_parts] != number]]
    if not len(at) or not len(away):
        return None
    at = np.unique(at)
    distance = np.abs(found.truth.z[at][:, None] - np.unique(away)).min(axis=1)
    return int(at[np.lexsort((-found.truth.areas[at], distance))[0]])


def _place_of(sections: Sections, chosen: Counts) -> Counts:
    places = np.full((len(chosen), 3), -1, np.int64)
    there = chosen >= 0
    places[there] = np.column_stack([sections.z, sections.places])[chosen[there]]
    return places

"""What cross-sections say of the objects of a volume, and what they would be if linked without a fault."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.evaluation.diagnosis.assignment import Fault
from autosam.evaluation.diagnosis.volume_sections import Sections, VolumeSections
from autosam.metrics.contingency import ContingencyTable, Foreground

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SectionLinks:
    """Which true object each predicted cross-section belongs to, and what follows for the T true objects.

    A predicted cross-section points at a true one if they share at least half of the smaller one. It belongs to
    the true object of the one that it shares most with, of those that it points at.
    """

    sections: VolumeSections

    @cached_property
    def owner(self) -> Counts:
        """Position of the true object that each predicted cross-section belongs to, -1 for none; shape (n,)."""
        found = self.sections
        owner = np.full(len(found.pred), -1, np.int64)
        pairs = np.flatnonzero(self._points)
        # The last one is written: of the largest overlaps the first object.
        order = pairs[np.lexsort((-found.truth_at[pairs], found.overlap[pairs]))]
        owner[found.pred_at[order]] = found.truth.index[found.truth_at[order]]
        return owner

    @property
    def missing(self) -> Counts:
        """Voxels of each true object in cross-sections at which nothing points, shape (T,)."""
        return self._sum(self._state == 0)

    @property
    def bad(self) -> Counts:
        """Voxels of each true object where something points at it, and nothing has IoU >= .5; shape (T,)."""
        return self._sum(self._state == 1)

    @property
    def good(self) -> Counts:
        """Voxels of each true object in cross-sections with a partner of IoU >= .5, shape (T,)."""
        return self._sum(self._state == 2)

    @cached_property
    def main(self) -> Counts:
        """Position of the instance that shares most voxels with each true object, -1 for none; shape (T,)."""
        table = self.sections.table
        main = np.full(len(table.truth_ids), -1, np.int64)
        order = np.lexsort((-table.pred_index, table.overlap))
        main[table.truth_index[order]] = table.pred_index[order]
        return main

    @cached_property
    def linked(self) -> tuple[Counts, Counts]:
        """Voxels that each true object shares with the cross-sections that belong to it, and of their union."""
        found = self.sections
        truth, own = self._pairs_of_owners
        shared = _add(truth[own], found.overlap[own], self._objects)
        owned = self.owner >= 0
        areas = _add(self.owner[owned], found.pred.areas[owned], self._objects)
        return shared, found.table.truth_sizes + areas - shared

    @cached_property
    def split(self) -> Counts:
        """Voxels that each true object shares with its cross-sections in other instances than its main one."""
        truth, own = self._pairs_of_owners
        instance = self.sections.pred.index[self.sections.pred_at]
        apart = own & (instance != self.main[truth])
        return _add(truth[apart], self.sections.overlap[apart], self._objects)

    @cached_property
    def merged(self) -> Counts:
        """Voxels of cross-sections of each true object's main instance that do not belong to it."""
        pred, table = self.sections.pred, self.sections.table
        counted = pred.index >= 0
        whole = _add(pred.index[counted], pred.areas[counted], len(table.pred_ids))
        own = np.flatnonzero(counted & (self.owner >= 0))
        own = own[pred.index[own] == self.main[self.owner[own]]]
        kept = _add(self.owner[own], pred.areas[own], self._objects)
        found = np.zeros(self._objects, np.int64)
        has = self.main >= 0
        found[has] = whole[self.main[has]] - kept[has]
        return found

    @cached_property
    def instances(self) -> Counts:
        """Number of instances with a cross-section that belongs to each true object, shape (T,)."""
        own = self.owner >= 0
        pairs = np.unique(np.stack([self.owner[own], self.sections.pred.index[own]], axis=1), axis=0)
        return np.bincount(pairs[:, 0], minlength=self._objects)

    def second_instances(self) -> NDArray[np.uint64]:
        """Id of the instance other than the main one that holds most of each true object's own cross-sections."""
        truth, own = self._pairs_of_owners
        instance = self.sections.pred.index[self.sections.pred_at]
        apart = own & (instance != self.main[truth])
        return _most(
            truth[apart],
            instance[apart],
            self.sections.overlap[apart],
            self.sections.table.pred_ids,
            self._objects,
        )

    def merged_with(self) -> NDArray[np.uint64]:
        """Id of the other true object that each true object's main instance holds most cross-sections of; or 0."""
        pred, table = self.sections.pred, self.sections.table
        own = (self.owner >= 0) & (pred.index >= 0)
        groups, voxels = _grouped(pred.index[own], self.owner[own], pred.areas[own])
        largest: dict[int, list[tuple[int, int]]] = {}
        for (instance, truth), size in zip(groups.tolist(), voxels.tolist(), strict=True):
            largest.setdefault(instance, []).append((-size, truth))
        found = np.zeros(self._objects, np.uint64)
        for truth, instance in enumerate(self.main.tolist()):
            others = [there for _, there in sorted(largest.get(instance, []))[:2] if there != truth]
            if others:
                found[truth] = table.truth_ids[others[0]]
        return found

    def faults(self) -> tuple[Fault | None, ...]:
        """Say what is wrong with most voxels of each true object where its cross-sections are bad; None for none.

        Merged: what points at it also holds half of another true one. Part: it lies at least half inside. Loose:
        it is far larger.
        """
        found = self.sections
        areas = found.truth.areas[found.truth_at]
        holds = 2 * found.overlap >= areas
        held, _ = _grouped(found.pred_at[holds], found.truth.index[found.truth_at[holds]], found.overlap[holds])
        several = np.bincount(held[:, 0], minlength=len(found.pred)) > 1
        inside = 2 * found.overlap >= found.pred.areas[found.pred_at]
        kind = np.full(len(found.truth), 2)
        for number, where in ((1, inside), (0, several[found.pred_at] & holds)):
            kind[found.truth_at[where]] = number
        sums = np.stack([self._sum((self._state == 1) & (kind == number)) for number in range(3)])
        order = (Fault.MERGED, Fault.PART, Fault.LOOSE)
        return tuple(order[column.argmax()] if column.any() else None for column in sums.T)

    def linked_table(self) -> ContingencyTable:
        """Give the contingency table if linking had no fault.

        Cross-sections that belong to one true object are one instance. Of the others, those of an instance that
        has such cross-sections are left out; the rest are false instances as they are.
        """
        found, table = self.sections, self.sections.table
        group = np.where(self.owner >= 0, self.owner, self._objects + found.pred.index)
        counted = found.pred.index >= 0
        useful = np.zeros(len(table.pred_ids), bool)
        useful[found.pred.index[counted & (self.owner >= 0)]] = True
        counted &= (self.owner >= 0) | ~useful[np.maximum(found.pred.index, 0)] if len(useful) else False
        ids, of = np.unique(group[counted], return_inverse=True)
        place = np.full(len(found.pred), -1, np.int64)
        place[counted] = of
        kept = counted[found.pred_at]
        pairs, overlap = _grouped(
            place[found.pred_at[kept]], found.truth.index[found.truth_at[kept]], found.overlap[kept]
        )
        sizes = _add(of, found.pred.areas[counted], len(ids))
        return ContingencyTable(
            pred_ids=np.arange(1, len(ids) + 1, dtype=np.uint64),
            truth_ids=table.truth_ids,
            pred_sizes=sizes,
            truth_sizes=table.truth_sizes,
            pred_index=pairs[:, 0],
            truth_index=pairs[:, 1],
            overlap=overlap,
            n_voxels=table.n_voxels,
            foreground=Foreground(int(sizes.sum()), int(table.truth_sizes.sum()), int(overlap.sum())),
        )

    @property
    def state(self) -> NDArray[np.int64]:
        """Of each true cross-section: 0 if nothing points at it, 2 if something has IoU >= .5 with it, else 1."""
        return self._state

    @property
    def _objects(self) -> int:
        return len(self.sections.table.truth_ids)

    @cached_property
    def _points(self) -> NDArray[np.bool_]:
        found = self.sections
        smaller = np.minimum(found.pred.areas[found.pred_at], found.truth.areas[found.truth_at])
        return np.asarray(2 * found.overlap >= smaller)

    @cached_property
    def _state(self) -> NDArray[np.int64]:
        found = self.sections
        areas = found.pred.areas[found.pred_at] + found.truth.areas[found.truth_at]
        state = np.zeros(len(found.truth), np.int64)
        state[found.truth_at[self._points]] = 1
        state[found.truth_at[3 * found.overlap >= areas]] = 2
        return state

    @cached_property
    def _pairs_of_owners(self) -> tuple[Counts, NDArray[np.bool_]]:
        """True object of each pair, and whether the predicted cross-section belongs to it."""
        truth = self.sections.truth.index[self.sections.truth_at]
        return truth, truth == self.owner[self.sections.pred_at]

    def _sum(self, where: NDArray[np.bool_]) -> Counts:
        truth = self.sections.truth
        chosen = where & (truth.index >= 0)
        return _add(truth.index[chosen], truth.areas[chosen], self._objects)


def largest_sections(sections: Sections, weights: Counts, objects: int) -> Counts:
    """Find the cross-section of each object that weighs most, the first of equal ones; -1 for none."""
    chosen = np.flatnonzero((sections.index >= 0) & (weights > 0))
    order = chosen[np.lexsort((-chosen, weights[chosen]))]
    found = np.full(objects, -1, np.int64)
    found[sections.index[order]] = order
    return found


def _add(index: Counts, counts: Counts, n: int) -> Counts:
    found = np.zeros(n, np.int64)
    np.add.at(found, index, counts)
    return found


def _grouped(first: Counts, second: Counts, counts: Counts) -> tuple[Counts, Counts]:
    """Add up the counts of equal pairs; pairs (n, 2) by the first, then the second."""
    pairs, at = np.unique(np.stack([first, second], axis=1), axis=0, return_inverse=True)
    return pairs, _add(at.reshape(-1), counts, len(pairs))


def _most(truth: Counts, other: Counts, counts: Counts, ids: NDArray[Any], n: int) -> NDArray[np.uint64]:
    """Id of the other side with most counts for each of n objects; 0 for none."""
    pairs, voxels = _grouped(truth, other, counts)
    found = np.zeros(n, np.uint64)
    order = np.lexsort((-pairs[:, 1], voxels))
    found[pairs[order, 0]] = ids[pairs[order, 1]]
    return found

"""A tree of regions that could be objects, from fragments to clumps, and the choice among its nodes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosam.regions.numbering import renumbered, sizes_and_first_pixels


@dataclass(frozen=True, eq=False)
class Contacts:
    """Where P pairs of regions touch; each pair of 4-connected pixels counts once.

    Attributes
    ----------
    pairs : ndarray of int64, shape (P, 2)
        Ids of the two regions, the smaller one first; 0 is background.
    length : ndarray of float64, shape (P,)
        Pairs of pixels.
    strength, pass_height : ndarray of float64, shape (P,)
        Sum and maximum, over the pairs of pixels, of the smaller of their two values in the map whose maxima the
        regions are. The maximum is the height of the pass between them.
    """

    pairs: NDArray[np.int64]
    length: NDArray[np.float64]
    strength: NDArray[np.float64]
    pass_height: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MergeTree:
    """Candidate regions: objects, parts of one, or several, each within at most one larger one.

    Nodes 1 to n are the fragments; every later one is the union of two before it. Node 0 is the background.

    Attributes
    ----------
    fragments : ndarray of int32, shape (H, W)
        0 for background and 1..n, without gaps.
    children : ndarray of int64, shape (N, 2)
        The two nodes that each one is the union of; 0, 0 for fragments and background.
    parent : ndarray of int64, shape (N,)
        The node that each one is a part of; 0 for the largest ones.
    tie, neck, pass_height : ndarray of float64, shape (N,)
        Mean strength, length in pixels and largest strength of the contact between the two children; 1, 0 and 1
        for fragments.
    contacts : Contacts
        Between fragments, and between fragments and background.
    """

    fragments: NDArray[np.int32]
    children: NDArray[np.int64]
    parent: NDArray[np.int64]
    tie: NDArray[np.float64]
    neck: NDArray[np.float64]
    pass_height: NDArray[np.float64]
    contacts: Contacts

    @property
    def n_fragments(self) -> int:
        """The number of fragments."""
        return int(np.count_nonzero(self.children[1:, 0] == 0))

    @property
    def area(self) -> NDArray[np.float64]:
        """The pixels of every node, shape (N,); 0 for the background."""
        return self.add_up(sizes_and_first_pixels(self.fragments)[0].astype(np.float64))

    def __len__(self) -> int:
        """Count the nodes, with the background."""
        return len(self.parent)

    def add_up(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up values of the fragments, (n + 1,) or (n + 1, K), over every node, (N,) or (N, K).

        The first value, that of the background, counts nowhere.
        """
        total = np.zeros((len(self), *values.shape[1:]))
        total[1 : len(values)] = values[1:]
        for node in range(len(values), len(self)):
            first, second = self.children[node]
            total[node] = total[first] + total[second]
        return total

    def choose(self, worth: NDArray[np.floating]) -> NDArray[np.int64]:
        """Choose the disjoint nodes whose worth, (N,), has the largest sum; give them in ascending order.

        Only nodes of positive worth are chosen. Between a node and the nodes in it, equals choose the larger one.
        """
        best = np.maximum(np.asarray(worth, dtype=np.float64), 0)
        taken = best > 0
        for node in range(self.n_fragments + 1, len(self)):
            below = best[self.children[node]].sum()
            if below > best[node]:
                best[node], taken[node] = below, False
        taken[0] = False
        # From the largest on, what lies within a chosen node is not chosen.
        covered = np.zeros(len(self), dtype=bool)
        for node in range(len(self) - 1, 0, -1):
            above = self.parent[node]
            covered[node] = above > 0 and (covered[above] or taken[above])
        return np.flatnonzero(taken & ~covered)

    def paint(self, nodes: NDArray[np.int64]) -> NDArray[np.int32]:
        """Label disjoint nodes 1, 2, … in the order given: int32 (H, W)."""
        label = np.zeros(len(self), dtype=np.int32)
        label[nodes] = np.arange(1, len(nodes) + 1)
        for node in range(len(self) - 1, self.n_fragments, -1):
            if label[node]:
                label[self.children[node]] = label[node]
        label[0] = 0
        return renumbered(self.fragments, label)

"""A tree of regions that could be objects, from fragments to clumps, and the choice among its nodes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Contacts:
    """Where pairs of regions touch, pair by pair; each pair of 4-connected pixels counts once.

    Attributes
    ----------
    pairs : ndarray of int64, shape (P, 2)
        Ids of the two regions, the smaller one first; 0 is background.
    length : ndarray of float64, shape (P,)
        Pairs of pixels.
    strength : ndarray of float64, shape (P,)
        Sum, over the pairs of pixels, of the smaller one of the two values in the map that the regions are maxima
        of.
    pass_height : ndarray of float64, shape (P,)
        Largest of these values: the height of the pass between two maxima.
    """

    pairs: NDArray[np.int64]
    length: NDArray[np.float64]
    strength: NDArray[np.float64]
    pass_height: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MergeTree:
    """Regions that are objects, parts of one, or several, each within at most one larger one.

    Nodes 1 to n are the fragments; every later one is the union of two before it. Node 0 is the background.

    Attributes
    ----------
    fragments : ndarray of int32, shape (H, W)
        0 for background and 1..n, without gaps.
    children : ndarray of int64, shape (N, 2)
        The two nodes that each one is the union of; 0, 0 for fragments and background.
    parent : ndarray of int64, shape (N,)
        The node that each one is a part of; 0 for the largest ones.
    tie : ndarray of float64, shape (N,)
        Mean strength of the contact between the two children; 1 for fragments.
    neck : ndarray of float64, shape (N,)
        Length of that contact in pixels; 0 for fragments.
    pass_height : ndarray of float64, shape (N,)
        Largest strength along it; 1 for fragments.
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
        return self.add_up(np.bincount(self.fragments.ravel(), minlength=self.n_fragments + 1).astype(np.float64))

    def __len__(self) -> int:
        """Count the nodes, with the background."""
        return len(self.parent)

    def add_up(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up values of fragments over every node.

        Parameters
        ----------
        values : ndarray of float64, shape (n + 1,) or (n + 1, K)
            Of each fragment; the first one, the background's, counts nowhere.

        Returns
        -------
        ndarray of float64, shape (N,) or (N, K)
        """
        total = np.zeros((len(self), *values.shape[1:]))
        total[1 : len(values)] = values[1:]
        for node in range(len(values), len(self)):
            first, second = self.children[node]
            total[node] = total[first] + total[second]
        return total

    def choose(self, worth: NDArray[np.floating]) -> NDArray[np.int64]:
        """Choose the disjoint nodes with the largest sum.

        Parameters
        ----------
        worth : ndarray of float, shape (N,)
            What each node adds; none is chosen that adds nothing. Between a node and what is in it, the node is
            chosen where both add the same.

        Returns
        -------
        ndarray of int64
            The chosen nodes, ascending.
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
        return np.asarray(label[self.fragments], dtype=np.int32)

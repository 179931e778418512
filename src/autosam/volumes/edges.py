"""Edges: pairs of objects that belong to one instance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class ObjectEdges:
    """Edges in columns, by their first object, then their second.

    Attributes
    ----------
    a, b : ndarray of uint64, shape (m,)
        Ids of the two objects, the lower one first.
    step : ndarray of uint8, shape (m,)
        Slices between the two objects; 0 where two tiles see one thing in one slice.
    iou, containment : ndarray of float32, shape (m,)
        Intersection of the two over their union, and over the smaller one.
    """

    a: NDArray[np.uint64]
    b: NDArray[np.uint64]
    step: NDArray[np.uint8]
    iou: NDArray[np.float32]
    containment: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.a)

    @classmethod
    def empty(cls) -> "ObjectEdges":
        """Give no edge."""
        return cls(
            np.zeros(0, np.uint64),
            np.zeros(0, np.uint64),
            np.zeros(0, np.uint8),
            np.zeros(0, np.float32),
            np.zeros(0, np.float32),
        )

    @classmethod
    def concatenate(cls, parts: Sequence["ObjectEdges"]) -> "ObjectEdges":
        """Join edges, sorted."""
        parts = [part for part in parts if len(part)]
        if not parts:
            return cls.empty()
        whole = cls(
            np.concatenate([part.a for part in parts]),
            np.concatenate([part.b for part in parts]),
            np.concatenate([part.step for part in parts]),
            np.concatenate([part.iou for part in parts]),
            np.concatenate([part.containment for part in parts]),
        )
        return whole.take(np.lexsort((whole.b, whole.a)))

    def take(self, index: ArrayLike) -> "ObjectEdges":
        """Take some edges, by positions or by a mask."""
        given = np.asarray(index)
        chosen = given if given.dtype == bool else given.astype(np.int64)
        return ObjectEdges(
            self.a[chosen], self.b[chosen], self.step[chosen], self.iou[chosen], self.containment[chosen]
        )

    def gaps(self) -> "ObjectEdges":
        """Take the edges across slices in which their instance may be missing: those of more than one step."""
        return self.take(self.step > 1)

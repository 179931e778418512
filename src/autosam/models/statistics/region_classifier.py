"""The region classifier: a forest of small regression trees that gives candidate regions their region score.

A region score is 0 to 1. Half of it is for an IoU of at least .5 with a true object. The other half is the share
of the ten thresholds .5, .55, … .95 that the IoU reaches, which mean average precision counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autosam.errors import ModelError
from autosam.models.files.strict import array_tensors, tensor_arrays

CHUNK = 4096
"""Candidate regions that are scored at a time: 20 MB with 300 trees."""

THRESHOLDS = tuple(round(0.5 + 0.05 * n, 2) for n in range(10))


def target_score(iou: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give the true score of a candidate region by its IoU with its best true object.

    Examples
    --------
    >>> target_score(np.array([0.4, 0.5, 0.8, 0.97])).round(2)
    array([0.  , 0.55, 0.85, 1.  ])
    """
    # With a tolerance, as an IoU is a rounded quotient of whole numbers.
    reached = np.asarray(iou)[..., None] >= np.array(THRESHOLDS) - 1e-9
    return np.asarray((reached[..., 0] + reached.mean(axis=-1)) / 2, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class RegionClassifier:
    """A sum of T regression trees with at most M nodes each, as gradient boosting makes it [1]_.

    A region starts at node 0 of every tree. It goes to the left where its feature is at most the threshold, and to
    the right otherwise. A node without a feature is a leaf.

    Attributes
    ----------
    feature : ndarray of int16, shape (T, M)
        Index of the feature that a node compares; -1 for a leaf.
    threshold : ndarray of float32, shape (T, M)
    left, right : ndarray of int16, shape (T, M)
        The next node, larger than the node itself; 0 for a leaf.
    value : ndarray of float32, shape (T, M)
        A leaf's share of the score.
    start : float32
        The score before any tree.
    features : int64
        Number of features of a region.
    diameter : float32
        Typical diameter, in pixels of the maps, that the features are measured in.

    References
    ----------
    .. [1] Friedman JH (2001). Greedy function approximation: a gradient boosting machine. Ann. Statist. 29,
       1189-1232.
    """

    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    left: NDArray[np.int16]
    right: NDArray[np.int16]
    value: NDArray[np.float32]
    start: NDArray[np.float32] | np.float32
    features: NDArray[np.int64] | np.int64
    diameter: NDArray[np.float32] | np.float32

    def score(self, described: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give (N, F) described candidate regions their expected region scores, shape (N,)."""
        chunks = range(0, len(described), CHUNK)
        parts = [self._walk(described[start : start + CHUNK]) for start in chunks]
        return np.concatenate([np.zeros(0), *parts])

    def _walk(self, described: NDArray[np.float32]) -> NDArray[np.float64]:
        """Walk all regions through all trees side by side."""
        feature, threshold, after, steps = self._nodes
        values = np.ascontiguousarray(described).ravel()
        region = np.arange(len(described))[:, None] * described.shape[1]
        node = np.tile(np.arange(len(self.feature)) * self.feature.shape[1], (len(described), 1))
        for _ in range(steps):
            low = values.take(feature.take(node) + region) <= threshold.take(node)
            node = after.take(2 * node + low)
        added = self.value.ravel().take(node).sum(axis=1, dtype=np.float64)
        return np.asarray(np.clip(float(self.start) + added, 0, 1))

    @cached_property
    def _nodes(self) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.intp], int]:
        """All nodes one after another: feature, threshold, the next node to the right and to the left; the depth.

        A leaf leads to itself.
        """
        trees, size = self.feature.shape
        inner = self.feature >= 0
        own = np.broadcast_to(np.arange(size), self.feature.shape)
        depth = np.zeros(self.feature.shape, dtype=np.intp)
        tree = np.arange(trees)
        # A node leads on only to later ones.
        for node in range(size - 2, -1, -1):
            below = (depth[tree, way[:, node]] for way in (self.left, self.right))
            depth[:, node] = np.where(inner[:, node], np.maximum(*below) + 1, 0)
        ways = [np.where(inner, way, own) + size * tree[:, None] for way in (self.right, self.left)]
        return (
            np.where(inner, self.feature, 0).astype(np.intp).ravel(),
            self.threshold.ravel(),
            np.stack(ways, axis=-1).astype(np.intp).ravel(),
            int(depth[:, 0].max(initial=0)),
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Give the trees by name, for a model file; small numbers of nodes and features in one byte each."""
        tensors = array_tensors(self)
        for name in ("feature", "left", "right"):
            if tensors[name].max() <= np.iinfo(np.int8).max:
                tensors[name] = tensors[name].to(torch.int8)
        return tensors

    @classmethod
    def from_state_dict(cls, tensors: Mapping[str, Tensor], *, features: int) -> "RegionClassifier":
        """Take trees over from a model file, for regions with so many features.

        Raises
        ------
        ModelError
            If a tensor is missing, unknown, or of another shape or kind, if a node leads back, or if the trees
            were made for other features.
        """
        values = tensor_arrays(cls, tensors, what="the region classifier")
        shape = values["feature"].shape
        grids, numbers = ("feature", "threshold", "left", "right", "value"), ("start", "features", "diameter")
        whole = ("feature", "left", "right", "features")
        wrong = [name for name in numbers if values[name].shape != ()]
        wrong += [name for name in grids if values[name].shape != shape or len(shape) != 2 or not shape[1]]
        wrong += [name for name in whole if not np.issubdtype(values[name].dtype, np.integer)]
        if not wrong:
            inner, last = values["feature"] >= 0, shape[1] - 1
            ways = {name: values[name][inner] for name in ("left", "right")}
            own = np.broadcast_to(np.arange(shape[1]), shape)[inner]
            wrong += [name for name, way in ways.items() if ((way <= own) | (way > last)).any()]
            wrong += [name for name in ("diameter", "features") if not values[name] > 0]
        if wrong:
            raise ModelError(f"the region classifier is damaged ({', '.join(wrong)}): get the model file again")
        if int(values["features"]) != features or int(values["feature"].max(initial=-1)) >= features:
            raise ModelError(
                f"the region classifier knows {int(values['features'])} features, this autosam gives "
                f"{features}: use the version of autosam that the model was made with"
            )
        short = {"feature": np.int16, "left": np.int16, "right": np.int16, "features": np.int64}
        return cls(**{name: array.astype(short.get(name, np.float32)) for name, array in values.items()})

"""The objects in labels of an image, or of a volume slice by slice: ids, sizes and connected pieces."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from autosam.data.linking import connected, touching_pairs
from autosam.errors import InputError


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of labels, by rising id; each array has shape (n,).

    Attributes
    ----------
    ids : ndarray of uint64
        Their ids.
    sizes : ndarray of int64
        In pixels, or voxels of a volume.
    pieces : ndarray of int64
        Connected pieces of each; 8 neighbors in an image, 26 in a volume.
    foreground : float
        Share of the pixels that belong to an object; 0 where there are no pixels.
    """

    ids: NDArray[np.uint64]
    sizes: NDArray[np.int64]
    pieces: NDArray[np.int64]
    foreground: float

    @property
    def missing(self) -> int:
        """Number of ids between 1 and the highest that are not used."""
        return int(self.ids[-1]) - self.ids.size if self.ids.size else 0


class ObjectCount:
    """Count objects slice by slice; no more than two slices are held.

    Examples
    --------
    >>> count = ObjectCount()
    >>> count.add(np.array([[1, 0, 1], [0, 0, 3]]))
    >>> found = count.objects()
    >>> found.ids.tolist(), found.sizes.tolist(), found.pieces.tolist(), found.missing
    ([1, 3], [2, 1], [2, 1], 1)
    """

    def __init__(self) -> None:
        self._piece_ids: list[NDArray[np.uint64]] = []
        self._piece_sizes: list[NDArray[np.int64]] = []
        self._links: list[NDArray[np.int64]] = []
        self._before: NDArray[np.int64] | None = None
        self._pieces = 0
        self._pixels = 0

    def add(self, labels: NDArray[np.integer[Any]]) -> None:
        """Add the next slice of the volume, or the only one: ids up to 2**64 - 1, (H, W), all of one size."""
        if labels.ndim != 2 or labels.dtype.kind not in "iu" or (labels.size and labels.min() < 0):
            raise InputError(f"labels are {labels.dtype} {labels.shape}; wanted (H, W) integers, none negative.")
        if self._before is not None and self._before.shape != labels.shape:
            raise InputError(f"a slice of {labels.shape} follows one of {self._before.shape}; wanted one size.")
        ids = labels.astype(np.uint64)
        present, codes = np.unique(ids, return_inverse=True)
        # Small consecutive numbers, background first: skimage takes no uint64.
        codes = codes.reshape(ids.shape).astype(np.int64) + int(not present.size or present[0] != 0)
        pieces, n = label(codes, connectivity=2, return_num=True)
        pieces = np.where(pieces > 0, pieces + self._pieces, 0).astype(np.int64)
        inside = np.flatnonzero(pieces)
        _, first, sizes = np.unique(pieces.ravel()[inside], return_index=True, return_counts=True)
        self._piece_ids.append(ids.ravel()[inside[first]])
        self._piece_sizes.append(sizes.astype(np.int64))
        if self._before is not None:
            self._links.append(touching_pairs(self._before, pieces))
        self._before = pieces
        self._pieces += int(n)
        self._pixels += labels.size

    def objects(self) -> Objects:
        """Give what was counted so far."""
        piece_ids = np.concatenate(self._piece_ids or [np.zeros(0, np.uint64)])
        sizes = np.concatenate(self._piece_sizes or [np.zeros(0, np.int64)])
        links = np.concatenate(self._links or [np.zeros((0, 2), np.int64)]) - 1
        whole, group = connected(sizes.size, links[piece_ids[links[:, 0]] == piece_ids[links[:, 1]]])
        ids, of_piece = np.unique(piece_ids, return_inverse=True)
        id_of_group = np.zeros(whole, np.int64)
        id_of_group[group] = of_piece
        return Objects(
            ids=ids,
            sizes=np.bincount(of_piece, weights=sizes, minlength=ids.size).astype(np.int64),
            pieces=np.bincount(id_of_group, minlength=ids.size).astype(np.int64),
            foreground=float(sizes.sum() / self._pixels) if self._pixels else 0.0,
        )

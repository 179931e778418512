"""The generator's logits around a region, made where they are read: those of a thousand take 50 MB."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ABSENT = -8.0
"""The logit of a pixel where the object certainly is not: sigmoid(-8) = 0.0003."""


@dataclass(frozen=True, eq=False)
class RegionLogits:
    """Logits in a crop of the generator's map, as an array of float32 that is made anew each time it is read.

    They lie between ``ABSENT`` and ``-ABSENT``.

    Attributes
    ----------
    regions : ndarray of int, shape (H, W)
        Pixels of other regions are ``ABSENT``.
    foreground : ndarray of float, shape (H, W)
        Probability, 0 to 1.
    rejected : ndarray of bool, shape (H, W), or None
        Pixels that are ``ABSENT``, too.
    region : int
        Id of the region.
    crop : tuple of slice
        Rows and columns.
    """

    regions: NDArray[np.integer]
    foreground: NDArray[np.floating]
    rejected: NDArray[np.bool_] | None
    region: int
    crop: tuple[slice, slice]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the crop."""
        rows, cols = self.crop
        return rows.stop - rows.start, cols.stop - cols.start

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.float32]:
        """Make the logits, (h, w)."""
        limit = 1 / (1 + math.exp(ABSENT))
        probability = np.clip(self.foreground[self.crop].astype(np.float64), 1 - limit, limit)
        logits = np.log(probability) - np.log1p(-probability)
        own = self.regions[self.crop]
        other = (own != 0) & (own != self.region)
        if self.rejected is not None:
            other |= self.rejected[self.crop]
        logits[other] = ABSENT
        within: NDArray[np.float32] = np.clip(logits, ABSENT, -ABSENT).astype(np.float32)
        return within if dtype is None else within.astype(dtype)

"""Regions of the generator that no mask answers and that may become instances: they lie in holes as these do."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from autosam.regions.numbering import sizes_and_first_pixels


@dataclass(frozen=True, eq=False)
class OpenRegions:
    """Some of the regions; ``regions[window]`` are their ids in a window, (h, w), without a copy of the others.

    Attributes
    ----------
    labels : ndarray of int32, shape (H, W)
        All regions.
    number : ndarray of int32, shape (n + 1,)
        The id of each region that is open, 0 for the others and the background.
    """

    labels: NDArray[np.int32]
    number: NDArray[np.int32]

    def __getitem__(self, window: tuple[slice, ...]) -> NDArray[np.int32]:
        """Give the ids in a window; 0 elsewhere than in open regions."""
        return self.number[self.labels[window]]

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Pixels of every region, (n + 1,); those that are not open count, too."""
        return sizes_and_first_pixels(self.labels)[0]


def open_regions(
    regions: NDArray[np.int32],
    foreground: ArrayLike,
    *,
    region_score: NDArray[np.floating] | None = None,
    threshold: float,
    answered: Collection[int],
) -> OpenRegions:
    """Take the regions that `fill_from_regions` is sure of and that no mask answers."""
    values = np.asarray(foreground)
    number = np.zeros(int(regions.max(initial=0)) + 1, dtype=np.int32)
    for region, box in enumerate(ndimage.find_objects(regions), start=1):
        if box is not None and region not in answered:
            sure = certainty(region, box, regions[box] == region, values, region_score)
            number[region] = region if sure > threshold else 0
    return OpenRegions(regions, number)


def certainty(
    region: int,
    box: tuple[slice, ...],
    own: NDArray[np.bool_],
    foreground: NDArray[Any],
    region_score: NDArray[np.floating] | None,
) -> float:
    """Give the region score, or without a region classifier the mean foreground probability."""
    if region_score is not None:
        return float(region_score[region - 1])
    return float(foreground[box][own].mean(dtype=np.float64))

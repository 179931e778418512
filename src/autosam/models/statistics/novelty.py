"""The novelty of an image: how unlike the training images it is, and how little the generator is sure of it.

A tile is described by the mean and the standard deviation of each channel of the generator's deepest feature map.
Similar training tiles form a kind. A tile's distance is the Mahalanobis distance to the nearest kind's mean, with
one covariance for all kinds. An image's novelty is the sum of two terms: the median distance of its tiles, and
the share of its object pixels that the maps leave uncertain. Each is in units of what is usual for an image of
its size, since a small image tells mean and deviation less exactly.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autosam.errors import ModelError
from autosam.models.files.strict import array_tensors, tensor_arrays
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.generator.unet import Generator

UNCERTAIN = (0.2, 0.8)
"""An object pixel has a probability above the first; it is uncertain below the second."""

NOTHING, USUAL = 0.01, 0.25
"""A share of pixels that count as object pixels everywhere, so that a few specks decide nothing, and the
uncertain share of these."""

_LATER = ("growth", "uncertain_rate", "uncertain_growth")
"""What earlier files do not hold; 0 there, so that novelty is the median distance in units of the limit."""


@dataclass(frozen=True, eq=False)
class NoveltyStatistics:
    """Statistics of windows of training images.

    The covariance is V diag(``variances``) Vᵀ + ``rest`` (I - V Vᵀ), with V the transpose of ``components``.

    Attributes
    ----------
    means : ndarray of float32, shape (N, D)
        One for each kind of training tiles; at least one.
    components : ndarray of float32, shape (K, D)
        Orthonormal rows.
    variances : ndarray of float32, shape (K,)
        Along the components; above 0.
    rest : float32
        Variance in every other direction; above 0.
    limit : float32
        Distance that a novelty of 1 stands for where nothing is uncertain and an image is large; above 0.
    growth : float32
        How the square of the limit grows in small images, whose limit is ``limit`` √(1 + ``growth`` / area); 0 or
        more.
    uncertain_rate : float32
        What an uncertain share of 1 adds to the novelty of a large image; 0 or more.
    uncertain_growth : float32
        The same as ``growth`` for the uncertain share.

    References
    ----------
    Lee et al., "A simple unified framework for detecting out-of-distribution samples and adversarial attacks",
    NeurIPS 2018: class means, here of kinds, with one covariance, and the smallest Mahalanobis distance.
    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004: shrinking the
    covariance towards a multiple of the identity, as there are fewer tiles than dimensions.
    """

    means: NDArray[np.float32]
    components: NDArray[np.float32]
    variances: NDArray[np.float32]
    rest: NDArray[np.float32] | np.float32
    limit: NDArray[np.float32] | np.float32
    growth: NDArray[np.float32] | np.float32 | float = 0.0
    uncertain_rate: NDArray[np.float32] | np.float32 | float = 0.0
    uncertain_growth: NDArray[np.float32] | np.float32 | float = 0.0

    def distances(self, descriptors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Measure the Mahalanobis distance of (N, D) descriptors to the nearest kind each, shape (N,)."""
        along, means_along = (
            values.astype(np.float64) @ self.components.T for values in (descriptors, self.means)
        )
        nearest = np.full(len(descriptors), np.inf)
        # Differences to all kinds at once would fill the memory.
        for mean, mean_along in zip(self.means.astype(np.float64), means_along, strict=True):
            projected = (along - mean_along) ** 2
            # Rounding must not make it negative.
            beside = np.maximum(((descriptors - mean) ** 2).sum(axis=1) - projected.sum(axis=1), 0)
            nearest = np.minimum(nearest, (projected / self.variances).sum(axis=1) + beside / self.rest)
        distances: NDArray[np.float64] = np.sqrt(nearest)
        return distances

    def novelty(self, descriptors: NDArray[np.float32], *, uncertain: float = 0.0, area: float = 1.0) -> float:
        """Score an image; above 1 it is unlike the training images.

        Parameters
        ----------
        descriptors : ndarray of float32, shape (N, D)
            Those of its tiles, at least one.
        uncertain : float
            See `uncertain_share`.
        area : float
            Of what a tile shows of the image, in tiles; above 0, and 1 for an image that fills one.
        """
        distance = float(np.median(self.distances(descriptors)))
        known = distance / (float(self.limit) * math.sqrt(1 + float(self.growth) / area))
        return known + float(self.uncertain_rate) * uncertain / math.sqrt(1 + float(self.uncertain_growth) / area)

    def state_dict(self) -> dict[str, Tensor]:
        """Give the statistics by name, for a model file."""
        return array_tensors(self)

    @classmethod
    def from_state_dict(cls, tensors: Mapping[str, Tensor], *, channels: int) -> "NoveltyStatistics":
        """Take statistics over from a model file, for a generator with ``channels`` in its deepest feature map.

        Raises
        ------
        ModelError
            If a tensor is missing, unknown or of another shape, or a number is not above 0 that has to be.
        """
        if not tensors.keys() & set(_LATER):
            # Of an earlier file.
            tensors = {**tensors, **dict.fromkeys(_LATER, torch.zeros(()))}
        arrays = tensor_arrays(cls, tensors, what="the statistics of training images")
        values = {name: array.astype(np.float32) for name, array in arrays.items()}
        kinds, components = (len(np.atleast_1d(values[name])) for name in ("means", "components"))
        wanted = {
            "means": (kinds, 2 * channels),
            "components": (components, 2 * channels),
            "variances": (components,),
            "rest": (),
            "limit": (),
            **dict.fromkeys(_LATER, ()),
        }
        wrong = [name for name, shape in wanted.items() if values[name].shape != shape]
        wrong += [name for name in ("variances", "rest", "limit") if not (values[name] > 0).all()]
        wrong += [name for name in _LATER if not (values[name] >= 0).all()]
        if wrong or not kinds:
            raise ModelError(
                f"the statistics of training images ({', '.join(wrong or ['means'])}) do not fit a generator with "
                f"{channels} channels in its deepest feature map"
            )
        return cls(**values)


def uncertain_share(maps: Mapping[str, NDArray[np.float32]]) -> float:
    """Give the share of object pixels that are uncertain, the mean over the maps of foreground and boundary.

    Where a map has hardly an object pixel, its share is near ``USUAL``; 0 with neither map.

    Examples
    --------
    >>> round(uncertain_share({"foreground": np.array([[0.1, 0.5], [0.9, 0.9]], np.float32)}), 2)
    0.33
    """
    shares = []
    for name in ("foreground", "boundary"):
        if name in maps:
            added = NOTHING * maps[name].size
            objects = maps[name] > UNCERTAIN[0]
            uncertain = np.count_nonzero(objects & (maps[name] < UNCERTAIN[1]))
            shares.append((uncertain + USUAL * added) / (np.count_nonzero(objects) + added))
    return float(np.mean(shares)) if shares else 0.0


def shown_area(shape: tuple[int, int], *, tile: int) -> float:
    """Give the area of an image of shape (h, w) that a tile of side ``tile`` shows, in tiles.

    Examples
    --------
    >>> shown_area((256, 700), tile=512)
    0.5
    """
    height, width = (min(length, tile) / tile for length in shape)
    return height * width


@contextmanager
def describe_tiles(
    generator: Generator | SamGenerator, *, side: int | None = None
) -> Iterator[list[NDArray[np.float32]]]:
    """Describe what the generator sees while the context is open.

    Parameters
    ----------
    side : int, optional
        Side in pixels of what is described: larger tiles are divided evenly, into parts of about this side. By
        default each tile is described as a whole.

    Yields
    ------
    list of ndarray of float32, shape (2 C,)
        One for each tile or part so far: mean and standard deviation, over all its pixels, of each of the C
        channels of the deepest feature map.
    """
    seen: list[NDArray[np.float32]] = []

    def describe(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor | list[Tensor]) -> None:
        features = (output if isinstance(output, Tensor) else output[-1]).detach()
        cells = max(1, round(side / (generator.stride // generator.downsample))) if side else max(features.shape)
        for rows in features.tensor_split(max(1, round(features.shape[2] / cells)), dim=2):
            for part in rows.tensor_split(max(1, round(features.shape[3] / cells)), dim=3):
                seen.extend(moments(part))

    handle = generator.deepest.register_forward_hook(describe)
    try:
        yield seen
    finally:
        handle.remove()


def moments(features: Tensor) -> NDArray[np.float32]:
    """Give mean and standard deviation of each channel of feature maps (B, C, h, w), shape (B, 2 C)."""
    exact = features.float()
    both = torch.cat([exact.mean(dim=(2, 3)), exact.std(dim=(2, 3), correction=0)], dim=1)
    found: NDArray[np.float32] = both.cpu().numpy()
    return found

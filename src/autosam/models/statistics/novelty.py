"""The novelty of an image: how far its features in the generator lie from those of the training images.

A tile is described by the mean and the standard deviation of each channel of the generator's deepest feature map.
Similar training tiles form a kind. A tile's distance is the Mahalanobis distance to the nearest kind's mean, with
one covariance for all kinds. An image's novelty is the median distance of its tiles, divided by a limit that
nearly all training tiles stay below.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autosam.errors import ModelError
from autosam.models.files.strict import array_tensors, tensor_arrays
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.generator.unet import Generator

LEAST_TILES = 16
"""With fewer training tiles, there are no statistics."""

TILES_OF_A_KIND = 16
"""Different tiles of a source for each kind of it. A data set can hold several modalities, and images between two
of them are like neither: with one mean for each source, `nuclei` found no novelty in electron micrographs."""

SHRINKAGE = 0.5
"""Share of the covariance that is taken from the identity, scaled to the mean variance."""

PERCENTILE = 95.0
"""Percentage of the training tiles, each measured without its half of its source, that sets the limit. Chosen on
the bundled models, for medians of an image's tiles; for figures see docs/benchmarks.md."""


@dataclass(frozen=True, eq=False)
class NoveltyStatistics:
    """Statistics of the descriptors of training tiles.

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
        Distance that a novelty of 1 stands for; above 0.

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

    def novelty(self, descriptors: NDArray[np.float32]) -> float:
        """Score an image by the (N, D) descriptors of its tiles, at least one.

        The novelty is the median distance in units of the limit: above 1 the image is unlike the training images.
        """
        return float(np.median(self.distances(descriptors)) / self.limit)

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
        arrays = tensor_arrays(cls, tensors, what="the statistics of training images")
        values = {name: array.astype(np.float32) for name, array in arrays.items()}
        kinds, components = (len(np.atleast_1d(values[name])) for name in ("means", "components"))
        wanted = {
            "means": (kinds, 2 * channels),
            "components": (components, 2 * channels),
            "variances": (components,),
            "rest": (),
            "limit": (),
        }
        wrong = [name for name, shape in wanted.items() if values[name].shape != shape]
        wrong += [name for name in ("variances", "rest", "limit") if not (values[name] > 0).all()]
        if wrong or not kinds:
            raise ModelError(
                f"the statistics of training images ({', '.join(wrong or ['means'])}) do not fit a generator with "
                f"{channels} channels in its deepest feature map"
            )
        return cls(**values)


def fit_statistics(sources: Sequence[NDArray[np.float32]]) -> NoveltyStatistics | None:
    """Make the statistics of training tiles.

    Each source is divided into kinds by k-means, one for ``TILES_OF_A_KIND`` different tiles. For the limit, each
    tile's distance is that from statistics of the other halves alone.

    Parameters
    ----------
    sources : sequence of ndarray of float32, shape (N, D)
        The tiles' descriptors, source by source, with similar ones next to each other: each source is cut into a
        first and a second half.

    Returns
    -------
    NoveltyStatistics or None
        None where there are fewer than ``LEAST_TILES`` tiles, or where too few tiles differ.
    """
    if sum(map(len, sources)) < LEAST_TILES:
        return None
    # A half has as many kinds as the whole: fewer would be wider, and the limit too small.
    counts = [len(np.unique(tiles, axis=0)) // TILES_OF_A_KIND for tiles in sources]
    halves = [np.array_split(tiles, 2) for tiles in sources]
    distances = []
    for own, other in ((0, 1), (1, 0)):
        without = _fit([half[other] for half in halves], counts)
        if without is None:
            return None
        distances.append(without.distances(np.concatenate([half[own] for half in halves])))
    whole = _fit(sources, counts)
    limit = np.float32(np.percentile(np.concatenate(distances), PERCENTILE))
    return None if whole is None or limit <= 0 else replace(whole, limit=limit)


def _kinds(tiles: NDArray[np.float32], count: int) -> list[NDArray[np.float32]]:
    """Divide the tiles of one source into at most ``count`` kinds; no tiles have none."""
    count = min(count, len(np.unique(tiles, axis=0)) // (TILES_OF_A_KIND // 2))
    if count < 2:
        return [tiles] if len(tiles) else []
    # Slow to load, and needed for fitting only.
    from sklearn.cluster import KMeans

    # Features differ widely in scale. Neither the largest nor the rounding of a constant one may decide alone.
    mean, spread = tiles.mean(axis=0, dtype=np.float64), tiles.std(axis=0, dtype=np.float64)
    spread[spread <= np.finfo(np.float32).eps * np.abs(mean)] = np.inf
    kind_of = KMeans(count, n_init=4, random_state=0).fit_predict((tiles - mean) / spread)
    return [tiles[kind_of == kind] for kind in np.unique(kind_of)]


def _fit(sources: Sequence[NDArray[np.float32]], counts: Sequence[int]) -> NoveltyStatistics | None:
    """Give means and shrunk covariance, with a limit of 1; None where no kind has tiles that differ."""
    kinds = [kind for tiles, count in zip(sources, counts, strict=True) for kind in _kinds(tiles, count)]
    free = sum(map(len, kinds)) - len(kinds)
    if free < 1:
        return None
    means = [tiles.mean(axis=0, dtype=np.float64) for tiles in kinds]
    offsets = np.concatenate([tiles - mean for tiles, mean in zip(kinds, means, strict=True)])
    # All alike, but for the rounding of their mean.
    if np.abs(offsets).max() <= np.finfo(np.float32).eps * np.abs(means).max():
        return None
    _, roots, directions = np.linalg.svd(offsets, full_matrices=False)
    there = roots > roots[0] * np.finfo(np.float32).eps
    variances = roots[there] ** 2 / free
    rest = SHRINKAGE * variances.sum() / offsets.shape[1]
    return NoveltyStatistics(
        means=np.stack(means).astype(np.float32),
        components=directions[there].astype(np.float32),
        variances=((1 - SHRINKAGE) * variances + rest).astype(np.float32),
        rest=np.float32(rest),
        limit=np.float32(1),
    )


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

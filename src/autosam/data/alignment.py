"""Whether labels belong to their slice: outlines should lie on the edges of their own image, not of another."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.errors import InputError
from autosam.images import normalize_for_display

# The mean edge along shorter outlines is a matter of chance.
MIN_OUTLINE = 400

# Pixels of an outline are not independent: it is two pixels wide, and edges run smoothly along it.
_PIXELS_PER_SAMPLE = 16


@dataclass(frozen=True)
class Advantage:
    """How much better labels fit another image than their own.

    On correct public stacks the difference to a neighbor is never above 0: -.05 to -.16 for slices 5 nm apart
    (EPFL, FIB-SEM), -.15 to -.7 for those 50 nm apart (VNC, ssTEM). With labels shifted by one slice the sign
    changes: t is then 2.2 to 10, with a median of 5 (EPFL) and 8 (VNC).

    Attributes
    ----------
    difference : float
        Mean edge strength along the outlines in the other image less that in the own one, in standard deviations
        of a slice's edge strength.
    t : float
        The difference in its own standard errors, paired pixel by pixel.
    """

    difference: float
    t: float

    @property
    def is_clear(self) -> bool:
        """Whether the other image certainly fits better: a difference of at least .03, and t of at least 3."""
        return self.difference >= 0.03 and self.t >= 3


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges and outlines of one slice.

    Attributes
    ----------
    strength : ndarray of float32, shape (H, W)
        Edge strength of the image; mean 0 and deviation 1 over the slice.
    outline : ndarray of intp, shape (n,)
        Flat indices of the pixels at the outlines of the labels, both sides.
    """

    strength: NDArray[np.float32]
    outline: NDArray[np.intp]


def slice_edges(image: NDArray[Any], labels: NDArray[np.integer[Any]], *, sigma: float = 1.5) -> Edges:
    """Measure edges of an image and find the outlines of its labels.

    Parameters
    ----------
    image : ndarray, shape (H, W) or (H, W, 3)
        Normalized by its percentiles first, so that neither contrast nor a few bright spots count; NaN and
        infinity are background. A constant image has strength 0 everywhere.
    labels : ndarray of integers, shape (H, W)
        Ids, 0 for background; any change of id is an outline, the image's border is not.
    sigma : float
        Standard deviation of the Gaussian derivatives, in pixels.
    """
    if image.shape[:2] != labels.shape:
        raise InputError(f"image {image.shape} and labels {labels.shape}; wanted the same rows and columns.")
    gray = normalize_for_display(image).mean(axis=2, dtype=np.float32)
    strength = ndimage.gaussian_gradient_magnitude(gray, sigma).astype(np.float32)
    strength -= strength.mean()
    deviation = float(strength.std())
    # Rounding errors of a constant image are not edges.
    strength = strength / deviation if deviation > 1e-6 else np.zeros_like(strength)
    edge = np.zeros(labels.shape, bool)
    below, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= below
    edge[:-1] |= below
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return Edges(strength.astype(np.float32), np.flatnonzero(edge))


def advantage(own: Edges, other: Edges) -> Advantage:
    """Measure how much better the labels of one slice fit the image of another one than their own.

    NaN where the slices differ in size or the outline has fewer than `MIN_OUTLINE` pixels.
    """
    if own.strength.shape != other.strength.shape or own.outline.size < MIN_OUTLINE:
        return Advantage(float("nan"), float("nan"))
    gain = other.strength.ravel()[own.outline].astype(np.float64) - own.strength.ravel()[own.outline]
    difference, deviation = float(gain.mean()), float(gain.std())
    if deviation == 0:
        return Advantage(difference, 0.0)
    return Advantage(difference, difference / (deviation / np.sqrt(gain.size / _PIXELS_PER_SAMPLE)))

"""How another specimen, stain or detector would look: gray levels, local contrast, illumination, spectrum."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft, ndimage
from torch.nn import functional as F

from autosam.training.samples.planes import Plane, smooth_field

MOST_GAIN = 3.0
"""Where hardly anything is to be seen, contrast is not raised further: only noise would appear."""


def tone_curve(plane: Plane, slopes: NDArray[np.float64]) -> Plane:
    """Map gray levels by a rising curve of straight pieces, from (0, 0) to (1, 1).

    Parameters
    ----------
    plane : ndarray of float32, shape (H, W)
        0 to 1.
    slopes : ndarray of float64, shape (n,)
        Relative slope of each of n equally long pieces, above 0.

    Examples
    --------
    >>> tone_curve(np.array([[0, 0.25, 0.5, 1]], np.float32), np.array([3.0, 1.0])).tolist()
    [[0.0, 0.375, 0.75, 1.0]]
    """
    levels = np.concatenate([[0], np.cumsum(slopes) / slopes.sum()])
    return np.asarray(np.interp(plane, np.linspace(0, 1, len(levels)), levels), dtype=np.float32)


def even_contrast(plane: Plane, *, strength: float, sigma: float) -> Plane:
    """Bring local mean and local contrast nearer to those of the whole tile.

    It does what CLAHE is used for (Pizer et al. 1987, "Adaptive histogram equalization and its variations"), by
    the division by local moments of local response normalization, at a tenth of its cost.

    Parameters
    ----------
    plane : ndarray of float32, shape (H, W)
        0 to 1.
    strength : float
        0 leaves everything as it is; at 1, mean and contrast are the same everywhere.
    sigma : float
        Pixels; of the Gaussian window in which they are measured.

    Returns
    -------
    ndarray of float32, shape (H, W)
        Not clipped.
    """
    # Both are smooth, so they are measured on a smaller copy.
    shrink = max(1, int(sigma / 4))
    both = np.stack([plane, plane**2])[None]
    small = F.avg_pool2d(torch.from_numpy(both), shrink, ceil_mode=True)[0].numpy()
    small = ndimage.gaussian_filter(small, (0, sigma / shrink, sigma / shrink), mode="reflect")
    small[1] = np.sqrt(np.maximum(small[1] - small[0] ** 2, 1e-6))
    local = F.interpolate(torch.from_numpy(small)[None], plane.shape, mode="bilinear")[0].numpy()
    mean, contrast = float(plane.mean()), float(plane.std())
    gain = np.minimum(contrast / local[1], MOST_GAIN) ** strength
    shifted = plane - (1 - strength) * mean - strength * local[0]
    return np.asarray(mean + shifted * gain, dtype=np.float32)


def shade(plane: Plane, *, strength: float, rng: np.random.Generator) -> Plane:
    """Make contrast and brightness differ from place to place, as an uneven illumination or stain does.

    At a ``strength`` of 0.5, contrast varies from half of what it was to one and a half times that, and brightness
    by a quarter of the range at most. The result, (H, W), is not clipped.
    """
    shape = (plane.shape[0], plane.shape[1])
    gain, offset = (smooth_field(shape, int(rng.integers(2, 5)), rng) for _ in range(2))
    mean = float(plane.mean())
    return np.asarray(mean + (plane - mean) * (1 + strength * gain) + strength / 2 * offset, dtype=np.float32)


def mix_amplitudes(plane: Plane, other: Plane, *, share: float, cutoff: float) -> Plane:
    """Mix the amplitudes of another picture into the spectrum, and keep the phases.

    The phases say where things are, the amplitudes how strong structures of each size are: what differs between
    laboratories (Yang & Soatto 2020, "FDA: Fourier domain adaptation"; Xu et al. 2021, "A Fourier-based framework
    for domain generalization").

    Parameters
    ----------
    plane, other : ndarray of float32, shape (H, W)
        0 to 1.
    share : float
        Share of the other's amplitudes, 0 to 1.
    cutoff : float
        Cycles per pixel around which the share falls to nothing, so that only coarser structures are changed.

    Returns
    -------
    ndarray of float32, shape (H, W)
        Not clipped.
    """
    spectrum = fft.rfft2(plane)
    own, others = np.abs(spectrum), np.abs(fft.rfft2(other))
    rows, cols = fft.fftfreq(plane.shape[0])[:, None], fft.rfftfreq(plane.shape[1])
    weight = (share * np.exp(-(rows**2 + cols**2) / cutoff**2)).astype(np.float32)
    # Where there is no own amplitude there is no phase to keep either.
    ratio = np.divide(others, own, out=np.ones_like(own), where=own > 1e-3)
    return np.asarray(fft.irfft2(spectrum * (1 + weight * (ratio - 1)), s=plane.shape), dtype=np.float32)

"""Noise of microscopes beside the white one: of counts, grain, specks, scan lines, curtains."""

import numpy as np
from scipy import ndimage

from autosam.training.samples.planes import Plane

# All take planes of float32, shape (H, W), of 0 to 1, and give planes that are not clipped.


def shot_noise(plane: Plane, *, deviation: float, rng: np.random.Generator) -> Plane:
    """Add noise as of counted electrons or photons: its variance grows with the gray level.

    ``deviation`` is its standard deviation at white.
    """
    noise = rng.standard_normal(plane.shape, dtype=np.float32)
    return np.asarray(plane + deviation * np.sqrt(plane) * noise, dtype=np.float32)


def grain(plane: Plane, *, deviation: float, sigma: float, rng: np.random.Generator) -> Plane:
    """Add noise whose neighboring pixels are alike: white noise, blurred by ``sigma`` pixels.

    So it looks after an image was filtered or enlarged. ``deviation`` is its standard deviation.
    """
    noise = ndimage.gaussian_filter(rng.standard_normal(plane.shape, dtype=np.float32), sigma, mode="wrap")
    return np.asarray(plane + deviation / max(float(noise.std()), 1e-6) * noise, dtype=np.float32)


def specks(plane: Plane, *, share: float, rng: np.random.Generator) -> Plane:
    """Make a ``share`` of the pixels black or white: salt and pepper."""
    drawn = rng.random(plane.shape, dtype=np.float32)
    return np.where(drawn < share, np.where(drawn < share / 2, 0, 1), plane).astype(np.float32)


def scan_lines(plane: Plane, *, deviation: float, rng: np.random.Generator) -> Plane:
    """Shift brightness and contrast of each row on its own, as a scanning beam that is not steady does.

    ``deviation`` is the standard deviation of both: of brightness, and of contrast relative to what it was.
    """
    offset, gain = deviation * rng.standard_normal((2, len(plane), 1), dtype=np.float32)
    mean = float(plane.mean())
    return np.asarray(mean + (plane - mean) * (1 + gain) + offset, dtype=np.float32)


def curtains(plane: Plane, *, deviation: float, rng: np.random.Generator) -> Plane:
    """Add streaks along the columns that begin anywhere and fade: what an ion beam leaves behind dense material.

    Their widths are of 1 to 8 pixels, about; ``deviation`` is about the standard deviation over the columns at
    their strongest.
    """
    height, width = plane.shape
    sigma = float(np.exp(rng.uniform(np.log(0.5), np.log(4))))
    streaks = ndimage.gaussian_filter1d(rng.standard_normal((2, width), dtype=np.float32), sigma, mode="wrap")
    # Two sets of them, each fading from one end of the plane to the other in its own way.
    ends = rng.random((2, 2), dtype=np.float32)
    course = np.linspace(ends[0], ends[1], height, dtype=np.float32)
    return np.asarray(plane + deviation / max(float(streaks.std()), 1e-6) * (course @ streaks), dtype=np.float32)

"""Random intensities of a training tile: gray levels, color, sharpness and noise."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.config.training_section import AugmentConfig


def change_intensity(
    image: NDArray[np.float32], augment: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Change gamma, contrast, brightness, color, sharpness and noise.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W, 3)
        0 to 1.
    augment : AugmentConfig
        A range of 0 leaves what it is for as it is.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        0 to 1.
    """
    gamma = np.exp(rng.uniform(-augment.contrast, augment.contrast))
    gain = 1 + rng.uniform(-augment.contrast, augment.contrast)
    offset = rng.uniform(-augment.brightness, augment.brightness)
    sigma = rng.uniform(0, augment.blur) if rng.random() < 0.5 else 0.0
    amplitude = rng.uniform(0, augment.noise)
    changed = image**gamma if augment.contrast else image
    mean = changed.mean()
    changed = (changed - mean) * gain + mean + offset
    # Drawn only where it is asked for, and where there is color: gray images come as three equal channels.
    if augment.color and np.ptp(image, axis=-1).any():
        changed = 1 - (1 - changed) * np.exp(rng.uniform(-augment.color, augment.color, size=3))
    if sigma > 0.2:
        changed = ndimage.gaussian_filter(changed, (sigma, sigma, 0))
    if amplitude > 0:
        # One value for all channels: gray images come as three equal ones.
        changed = changed + amplitude * rng.standard_normal((*changed.shape[:2], 1), dtype=np.float32)
    return np.asarray(np.clip(changed, 0, 1), dtype=np.float32)

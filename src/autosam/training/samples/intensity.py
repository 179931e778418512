"""Random intensities of a training tile: gray levels, color, sharpness and noise."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def change_intensity(
    image: NDArray[np.float32],
    rng: np.random.Generator,
    *,
    contrast: float = 0.0,
    brightness: float = 0.0,
    noise: float = 0.0,
    blur: float = 0.0,
    color: float = 0.0,
) -> NDArray[np.float32]:
    """Change gamma, contrast, brightness, color, sharpness and noise.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W, 3)
        0 to 1.
    rng : numpy Generator
    contrast, brightness, noise, blur, color : float
        Ranges as in `tiles.Augmentation`; 0 leaves the image as it is.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        0 to 1.
    """
    gamma = np.exp(rng.uniform(-contrast, contrast))
    gain = 1 + rng.uniform(-contrast, contrast)
    offset = rng.uniform(-brightness, brightness)
    sigma = rng.uniform(0, blur) if rng.random() < 0.5 else 0.0
    amplitude = rng.uniform(0, noise)
    changed = image**gamma if contrast else image
    mean = changed.mean()
    changed = (changed - mean) * gain + mean + offset
    # Drawn only where it is asked for, and where there is color: gray images come as three equal channels.
    if color and np.ptp(image, axis=-1).any():
        changed = 1 - (1 - changed) * np.exp(rng.uniform(-color, color, size=3))
    if sigma > 0.2:
        changed = ndimage.gaussian_filter(changed, (sigma, sigma, 0))
    if amplitude > 0:
        # One value for all channels: gray images come as three equal ones.
        changed = changed + amplitude * rng.standard_normal((*changed.shape[:2], 1), dtype=np.float32)
    return np.asarray(np.clip(changed, 0, 1), dtype=np.float32)

"""Made-up micrographs whose objects are known: nuclei on a dark ground, and texture as of electron micrographs."""

import numpy as np
from scipy import ndimage


def nuclei(side: int = 200, count: int = 10, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Round blurred nuclei of 90 to 150 on noise about 14: float image, labels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    labels, image = np.zeros((side, side), np.uint16), np.zeros((side, side))
    while labels.max() < count:
        row, column = rng.uniform(14, side - 14, 2)
        radius = rng.uniform(8, 12)
        distance = np.hypot(rows - row, columns - column)
        if labels[distance <= radius + 4].any():
            continue
        labels[distance <= radius] = labels.max() + 1
        image[distance <= radius] = rng.uniform(90, 150)
    return ndimage.gaussian_filter(image, 1.2) + rng.normal(14, 2.5, image.shape), labels


def tissue(side: int = 256, seed: int = 0) -> np.ndarray:
    """Texture of mean 130 and standard deviation 30 in pieces of 10 pixels, with noise of 15."""
    rng = np.random.default_rng(seed)
    texture = ndimage.gaussian_filter(rng.normal(size=(side, side)), 4)
    return 130 + 30 * texture / texture.std() + rng.normal(0, 15, (side, side))


def free_place(labels: np.ndarray, radius: float) -> np.ndarray:
    """Mask of a disk as far from all objects as one can be."""
    room = ndimage.distance_transform_edt(np.pad(labels == 0, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(np.argmax(room), labels.shape)
    rows, columns = np.mgrid[: labels.shape[0], : labels.shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2

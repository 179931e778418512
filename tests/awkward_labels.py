"""Labels that outlines and run lengths stumble over, for the tests of exports."""

import numpy as np
from matplotlib.path import Path as Outline
from scipy import ndimage
from skimage.measure import label


def _random(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = rng.integers(20, 50, 2)
    if seed == 0:
        return rng.integers(0, 4, shape)
    if seed == 1:
        return (rng.random(shape) < 0.6).astype(int)
    labels = np.asarray(label(ndimage.gaussian_filter(rng.normal(size=shape), 1.5) > 0))
    return labels * 7 if seed == 2 else labels


def _rings() -> np.ndarray:
    """A ring at the border around an object with a hole, in which a third lies."""
    labels = np.zeros((17, 23), np.uint16)
    labels[:15, :20] = 300
    labels[3:12, 3:17] = 0
    labels[5:11, 5:15] = 2
    labels[6:9, 7:12] = 0
    labels[7, 8] = 1
    return labels


def _diagonals() -> np.ndarray:
    """Two objects in a chess pattern, two whose hole meets the outside at a corner, one of two parts."""
    labels = np.zeros((12, 14), np.int64)
    labels[:4, :4] = np.indices((4, 4)).sum(axis=0) % 2 + 1
    labels[6:9, 1:4] = 5
    labels[7, 2] = labels[6, 3] = 0
    labels[1:4, 8:11] = 7
    labels[2, 9] = labels[3, 10] = 0
    labels[8:10, 8:10] = labels[10:, 10:12] = 9
    return labels


def _single(shape: tuple[int, int], value: int = 1) -> np.ndarray:
    labels = np.zeros(shape, np.uint32)
    labels[-1, -1] = value
    return labels


AWKWARD = {
    "empty": np.zeros((5, 8), np.uint8),
    "one pixel image": _single((1, 1)),
    "one pixel of a high id": _single((6, 4), 70_000),
    "filled": np.full((4, 6), 3, np.int32),
    "rings": _rings(),
    "diagonals": _diagonals(),
    **{f"random {seed}": _random(seed) for seed in range(4)},
}


def rasterized(objects: dict[int, list[np.ndarray]], shape: tuple[int, ...]) -> np.ndarray:
    """Paint objects, given as rings of (x, y), with matplotlib: a center in an odd number of rings is inside.

    No pixel may lie in two objects.
    """
    labels = np.zeros(shape, np.int64)
    rows, cols = np.indices(shape)
    centers = np.stack([cols.ravel() + 0.5, rows.ravel() + 0.5], axis=1)
    for number, rings in objects.items():
        inside = np.zeros(len(centers), bool)
        for ring in rings:
            inside ^= Outline(np.asarray(ring, float)).contains_points(centers)
        inside = inside.reshape(shape)
        assert not labels[inside].any()
        labels[inside] = number
    return labels

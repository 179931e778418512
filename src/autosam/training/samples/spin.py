"""Tiles turned by any angle and stretched, cut out of the middle of larger ones."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from autosam.prompts.prompt import Prompt
from autosam.training.samples.deform import Points, move_prompts

Matrix = NDArray[np.float64]
"""Shape (2, 2): takes steps in rows and columns of the tile to those of the larger one."""


def draw_matrix(*, rotate: float, stretch: float, rng: np.random.Generator) -> Matrix | None:
    """Draw how a tile is turned and stretched.

    Parameters
    ----------
    rotate : float
        Share of tiles that are turned, by up to 45 degrees: quarter turns do the rest.
    stretch : float
        Largest ratio of the zooms along two directions at right angles, at least 1.

    Returns
    -------
    ndarray of float64, shape (2, 2), or None
        None where nothing is drawn. Areas stay as they are.
    """
    angle = rng.uniform(-np.pi / 4, np.pi / 4) if rotate and rng.random() < rotate else 0.0
    half = rng.uniform(-np.log(stretch), np.log(stretch)) / 2 if stretch > 1 else 0.0
    if not angle and not half:
        return None
    sine, cosine = np.sin(angle), np.cos(angle)
    return np.array([[cosine, -sine], [sine, cosine]]) * np.exp([half, -half])


def margin_around(size: int, matrix: Matrix) -> int:
    """Pixels that a tile of this size needs on each side to be turned and stretched in its middle, at least 1."""
    return int(np.ceil(size * (np.abs(matrix).sum(axis=1).max() - 1) / 2)) + 1


def spin_tile(
    image: NDArray[np.float32],
    labels: NDArray[np.int32],
    prompts: Sequence[Prompt],
    *,
    matrix: Matrix,
    size: int,
) -> tuple[NDArray[np.float32], NDArray[np.int32], list[Prompt]]:
    """Turn and stretch a tile, its labels and its prompts together.

    Parameters
    ----------
    image : ndarray of float32, shape (S, S, C)
        S is the size and twice `margin_around`.
    labels : ndarray of int32, shape (S, S)
        Every pixel takes the id of the nearest one.
    prompts : sequence of Prompt
        In pixels of the larger tile.

    Returns
    -------
    image, labels, prompts
        Of shape (size, size, C) and (size, size). Where the objects of the larger tile would all be lost, or all
        that is known of it, the middle is taken as it is.
    """
    outer, inner = (len(labels) - 1) / 2, (size - 1) / 2
    steps = np.arange(size) - inner
    rows, cols = (down * steps[:, None] + (right * steps + outer) for down, right in matrix)
    spun = labels[np.rint(rows).astype(np.intp), np.rint(cols).astype(np.intp)]
    lost = any(not (spun >= least).any() and (labels >= least).any() for least in (0, 1))
    if lost and not np.array_equal(matrix, np.eye(2)):
        return spin_tile(image, labels, prompts, matrix=np.eye(2), size=size)
    # torch's own coordinates: x before y, -1 and 1 are the outer edges of the outer pixels.
    grid = torch.empty((size, size, 2), dtype=torch.float32)
    for axis, places in enumerate((cols, rows)):
        grid[..., axis] = torch.from_numpy((2 * places + 1) / len(labels) - 1)
    planes = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    sampled = F.grid_sample(planes, grid[None], padding_mode="border", align_corners=False)
    back = np.linalg.inv(matrix)

    def move(points: Points) -> Points:
        return np.asarray((points - outer) @ back.T + inner)

    turned = np.ascontiguousarray(sampled[0].permute(1, 2, 0).numpy())
    return turned, spun, move_prompts(prompts, move, size=size)

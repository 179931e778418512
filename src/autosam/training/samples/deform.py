"""Tiles cut, turned and bent, and the prompts that go with them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional as F

from autosam.images import Window
from autosam.prompts.prompt import Prompt
from autosam.prompts.resize import zoom_prompts
from autosam.training.samples.planes import cubic_weights

Points = NDArray[np.float64]
"""Rows and columns, shape (n, 2); integers are the centers of pixels."""

# Elastic deformation


def elastic_field(size: int, largest: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a smooth random displacement (Simard et al. 2003, "Best Practices for CNNs").

    Made as Ronneberger et al. 2015 ("U-Net") do: random vectors on a coarse grid, cubic in between. At the border
    of the tile the part across it fades, so that the tile is mapped onto itself: nothing from outside is needed,
    and no prompt gets lost.

    Parameters
    ----------
    size : int
        Side of the tile in pixels.
    largest : float
        Pixels; the largest shift of the field is drawn between 0 and this.

    Returns
    -------
    ndarray of float64, shape (2, size, size)
        Pixel (r, c) of the deformed tile shows what was at (r + field[0, r, c], c + field[1, r, c]).
    """
    # Nodes 8 shifts apart do not fold the tile over.
    nodes = max(3, int(size / max(size / 8, 8 * largest)) + 1)
    coarse, weights = rng.uniform(-1, 1, (1, 2, nodes, nodes))[0], cubic_weights(nodes, size).numpy()
    field = np.asarray(weights @ coarse @ weights.T)
    field *= rng.uniform(0, largest) / np.hypot(field[0], field[1]).max()
    ramp = np.minimum(np.arange(size), np.arange(size)[::-1]) / (4 * largest)
    field[0] *= np.minimum(ramp, 1)[:, None]
    field[1] *= np.minimum(ramp, 1)
    return field


def warp_image(image: NDArray[np.float32], field: NDArray[np.float64]) -> NDArray[np.float32]:
    """Deform an image of shape (S, S, C) with bilinear interpolation."""
    size = len(image)
    # torch's own coordinates: x before y, -1 and 1 are the outer edges of the outer pixels.
    grid = torch.empty((size, size, 2), dtype=torch.float32)
    places = np.arange(size)
    for axis, (start, shift) in enumerate(((places, field[1]), (places[:, None], field[0]))):
        grid[..., axis] = torch.from_numpy((2 * (start + shift) + 1) / size - 1)
    planes = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    warped = F.grid_sample(planes, grid[None], padding_mode="border", align_corners=False)
    return np.ascontiguousarray(warped[0].permute(1, 2, 0).numpy())


def warp_labels(labels: NDArray[np.int32], field: NDArray[np.float64]) -> NDArray[np.int32]:
    """Deform labels of shape (S, S): every pixel takes the id of the nearest one."""
    height, width = labels.shape
    rows = np.rint(np.arange(height)[:, None] + field[0]).astype(np.intp)
    cols = np.rint(np.arange(width) + field[1]).astype(np.intp)
    return np.asarray(labels.ravel()[rows * width + cols])


def warp_points(points: Points, field: NDArray[np.float64]) -> Points:
    """Give the places at which the deformed tile shows these points.

    The field is inverted by iterating q = p - field(q) (Chen et al. 2008, "A simple fixed-point approach to invert
    a deformation field").
    """
    moved = points
    for _ in range(20):
        shift = [ndimage.map_coordinates(part, moved.T, order=1, mode="nearest") for part in field]
        moved = points - np.stack(shift, axis=1)
    return moved


def bend_tile(
    image: NDArray[np.float32],
    labels: NDArray[np.int32],
    prompts: Sequence[Prompt],
    *,
    largest: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int32], list[Prompt]]:
    """Deform a tile, its labels and its prompts together by one random `elastic_field`."""
    size = len(labels)
    field = elastic_field(size, largest, rng)
    moved = move_prompts(prompts, partial(warp_points, field=field), size=size)
    return warp_image(image, field), warp_labels(labels, field), moved


# Mirrored edges


def part_pieces(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give every piece of an object an id of its own.

    An object and its mirror images would otherwise be one target, as large as the tile; a mirror image that
    touches the object stays one with it.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)

    Returns
    -------
    ndarray of int32, shape (H, W)
        Ids 1..n without gaps; each is one 8-connected component.
    """
    parted = np.zeros_like(labels)
    count = 0
    for object_id, crop in enumerate(ndimage.find_objects(labels), start=1):
        if crop is not None:
            pieces, found = ndimage.label(labels[crop] == object_id, structure=np.ones((3, 3)))
            parted[crop][pieces > 0] = pieces[pieces > 0] + count
            count += found
    return parted


# Prompts


def place_prompts(
    prompts: Sequence[Prompt], *, window: Window, size: int, quarter: int = 0, flip: bool = False
) -> list[Prompt]:
    """Take an image's prompts to a tile that was cut of it.

    Parameters
    ----------
    prompts : sequence of Prompt
        In whole-image pixels.
    window : Window
        Square; it was resized to `size`. Where it sticks out of the image, mirror images get no prompts.
    size : int
        Side of the tile in pixels.
    quarter, flip
        Turns by 90 degrees as those of `numpy.rot90`, and columns reversed after them.

    Returns
    -------
    list of Prompt
        Those that lie in the tile, see `move_prompts`; in tile pixels.
    """
    factor = size / window.height
    corner = np.array([window.row, window.col, window.row, window.col], dtype=np.float64)
    cut = [
        replace(prompt, points=prompt.points - corner[:2], box=None if prompt.box is None else prompt.box - corner)
        for prompt in prompts
    ]

    def turn(points: Points) -> Points:
        for _ in range(quarter):
            points = np.stack([size - 1 - points[:, 1], points[:, 0]], axis=1)
        return np.stack([points[:, 0], size - 1 - points[:, 1]], axis=1) if flip else points

    return move_prompts(zoom_prompts(cut, (factor, factor)), turn, size=size)


def move_prompts(prompts: Sequence[Prompt], move: Callable[[Points], Points], *, size: int) -> list[Prompt]:
    """Move prompts inside a tile and leave out those that leave it.

    Parameters
    ----------
    move : callable
        Gives for points of shape (n, 2), which may be none, the places that they go to.
    size : int
        Side of the tile in pixels.

    Returns
    -------
    list of Prompt
        Those with a positive point or the center of their box in the tile. Other points are left out; a box is
        the extent of the moved one's outline, clipped to the tile. Mask prompts are not carried along.
    """
    kept = []
    for prompt in prompts:
        points = move(prompt.points)
        inside = _inside(points, size)
        found = bool(inside[prompt.point_labels == 1].any())
        box = None
        if prompt.box is not None:
            outline = move(_outline(prompt.box))
            first, last = outline.min(axis=0), outline.max(axis=0)
            found = found or bool(_inside((first + last)[None] / 2, size)[0])
            if (first < size - 0.5).all() and (last >= -0.5).all():
                box = np.clip(np.concatenate([first, last]), 0, size - 1)
        if found:
            labels = prompt.point_labels[inside]
            kept.append(replace(prompt, points=points[inside], point_labels=labels, box=box, mask=None))
    return kept


def _inside(points: Points, size: int) -> NDArray[np.bool_]:
    return np.asarray(((points >= -0.5) & (points < size - 0.5)).all(axis=1))


def _outline(box: NDArray[np.float64]) -> Points:
    """Give points on the outline, at most a pixel apart."""
    rows, cols = (np.linspace(box[i], box[i + 2], int(np.ceil(box[i + 2] - box[i])) + 1) for i in (0, 1))
    sides = np.meshgrid(box[[0, 2]], cols), np.meshgrid(rows, box[[1, 3]])
    return np.concatenate([np.reshape(side, (2, -1)).T for side in sides])

"""SAM's own automatic prompts: a regular grid of single points."""

import numpy as np

from autosam.errors import ConfigError
from autosam.prompts.prompt import Prompt


def grid_prompts(shape: tuple[int, int], side: int) -> list[Prompt]:
    """Lay a grid of side × side points over an image, one in the middle of each of side × side equal parts.

    The points are those of segment_anything.utils.amg.build_point_grid, scaled to the image.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the image in pixels.
    side : int
        Number of points along each axis.

    Returns
    -------
    list of Prompt
        One positive point each, in raster order; empty for an image without pixels.

    Raises
    ------
    ConfigError
        If the side is less than 1.

    Examples
    --------
    >>> [prompt.points[0].tolist() for prompt in grid_prompts((4, 8), side=2)]
    [[1.0, 2.0], [1.0, 6.0], [3.0, 2.0], [3.0, 6.0]]
    """
    if side < 1:
        raise ConfigError(f"the grid has {side} points along a side, wanted 1 or more: give a count")
    height, width = shape
    if height < 1 or width < 1:
        return []
    offset = 1 / (2 * side)
    fractions = np.linspace(offset, 1 - offset, side)
    return [
        Prompt(points=np.array([[row, col]]), point_labels=np.ones(1, dtype=np.int64))
        for row in fractions * height
        for col in fractions * width
    ]

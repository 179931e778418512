"""One prompt: everything that SAM is told about one object."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ABSENT = -8.0
"""The logit of a pixel where the object certainly is not: sigmoid(-8) = 0.0003."""


@dataclass(frozen=True, eq=False)
class MaskPrompt:
    """Mask logits inside an object's bounding box; everywhere else the object is absent.

    Attributes
    ----------
    row, col : int
        The crop's first row and column in whole-image pixels.
    logits : ndarray of float32, shape (h, w)
        Natural-log odds of the object. Pixels of the crop that belong to other objects hold ``ABSENT``.
    """

    row: int
    col: int
    logits: NDArray[np.float32]

    def drawn(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Draw the logits into an image of this shape, float32 (H, W); ``ABSENT`` outside the crop.

        A crop that reaches over the image's border is cut there.
        """
        canvas = np.full(shape, ABSENT, dtype=np.float32)
        top, left = max(self.row, 0), max(self.col, 0)
        # A crop that lies wholly outside leaves nothing; a negative end would count from the wrong side.
        last_row, last_col = max(shape[0] - self.row, 0), max(shape[1] - self.col, 0)
        inside = self.logits[top - self.row : last_row, left - self.col : last_col]
        if inside.size:
            canvas[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
        return canvas


@dataclass(frozen=True, eq=False)
class Prompt:
    """Points, box and mask of one object, in (row, column) whole-image pixels.

    A coordinate (r, c) with integer values is the centre of pixel ``image[r, c]``.

    Attributes
    ----------
    points : ndarray of float64, shape (k, 2)
        Row and column of each point; (0, 2) where the object is given by its box or mask alone.
    point_labels : ndarray of int64, shape (k,)
        1 for a point on the object, 0 for one beside it (a negative).
    box : ndarray of float64, shape (4,), or None
        First row, first column, last row, last column; the last ones belong to the box (as SAM's do).
    mask : MaskPrompt or None
        The generator's own opinion of the object.
    foreground : float
        Mean foreground probability of the object in the generator's map, 0 to 1; 1 where no generator spoke.
    basin : int
        Id of the object in the basins' label image; 0 where the prompt does not come from a basin.
    quality : float or None
        How good an object the model's judge expects the basin to be, 0 to 1 (`models.judge`); None without one.
    """

    points: NDArray[np.float64]
    point_labels: NDArray[np.int64]
    box: NDArray[np.float64] | None = None
    mask: MaskPrompt | None = None
    foreground: float = 1.0
    basin: int = 0
    quality: float | None = None

    @property
    def certainty(self) -> float:
        """How sure it is, before SAM is asked, that there is such an object: the judge's word, or the map's."""
        return self.foreground if self.quality is None else self.quality

"""One prompt: everything that SAM is told about one object."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.prompts.region_logits import ABSENT, RegionLogits


class _Made:
    """A field that is an array, or makes it anew each time it is read."""

    def __get__(self, mask: "MaskPrompt | None", owner: type) -> NDArray[np.float32]:
        if mask is None:
            raise AttributeError("the field has no default")
        return np.asarray(mask.__dict__["logits"])

    def __set__(self, mask: "MaskPrompt", value: "NDArray[np.float32] | RegionLogits") -> None:
        mask.__dict__["logits"] = value


@dataclass(frozen=True, eq=False)
class MaskPrompt:
    """Mask logits in a crop around an object; everywhere else the object is absent.

    Attributes
    ----------
    row, col : int
        The crop's first row and column in whole-image pixels.
    logits : ndarray of float32, shape (h, w)
        Natural-log odds of the object. Pixels of the crop that belong to other objects hold ``ABSENT``. They can
        be given as `RegionLogits`: then they are made each time they are read.
    """

    row: int
    col: int
    logits: _Made = _Made()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the crop, without making the logits."""
        rows, cols = self.__dict__["logits"].shape
        return rows, cols

    def drawn(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Draw the logits into an image of this shape, float32 (H, W), cut at its border; ``ABSENT`` elsewhere."""
        canvas = np.full(shape, ABSENT, dtype=np.float32)
        top, left = max(self.row, 0), max(self.col, 0)
        # A negative end would count from the wrong side.
        last_row, last_col = max(shape[0] - self.row, 0), max(shape[1] - self.col, 0)
        inside = self.logits[top - self.row : last_row, left - self.col : last_col]
        if inside.size:
            canvas[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
        return canvas


@dataclass(frozen=True, eq=False)
class Prompt:
    """Points, box and mask of one object, in (row, column) whole-image pixels; integers are pixel centers.

    Attributes
    ----------
    points : ndarray of float64, shape (k, 2)
        Row and column of each point; (0, 2) where the object is given by its box or mask alone.
    point_labels : ndarray of int64, shape (k,)
        1 for a point on the object, 0 for one beside it (a negative).
    box : ndarray of float64, shape (4,), or None
        First row, first column, last row, last column; the last ones belong to the box (as SAM's do).
    mask : MaskPrompt or None
        The generator's logits of the object.
    foreground : float
        Mean foreground probability of the region, 0 to 1; 1 without a generator.
    region : int
        Id of the region; 0 where the prompt does not come from one.
    region_score : float or None
        The region score, 0 to 1 (`models.statistics.region_classifier`); None without a region classifier.
    """

    points: NDArray[np.float64]
    point_labels: NDArray[np.int64]
    box: NDArray[np.float64] | None = None
    mask: MaskPrompt | None = None
    foreground: float = 1.0
    region: int = 0
    region_score: float | None = None

    @property
    def certainty(self) -> float:
        """The region score, or without a region classifier the mean foreground probability."""
        return self.foreground if self.region_score is None else self.region_score


def check_prompts(prompts: Sequence[Prompt], shape: tuple[int, int]) -> None:
    """Raise `InputError` for what is no prompt, an empty one, or one outside an image of this shape."""
    if not isinstance(prompts, Sequence):
        raise InputError(f"prompts are of type {type(prompts).__name__}; wanted a list of Prompt")
    for number, prompt in enumerate(prompts):
        if not isinstance(prompt, Prompt):
            raise InputError(f"prompt {number} is of type {type(prompt).__name__}; wanted a Prompt")
        if not len(prompt.points) and prompt.box is None and prompt.mask is None:
            raise InputError(f"prompt {number} is empty; give it a point, a box or a mask")
        # The image ends half a pixel after its last row.
        places = np.concatenate(
            [prompt.points.reshape(-1, 2), np.reshape([] if prompt.box is None else prompt.box, (-1, 2))]
        )
        if not ((places >= -0.5) & (places <= np.array(shape) - 0.5)).all():
            raise InputError(
                f"prompt {number} lies outside the image of {shape[0]} × {shape[1]} pixels; give rows and columns "
                "of this image"
            )
        if prompt.box is not None and (prompt.box[:2] > prompt.box[2:]).any():
            raise InputError(
                f"the box of prompt {number} is {prompt.box.tolist()}; wanted first row, first column, last row, "
                "last column"
            )

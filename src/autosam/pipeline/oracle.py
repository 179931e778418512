"""An oracle: the truth chooses among SAM's masks. What comes out is an upper bound, never a result."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import ConfigError, InputError
from autosam.images import resize_nearest
from autosam.instances import MaskCrop
from autosam.pipeline.segmentation import Segmentation
from autosam.pipeline.segmenter import Segmenter
from autosam.pipeline.view import Image
from autosam.prompts import Prompt


@dataclass(frozen=True, eq=False)
class Oracle:
    """True objects, and how much of each a mask covers.

    Attributes
    ----------
    labels : ndarray of int32, shape (H, W)
        0 for background and 1..n for the objects.
    sizes : ndarray of intp, shape (n + 1,)
        Pixels of each id.
    """

    labels: NDArray[np.int32]
    sizes: NDArray[np.intp]

    @classmethod
    def of(cls, truth: NDArray[np.integer[Any]], shape: tuple[int, int]) -> "Oracle":
        """Take true labels of any ids, 0 for background, of an image of this shape.

        Raises
        ------
        InputError
            If they are no such labels.
        """
        if truth.dtype.kind not in "biu" or (truth.dtype.kind == "i" and truth.size and truth.min() < 0):
            raise InputError(
                f"the true labels are {truth.dtype}; wanted integers, 0 for background and ids above."
            )
        if truth.shape != shape:
            raise InputError(f"the true labels have shape {truth.shape}; wanted that of the image, {shape}.")
        ids, codes = np.unique(truth, return_inverse=True)
        labels = (codes.reshape(shape) + int(ids[0] != 0)).astype(np.int32)
        return cls(labels, np.bincount(labels.ravel()))

    def resized(self, shape: tuple[int, int]) -> "Oracle":
        """Give the same objects on another grid; an object that covers no pixel's center there has size 0."""
        labels = resize_nearest(self.labels, shape)
        return Oracle(labels, np.bincount(labels.ravel(), minlength=len(self.sizes)))

    def iou(self, crop: MaskCrop) -> float:
        """Give the highest IoU of a mask with any object; 0 where it covers none."""
        rows, columns = crop.mask.shape
        covered = self.labels[crop.row : crop.row + rows, crop.col : crop.col + columns][crop.mask]
        ids, shared = np.unique(covered[covered > 0], return_counts=True)
        return float((shared / (covered.size + self.sizes[ids] - shared)).max(initial=0.0))

    def choose(self, crops: Sequence[MaskCrop | None], preferred: int) -> int:
        """Give the index of the mask with the highest IoU with any object, ``preferred`` among equals."""
        ious = np.array([0.0 if crop is None else self.iou(crop) for crop in crops])
        return preferred if ious[preferred] == ious.max() else int(ious.argmax())

    def better(self, usual: Sequence[MaskCrop], others: Sequence[MaskCrop]) -> list[MaskCrop]:
        """Give, for every prompt, the mask with the higher IoU with any object, and the score of the usual one.

        There is at most one of each kind for a prompt. The usual one stays among equals, and so does its absence
        where the other covers no object.
        """
        own, found = ({crop.prompt: crop for crop in crops} for crops in (usual, others))
        chosen = []
        for index in sorted(own.keys() | found.keys()):
            pair = own.get(index), found.get(index)
            first, crop = pair[0], pair[self.choose(pair, preferred=0)]
            if crop is not None:
                chosen.append(crop if first is None else replace(crop, score=first.score))
        return chosen


def segment_with_oracle(
    segmenter: Segmenter,
    image: Image,
    truth: NDArray[np.integer[Any]],
    *,
    zoom: float | None = None,
    prompts: Sequence[Prompt] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Segmentation:
    """Segment an image where the truth chooses, for every prompt, among SAM's masks.

    Every prompt is answered by that mask, of the one that it has without an oracle and SAM's three, which has the
    highest IoU with any true object. The result is, prompt by prompt, an upper bound of what a better choice among
    the masks can give.

    Parameters
    ----------
    image, prompts, progress
        See `Segmenter.segment`.
    truth : ndarray of integers, shape (H, W)
        The true labels, 0 for background.
    zoom : float, optional
        By default 1: the zoom is not searched for.

    Raises
    ------
    InputError
        As `Segmenter.segment`, and if the truth holds no labels of this image.
    ConfigError
        As `Segmenter.segment`, and if ``decode.sam`` is off: there are no masks to choose from.
    """
    if not segmenter.config.decode.sam:
        raise ConfigError("an oracle chooses among SAM's masks, and decode.sam=false asks for none; change one")
    if segmenter.config.decode.sam == "prompted":
        # The truth chooses among answers, so that every prompt needs some.
        decode = segmenter.config.decode.model_copy(update={"sam": True})
        segmenter = segmenter.with_settings(segmenter.config.model_copy(update={"decode": decode}))
    view = segmenter.view(image, 1.0 if zoom is None else zoom)
    oracle = Oracle.of(truth, view.shape).resized(view.grid)
    maps = segmenter.predict(view)
    proposals = segmenter.propose(view, maps, prompts)

    def in_half(half: int) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, todo: progress(half * todo + done, 2 * todo)

    # Twice: only so does each way have its own windows, and no mask that is chosen is worse than the usual one.
    usual = segmenter.decode(view, proposals, alternatives=False, progress=in_half(0))
    others = segmenter.decode(view, proposals, choose=oracle.choose, progress=in_half(1))
    return segmenter.merge(view, maps, proposals, oracle.better(usual or [], others or []))

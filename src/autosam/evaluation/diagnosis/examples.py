"""The largest lost objects of each stage, cut out of their images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.evaluation.diagnosis.stages import ImageStages, Stage
from autosam.evaluation.diagnosis.trace import Trace

PER_STAGE = 4
"""Examples of each stage."""

SURROUNDINGS = 0.5
"""What is shown around an object on each side, as a share of the object's own side; at least `LEAST` pixels."""

LEAST = 16


@dataclass(frozen=True, eq=False)
class Example:
    """One lost object in its surroundings.

    Attributes
    ----------
    stage : Stage
        What lost it.
    image : str
        Name of the image.
    number : int
        Id of the object in the truth.
    size : int
        Its pixels.
    lines : tuple of str
        What is written below it.
    picture : ndarray of uint8, shape (h, w, 3)
        The image as the networks saw it.
    truth, mask : ndarray of bool, shape (h, w)
        The object, and the best mask that it got; empty where none overlaps it.
    regions, labels : ndarray of int32, shape (h, w)
        The generator's regions and the result.
    """

    stage: Stage
    image: str
    number: int
    size: int
    lines: tuple[str, ...]
    picture: NDArray[np.uint8]
    truth: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    regions: NDArray[np.int32]
    labels: NDArray[np.int32]


class Gallery:
    """Examples, collected image by image, so that no more than a few crops are held."""

    def __init__(self) -> None:
        self._of_stage: dict[Stage, list[Example]] = {stage: [] for stage in Stage if stage is not Stage.FOUND}

    def add(self, name: str, truth: NDArray[np.integer[Any]], trace: Trace, stages: ImageStages) -> None:
        """Take the lost objects of one image into account; all arrays lie on the image's own grid."""
        for stage, listed in self._of_stage.items():
            members = [number for number, own in enumerate(stages.stages) if own is stage]
            largest = sorted(members, key=lambda number: -int(stages.sizes[number]))[:PER_STAGE]
            listed += [_cut(name, truth, trace, stages, number) for number in largest]
            listed.sort(key=lambda example: -example.size)
            del listed[PER_STAGE:]

    def examples(self) -> list[Example]:
        """Give what was kept, stage by stage, the largest first; equals in the order of the images."""
        return [example for listed in self._of_stage.values() for example in listed]


def _cut(name: str, truth: NDArray[np.integer[Any]], trace: Trace, stages: ImageStages, number: int) -> Example:
    own = truth == stages.ids[number].astype(truth.dtype)
    window = tuple(
        slice(max(0, side.start - _around(side)), min(length, side.stop + _around(side)))
        for side, length in zip(ndimage.find_objects(own.astype(np.uint8))[0], truth.shape, strict=True)
    )
    mask = np.zeros(truth.shape, dtype=bool)
    if trace.masks is not None and stages.best_mask[number] >= 0:
        crop = trace.masks[stages.best_mask[number]]
        mask[crop.row : crop.row + crop.mask.shape[0], crop.col : crop.col + crop.mask.shape[1]] = crop.mask
    stage, fault = stages.stages[number], stages.faults[number]
    own_id, size = int(stages.ids[number]), int(stages.sizes[number])
    ious = [float(iou[number]) for iou in (stages.region_iou, stages.mask_iou, stages.label_iou)]
    lines = (
        f"{stage}: {fault}" if fault else f"{stage}",
        f"{name}, object {own_id}, {size} px",
        "IoU of region {:.2f}, mask {:.2f}, result {:.2f}".format(*ious),
    )
    return Example(
        stage=stage,
        image=name,
        number=own_id,
        size=size,
        lines=lines,
        picture=trace.result.picture[window].copy(),
        truth=own[window].copy(),
        mask=mask[window].copy(),
        regions=trace.result.regions[window].copy(),
        labels=trace.result.labels[window].copy(),
    )


def _around(side: slice) -> int:
    length: int = side.stop - side.start
    return max(LEAST, round(SURROUNDINGS * length))

"""Only what lies inside an area of the image: a mask or drawn regions that a user gives."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.pipeline.outputs import AnySource
from autosam.pipeline.segmentation import Segmentation

NM2_PER_MM2 = 1e12


class InsideSource(Protocol):
    """The area of every image, and a hash of all of them, as `evaluation.inside_masks.InsideMasks`."""

    @property
    def of(self) -> Callable[[AnySource, tuple[int, int]], NDArray[np.bool_]]:
        """Gives the mask of an image of this shape, (H, W)."""

    @property
    def sha256(self) -> str:
        """Hash of the masks or drawings of all images."""


def check_inside(inside: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Give the mask back, or raise an `InputError` unless it has the image's shape."""
    if inside.shape != shape:
        raise InputError(
            f"the mask of --inside has {inside.shape[0]} × {inside.shape[1]} pixels and the image "
            f"{shape[0]} × {shape[1]}; give a mask of the image's size"
        )
    return inside


def keep_inside(result: Segmentation, inside: NDArray[np.bool_]) -> Segmentation:
    """Keep the instances of which more than half the pixels lie inside, whole.

    Parameters
    ----------
    inside : ndarray of bool, shape (H, W)

    Returns
    -------
    Segmentation
        Ids are numbered anew, in the same order, and `Segmentation.inside` is set.

    Raises
    ------
    InputError
        If the mask has another shape than the image.
    """
    check_inside(inside, result.labels.shape)
    sizes = np.bincount(result.labels.ravel(), minlength=len(result.scores) + 1)
    there = np.bincount(result.labels[inside], minlength=len(sizes))
    kept = 2 * there > sizes
    kept[0] = False
    numbers = (np.cumsum(kept) * kept).astype(np.int32)
    return replace(
        result,
        labels=numbers[result.labels],
        scores=result.scores[kept[1:]],
        prompt_of=result.prompt_of[kept[1:]],
        inside=inside,
    )


def describe_inside(result: Segmentation, pixel_size_nm: float | None) -> dict[str, Any]:
    """Say for the record how large the area is; nothing where the whole image counts."""
    if result.inside is None:
        return {}
    pixels = int(np.count_nonzero(result.inside))
    area = {} if pixel_size_nm is None else {"inside_mm2": pixels * pixel_size_nm**2 / NM2_PER_MM2}
    return {"inside_px": pixels, **area}

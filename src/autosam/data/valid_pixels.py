"""The pixels of labeled images where labels are complete, so that something can be learnt and scored there."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.valid_masks import NO_MASKS, masks_in, misnamed_masks, read_mask, valid_beside

Mask = NDArray[np.bool_]


_WITHOUT = f"take their folder away, or set valid: {NO_MASKS} for the source in a training config"


def masks_of(names: Iterable[str], labels: Path, given: Path | None) -> dict[str, str]:
    """Find the masks of images by name; empty where there are none.

    Parameters
    ----------
    names : iterable of str
        Names of images.
    labels : Path
        The folder of their labels.
    given : Path, optional
        The folder of masks; its name "none" is for no masks. By default ``valid`` beside the labels, if it has one
        of the names.

    Raises
    ------
    InputError
        If the folder is missing, some of the images have a mask and others have none, or masks beside the labels
        have other names.
    """
    wanted = list(names)
    if given is not None and given.name == NO_MASKS:
        return {}
    there = valid_beside(labels) if given is None else masks_in(given)
    found = {name: there[name] for name in wanted if name in there}
    if not found and given is None and (misnamed := misnamed_masks(labels)):
        raise InputError(f"{misnamed}: rename them, {_WITHOUT}")
    lacking = [name for name in wanted if name not in found]
    if lacking and (found or given is not None):
        place = given or labels.resolve().parent / "valid"
        raise InputError(
            f"{len(lacking)} of {len(wanted)} images have no mask in {place}, such as {lacking[0]}: add them, "
            f"{_WITHOUT}"
        )
    return found


def read_mask_of(labels: NDArray[Any], mask: str | None) -> Mask | None:
    """Read the mask of labels from its file; an `InputError` if it cannot be read or has another size."""
    valid = None if mask is None else read_mask(mask)
    if valid is not None and valid.shape != labels.shape:
        raise InputError(f"the mask {mask} has shape {valid.shape} and the labels {labels.shape}")
    return valid


def split_ignored(
    labels: NDArray[Any], valid: Mask | None, *, ignore: int | None
) -> tuple[NDArray[Any], Mask | None]:
    """Part labels into ids and the pixels that count; None where all do.

    Parameters
    ----------
    labels : ndarray of integers
    valid : ndarray of bool, same shape, optional
        Where labels count, whatever they are.
    ignore : int, optional
        Number of pixels that do not count either; they become 0.
    """
    if ignore is None:
        return labels, valid
    outside = labels == ignore
    ids = np.where(outside, np.zeros((), labels.dtype), labels)
    return ids, ~outside if valid is None else valid & ~outside


def inside(ids: NDArray[np.int32], valid: Mask) -> tuple[NDArray[np.int32], Mask]:
    """Leave out what does not count, by the rules of `metrics.contingency_table`.

    Parameters
    ----------
    ids : ndarray of int32, shape (H, W)
        0 for background.
    valid : ndarray of bool, shape (H, W)

    Returns
    -------
    ids : ndarray of int32, shape (H, W)
        0 where the pixels do not count.
    valid : ndarray of bool, shape (H, W)
        Without objects of which more than half does not count.
    """
    n = int(ids.max(initial=0)) + 1
    within, beyond = (np.bincount(ids[where], minlength=n) for where in (valid, ~valid))
    ignored = beyond > within
    ignored[0] = False
    valid = valid & ~ignored[ids]
    return np.where(valid, ids, 0).astype(np.int32), valid

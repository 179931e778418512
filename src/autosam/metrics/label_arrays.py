"""What may come as labels: NumPy arrays of any kind, masked arrays, lists, and the tensors of other libraries."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autosam.errors import InputError

Labels = NDArray[np.integer] | NDArray[np.bool_]
Mask = NDArray[np.bool_]

# Larger whole numbers are not exact in float64, so two ids could have become one.
_EXACT = 2.0**53


def take_labels(
    pred: ArrayLike, truth: ArrayLike, *, valid: ArrayLike | None = None, ignore: int | None = None
) -> tuple[Labels, Labels, Mask | None]:
    """Make arrays of a prediction and its truth, and of the pixels of theirs that count.

    Parameters
    ----------
    pred, truth : array_like of equal shapes
        Integers, bool, or floating point with whole numbers: NumPy arrays, regular lists, or anything with
        ``__array__``, such as a tensor in the computer's own memory. Masked elements do not count.
    valid : array_like, same shape, optional
        Where labels count: anything but 0. By default everywhere.
    ignore : int, optional
        Id of the truth whose pixels do not count, such as 255 or -1.

    Returns
    -------
    pred, truth : ndarray of integer or bool
    valid : ndarray of bool, or None
        None where every pixel counts.

    Raises
    ------
    InputError
        If something is no array, has no axes, has another shape, or holds anything but whole numbers where it
        counts.
    """
    predicted, true = _as_array(pred, "prediction"), _as_array(truth, "truth")
    check_shapes(predicted.shape, true.shape)
    masks = [~np.ma.getmaskarray(side) for side in (predicted, true) if np.ma.isMaskedArray(side)]
    if valid is not None:
        masks.append(_as_mask(valid, true.shape))
    predicted, true = np.ma.getdata(predicted), np.ma.getdata(true)
    if ignore is not None:
        masks.append(true != ignore)
    counted: Mask | None = None
    for mask in masks:
        counted = mask if counted is None else counted & mask
    return _as_ids(predicted, "prediction", counted), _as_ids(true, "truth", counted), counted


def as_mask_array(mask: ArrayLike) -> NDArray[np.generic]:
    """Make an array of a mask; masked elements are 0. Errors are those of `take_labels`."""
    array = _as_array(mask, "mask")
    return np.asarray(np.ma.filled(array, 0)) if np.ma.isMaskedArray(array) else array


def check_shapes(pred: tuple[int, ...], truth: tuple[int, ...]) -> None:
    """Raise an `InputError` if a prediction and a truth have different shapes."""
    if pred != truth:
        raise InputError(
            f"the prediction has shape {pred} and the truth {truth}: both must cover "
            "the same pixels; crop or segment again at the truth's size"
        )


def _as_array(given: ArrayLike, side: str) -> NDArray[np.generic]:
    kind = type(given).__name__
    try:
        array = np.asanyarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        device = getattr(given, "device", None)
        place = "" if device is None else f" on {device}"
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"the {side} is a {kind}{place} and no array ({reason}): give a NumPy array, "
            "of a tensor labels.detach().cpu().numpy()"
        ) from error
    if array.ndim == 0 or array.dtype.kind not in "biuf":
        what = f"a {kind}" if array.ndim == 0 else f"a {kind} of dtype {array.dtype}"
        raise InputError(f"the {side} is {what}: give an array of integer ids with background 0")
    # Of a memory-mapped array this is a view; np.matrix has axes of its own.
    return array if np.ma.isMaskedArray(array) else np.asarray(array)


def _as_mask(given: ArrayLike, shape: tuple[int, ...]) -> Mask:
    mask = as_mask_array(given)
    if mask.shape != shape:
        raise InputError(
            f"the valid mask has shape {mask.shape} and the labels {shape}: give one value for every pixel"
        )
    return np.asarray(mask != 0)


def _as_ids(labels: NDArray[Any], side: str, counted: Mask | None) -> Labels:
    if labels.dtype.kind != "f":
        return labels
    values = labels.astype(np.float64)
    wrong = ~(np.abs(values) < _EXACT) | (values != np.rint(values))
    if counted is not None:
        # What stands at pixels that do not count may be anything, such as NaN.
        values[wrong & ~counted] = 0
        wrong &= counted
    if wrong.any():
        raise InputError(
            f"the {side} has dtype {labels.dtype} and holds {values[wrong].flat[0]:g}: labels are integer ids "
            "with background 0; convert probabilities to instances first"
        )
    return values.astype(np.int64)

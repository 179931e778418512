"""What a Python user gives for an image: arrays of any library, and nothing else that looks like one."""

from collections.abc import Sequence
from math import inf
from numbers import Real
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError

WANTED = "wanted an array of shape (H, W) or (H, W, 3), or a list of channels, each (H, W)"


def as_pixels(given: Any) -> NDArray[Any] | Sequence[NDArray[Any]]:
    """Give the arrays of an image or of its channels.

    Parameters
    ----------
    given : array or sequence of arrays
        Arrays of NumPy, or of another library that gives its memory to NumPy, such as tensors on the CPU.

    Raises
    ------
    InputError
        If it is no array, such as None, a file name or a list of numbers, or if some of its pixels are masked.
    """
    if isinstance(given, str | bytes | PathLike):
        raise InputError(f"the name of a file came as image ({given!r}); read it first: read_image({given!r}).")
    if isinstance(given, list | tuple):
        return [_as_array(channel, f"channel {number}") for number, channel in enumerate(given)]
    return _as_array(given, "the image")


def check_zoom(zoom: Any) -> None:
    """Refuse what is no zoom.

    Raises
    ------
    InputError
        If it is no number, or not above 0 and finite.
    """
    if not isinstance(zoom, Real) or not 0 < float(zoom) < inf:
        raise InputError(f"zoom is {zoom!r}; wanted a number above 0.")


def _as_array(given: Any, what: str) -> NDArray[Any]:
    if not hasattr(given, "__array__"):
        raise InputError(f"{what} is of type {type(given).__name__}; {WANTED}.")
    if np.ma.is_masked(given):
        raise InputError(f"{what} has masked pixels; say what they are: image.filled(0), or crop it.")
    try:
        return np.asarray(given)
    except (TypeError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{what} of type {type(given).__name__} gives no array ({reason}); {WANTED}.") from error

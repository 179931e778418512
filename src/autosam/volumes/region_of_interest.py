"""What users write of a volume: a part of it, and the size of its voxels."""

import math
import re
from collections.abc import Sequence

from autosam.errors import InputError
from autosam.images.units import VoxelSize

Roi = tuple[slice, slice, slice]
"""Slices, rows and columns; without ends, up to those of the volume."""

_SPAN = re.compile(r"\s*(\d*)\s*:\s*(\d*)\s*")


def parse_roi(text: str) -> Roi:
    """Read ``z0:z1,y0:y1,x0:x1``, which counts from 0 and ends before the second number; either may be left out.

    Raises
    ------
    InputError
        If the text is of another form, or a span is empty.

    Examples
    --------
    >>> parse_roi("2:10,:,100:")
    (slice(2, 10, None), slice(0, None, None), slice(100, None, None))
    """
    spans = [_SPAN.fullmatch(part) for part in text.split(",")]
    if len(spans) != 3 or None in spans:
        raise InputError(f"--roi is {text!r}; wanted z0:z1,y0:y1,x0:x1, such as 0:50,:,1000:3000.")
    found = [slice(int(span[1] or 0), int(span[2]) if span[2] else None) for span in spans if span is not None]
    for axis, span in zip("zyx", found, strict=True):
        if span.stop is not None and span.stop <= span.start:
            raise InputError(f"--roi is {text!r}, and {axis} ends before it begins; wanted {axis}0 < {axis}1.")
    z, y, x = found
    return z, y, x


def resolve_roi(roi: Roi, shape: tuple[int, int, int], name: object) -> Roi:
    """Give a part its ends.

    Raises
    ------
    InputError
        If it does not lie in a volume of this shape.
    """
    whole = []
    for axis, span, length in zip("zyx", roi, shape, strict=True):
        start, stop, _ = span.start or 0, length if span.stop is None else span.stop, span.step
        if not 0 <= start < stop <= length:
            raise InputError(
                f"{axis} {start}:{stop} was asked for, and {name} has {length} along {axis} (its shape in z, y, x "
                f"is {shape}); wanted a part of 0:{length}."
            )
        whole.append(slice(start, stop))
    z, y, x = whole
    return z, y, x


def parse_voxel_size(text: str) -> VoxelSize:
    """Read ``z,y,x`` in nm, or one number for all three.

    Raises
    ------
    InputError
        If a number is missing, is none, or is not above 0.

    Examples
    --------
    >>> parse_voxel_size("50,8,8"), parse_voxel_size("10")
    ((50.0, 8.0, 8.0), (10.0, 10.0, 10.0))
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    return check_voxel_size(numbers, text)


def check_voxel_size(numbers: Sequence[float], given: object) -> VoxelSize:
    """Refuse what is no voxel size: other than one or three finite numbers above 0."""
    found = [float(number) for number in numbers]
    found = found * 3 if len(found) == 1 else found
    if len(found) != 3 or not all(0 < number < math.inf for number in found):
        raise InputError(
            f"the voxel size is {given!r}; wanted z,y,x in nm, each above 0, such as 50,8,8, or one number."
        )
    z, y, x = found
    return z, y, x

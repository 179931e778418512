"""From what a file says to a volume to read from: the checks and notes that all formats share."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from autosam.errors import InputError
from autosam.images.units import Spacing, pixel_side
from autosam.volumes.storage import Storage
from autosam.volumes.volume_source import VolumeSource

# Of slices that look as if their axes were in another order.
_THIN = 128
_TIMES_SHORTER = 4


@dataclass(frozen=True)
class Found:
    """What is known of a volume before it is described.

    Attributes
    ----------
    name, shape, color, dtype, chunks, content, missing
        As of `VolumeSource`.
    spacing : tuple of float or None
        As far as the file says it.
    named : bool
        The file or the user says what the axes are.
    notes : tuple of str
        Those of the format.
    """

    name: str
    shape: tuple[int, int, int]
    color: bool
    dtype: np.dtype[Any]
    spacing: Spacing
    chunks: tuple[int, int, int]
    content: str
    named: bool = True
    missing: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def describe(found: Found, storage: Storage, *, labels: bool = False) -> VolumeSource:
    """Check what was found, and make a source of it.

    Raises
    ------
    InputError
        If it is empty, its numbers are no pixels, its axes seem to be in another order, or labels have colors.
    """
    if labels and found.color:
        raise InputError(f"{found.name} holds colors; wanted labels: one id for each pixel.")
    if 0 in found.shape:
        raise InputError(f"{found.name} has no voxels (shape {found.shape}); wanted a slice of a pixel at least.")
    if found.dtype.kind not in "biuf":
        raise InputError(
            f"{found.name} holds {found.dtype} values; wanted integers or floating point numbers: convert them."
        )
    if not found.named:
        _check_order(found)
    z, row, col = found.spacing
    depth, height, width = found.chunks
    dtype = np.dtype(np.uint8) if found.dtype.kind == "b" else found.dtype.newbyteorder("=")
    if labels and dtype.kind == "f":
        # Whole numbers, as ImageJ stores them.
        dtype = np.dtype(np.uint64)
    return VolumeSource(
        name=found.name,
        shape=found.shape,
        color=found.color,
        dtype=dtype,
        voxel_size=None if z is None or row is None or col is None else (z, row, col),
        pixel_size=None if row is None or col is None else pixel_side((row, col)),
        chunks=(min(depth, found.shape[0]), min(height, found.shape[1]), min(width, found.shape[2])),
        content=found.content,
        storage=storage,
        missing=found.missing,
        notes=found.notes,
        labels=labels,
    )


def unnamed(name: str, shape: tuple[int, ...], axes: str = "") -> InputError:
    """Say what to do about an array whose axes are not known, or are not those that were given."""
    came = f"{name} has shape {shape}, and nothing names its axes"
    came = f"{name} has shape {shape}, and the axes {axes!r} do not fit" if axes else came
    return InputError(
        f"{came}; wanted (Z, Y, X), or --axes with a letter of t, z, c, y, x for each, such as tzyx, and then "
        "--time or --channel."
    )


def _check_order(found: Found) -> None:
    """Refuse slices so thin that they are hardly slices."""
    depth, height, width = found.shape
    for side, others, axes in ((width, (depth, height), "yxz"), (height, (depth, width), "yzx")):
        if side <= _THIN and side * _TIMES_SHORTER <= min(others):
            raise InputError(
                f"{found.name} has shape {found.shape}, and nothing names its axes: {depth} slices of {height} × "
                f"{width} pixels? If z is the axis of {side}, give --axes {axes}; if it is the first, --axes zyx."
            )

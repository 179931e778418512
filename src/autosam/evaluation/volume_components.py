"""3D components of masks on disk, as labels that are read in parts."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.linking import VolumeLinks
from autosam.images.label_volume import LabelVolume, Region
from autosam.metrics.components import components

IGNORED = -1
"""What stands in components for voxels that do not count."""


def volume_components(
    mask: LabelVolume,
    *,
    min_size: int,
    ignore: int | None = None,
    numbers: Sequence[int] = (),
    voxels: int,
) -> LabelVolume:
    """Give the connected components of a volume, 26 neighbors, as `metrics.components` does for one in memory.

    The mask is read once here, and again with each part of the result. Memory holds some slices, and a number for
    each 2D component.

    Parameters
    ----------
    mask : LabelVolume
        Shape (Z, Y, X); anything but 0 and ``ignore`` is foreground.
    min_size : int
        Smallest component in voxels; smaller ones become background.
    ignore : int, optional
        Number of voxels that do not count; they become `IGNORED`.
    numbers : sequence of int
        Places of the slices where some between them are missing; slices on both sides of a gap do not touch.
    voxels : int
        Voxels that are read at a time, as far as the chunks on disk allow.
    """
    places = numbers or range(mask.shape[0])
    links = VolumeLinks(
        ((place, part) for place, part in zip(places, _parts(mask, ignore, voxels), strict=True)),
        min_size=min_size,
    )

    def load(region: Region) -> NDArray[Any]:
        whole = tuple(slice(0, n) for n in mask.shape[1:])
        block = mask.read((region[0], *whole), ignore=ignore)
        ids = np.empty(block.shape, np.int64)
        for z, out, stored in zip(count(region[0].start), ids, block, strict=False):
            out[...] = links.relabel(z, _components(stored, ignore))
            if ignore is not None:
                out[stored == ignore] = IGNORED
        return ids[(slice(None), *region[1:])]

    # Whole slices, so that none is divided into components twice.
    return LabelVolume(mask.name, mask.shape, (mask.chunks[0], *mask.shape[1:]), load)


def _parts(mask: LabelVolume, ignore: int | None, voxels: int) -> Iterator[NDArray[np.int32]]:
    depth, *plane = mask.shape
    step = mask.chunks[0] * max(1, voxels // (mask.chunks[0] * plane[0] * plane[1]))
    for start in range(0, depth, step):
        region = (slice(start, min(start + step, depth)), *(slice(0, n) for n in plane))
        for stored in mask.read(region, ignore=ignore):
            yield _components(stored, ignore)


def _components(stored: NDArray[Any], ignore: int | None) -> NDArray[np.int32]:
    return components(stored if ignore is None else (stored != 0) & (stored != ignore), min_size=1)

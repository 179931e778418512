"""The resolutions of a volume: their shapes, and how each is cut into chunks and regions."""

import math
from dataclasses import dataclass
from itertools import product

Size = tuple[int, int, int]
Region = tuple[slice, slice, slice]
"""Slices, rows and columns of a level."""

_CHUNK_VOXELS = 1 << 19
_REGION_VOXELS = 1 << 24
_CHUNK_DEPTH = 32
_SMALLEST = 256
"""Levels are added until no side is longer than this."""


@dataclass(frozen=True)
class StoreLevel:
    """One resolution.

    Attributes
    ----------
    shape : tuple of int
        (Z, Y, X).
    factors : tuple of int
        Voxels of the finest level that one voxel of this one stands for, along each axis.
    chunk : tuple of int
        What is compressed at once.
    region : tuple of int
        What is written at once by one task: a shard, or without shards as many chunks.
    """

    shape: Size
    factors: Size
    chunk: Size
    region: Size

    def regions(self) -> tuple[Region, ...]:
        """List the regions in raster order; the last ones of each axis can be smaller."""
        steps = [range(0, n, step) for n, step in zip(self.shape, self.region, strict=True)]
        return tuple(
            (
                slice(z, min(z + self.region[0], self.shape[0])),
                slice(y, min(y + self.region[1], self.shape[1])),
                slice(x, min(x + self.region[2], self.shape[2])),
            )
            for z, y, x in product(*steps)
        )


def plan_levels(
    shape: Size,
    voxel_size: tuple[float, float, float] | None,
    *,
    chunk: Size | None = None,
    region: Size | None = None,
    pyramid: bool = True,
) -> tuple[StoreLevel, ...]:
    """Plan the resolutions of a volume, the finest first.

    Each level halves rows and columns. It halves slices, too, where this brings a voxel nearer to a cube. A voxel
    of unknown size counts as a cube.

    Parameters
    ----------
    voxel_size : tuple of float, optional
        Spacing of slices, rows and columns in any unit.
    chunk, region : tuple of int, optional
        Shapes of chunk and region of the finest level, the second a multiple of the first. By default half a
        million voxels and 16 million, flatter where there are few slices.
    pyramid : bool
        False plans the finest level alone.

    Examples
    --------
    >>> [level.factors for level in plan_levels((100, 2000, 2000), (30.0, 8.0, 8.0))]
    [(1, 1, 1), (1, 2, 2), (1, 4, 4), (2, 8, 8)]
    """
    spacing = list(voxel_size or (1.0, 1.0, 1.0))
    factors = [1, 1, 1]
    here = shape
    levels = []
    while True:
        own = _fit(here, chunk) if chunk else _chunk(here)
        wanted = region if region and chunk else _region(own, here)
        levels.append(StoreLevel(here, (factors[0], factors[1], factors[2]), own, _multiple(wanted, own, here)))
        if not pyramid or max(here) <= _SMALLEST:
            return tuple(levels)
        plane = math.sqrt(spacing[1] * spacing[2])
        halved = [here[0] > 1 and spacing[0] <= plane * math.sqrt(2), here[1] > 1, here[2] > 1]
        if not any(halved[1:]):
            halved[0] = here[0] > 1
        for axis in range(3):
            if halved[axis]:
                factors[axis] *= 2
                spacing[axis] *= 2
        here = (-(-shape[0] // factors[0]), -(-shape[1] // factors[1]), -(-shape[2] // factors[2]))


def _chunk(shape: Size) -> Size:
    depth = min(shape[0], _CHUNK_DEPTH)
    side = 1 << int(math.log2(math.sqrt(_CHUNK_VOXELS / depth)))
    return _fit(shape, (depth, side, side))


def _fit(shape: Size, most: Size) -> Size:
    return (min(shape[0], most[0]), min(shape[1], most[1]), min(shape[2], most[2]))


def _region(chunk: Size, shape: Size) -> Size:
    depth = chunk[0] * 2 if shape[0] > chunk[0] else chunk[0]
    times = 1
    while depth * chunk[1] * chunk[2] * (2 * times) ** 2 <= _REGION_VOXELS:
        times *= 2
    return (depth, chunk[1] * times, chunk[2] * times)


def _multiple(wanted: Size, chunk: Size, shape: Size) -> Size:
    """Make a region whole chunks, and not larger than the volume needs."""
    sides = [
        max(1, min(want // own, -(-length // own))) * own
        for want, own, length in zip(wanted, chunk, shape, strict=True)
    ]
    return (sides[0], sides[1], sides[2])

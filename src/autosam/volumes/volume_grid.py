"""The grid of a volume: tiles that are segmented at once, and tasks that are groups of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from autosam.images.tile import Window, tile_windows

Part = tuple[slice, slice]
"""Rows and columns of a slice."""


@dataclass(frozen=True)
class GridTile:
    """A piece of every slice that is segmented at once.

    Attributes
    ----------
    index : int
        From 0, row by row.
    core : tuple of slice
        Rows and columns that this tile owns: the labels there are made from its objects. Cores share no pixel and
        cover a slice.
    window : tuple of slice
        Rows and columns that are segmented: the core and what is around it.
    """

    index: int
    core: Part
    window: Part

    @property
    def corner(self) -> tuple[int, int]:
        """First row and column of the window."""
        return self.window[0].start, self.window[1].start


@dataclass(frozen=True)
class VolumeTask:
    """A slab of slices in a block of tiles.

    Attributes
    ----------
    slab : range
        Its slices.
    tiles : tuple of int
        Indices of its tiles, rising.
    name : str
        Different for every task of one grid and one way to cut it; what its files are named after.
    """

    slab: range
    tiles: tuple[int, ...]
    name: str


@dataclass(frozen=True)
class VolumeGrid:
    """The tiles of a volume; they follow from its shape and two settings.

    Attributes
    ----------
    shape : tuple of int
        (Z, Y, X).
    window : int
        Side of a window in pixels; a slice that is not longer has one tile along that side.
    overlap : int
        Pixels that neighboring windows share at least.
    """

    shape: tuple[int, int, int]
    window: int
    overlap: int

    @cached_property
    def _windows(self) -> list[Window]:
        _, height, width = self.shape
        windows = tile_windows((height, width), size=self.window, overlap=self.overlap)
        # Where a side is shorter, windows end with it.
        return [Window(w.row, w.col, min(w.height, height - w.row), min(w.width, width - w.col)) for w in windows]

    @cached_property
    def counts(self) -> tuple[int, int]:
        """Tiles along rows and along columns."""
        return len({w.row for w in self._windows}), len({w.col for w in self._windows})

    @cached_property
    def tiles(self) -> tuple[GridTile, ...]:
        """All tiles, row by row."""
        rows = _cores(sorted({(w.row, w.height) for w in self._windows}), self.shape[1])
        cols = _cores(sorted({(w.col, w.width) for w in self._windows}), self.shape[2])
        return tuple(
            GridTile(
                index,
                (rows[window.row], cols[window.col]),
                (slice(window.row, window.row + window.height), slice(window.col, window.col + window.width)),
            )
            for index, window in enumerate(self._windows)
        )

    def neighbors(self) -> list[tuple[int, int]]:
        """List the pairs of tiles, lower index first, whose windows share pixels and whose cores touch.

        Diagonal neighbors count, as an object can lie across a corner.
        """
        across, (down, right) = self.counts[1], self.counts
        pairs = []
        for row in range(down):
            for col in range(right):
                here = row * across + col
                for other_row, other_col in (
                    (row, col + 1),
                    (row + 1, col - 1),
                    (row + 1, col),
                    (row + 1, col + 1),
                ):
                    if other_row < down and 0 <= other_col < right:
                        pairs.append((here, other_row * across + other_col))
        return pairs


@dataclass(frozen=True)
class TaskPlan:
    """One way to cut a volume into tasks.

    Attributes
    ----------
    grid : VolumeGrid
    slab : int
        Slices of a task.
    side : int
        Side of a block in pixels: as many whole tiles as fit, at least one.
    """

    grid: VolumeGrid
    slab: int
    side: int

    @property
    def _step(self) -> int:
        return max(1, self.side // self.grid.window)

    @cached_property
    def counts(self) -> tuple[int, int, int]:
        """Slabs, and blocks along rows and columns."""
        down, right = self.grid.counts
        return -(-self.grid.shape[0] // self.slab), -(-down // self._step), -(-right // self._step)

    def __len__(self) -> int:
        return prod(self.counts)

    def __iter__(self) -> Iterator[VolumeTask]:
        """Give all tasks: slab by slab, and blocks row by row."""
        for place in np.ndindex(self.counts):
            yield self._task(*place)

    def of(self, z: int, tile: int) -> VolumeTask:
        """Give the task that a tile of a slice belongs to."""
        row, col = divmod(tile, self.grid.counts[1])
        return self._task(z // self.slab, row // self._step, col // self._step)

    def covering(self, slices: range, tiles: Iterable[int]) -> list[VolumeTask]:
        """List the tasks that slices, as far as the volume has them, and tiles belong to."""
        inside = range(max(slices.start, 0), min(slices.stop, self.grid.shape[0]))
        firsts = sorted({z - z % self.slab for z in inside})
        found = {task.name: task for z in firsts for task in (self.of(z, tile) for tile in tiles)}
        return list(found.values())

    def _task(self, number: int, row: int, col: int) -> VolumeTask:
        (depth, _, _), (down, right) = self.grid.shape, self.grid.counts
        slab = range(number * self.slab, min((number + 1) * self.slab, depth))
        rows = range(row * self._step, min((row + 1) * self._step, down))
        cols = range(col * self._step, min((col + 1) * self._step, right))
        tiles = tuple(r * right + c for r in rows for c in cols)
        digits = len(str(depth - 1))
        return VolumeTask(
            slab, tiles, f"z{slab.start:0{digits}d}-{slab.stop - 1:0{digits}d}_t{tiles[0]}-{tiles[-1]}"
        )


def _cores(spans: Sequence[tuple[int, int]], length: int) -> dict[int, slice]:
    """Cut a side in the middle of each overlap; by the start of each window."""
    starts = [start for start, _ in spans]
    middles = [(start + count + after) // 2 for (start, count), after in zip(spans, starts[1:], strict=False)]
    borders = [0, *middles, length]
    return {start: slice(borders[i], borders[i + 1]) for i, start in enumerate(starts)}

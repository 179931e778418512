"""CZI of Zeiss's ZEN, by czifile: series, mosaics and resolution levels."""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import czifile
import imagecodecs
import numpy as np
from numpy.typing import NDArray

from autosam.images.formats import UnsupportedError, reading
from autosam.images.readers.series import Level, Series, SeriesReader
from autosam.images.units import Spacing, pixel_side

_LZW, _ZSTD, _ZSTD_WITH_HEADER = 2, 5, 6
# Dimensions that may be longer than 1: mosaic tiles are put together, blocks are parts of one acquisition.
_KNOWN = frozenset("XYZCTSMB")
# A ValueError since 2026.
_NO_SEGMENT: type[Exception] = getattr(czifile, "SegmentNotFoundError", ValueError)


@dataclass(frozen=True)
class _Block:
    """A subblock: pixels of one tile, at one place of each axis.

    ``start`` and ``shape`` are (row, column) in pixels of the full resolution, ``stored`` is the shape in the
    file.
    """

    entry: Any
    at: dict[str, int]
    start: tuple[int, int]
    shape: tuple[int, int]
    stored: tuple[int, int]

    @property
    def reduction(self) -> int:
        """How many pixels of the full resolution lie along one that is stored.

        The longer side tells: a tile at the margin may have a single row, and rounding counts there.
        """
        kept, full = max(zip(self.stored, self.shape, strict=True))
        return max(1, round(full / kept))


class CziReader(SeriesReader):
    """Reads what ZEN calls S, each a series; the tiles of a mosaic are put together, the later ones on top."""

    @contextmanager
    def open(self, path: Path, dataset: str | None) -> Iterator[Sequence[Series]]:
        """Read the directory of the subblocks and the metadata."""
        # czifile warns of damage, and goes on with what is left.
        with reading(path), warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            try:
                with czifile.CziFile(path) as file:
                    yield _found(file)
            except (_NO_SEGMENT, UserWarning) as error:
                raise ValueError(str(error)) from error


def _found(file: Any) -> list[Series]:
    blocks = [_block(file, entry) for entry in file.subblock_directory]
    if not blocks:
        raise UnsupportedError("no image is in it")
    root = ElementTree.fromstring(file.metadata())
    places = sorted({block.at.get("S", 0) for block in blocks})
    return [_series(file, [b for b in blocks if b.at.get("S", 0) == place], root) for place in places]


def _block(file: Any, entry: Any) -> _Block:
    """Read a directory entry of either generation of czifile, before and since 2026."""
    if hasattr(entry, "dimension_entries"):
        dimensions = entry.dimension_entries
    else:
        dimensions = entry.read_dimension_entries(file).values()
    start = {str(one.dimension): one.start for one in dimensions}
    size = {str(one.dimension): one.size for one in dimensions}
    stored = {str(one.dimension): one.stored_size or one.size for one in dimensions}
    long = [axis for axis in size if axis not in "XYM" and size[axis] > 1]
    other = [axis for axis in start if axis not in _KNOWN and start[axis] > 0]
    if long or other:
        found = ", ".join(sorted(long + other))
        raise UnsupportedError(f"it has the axes {found}; wanted x, y, z, channels, times and series")
    at = {axis: int(start[axis]) for axis in start if axis not in "XY"}
    rectangle = ((start["Y"], start["X"]), (size["Y"], size["X"]), (stored["Y"], stored["X"]))
    return _Block(entry, at, *rectangle)


def _series(file: Any, blocks: list[_Block], root: ElementTree.Element) -> Series:
    reductions = sorted({block.reduction for block in blocks})
    finest = [block for block in blocks if block.reduction == reductions[0]]
    top, left = (min(block.start[i] for block in finest) for i in (0, 1))
    rows, columns = (
        max(block.start[i] + block.shape[i] for block in finest) - corner for i, corner in ((0, top), (1, left))
    )
    first = {axis: min(block.at.get(axis, 0) for block in finest) for axis in "TZC"}
    length = {axis: len({block.at.get(axis, 0) for block in finest}) for axis in "TZC"}
    z, row, col = _spacing(root)
    side = None if row is None or col is None else pixel_side((row, col))
    levels = tuple(
        Level(
            (math.ceil(rows / n), math.ceil(columns / n)),
            None if side is None else side * n,
            (z, None if row is None else row * n, None if col is None else col * n),
        )
        for n in reductions
    )
    samples = _samples(blocks[0].entry)
    if samples > 1 and length["C"] > 1:
        raise UnsupportedError(
            f"its {length['C']} channels have colors; wanted gray channels, or one color picture"
        )
    by_level = [[block for block in blocks if block.reduction == n] for n in reductions]
    read = partial(_plane, file, by_level, reductions, levels, (top, left), first)
    names = _channel_names(root)
    return Series(
        levels,
        read,
        times=length["T"],
        depth=length["Z"],
        channels=length["C"],
        color=samples > 1,
        channel_names=names if len(names) == length["C"] and samples == 1 else (),
    )


def _plane(
    file: Any,
    by_level: list[list[_Block]],
    reductions: list[int],
    levels: tuple[Level, ...],
    corner: tuple[int, int],
    first: dict[str, int],
    level: int,
    time: int,
    z: int,
    channel: int,
) -> NDArray[Any]:
    """Put the tiles of one plane together; where no tile lies, it is 0."""
    at = {"T": first["T"] + time, "Z": first["Z"] + z, "C": first["C"] + channel}
    tiles = [block for block in by_level[level] if all(block.at.get(axis, 0) == at[axis] for axis in at)]
    if not tiles:
        raise ValueError(f"the plane of time {time}, z {z} and channel {channel} is missing")
    canvas: NDArray[Any] | None = None
    rows, columns = levels[level].shape
    for block in sorted(tiles, key=lambda block: block.at.get("M", 0)):
        pixels = _pixels(file, block)
        if canvas is None:
            canvas = np.zeros((rows, columns, *pixels.shape[2:]), dtype=pixels.dtype)
        row, col = ((block.start[i] - corner[i]) // reductions[level] for i in (0, 1))
        # Rounding may put the last pixel of a reduced tile outside.
        part = pixels[: max(0, rows - row), : max(0, columns - col)]
        canvas[row : row + part.shape[0], col : col + part.shape[1]] = part
    assert canvas is not None
    return canvas


def _pixels(file: Any, block: _Block) -> NDArray[Any]:
    """Decode a subblock: (H, W), or (H, W, 3) in the order red, green, blue."""
    entry = block.entry
    if hasattr(entry, "read_segment_data"):
        pixels = np.asarray(entry.read_segment_data(file).data())
    elif entry.compression in (_LZW, _ZSTD, _ZSTD_WITH_HEADER):
        pixels = _decode(entry.data_segment().data(raw=True), entry)
    else:
        pixels = np.asarray(entry.data_segment().data(resize=False))
    samples = _samples(entry)
    pixels = pixels.reshape(*block.stored, *((samples,) if samples > 1 else ()))
    return pixels[..., :3] if samples > 1 else pixels


def _decode(data: bytes, entry: Any) -> NDArray[Any]:
    """Decode what czifile before 2026 does not: Zstandard, and LZW with the NumPy of today.

    A header says whether the low and the high bytes of 16-bit pixels are apart. libCZI writes it so:
    https://github.com/ZEISS/libczi, files zstdCompress.cpp and DecoderZstd.cpp.
    """
    apart = False
    if entry.compression == _ZSTD_WITH_HEADER:
        size = data[0]
        apart = size > 1 and data[1] == 1 and bool(data[2] & 1)
        data = data[size:]
    decoded = imagecodecs.lzw_decode(data) if entry.compression == _LZW else imagecodecs.zstd_decode(data)
    if apart:
        low, high = np.frombuffer(decoded, dtype=np.uint8).reshape(2, -1)
        decoded = np.stack([low, high], axis=-1).tobytes()
    pixels: NDArray[Any] = np.frombuffer(decoded, dtype=np.dtype(entry.dtype).base)
    samples = _samples(entry)
    # Stored are blue, green, red.
    return pixels if samples == 1 else pixels.reshape(-1, samples)[:, [2, 1, 0, 3][:samples]]


def _samples(entry: Any) -> int:
    return int(entry.shape[-1])


def _spacing(root: ElementTree.Element) -> Spacing:
    """Read the scaling along z, y and x, in m."""
    steps: list[float | None] = []
    for axis in "ZYX":
        value = root.find(f".//Scaling/Items/Distance[@Id='{axis}']/Value")
        try:
            step = float("" if value is None else value.text or "") * 1e9
        except ValueError:
            step = 0.0
        steps.append(step if step > 0 else None)
    return steps[0], steps[1], steps[2]


def _channel_names(root: ElementTree.Element) -> tuple[str, ...]:
    """List the names of the image's channels; the display settings list them, too, and are left out."""
    channels = root.findall(".//Information/Image/Dimensions/Channels/Channel")
    names = tuple(channel.get("Name") or channel.get("Id") or "" for channel in channels)
    return names if all(names) else ()

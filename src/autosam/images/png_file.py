"""PNG files, written strip by strip, so that a large picture is never held a second time."""

import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _RGB = 0, 2
_SUB, _UP = 1, 2

_STRIP = 1 << 21
"""Bytes that are filtered and compressed at once."""

_LEVEL = 3
"""Level 6, the default, takes two to three times as long for files of about the same size."""


def save_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write pixels of 8 bits, (H, W, 3) or (H, W), none of the sides 0.

    Each row is told by its differences from the row above or from the pixel to the left, whichever are smaller in
    sum, as the standard recommends [1]_.

    References
    ----------
    .. [1] Portable Network Graphics (PNG) Specification, third edition, 12.7 Filter selection.
    """
    height, width = pixels.shape[:2]
    step = max(1, _STRIP // pixels[0].size)
    stream = zlib.compressobj(_LEVEL)
    with path.open("wb") as file:
        file.write(_SIGNATURE)
        color = _RGB if pixels.ndim == 3 else _GRAY
        # Then deflate, a filter for each row, no interlacing.
        _write_chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0))
        above = np.zeros_like(pixels[:1])
        for top in range(0, height, step):
            rows = pixels[top : top + step]
            _write_chunk(file, b"IDAT", stream.compress(_filtered(rows, above)))
            above = rows[-1:]
        _write_chunk(file, b"IDAT", stream.flush())
        _write_chunk(file, b"IEND", b"")


def _filtered(rows: NDArray[np.uint8], above: NDArray[np.uint8]) -> bytes:
    """Give the filter of each row and its differences modulo 256; ``above`` is the row over the first one."""
    up = rows - np.concatenate([above, rows[:-1]])
    left = np.array(rows)
    left[:, 1:] -= rows[:, :-1]
    up, left = up.reshape(len(rows), -1), left.reshape(len(rows), -1)
    chosen = _cost(up) <= _cost(left)
    filters = np.where(chosen, _UP, _SUB).astype(np.uint8)
    return np.concatenate([filters[:, None], np.where(chosen[:, None], up, left)], axis=1).tobytes()


def _cost(differences: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Add up each row's differences, taken as numbers from -128 to 127, without their sign."""
    # Of a byte and its negative, modulo 256, the smaller one is the distance from 0.
    cost: NDArray[np.int64] = np.minimum(differences, -differences).sum(axis=1, dtype=np.int64)
    return cost


def _write_chunk(file: IO[bytes], kind: bytes, data: bytes) -> None:
    # An empty piece of the picture is left out.
    if data or kind != b"IDAT":
        file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))

"""Parts of one page of a TIFF: only the strips and tiles that hold them are read."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from autosam.images.byte_cache import ByteCache
from autosam.images.mapped_file import MappedArray

# Decoding needs the tables of these from outside of a strip or tile, as tifffile does it.
_JPEG = (6, 7, 34892, 33007)

Page = tifffile.TiffPage | tifffile.TiffFrame


def pages_are_planes(series: tifffile.TiffPageSeries, axes: str, shape: tuple[int, ...]) -> bool:
    """Tell whether each page is a plane of a series with these axes, perhaps of one channel, read in parts."""
    key, length = series.keyframe, dict(zip(axes, shape, strict=True))
    # Not so where `layout_of` has found color in the pages' own columns.
    whole = all(length.get(axis, 1) == n for axis, n in zip(key.axes, key.shape, strict=True))
    outer = math.prod(n for axis, n in length.items() if axis not in key.axes)
    separate, depth, *_, contig = key.shaped
    simple = depth == 1 and 1 in (separate, contig)
    # Slides of Hamamatsu with one huge JPEG.
    one_jpeg = key.jpegheader is not None and key.is_tiled and 273 in key.tags
    return whole and len(series.pages) == outer and simple and not one_jpeg


def page_chunks(key: tifffile.TiffPage) -> tuple[int, int]:
    """Give the rows and columns that a page stores together."""
    if key.is_final:
        return 1, int(key.imagewidth)
    if key.is_tiled:
        return int(key.tilelength), int(key.tilewidth)
    return min(int(key.rowsperstrip), int(key.imagelength)), int(key.imagewidth)


def read_page_part(path: Path, page: Page, rows: slice, cols: slice, *, cache: ByteCache) -> NDArray[Any]:
    """Read a part of a page of `pages_are_planes` as stored, (H, W) or (H, W, samples).

    Parameters
    ----------
    cache : ByteCache
        Takes the strips and tiles that were decoded.
    """
    key = _key(page)
    if key.is_final:
        byteorder = key.parent.byteorder
        dtype = np.dtype(key.dtype).newbyteorder(byteorder).str
        found = MappedArray(path, dtype, page.dataoffsets[0], key.shaped)[:, 0, rows, cols]
    else:
        found = _decode_part(page, rows, cols, cache)
    # (separate samples, rows, columns, samples), and one of the two is 1.
    found = found[0] if found.shape[0] == 1 else np.moveaxis(found[..., 0], 0, -1)
    return found[..., 0] if found.shape[-1] == 1 else found


def _decode_part(page: Page, rows: slice, cols: slice, cache: ByteCache) -> NDArray[Any]:
    key = _key(page)
    separate, _, length, width, contig = key.shaped
    tall, wide = page_chunks(key)
    down, across = math.ceil(length / tall), math.ceil(width / wide)
    shape = (separate, rows.stop - rows.start, cols.stop - cols.start, contig)
    part = np.full(shape, key.nodata, dtype=key.dtype)
    for sample in range(separate):
        for row in range(rows.start // tall, math.ceil(rows.stop / tall)):
            for col in range(cols.start // wide, math.ceil(cols.stop / wide)):
                index = (sample * down + row) * across + col
                piece = cache.get(index, page.offset, partial(_decode, page, index))
                if piece.size:
                    _paste(piece, (row * tall, col * wide), part[sample], (rows.start, cols.start))
    return part


def _paste(piece: NDArray[Any], at: tuple[int, int], part: NDArray[Any], corner: tuple[int, int]) -> None:
    """Copy the pixels of a piece that lie in a part, both (rows, columns, samples) with their first pixels."""
    (first_row, end_row), (first_col, end_col) = (
        (max(at[i], corner[i]), min(at[i] + piece.shape[i], corner[i] + part.shape[i])) for i in (0, 1)
    )
    part[first_row - corner[0] : end_row - corner[0], first_col - corner[1] : end_col - corner[1]] = piece[
        first_row - at[0] : end_row - at[0], first_col - at[1] : end_col - at[1]
    ]


def _decode(page: Page, index: int) -> NDArray[Any]:
    """Read and decode a strip or tile, (rows, columns, samples); nothing where none is stored."""
    key, file = _key(page), page.parent.filehandle
    offset, count = page.dataoffsets[index], page.databytecounts[index]
    if not count:
        return np.zeros((0, 0, 0), key.dtype)
    file.seek(offset)
    data = file.read(count)
    if len(data) < count:
        raise ValueError(f"the file ends within its strip or tile {index}")
    tables = {"jpegtables": page.jpegtables, "jpegheader": key.jpegheader} if key.compression in _JPEG else {}
    decoded, _, _ = key.decode(data, index, **tables)
    return np.zeros((0, 0, 0), key.dtype) if decoded is None else np.asarray(decoded)[0]


def _key(page: Page) -> tifffile.TiffPage:
    """Give the page that describes this one."""
    key = page.keyframe
    assert key is not None, "pages of a series have one"
    return key

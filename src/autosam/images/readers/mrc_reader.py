"""MRC of electron microscopes and tomograms (also .mrcs, .rec, .st, .ali, .map), by mrcfile."""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from numpy.typing import NDArray

from autosam.images.formats import UnsupportedError, reading
from autosam.images.mapped_file import MappedArray
from autosam.images.readers.series import Level, Series, SeriesReader
from autosam.images.units import Spacing, pixel_side

# IMOD's own words of the header, at bytes 152 and 156: bio3d.colorado.edu/imod/doc/mrc_format.txt
_IMOD_STAMP = 1146047817
_IMOD_SIGNED = 1


class MrcReader(SeriesReader):
    """Reads the sections of a file, each an image.

    Modes 0 (bytes, signed unless IMOD's stamp says otherwise), 1, 2, 6 and 12 are read. Rows come as they are
    stored, the first row first. A stack of volumes is their sections one after the other.
    """

    @contextmanager
    def open(self, path: Path, dataset: str | None) -> Iterator[Sequence[Series]]:
        """Map the file; sections are read when they are asked for."""
        # Files of old programs lack the name of the format or the byte order; all pixels must be there.
        with reading(path):
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                file = mrcfile.mmap(path, mode="r", permissive=True)
            with file:
                if file.data is None:
                    reason = "; ".join(str(warning.message) for warning in said)
                    if "mode" in reason and "Map ID" not in reason:
                        raise UnsupportedError(f"{reason}; wanted mode 0, 1, 2, 6 or 12")
                    raise ValueError(reason or "it has no pixels")
                yield [_series(file, path)]


def _series(file: Any, path: Path) -> Series:
    header, data = file.header, file.data
    if data.dtype.kind == "c":
        raise UnsupportedError("it holds a Fourier transform (complex numbers); wanted an image")
    sections: NDArray[Any] = data.reshape(-1, *data.shape[-2:])
    unsigned = int(header.mode) == 0 and _stored_unsigned(path, header.mode.dtype.byteorder)
    shape = (int(sections.shape[1]), int(sections.shape[2]))
    level = Level(shape, _pixel_size(file), _spacing(file), (1, 1, shape[1]))
    dtype = np.dtype(np.uint8) if unsigned else sections.dtype
    # Bytes of the main header, and of the one of microscopes and programs after it.
    start = header.nbytes + int(header.nsymbt)
    mapped = MappedArray(path, dtype.str, start, sections.shape)
    return Series(
        (level,), partial(_section, sections, unsigned), partial(_part, mapped), dtype, depth=len(sections)
    )


def _section(sections: NDArray[Any], unsigned: bool, level: int, time: int, z: int, channel: int) -> NDArray[Any]:
    plane = np.array(sections[z])
    return plane.view(np.uint8) if unsigned else plane


def _part(
    mapped: MappedArray, level: int, time: int, channel: int, slices: slice, rows: slice, cols: slice
) -> NDArray[Any]:
    return mapped[slices, rows, cols]


def _pixel_size(file: Any) -> float | None:
    _, row, col = _spacing(file)
    return None if row is None or col is None else pixel_side((row, col))


def _spacing(file: Any) -> Spacing:
    """Read the voxel size, which is in Å, along z, y and x.

    IMOD writes 1 Å where it knows none. Where the axes are permuted, columns are not x.
    """
    size = file.voxel_size
    steps = float(size.z), float(size.y), float(size.x)
    if (int(file.header.mapc), int(file.header.mapr)) not in ((1, 2), (0, 0)) or steps[1] == steps[2] == 1:
        return None, None, None
    z, row, col = (0.1 * step if 0 < step < math.inf else None for step in steps)
    return z, row, col


def _stored_unsigned(path: Path, byteorder: str) -> bool:
    """Tell whether IMOD wrote the bytes of mode 0 as 0 to 255."""
    with path.open("rb") as file:
        header = file.read(160)
    stamp, flags = np.frombuffer(header[152:160], dtype=f"{byteorder}i4")
    return int(stamp) == _IMOD_STAMP and not int(flags) & _IMOD_SIGNED

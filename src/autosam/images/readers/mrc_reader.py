"""MRC of electron microscopes and tomograms (also .mrcs, .rec, .st, .ali, .map), by mrcfile."""

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
from autosam.images.readers.series import Level, Series, SeriesReader
from autosam.images.units import pixel_side

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
    level = Level((int(sections.shape[1]), int(sections.shape[2])), _pixel_size(file))
    return Series((level,), partial(_section, sections, unsigned), depth=len(sections))


def _section(sections: NDArray[Any], unsigned: bool, level: int, time: int, z: int, channel: int) -> NDArray[Any]:
    plane = np.array(sections[z])
    return plane.view(np.uint8) if unsigned else plane


def _pixel_size(file: Any) -> float | None:
    """Read the voxel size, which is in Å.

    IMOD writes 1 Å where it knows none. Where the axes are permuted, columns are not x.
    """
    if (int(file.header.mapc), int(file.header.mapr)) not in ((1, 2), (0, 0)):
        return None
    size = file.voxel_size
    row, col = float(size.y), float(size.x)
    return None if row == col == 1 else pixel_side((row, col), unit_nm=0.1)


def _stored_unsigned(path: Path, byteorder: str) -> bool:
    """Tell whether IMOD wrote the bytes of mode 0 as 0 to 255."""
    with path.open("rb") as file:
        header = file.read(160)
    stamp, flags = np.frombuffer(header[152:160], dtype=f"{byteorder}i4")
    return int(stamp) == _IMOD_STAMP and not int(flags) & _IMOD_SIGNED

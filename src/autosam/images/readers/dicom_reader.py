"""DICOM, by pydicom, and whole slides in DICOM, by wsidicom."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import wsidicom
import wsidicom.errors
from numpy.typing import NDArray
from pydicom.encaps import get_frame
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from autosam.images.formats import UnsupportedError, reading
from autosam.images.readers.series import Level, Series, SeriesReader
from autosam.images.units import pixel_side

_WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
_GRAY = ("MONOCHROME1", "MONOCHROME2")
_COLORS = ("RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_422")
_HEADER_ENDS_AT = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")

# JPEG Extended, two kinds of lossless JPEG, and two of JPEG-LS.
_GRAY_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "1.2.840.10008.1.2.4.51": imagecodecs.jpeg_decode,
    "1.2.840.10008.1.2.4.57": imagecodecs.ljpeg_decode,
    "1.2.840.10008.1.2.4.70": imagecodecs.ljpeg_decode,
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_decode,
    "1.2.840.10008.1.2.4.81": imagecodecs.jpegls_decode,
}
# wsidicom's errors have no base in common.
_DAMAGE: tuple[type[Exception], ...] = (
    BytesLengthException,
    InvalidDicomError,
    *(kind for kind in vars(wsidicom.errors).values() if isinstance(kind, type) and issubclass(kind, Exception)),
)


class DicomReader(SeriesReader):
    """Reads the frames of a file as z planes. Each file of a whole slide is one resolution, an image by itself.

    Values are as stored; no window and no rescaling is applied. MONOCHROME1 is inverted, so that large values are
    bright. A palette's colors are resolved.
    """

    @contextmanager
    def open(self, path: Path, dataset: str | None) -> Iterator[Sequence[Series]]:
        """Read the header."""
        with reading(path):
            try:
                with _quiet():
                    header = _header(path)
                    tiled = header.get("SOPClassUID") == _WHOLE_SLIDE and _is_tiled(header)
                    slide = wsidicom.WsiDicom.open(path) if tiled else None
                if slide is None:
                    with _quiet():
                        found = _series(path, header)
                    yield [found]
                else:
                    with slide:
                        yield [_slide(slide, header)]
            except _DAMAGE as error:
                raise ValueError(str(error) or type(error).__name__) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what pydicom warns of: values that autosam does not use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _header(path: Path) -> pydicom.Dataset:
    # Large values are read when they are asked for; pixels are not.
    header = pydicom.dcmread(path, defer_size=4096)
    if not any(name in header for name in _HEADER_ENDS_AT) or "Rows" not in header:
        raise UnsupportedError(f"it holds no image (modality {header.get('Modality', 'unknown')})")
    return header


def _is_tiled(header: pydicom.Dataset) -> bool:
    """Tell levels of a slide from its label, overview and thumbnail, which are one frame."""
    whole = header.get("TotalPixelMatrixRows"), header.get("TotalPixelMatrixColumns")
    return None not in whole and whole != (header.Rows, header.Columns)


def _series(path: Path, header: pydicom.Dataset) -> Series:
    meaning = str(header.get("PhotometricInterpretation", ""))
    if meaning not in _GRAY + _COLORS:
        raise UnsupportedError(f"its pixels are {meaning or 'of unknown meaning'}; wanted gray, RGB or a palette")
    side = _pixel_size(header)
    level = Level((int(header.Rows), int(header.Columns)), side, (_step_of_frames(header), side, side))
    frames = int(header.get("NumberOfFrames", None) or 1)
    return Series((level,), partial(_plane, path, header, meaning), depth=frames, color=meaning in _COLORS)


def _plane(
    path: Path, header: pydicom.Dataset, meaning: str, level: int, time: int, z: int, channel: int
) -> NDArray[Any]:
    with _quiet():
        pixels = _decoded(path, header, z)
    if meaning == "PALETTE COLOR":
        colors: NDArray[Any] = apply_color_lut(pixels, header)[..., :3]
        # Entries of 16 bits hold 8 significant ones, in the high byte.
        bytewise: NDArray[np.uint8] = (colors >> (8 if colors.dtype == np.uint16 else 0)).astype(np.uint8)
        return bytewise
    if meaning == "MONOCHROME1":
        return _inverted(pixels, int(header.BitsStored))
    return pixels


def _inverted(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    """Let the largest and the smallest value that the stored bits hold change places."""
    if pixels.dtype.kind == "f":
        inverted: NDArray[Any] = -pixels
    elif pixels.dtype.kind == "i":
        inverted = np.invert(pixels)
    else:
        inverted = (2**bits - 1) - pixels
    return inverted


def _decoded(path: Path, header: pydicom.Dataset, frame: int) -> NDArray[Any]:
    """Decode a frame: by pydicom, or by imagecodecs where pydicom's own plug-ins are GPL or missing."""
    syntax = header.file_meta.TransferSyntaxUID
    decode = _GRAY_DECODERS.get(str(syntax))
    if decode is None or header.SamplesPerPixel != 1:
        try:
            known = get_decoder(syntax).is_available
        except NotImplementedError:
            known = False
        if not known:
            raise UnsupportedError(f"its compression, {syntax.name}, is not supported; save it uncompressed")
        plane: NDArray[Any] = pixel_array(path, index=frame)
        return plane
    frames = int(header.get("NumberOfFrames", None) or 1)
    pixels: NDArray[Any] = decode(get_frame(header.PixelData, frame, number_of_frames=frames))
    if pixels.shape != (header.Rows, header.Columns):
        raise ValueError(f"frame {frame} has the shape {pixels.shape}")
    if header.PixelRepresentation:
        # Decoders give the bits; the sign is in the highest of those that are used.
        spare = pixels.itemsize * 8 - int(header.BitsStored)
        signed: NDArray[Any] = (pixels << spare).view(f"i{pixels.itemsize}") >> spare
        return signed
    return pixels


def _pixel_size(header: pydicom.Dataset) -> float | None:
    """Read row and column spacing, in mm: of the patient, of the slide, or of the detector."""
    for name in ("PixelSpacing", "NominalScannedPixelSpacing", "ImagerPixelSpacing"):
        if header.get(name):
            return _millimeters(header[name].value)
    try:
        measures = header.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        return _millimeters(measures.PixelSpacing)
    except (AttributeError, IndexError):
        return None


def _millimeters(spacing: Sequence[float]) -> float | None:
    return pixel_side((float(spacing[0]), float(spacing[1])), unit_nm=1e6) if len(spacing) == 2 else None


def _step_of_frames(header: pydicom.Dataset) -> float | None:
    """Read the distance of frames, in mm, where they are equally far apart."""
    try:
        step = float(header.get("SpacingBetweenSlices", None) or 0) * 1e6
    except (TypeError, ValueError):
        return None
    return step if step > 0 else None


def _slide(slide: wsidicom.WsiDicom, header: pydicom.Dataset) -> Series:
    shape = (int(header.TotalPixelMatrixRows), int(header.TotalPixelMatrixColumns))
    color = int(header.get("SamplesPerPixel", 3)) > 1
    chunks = (1, int(header.Rows), int(header.Columns))
    level = Level(shape, _pixel_size(header), chunks=chunks)
    return Series((level,), partial(_whole_slide, slide), partial(_region, slide), color=color)


def _whole_slide(slide: wsidicom.WsiDicom, level: int, time: int, z: int, channel: int) -> NDArray[Any]:
    size = slide.levels[0].size
    plane: NDArray[Any] = _region(
        slide, level, time, channel, slice(0, 1), slice(0, size.height), slice(0, size.width)
    )[0]
    return plane


def _region(
    slide: wsidicom.WsiDicom, level: int, time: int, channel: int, slices: slice, rows: slice, cols: slice
) -> NDArray[Any]:
    finest = slide.levels[0]
    size = (cols.stop - cols.start, rows.stop - rows.start)
    with _quiet():
        pixels = np.asarray(slide.read_region((cols.start, rows.start), finest.level, size, as_array=True))
    return (pixels if pixels.ndim == 2 else pixels[..., 0] if pixels.shape[2] == 1 else pixels[..., :3])[None]

"""The pixel size in an image's metadata."""

import math
from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree

import h5py
import numpy as np
import tifffile

from autosam.images.formats import HDF5_SUFFIXES, TIFF_SUFFIXES, choose_dataset, reading
from autosam.images.image_source import ImageSource
from autosam.images.readers import reader_of

LARGEST = 10_000.0
"""nm. Larger sizes come from scanners and paint programs: 72 dots per inch are 352,778 nm."""

_NM = {
    "nm": 1.0,
    "nanometer": 1.0,
    "µm": 1e3,
    "μm": 1e3,
    "um": 1e3,
    "micron": 1e3,
    "micrometer": 1e3,
    "\\u00b5m": 1e3,
    "å": 0.1,
    "angstrom": 0.1,
    "pm": 1e-3,
    "mm": 1e6,
    "cm": 1e7,
    "inch": 2.54e7,
    "m": 1e9,
}
# Attributes of HDF5 datasets (of Fiji and ilastik, of CREMI, of funlib, of others) and the unit of their numbers.
_ATTRIBUTES = (("element_size_um", "um"), ("resolution", "nm"), ("voxel_size", "nm"), ("pixel_size", "nm"))


def read_pixel_size(source: ImageSource) -> float | None:
    """Read the side of a pixel in nm: the geometric mean of row and column spacing.

    Read are OME-TIFF (PhysicalSizeX and Y of the first image), ImageJ's and plain TIFF (resolution tags), and the
    last two numbers of the HDF5 attributes ``element_size_um``, ``resolution``, ``voxel_size`` and ``pixel_size``
    (nm unless ``unit`` or ``units`` say otherwise). Other formats give what they say (`StoredImage`).
    None where the file says nothing of use (a spacing of 0, units of pixels, more than ``LARGEST``), or where rows
    and columns differ by more than a tenth.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    suffix = source.path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        with reading(source.path), tifffile.TiffFile(source.path) as file:
            return _ome(file.ome_metadata) if file.ome_metadata else _resolution(file)
    if suffix in HDF5_SUFFIXES:
        dataset, _ = choose_dataset(source.path, source.dataset)
        with reading(source.path), h5py.File(source.path, "r") as file:
            return attributes_pixel_size(file[dataset].attrs)
    images = reader_of(source.path).images(source.path, source.dataset, level=source.level)
    return images[source.page or 0].pixel_size_nm


def _ome(xml: str) -> float | None:
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return None
    pixels = root.find(".//{*}Pixels")
    if pixels is None:
        return None
    try:
        return _side(
            float(pixels.get(f"PhysicalSize{axis}", "")) * _NM[pixels.get(f"PhysicalSize{axis}Unit", "µm").lower()]
            for axis in "YX"
        )
    except (ValueError, KeyError):
        return None


def _resolution(file: tifffile.TiffFile) -> float | None:
    tags = file.pages.first.tags
    if "XResolution" not in tags or "YResolution" not in tags:
        return None
    tag = int(tags["ResolutionUnit"].value) if "ResolutionUnit" in tags else 2
    # ImageJ's own unit counts, not the tag's.
    unit = _NM.get(str((file.imagej_metadata or {}).get("unit", {2: "inch", 3: "cm"}.get(tag))).lower())
    if unit is None:
        return None
    values = [tags[name].value for name in ("YResolution", "XResolution")]
    if not all(pixels and lengths for pixels, lengths in values):
        return None
    return _side(unit * lengths / pixels for pixels, lengths in values)


def attributes_pixel_size(attributes: Any) -> float | None:
    """Read the side of a pixel in nm of the attributes of an array; see `read_pixel_size`."""
    for name, unit_name in _ATTRIBUTES:
        if name not in attributes:
            continue
        said = next((attributes[key] for key in ("unit", "units") if key in attributes), unit_name)
        said = said if isinstance(said, (str, bytes)) else np.ravel(said)[-1]
        unit = _NM.get((said.decode() if isinstance(said, bytes) else str(said)).lower())
        values = np.ravel(attributes[name])
        if unit is None or values.dtype.kind not in "iuf" or not values.size:
            return None
        return _side(float(value) * unit for value in np.broadcast_to(values[-2:], 2))
    return None


def _side(sides: Iterable[float]) -> float | None:
    row, col = sides
    if not (0 < row <= LARGEST and 0 < col <= LARGEST) or not 1 / 1.1 < row / col < 1.1:
        return None
    return math.sqrt(row * col)

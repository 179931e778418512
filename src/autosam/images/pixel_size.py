"""The pixel size in an image's metadata."""

from typing import Any

import numpy as np

from autosam.images.image_source import ImageSource
from autosam.images.readers import list_images
from autosam.images.units import LARGEST, Spacing, nm_of, pixel_side

# Attributes of HDF5 datasets (of Fiji and ilastik, of CREMI, of funlib, of others) and the unit of their numbers.
_ATTRIBUTES = (("element_size_um", "um"), ("resolution", "nm"), ("voxel_size", "nm"), ("pixel_size", "nm"))


def read_pixel_size(source: ImageSource) -> float | None:
    """Read the side of a pixel in nm: the geometric mean of row and column spacing.

    Read are TIFFs (`describe_series` says which headers), and the last two numbers of the HDF5 attributes
    ``element_size_um``, ``resolution``, ``voxel_size`` and ``pixel_size`` (nm unless ``unit`` or ``units`` say
    otherwise); of these no size above ``units.LARGEST``. Other formats give what they say (`StoredImage`). None
    where the file says nothing of use: a spacing of 0, units of pixels, or rows and columns that differ by over a
    tenth.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    images = list_images(source.path, source.dataset, level=source.level)
    return images[source.page or 0].pixel_size_nm


def attributes_pixel_size(attributes: Any) -> float | None:
    """Read the side of a pixel in nm of the attributes of an array; see `read_pixel_size`."""
    _, row, col = attributes_spacing(attributes)
    return None if row is None or col is None else pixel_side((row, col), largest=LARGEST)


def attributes_spacing(attributes: Any) -> Spacing:
    """Read the steps along z, y and x in nm of the attributes of an array.

    They are those of `read_pixel_size`, whose last three numbers count; a number alone counts for all three. A
    step that is 0 or less, or more than ``units.LARGEST``, is unknown.
    """
    for name, unit_name in _ATTRIBUTES:
        if name not in attributes:
            continue
        said = next((attributes[key] for key in ("unit", "units") if key in attributes), unit_name)
        texts = [said] if isinstance(said, (str, bytes)) else list(np.ravel(said)[-3:]) or [""]
        units = [nm_of(text if isinstance(text, bytes) else str(text)) for text in texts]
        values = np.ravel(attributes[name])
        if values.dtype.kind not in "iuf" or not values.size:
            break
        numbers, factors = (_last_three(list(found)) for found in (map(float, values), units))
        steps = [
            None if number is None or factor is None else number * factor
            for number, factor in zip(numbers, factors, strict=True)
        ]
        z, row, col = (step if step is not None and 0 < step <= LARGEST else None for step in steps)
        return z, row, col
    return None, None, None


def _last_three(values: list[float | None]) -> list[float | None]:
    """Repeat a single value; put None before two."""
    return values * 3 if len(values) == 1 else [None, *values][-3:]

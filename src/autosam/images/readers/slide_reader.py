"""Whole slides that are TIFF inside (SVS, NDPI, SCN, BIF), by tiffslide."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tiffslide
from numpy.typing import NDArray

from autosam.images.formats import UnsupportedError, reading
from autosam.images.readers.series import Level, Series, SeriesReader
from autosam.images.units import pixel_side


class SlideReader(SeriesReader):
    """Reads one level of a slide; label and macro images are left out."""

    @contextmanager
    def open(self, path: Path, dataset: str | None) -> Iterator[Sequence[Series]]:
        """Read the properties of the slide and its levels."""
        with reading(path):
            # tiffslide warns of vendors whose metadata it reads in part.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                slide = tiffslide.TiffSlide(path)
            with slide:
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        found = _series(slide)
                except NotImplementedError as error:
                    # Such as several focal planes.
                    raise UnsupportedError(f"its kind of slide is not supported ({error})") from error
                yield [found]


def _series(slide: tiffslide.TiffSlide) -> Series:
    properties = slide.properties
    row, col = (properties.get(f"tiffslide.mpp-{axis}") for axis in "yx")
    side = None if row is None or col is None else pixel_side((float(row), float(col)), unit_nm=1e3)
    color = properties["tiffslide.series-axes"] != "YX"
    levels = tuple(
        Level(
            (rows, columns),
            None if side is None else side * slide.level_downsamples[number],
            chunks=(1, *_tile(properties, number)),
        )
        for number, (columns, rows) in enumerate(slide.level_dimensions)
    )
    return Series(levels, partial(_plane, slide), partial(_part, slide), color=color)


def _tile(properties: Mapping[str, Any], level: int) -> tuple[int, int]:
    """Give the rows and columns of a tile; a guess where a slide does not tell."""
    rows, cols = (properties.get(f"tiffslide.level[{level}].tile-{side}") for side in ("height", "width"))
    return int(rows or 256), int(cols or 256)


def _plane(slide: tiffslide.TiffSlide, level: int, time: int, z: int, channel: int) -> NDArray[Any]:
    columns, rows = slide.level_dimensions[level]
    plane: NDArray[Any] = _part(slide, level, time, channel, slice(0, 1), slice(0, rows), slice(0, columns))[0]
    return plane


def _part(
    slide: tiffslide.TiffSlide, level: int, time: int, channel: int, slices: slice, rows: slice, cols: slice
) -> NDArray[Any]:
    columns, height = slide.level_dimensions[level]
    start, stop, _ = rows.indices(height)
    left, right, _ = cols.indices(columns)
    smaller = slide.level_downsamples[level]
    place = (_at_full_size(left, smaller), _at_full_size(start, smaller))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels: NDArray[Any] = np.asarray(
            slide.read_region(place, level, (right - left, stop - start), as_array=True)
        )
    return (pixels[..., 0] if pixels.shape[-1] == 1 else pixels[..., :3])[None]


def _at_full_size(at: int, smaller: float) -> int:
    """Give the place at full size that tiffslide takes for one at a level; it divides and rounds down."""
    place = math.ceil(at * smaller)
    return place if int(place / smaller) == at else place + 1

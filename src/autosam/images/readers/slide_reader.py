"""Whole slides that are TIFF inside (SVS, NDPI, SCN, BIF), by tiffslide."""

import warnings
from collections.abc import Iterator, Sequence
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
        # tiffslide warns of vendors whose metadata it reads in part.
        with reading(path), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with tiffslide.TiffSlide(path) as slide:
                try:
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
        Level((rows, columns), None if side is None else side * slide.level_downsamples[number])
        for number, (columns, rows) in enumerate(slide.level_dimensions)
    )
    return Series(levels, partial(_plane, slide), color=color)


def _plane(slide: tiffslide.TiffSlide, level: int, time: int, z: int, channel: int) -> NDArray[Any]:
    pixels: NDArray[Any] = np.asarray(
        slide.read_region((0, 0), level, slide.level_dimensions[level], as_array=True)
    )
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels[..., :3]

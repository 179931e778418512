"""HDF5: one dataset holds one image or a stack."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.images.formats import choose_dataset, open_hdf5, refuse_level
from autosam.images.pixel_size import attributes_pixel_size
from autosam.images.readers.stored import StoredImage


class Hdf5Reader:
    """Reads datasets of HDF5 files."""

    def images(self, path: Path, dataset: str | None, *, level: int = 0) -> tuple[StoredImage, ...]:
        """List the slices of a dataset; the dataset may be left out where it is the only one."""
        refuse_level(path, level)
        name, _ = choose_dataset(path, dataset)
        with open_hdf5(path, name) as (item, layout):
            side = attributes_pixel_size(item.attrs)
            # Nothing but their place tells colors, and detectors are seldom kept in a byte.
            color = layout.color and (not layout.said or item.dtype == np.uint8)
        places = np.ndindex(layout.length("t"), layout.length("z"))
        return tuple(
            StoredImage(
                (layout.length("y"), layout.length("x")),
                channels=layout.channels,
                color=color,
                undeclared=not layout.said and layout.channels in (2, 4),
                pixel_size_nm=side,
                z=z if layout.length("z") > 1 else None,
                time=t if layout.length("t") > 1 else None,
                dataset=name,
            )
            for t, z in places
        )

    def read(
        self, path: Path, dataset: str | None, number: int, *, channel: int | None = None, level: int = 0
    ) -> NDArray[Any]:
        """Read one slice."""
        refuse_level(path, level)
        name, _ = choose_dataset(path, dataset)
        with open_hdf5(path, name) as (item, layout):
            color = layout.color and (not layout.said or item.dtype == np.uint8)
            array = layout.read(item, number, channel)
        return array if array.ndim == 2 or color else np.ascontiguousarray(np.moveaxis(array, 2, 0))

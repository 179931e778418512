"""HDF5: one dataset holds one image or a stack."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.images.formats import choose_dataset, count_images, looks_like_color, read_hdf5, refuse_level
from autosam.images.readers.stored import StoredImage


class Hdf5Reader:
    """Reads datasets of HDF5 files."""

    def images(self, path: Path, dataset: str | None, *, level: int = 0) -> tuple[StoredImage, ...]:
        """List the slices of a dataset; the dataset may be left out where it is the only one."""
        refuse_level(path, level)
        name, shape = choose_dataset(path, dataset)
        color = looks_like_color(shape)
        rows, columns = shape[-3:-1] if color else shape[-2:]
        channels = shape[-1] if color else 1
        image = StoredImage(
            (rows, columns), channels=channels, color=channels == 3, undeclared=channels in (2, 4), dataset=name
        )
        return (image,) * count_images(shape)

    def read(
        self, path: Path, dataset: str | None, number: int, *, channel: int | None = None, level: int = 0
    ) -> NDArray[Any]:
        """Read one slice."""
        refuse_level(path, level)
        name, shape = choose_dataset(path, dataset)
        color = looks_like_color(shape)
        array = read_hdf5(path, name, number if len(shape) > (3 if color else 2) else None)
        if color:
            if array.shape[2] == 1:
                array = array[..., 0]
            elif channel is not None:
                array = array[..., channel]
            elif array.shape[2] != 3:
                array = np.moveaxis(array, 2, 0)
        return np.ascontiguousarray(array)

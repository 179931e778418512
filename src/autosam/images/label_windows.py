"""Label images of which windows are read, whatever their size."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.images.folder_listing import is_store
from autosam.images.formats import HDF5_SUFFIXES, TIFF_SUFFIXES, label_dataset, open_hdf5, reading
from autosam.images.label_files import read_labels
from autosam.images.label_volume import LabelVolume, Region
from autosam.images.tiff_stack import TiffStack


@contextmanager
def open_label_windows(path: Path) -> Iterator[LabelVolume]:
    """Open a label image that autosam wrote, (H, W), to read windows of it; valid within the ``with`` block.

    TIFF, HDF5 and Zarr are read by the strips, tiles or chunks that they are stored in; PNG is read here.

    Raises
    ------
    InputError
        If the file is missing or damaged, or holds no image.
    """
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        with reading(path):
            stack = TiffStack(path)
        try:
            shape = stack.length("y"), stack.length("x")
            yield LabelVolume(
                str(path), shape, stack.chunks[1:], lambda at: stack.read(slice(0, 1), *at, as_stored=True)[0]
            )
        finally:
            stack.close()
    elif suffix in HDF5_SUFFIXES:
        with open_hdf5(path, label_dataset(path, None)[0]) as (item, _):
            yield _of_array(path, item)
    elif is_store(path):
        # With zarr, a slow import.
        from autosam.images.zarr_labels import open_zarr_labels

        yield _of_array(path, open_zarr_labels(path).array)
    else:
        yield LabelVolume.of_array(str(path), read_labels(path))


def _of_array(path: Path, array: Any) -> LabelVolume:
    """Read an array of h5py or Zarr whose first axes have length 1."""
    before = (0,) * (len(array.shape) - 2)

    def load(at: Region) -> NDArray[Any]:
        return np.asarray(array[(*before, *at)])

    return LabelVolume(str(path), tuple(array.shape[-2:]), tuple((array.chunks or array.shape)[-2:]), load)

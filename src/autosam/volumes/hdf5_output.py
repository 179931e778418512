"""Labels of a volume as HDF5, written region by region from the store."""

import errno
import os
import shutil
from pathlib import Path

import h5py

from autosam.volumes.ome_zarr_output import LabelStore

_RESERVE = 64 << 20
"""Bytes that are left free: HDF5 takes the whole process down where it cannot write what it holds back."""


def write_hdf5(path: Path, store: LabelStore) -> None:
    """Write the finest level as dataset ``labels``, in chunks with gzip; a single slice is an image, (Y, X).

    The attribute ``element_size_um`` gives the spacing of slices, rows and columns in µm, as Fiji and ilastik do.
    It is missing where the voxel size is not known.

    Raises
    ------
    OSError
        If less than a region and 64 MB are free.
    """
    level = store.levels[0]
    first = 1 if level.shape[0] == 1 else 0
    with h5py.File(path, "w", rdcc_nbytes=0) as file:
        labels = file.create_dataset(
            "labels",
            shape=level.shape[first:],
            dtype=store.dtype,
            chunks=level.chunk[first:],
            compression="gzip",
            fillvalue=0,
        )
        if store.voxel_size is not None:
            labels.attrs["element_size_um"] = [nm / 1000 for nm in store.voxel_size[first:]]
        for region in store.regions():
            part = store.read(region)
            if shutil.disk_usage(path.parent).free < part.nbytes + _RESERVE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            if part.any():
                labels[region[first:]] = part[0] if first else part
            file.flush()

"""Which form a store on disk has."""

from pathlib import Path

from autosam.data.backend_hdf5 import Hdf5Backend
from autosam.data.backend_zarr import ZarrBackend
from autosam.data.backends import STORE_SUFFIXES, Backend, is_tiff_store
from autosam.errors import InputError
from autosam.images.formats import HDF5_SUFFIXES


def choose_backend(path: Path) -> Backend:
    """Choose the form of a store by its suffix: HDF5 or OME-Zarr.

    Raises
    ------
    InputError
        If the suffix is another one.
    """
    suffix = path.suffix.lower()
    if suffix in HDF5_SUFFIXES:
        return Hdf5Backend(path)
    if suffix == ".zarr":
        return ZarrBackend(path)
    if is_tiff_store(path):
        raise InputError(
            f"{path} is a store of TIFF pairs, a form that is no longer read; import its release again to .h5 or "
            f".zarr, or its files alone with `autosam data import {path} --source folder -o {path}.h5`."
        )
    raise InputError(f"{path} is not an autosam store; wanted a name ending in {', '.join(STORE_SUFFIXES)}.")

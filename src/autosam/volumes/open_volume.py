"""From what a user gives to a volume to read from."""

import glob
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from autosam.errors import InputError
from autosam.images.folder_listing import fault_of, is_store
from autosam.images.formats import HDF5_SUFFIXES, IMAGE_SUFFIXES, TIFF_SUFFIXES
from autosam.images.image_source import split_dataset
from autosam.images.readers import format_of
from autosam.images.readers.registry import PICTURE, ZARR
from autosam.images.units import VoxelSize, pixel_side
from autosam.images.urls import url_of
from autosam.volumes.choice import VolumeChoice
from autosam.volumes.region_of_interest import check_voxel_size
from autosam.volumes.source_arrays import open_array, open_hdf5_volume, open_npy
from autosam.volumes.source_folder import open_folder, open_pattern
from autosam.volumes.source_series import open_series
from autosam.volumes.source_tiff import open_tiff_volume
from autosam.volumes.volume_source import VolumeSource

NO_VOXEL_SIZE = "the voxel size is unknown, so nothing is measured in µm; give it with --voxel-size z,y,x in nm"


def open_volume(
    given: Any,
    *,
    voxel_size: VoxelSize | Sequence[float] | float | None = None,
    axes: str | None = None,
    channel: int | str | None = None,
    time: int | None = None,
    series: int | None = None,
    level: int = 0,
) -> VolumeSource:
    """Open a volume without reading it.

    Parameters
    ----------
    given : str, Path or array
        OME-Zarr, a Zarr array, an HDF5 dataset (``file.h5:/raw``), a TIFF, ``.npy``, MRC or another format of
        microscopes; a folder or a pattern of images, each a slice; or an array of NumPy, Zarr or dask,
        (Z, Y, X) or (Z, Y, X, 3). A single 2D image is a volume of one slice.
    voxel_size : sequence of float, optional
        Sides of a voxel along z, y and x in nm, or one number for all; by default as the file says.
    axes : str, optional
        A letter of ``tzcyx`` for each axis, such as ``yxz``; by default as the file says, or the usual order.
    channel, time, series, level : optional
        Which of them to take, counted from 0; channels also by name.

    Raises
    ------
    InputError
        If the file is missing or damaged, slices differ in size, or it is not clear which volume is meant.
    """
    choice = VolumeChoice(axes or "", channel, time, series, level)
    return _finish(_open(given, choice), voxel_size)


def open_label_volume(
    given: Any,
    *,
    voxel_size: VoxelSize | Sequence[float] | float | None = None,
    axes: str | None = None,
    channel: int | str | None = None,
    time: int | None = None,
    series: int | None = None,
) -> VolumeSource:
    """Open labels of slices without reading them.

    Parameters
    ----------
    given, voxel_size, axes, channel, time, series
        See `open_volume`. Of a folder those files are taken whose names end as labels do, such as
        ``NAME_labels.tif`` and ``NAME_cp_masks.tif``, or all where none does. In HDF5 the dataset ``labels`` or
        the only one is taken, in Zarr as `open_zarr_labels` does it.

    Returns
    -------
    VolumeSource
        What it reads are ids up to 64 bits, 0 for background: a palette's indices, not its colors. Ids of a folder
        are uint64, those of other formats as stored, and floating point numbers that are whole uint64.

    Raises
    ------
    InputError
        As of `open_volume`, or if there are colors. Negative and broken numbers are found when they are read.
    """
    choice = VolumeChoice(axes or "", channel, time, series, labels=True)
    return _finish(_open(given, choice), voxel_size)


def _open(given: Any, choice: VolumeChoice) -> VolumeSource:
    choice.check()
    if not isinstance(given, str | os.PathLike):
        return open_array(given, choice)
    path, dataset = split_dataset(os.fspath(given))
    if url_of(path) is not None:
        return open_series(path, dataset, choice)
    if path.is_dir() and not is_store(path):
        return open_folder(path, choice)
    if not os.path.lexists(path):
        if glob.has_magic(str(path)):
            return open_pattern(str(path), choice)
        raise InputError(
            f"{path}: no such file or folder; check the spelling (the current folder is {Path.cwd()})."
        )
    fault = fault_of(path)
    if fault is not None:
        raise InputError(f"{path} {fault}.")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return open_npy(path, choice)
    form = format_of(path)
    if form is None:
        raise InputError(f"{path}: unknown suffix {path.suffix!r}; known: {' '.join((*IMAGE_SUFFIXES, '.npy'))}.")
    if suffix in HDF5_SUFFIXES:
        return open_hdf5_volume(path, dataset, choice)
    if suffix in TIFF_SUFFIXES:
        return open_tiff_volume(path, choice)
    if form is PICTURE:
        return open_pattern(glob.escape(str(path)), choice)
    if form is ZARR and choice.labels:
        dataset = _labels_inside(path, dataset)
    return open_series(path, dataset, choice)


def _labels_inside(path: Path, dataset: str | None) -> str:
    """Find the labels in a Zarr store: an array, or the group of a label image, which knows the voxel size."""
    # With zarr, a slow import.
    from autosam.images.zarr_labels import labels_place

    return labels_place(path, dataset)


def _finish(source: VolumeSource, voxel_size: VoxelSize | Sequence[float] | float | None) -> VolumeSource:
    """Set the voxel size that was given, and add the notes that all formats share."""
    if voxel_size is not None:
        numbers = [voxel_size] if isinstance(voxel_size, int | float) else voxel_size
        given = check_voxel_size(numbers, voxel_size)
        source = replace(source, voxel_size=given, pixel_size=pixel_side(given[1:]))
    notes = list(source.notes)
    depth, height, width = source.shape
    if depth == 1:
        notes.insert(0, f"{source.name} is one image of {height} × {width} pixels: a volume of one slice")
    if source.voxel_size is None:
        notes.append(NO_VOXEL_SIZE)
    return replace(source, notes=tuple(notes))

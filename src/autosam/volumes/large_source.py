"""One image of a file as a volume of one slice, to be read window by window."""

from dataclasses import replace

from autosam.errors import InputError
from autosam.images.image_source import ImageSource
from autosam.images.readers import list_images
from autosam.images.urls import url_of
from autosam.volumes.open_volume import open_volume
from autosam.volumes.volume_source import VolumeSource


def open_large(source: ImageSource, *, pixel_size_nm: float | None = None) -> VolumeSource:
    """Open an image without reading it.

    Parameters
    ----------
    pixel_size_nm : float, optional
        Side of a pixel, in place of what the file says.

    Raises
    ------
    InputError
        If the file is missing or damaged, the image has several channels that are no colors, or is a page of a
        file whose pages cannot be read by parts.
    """
    image = list_images(source.path, source.dataset, level=source.level)[source.page or 0]
    place = url_of(source.path) or str(source.path)
    volume = open_volume(
        place if source.dataset is None else f"{place}:{source.dataset}",
        channel=source.channel,
        time=image.time,
        series=image.series,
        level=source.level,
    )
    if volume.shape[0] > 1:
        z = (source.page or 0) if image.z is None else image.z
        volume = volume.cut((slice(z, z + 1), slice(None), slice(None)))
    if volume.shape != (1, *image.shape):
        raise InputError(
            f"{source} has {image.shape[0]} × {image.shape[1]} pixels, and its file cannot be read by parts as "
            "that; save the image as a TIFF with tiles, or as OME-Zarr."
        )
    side = pixel_size_nm if pixel_size_nm is not None else image.pixel_size_nm
    voxel = None if side is None else (side, side, side)
    return replace(volume, name=str(source), voxel_size=voxel, pixel_size=side)

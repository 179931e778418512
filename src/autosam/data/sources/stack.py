"""A volume in one file: pages of a TIFF, planes of an HDF5 dataset or of another format, read one at a time."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.manifest import Split
from autosam.data.sources.release import ImageAndLabels, Slice, volume_slice
from autosam.errors import InputError
from autosam.images import ImageSource, read_image
from autosam.images.array_layout import looks_like_color
from autosam.images.folder_listing import is_store
from autosam.images.formats import (
    HDF5_SUFFIXES,
    TIFF_SUFFIXES,
    choose_dataset,
    count_images,
    read_hdf5,
)
from autosam.images.label_files import read_label_page
from autosam.images.readers import reader_of
from autosam.images.tiff import count_tiff_images
from autosam.images.valid_masks import as_mask, read_mask


@dataclass(frozen=True)
class Stack:
    """The images of a file or of a dataset of it; `single` where it is a single image, not a stack of one."""

    path: Path
    dataset: str | None
    length: int
    single: bool = False

    @classmethod
    def open(cls, path: Path, dataset: str | None = None) -> "Stack":
        """Count the images of a file without reading them; errors as of its reader."""
        if not path.is_file() and not is_store(path):
            raise InputError(f"{path}: no such file.")
        suffix = path.suffix.lower()
        if suffix in HDF5_SUFFIXES:
            name, shape = choose_dataset(path, dataset)
            single = len(shape) == (3 if looks_like_color(shape) else 2)
            return cls(path, name, count_images(shape), single=single)
        if suffix in TIFF_SUFFIXES:
            count = count_tiff_images(path)
            return cls(path, None, count, single=count == 1)
        images = reader_of(path).images(path, dataset)
        return cls(path, images[0].dataset or dataset, len(images), single=len(images) == 1)

    def read_labels(self, position: int) -> NDArray[Any]:
        """Read the ids of one image as stored."""
        return read_label_page(self.path, self.dataset, None if self.single else position)

    def read(self, position: int) -> NDArray[Any]:
        """Read one image as stored."""
        page = None if self.single else position
        if self.dataset is not None and self.path.suffix.lower() in HDF5_SUFFIXES:
            return np.asarray(read_hdf5(self.path, self.dataset, page))
        return read_image(ImageSource(self.path, self.dataset, page=page, pages=self.length))


def stack_slices(
    volume: str, image: Stack, labels: Stack | None, *, group: str = "", split: Split | None = None
) -> list[Slice]:
    """List the slices of a volume in two files, which must be equally many."""
    if labels is not None and labels.length != image.length:
        raise InputError(
            f"{image.path} has {image.length} slices and {labels.path} {labels.length}; wanted as many of each."
        )

    def reader(z: int) -> ImageAndLabels:
        return image.read(z), None if labels is None else labels.read_labels(z)

    return [
        volume_slice(volume, z, partial(reader, z), group=group, split=split, labeled=labels is not None)
        for z in range(image.length)
    ]


def mask_reader(mask: str | None) -> Callable[[], NDArray[np.bool_]] | None:
    """Give the function that reads the mask of a single image; None without one."""
    return None if mask is None else partial(read_mask, mask)


def with_masks(pages: list[Slice], mask: str | None) -> list[Slice]:
    """Give the slices of a volume the masks in one file, which must be equally many; None for no masks."""
    if mask is None:
        return pages
    stack = Stack.open(Path(mask))
    if stack.length != len(pages):
        raise InputError(f"{mask} has {stack.length} slices and the labels {len(pages)}; wanted as many of each.")

    def reader(z: int) -> NDArray[np.bool_]:
        return as_mask(stack.read_labels(z), f"{mask}[{z}]")

    return [replace(page, valid=partial(reader, z)) for z, page in enumerate(pages)]

"""Any folder pair: images in one folder, labels of the same names in another, or beside them."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autosam.data.folder_files import (
    IMAGE_FOLDERS,
    LABEL_FOLDERS,
    find_pair,
    images_of,
    label_files_of,
    read_candidates,
    unused_labels,
)
from autosam.data.manifest import as_name
from autosam.data.refusal import refuse_faults
from autosam.data.sources.release import ImageAndLabels, Release, ReleaseReader, Request, Slice, volume_slice
from autosam.data.sources.release_files import by_number, pair_up, read_pair
from autosam.data.sources.stack import Stack, stack_slices
from autosam.data.valid_pixels import masks_of
from autosam.errors import InputError
from autosam.images import read_image, read_labels
from autosam.images.formats import PLAIN_SUFFIXES
from autosam.images.label_names import without_suffix
from autosam.images.valid_masks import as_mask, read_mask


class FolderPair(ReleaseReader):
    """`IMAGES LABELS`, or a folder with `images/` and `labels/`; see `images.label_names` for the names."""

    name = "folder"
    layout = (
        f"IMAGES LABELS, or a folder with one of {', '.join(IMAGE_FOLDERS)} and one of {', '.join(LABEL_FOLDERS)}"
        ", or one folder of NAME.tif and NAME_labels.tif"
    )
    takes_labels = True
    takes_stack = True

    def _sniff(self, request: Request) -> bool:
        if not request.path.is_dir():
            return False
        if request.labels is not None:
            return Path(request.labels).is_dir()
        images, labels = _folders(request.path)
        return images.is_dir() and labels.is_dir()

    def _open(self, request: Request) -> Release:
        if request.labels is not None:
            images, labels = request.path, Path(request.labels)
        else:
            images, labels = _folders(request.path)
            if not images.is_dir() or not labels.is_dir():
                raise self._nothing(request.path)
        slices = _one_volume(request, images, labels) if request.stack else _pairs(images, labels, request.ignore)
        return Release(self.name, slices, "ids-2d")


def _folders(path: Path) -> tuple[Path, Path]:
    return find_pair(path, IMAGE_FOLDERS[0], LABEL_FOLDERS[0])


def _pairs(images: Path, labels: Path, ignore: int | None) -> list[Slice]:
    image_files = images_of(images, labels)
    label_files = label_files_of(image_files, labels, beside=images.resolve() == labels.resolve())
    faults = [f"{file} has no labels" for stem, file in image_files.items() if stem not in label_files]
    faults += [f"{file} has no image" for file in unused_labels(image_files, label_files, labels)]
    refuse_faults(faults, "the folder pair")
    masks = masks_of(image_files, labels, None)
    slices: list[Slice] = []
    for stem, image in image_files.items():
        name, truth, mask = as_name(stem), label_files[stem], masks.get(stem)
        stack = None if image.suffix.lower() in PLAIN_SUFFIXES else Stack.open(image)
        if stack is not None and stack.length > 1:
            pages = stack_slices(name, stack, Stack.open(truth[0]))
            slices += pages if mask is None else _with_masks(pages, Path(mask))
            continue
        slices.append(Slice(name, partial(_read, image, truth, ignore), valid=_mask_reader(mask)))
    return slices


def _read(image: Path, labels: list[Path], ignore: int | None) -> ImageAndLabels:
    return read_image(image), read_candidates(labels, ignore=ignore)


def _mask_reader(mask: str | Path | None) -> Callable[[], NDArray[np.bool_]] | None:
    return None if mask is None else partial(read_mask, mask)


def _with_masks(pages: list[Slice], mask: Path) -> list[Slice]:
    stack = Stack.open(mask)
    if stack.length != len(pages):
        raise InputError(f"{mask} has {stack.length} slices and the labels {len(pages)}; wanted as many of each.")

    def reader(z: int) -> NDArray[np.bool_]:
        return as_mask(stack.read_labels(z), f"{mask}[{z}]")

    return [replace(page, valid=partial(reader, z)) for z, page in enumerate(pages)]


def _one_volume(request: Request, images: Path, labels: Path) -> list[Slice]:
    volume = as_name(request.path.resolve().name)
    pairs = list(pair_up(by_number(images), by_number(labels), source=volume))
    names = {image: without_suffix(image.name) for _, image, _ in pairs}
    masks = masks_of(names.values(), labels, None)
    read = partial(read_labels, ignore=request.ignore)
    return [
        replace(
            volume_slice(volume, z, partial(read_pair, image, truth, read)),
            valid=_mask_reader(masks.get(names[image])),
        )
        for z, image, truth in pairs
    ]

"""Any folder pair: images in one folder, labels of the same names in another, or beside them."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from autosam.data.folder_files import (
    IMAGE_FOLDERS,
    LABEL_FOLDERS,
    find_pair,
    images_of,
    label_files_of,
    unused_labels,
)
from autosam.data.manifest import as_name
from autosam.data.refusal import refuse_faults
from autosam.data.sources.release import Release, ReleaseReader, Request, Slice, volume_slice
from autosam.data.sources.release_files import by_number, pair_up, read_image_and_candidates, read_pair
from autosam.data.sources.stack import Stack, mask_reader, stack_slices, with_masks
from autosam.data.valid_pixels import masks_of
from autosam.images import read_labels
from autosam.images.formats import PLAIN_SUFFIXES
from autosam.images.label_names import without_suffix


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
            slices += with_masks(stack_slices(name, stack, Stack.open(truth[0])), mask)
            continue
        slices.append(
            Slice(name, partial(read_image_and_candidates, image, truth, ignore), valid=mask_reader(mask))
        )
    return slices


def _one_volume(request: Request, images: Path, labels: Path) -> list[Slice]:
    volume = as_name(request.path.resolve().name)
    pairs = list(pair_up(by_number(images), by_number(labels), source=volume))
    names = {image: without_suffix(image.name) for _, image, _ in pairs}
    masks = masks_of(names.values(), labels, None)
    read = partial(read_labels, ignore=request.ignore)
    return [
        replace(
            volume_slice(volume, z, partial(read_pair, image, truth, read)),
            valid=mask_reader(masks.get(names[image])),
        )
        for z, image, truth in pairs
    ]

"""Any folder pair: images in one folder, labels of the same names in another, or beside them."""

from functools import partial
from pathlib import Path

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
from autosam.images import read_image
from autosam.images.formats import PLAIN_SUFFIXES


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
        slices = _one_volume(request.path, images, labels) if request.stack else _pairs(images, labels)
        return Release(self.name, slices, "ids-2d")


def _folders(path: Path) -> tuple[Path, Path]:
    return find_pair(path, IMAGE_FOLDERS[0], LABEL_FOLDERS[0])


def _pairs(images: Path, labels: Path) -> list[Slice]:
    image_files = images_of(images, labels)
    label_files = label_files_of(image_files, labels, beside=images.resolve() == labels.resolve())
    faults = [f"{file} has no labels" for stem, file in image_files.items() if stem not in label_files]
    faults += [f"{file} has no image" for file in unused_labels(image_files, label_files, labels)]
    refuse_faults(faults, "the folder pair")
    slices: list[Slice] = []
    for stem, image in image_files.items():
        name, truth = as_name(stem), label_files[stem]
        stack = None if image.suffix.lower() in PLAIN_SUFFIXES else Stack.open(image)
        if stack is not None and stack.length > 1:
            slices += stack_slices(name, stack, Stack.open(truth[0]))
            continue
        slices.append(Slice(name, partial(_read, image, truth)))
    return slices


def _read(image: Path, labels: list[Path]) -> ImageAndLabels:
    return read_image(image), read_candidates(labels)


def _one_volume(path: Path, images: Path, labels: Path) -> list[Slice]:
    volume = as_name(path.resolve().name)
    return [
        volume_slice(volume, z, partial(read_pair, image, truth))
        for z, image, truth in pair_up(by_number(images), by_number(labels), source=volume)
    ]

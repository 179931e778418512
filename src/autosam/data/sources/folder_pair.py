"""Any folder pair: images in one folder, labels of the same names in another."""

from functools import partial
from pathlib import Path

from autosam.data.manifest import as_name
from autosam.data.sources.release import Release, ReleaseReader, Request, Slice, volume_slice
from autosam.data.sources.release_files import by_number, child, pair_up, read_pair
from autosam.data.sources.stack import Stack, stack_slices
from autosam.images.formats import TIFF_SUFFIXES
from autosam.images.source import by_stem
from autosam.images.tiff import count_tiff_images

_IMAGES = ("images", "image", "imgs", "img", "raw")
_LABELS = ("labels", "label", "masks", "mask", "instances", "groundtruth", "gt", "mitochondria")


class FolderPair(ReleaseReader):
    """`IMAGES LABELS`, or a folder with `images/` and `labels/`; each pair shares its stem."""

    name = "folder"
    layout = f"IMAGES LABELS, or a folder with one of {', '.join(_IMAGES)} and one of {', '.join(_LABELS)}"
    takes_labels = True
    takes_stack = True

    def _sniff(self, request: Request) -> bool:
        if not request.path.is_dir():
            return False
        if request.labels is not None:
            return Path(request.labels).is_dir()
        return child(request.path, *_IMAGES) is not None and child(request.path, *_LABELS) is not None

    def _open(self, request: Request) -> Release:
        if request.labels is not None:
            images, labels = request.path, Path(request.labels)
        else:
            inner = child(request.path, *_IMAGES), child(request.path, *_LABELS)
            if inner[0] is None or inner[1] is None:
                raise self._nothing(request.path)
            images, labels = inner[0], inner[1]
        slices = _one_volume(request.path, images, labels) if request.stack else _pairs(images, labels)
        return Release(self.name, slices, "ids-2d")


def _pairs(images: Path, labels: Path) -> list[Slice]:
    slices: list[Slice] = []
    for stem, image, truth in pair_up(by_stem(images), by_stem(labels), source="the folder pair"):
        name = as_name(stem)
        if image.suffix.lower() in TIFF_SUFFIXES and count_tiff_images(image) > 1:
            slices += stack_slices(name, Stack.open(image), Stack.open(truth))
            continue
        slices.append(Slice(name, partial(read_pair, image, truth)))
    return slices


def _one_volume(path: Path, images: Path, labels: Path) -> list[Slice]:
    volume = as_name(path.resolve().name)
    return [
        volume_slice(volume, z, partial(read_pair, image, truth))
        for z, image, truth in pair_up(by_number(images), by_number(labels), source=volume)
    ]

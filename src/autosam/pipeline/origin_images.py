"""The images that labels were made from, where they still are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images import ImageSource, find_sources
from autosam.images.formats import PLAIN_SUFFIXES, TIFF_SUFFIXES
from autosam.images.image_source import split_dataset
from autosam.images.multichannel import MultichannelImage, read_channels
from autosam.images.read import read_pixels
from autosam.images.readers import Selection, list_images
from autosam.pipeline.outputs import AnySource
from autosam.pipeline.results_folder import FoundLabels
from autosam.report.exports import StackPlace

_ALL = "all"


@dataclass(frozen=True, eq=False)
class OriginImage:
    """The image that labels were made from; its pixels are read on demand.

    Attributes
    ----------
    sources : tuple
        The image, or the pages that are the slices of a volume.
    volume : bool
        Whether they are slices.
    """

    sources: tuple[AnySource, ...]
    volume: bool = False

    @property
    def file(self) -> Path | None:
        """A TIFF, PNG, JPEG or BMP that holds this image or volume and nothing else."""
        first = self.sources[0]
        if isinstance(first, MultichannelImage):
            return None
        alone = self.volume or (first.page is None and first.dataset is None and first.channel is None)
        return first.path.resolve() if alone and _is_plain(first.path) else None

    @property
    def place(self) -> StackPlace | None:
        """Where the image lies in its file, if that holds several."""
        source = self.sources[0].sources[0]
        if self.volume or source.page is None:
            return None
        images = list_images(source.path, source.dataset, level=source.level)
        image = images[source.page]
        # Each series is a stack of its own.
        index = sum(other.series == image.series for other in images[: source.page])
        channels = image.channels > 1 and not image.color
        several = channels or (image.z is not None and image.time is not None)
        return StackPlace(index, image.z, image.time, several_axes=several)

    @property
    def files(self) -> set[Path]:
        """All files that it is read from, as absolute paths."""
        return {source.path.resolve() for one in self.sources for source in one.sources}

    def read(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Read the pixels, (H, W[, C]) or (Z, Y, X[, C]), as stored.

        Raises
        ------
        InputError
            If they cannot be read, or do not fit labels of this shape.
        """
        parts = [_pixels_of(source) for source in self.sources]
        pixels = np.stack(parts) if self.volume else parts[0]
        if pixels.shape[: len(shape)] != shape:
            raise InputError(f"the image has shape {pixels.shape} and the labels {shape}; it is another one")
        return pixels


def recorded_file(text: str) -> Path | None:
    """Give the file of an image as a record names it, if it holds nothing else; it may be gone."""
    path, dataset = split_dataset(text)
    alone = dataset is None and " + " not in text and not re.search(r"\[\d+\]$", text)
    return path if alone and _is_plain(path) else None


def _is_plain(path: Path) -> bool:
    return path.suffix.lower() in (*TIFF_SUFFIXES, *PLAIN_SUFFIXES)


class OriginImages:
    """Finds the images of labels: those that the record names, or those of a place that the user names.

    Parameters
    ----------
    place : str or None
        A file or folder of images. They are found by the name of the labels, before those of the record.

    Raises
    ------
    InputError
        If there is no image in that place.
    """

    def __init__(self, place: str | None = None) -> None:
        self._sources: list[ImageSource] = [] if place is None else find_sources([place])
        self._of_file: dict[tuple[str, Selection], list[ImageSource]] = {}

    @cached_property
    def _by_name(self) -> Mapping[str, ImageSource]:
        return {(source.folder / source.name).as_posix(): source for source in self._sources}

    @cached_property
    def _stacks(self) -> Mapping[str, list[ImageSource]]:
        """Pages of stacks, by the name of the stack."""
        found: dict[str, list[ImageSource]] = {}
        for source in self._sources:
            if source.page is not None:
                found.setdefault((source.folder / source.stem).as_posix(), []).append(source)
        return found

    def find(self, found: FoundLabels, *, volume: bool) -> OriginImage:
        """Find the image of labels.

        Raises
        ------
        InputError
            If it is not known or not there any more; one sentence says which.
        """
        alone = PurePosixPath(found.name).name
        if volume:
            pages = self._stacks.get(found.name) or self._stacks.get(alone)
            if not pages:
                raise InputError("no stack of this name was given (--images)")
            return OriginImage(tuple(pages), volume=True)
        source: AnySource | None = self._by_name.get(found.name) or self._by_name.get(alone)
        if source is None:
            if found.image is None:
                raise InputError("no image of this name was given (--images)")
            source = self._recorded(found.image, found.options)
        return OriginImage((source,))

    def _recorded(self, text: str, options: Mapping[str, Any]) -> AnySource:
        """Find the image that a record names, as `ImageSource` and `MultichannelImage` write themselves."""
        selection = options.get("selection") or {}
        chosen = Selection(channel=selection.get("channel"), level=int(selection.get("level") or 0))
        sources = tuple(self._one(part, chosen) for part in text.split(" + "))
        if options.get("channels"):
            first = sources[0]
            return MultichannelImage(first.name, first.image, sources, split=options["channels"] == _ALL)
        return sources[0]

    def _one(self, text: str, chosen: Selection) -> ImageSource:
        match = re.fullmatch(r"(.+?)(?:\[(\d+)\])?", text, flags=re.DOTALL)
        file, page = (text, None) if match is None else (match[1], match[2])
        if not split_dataset(file)[0].exists() and "://" not in file:
            raise InputError(f"its image {file} is not there any more")
        if (file, chosen) not in self._of_file:
            self._of_file[file, chosen] = find_sources([file], chosen)
        for source in self._of_file[file, chosen]:
            if source.page == (None if page is None else int(page)):
                return source
        raise InputError(f"its image {text} is not in the file any more")


def _pixels_of(source: AnySource) -> NDArray[Any]:
    pixels = read_channels(source) if isinstance(source, MultichannelImage) else read_pixels(source)
    return pixels if isinstance(pixels, np.ndarray) else np.stack(pixels, axis=-1)

"""The labeled images that a config's `data` section names, or those of a store."""

import glob
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autosam.config import Config, DataConfig, SourceConfig
from autosam.data.folder_files import find_pair
from autosam.data.folders import (
    LabeledImage,
    SplitPart,
    divide,
    evenly_spaced,
    load_labeled_images,
    normalized,
    read_split,
)
from autosam.data.stored_images import names_store, stored_labeled_images
from autosam.errors import ConfigError, InputError
from autosam.images import find_sources
from autosam.images.read import read_pixels
from autosam.pipeline.find_zoom import known_zoom

MOST_UNLABELED = 200
"""Images without labels that are read; a volume has thousands, which look alike."""

UNLABELED_SIDE = 2048
"""Longest side of what is kept of an image without labels, in pixels; a mosaic has no more to tell."""


def load_part(data: Path, config: Config, part: SplitPart) -> list[LabeledImage]:
    """Read the training or the validation images.

    `data.fraction` and user prompts are for training: validation has all its images and no prompts.

    Parameters
    ----------
    data : Path
        A store, or the folder that the sources and the split file are relative to. A source whose `images` and
        `labels` both name one store is read from there, divided as it is.
    part : {"train", "val"}

    Returns
    -------
    list of LabeledImage
        Source by source, sorted by name, or in the order of the store.

    Raises
    ------
    ConfigError
        If a setting has no effect on a store.
    InputError
        If a folder, a file, a list of the split or a part of the store is missing.
    """
    if names_store(data):
        if config.data != DataConfig(fraction=config.data.fraction, unlabeled=config.data.unlabeled):
            raise ConfigError(
                f"{data} is a store and brings its images and parts itself, so the settings under data have no "
                f"effect but fraction and unlabeled; leave the others out, or name the folder {data.parent} and "
                "the store in data.sources"
            )
        return _stored(data, None, config, part, None)
    labeled_images: list[LabeledImage] = []
    for source in config.data.sources:
        images, labels = data / source.images, data / source.labels
        if config.data.sources == DataConfig().sources:
            images, labels = find_pair(data, source.images, source.labels)
        prompts = data / source.prompts if source.prompts is not None and part == "train" else None
        zoom = known_zoom(config.images, pixel_size_nm=source.pixel_size, diameter=None)
        if names_store(images):
            _check_stored(source)
            stored = _stored(images, source.name, config, part, prompts)
            labeled_images += [replace(one, zoom=zoom) for one in stored]
            continue
        stems = (
            divide(images, part, labels)
            if config.data.split is None
            else read_split(data / config.data.split, source.name, part)
        )
        labeled_images += load_labeled_images(
            images,
            labels,
            source=source.name,
            stems=evenly_spaced(sorted(stems), _fraction(config, part)),
            component_size=source.min_size if source.components else None,
            settings=config.images,
            prompts=prompts,
            valid=None if source.valid is None else data / source.valid,
            ignore=source.ignore_label,
            zoom=zoom,
        )
    return labeled_images


def load_unlabeled(data: Path, config: Config) -> list[NDArray[np.uint8]]:
    """Read the images without labels that `data.unlabeled` names, in gray.

    Parameters
    ----------
    data : Path
        The folder that they are relative to; of a store, the folder that it lies in.

    Returns
    -------
    list of ndarray of uint8, shape (H, W)
        Normalized as labeled images are; at most `MOST_UNLABELED`, evenly spaced, and of each at most the middle
        `UNLABELED_SIDE` pixels in both directions. None where none is named.

    Raises
    ------
    InputError
        If a file or a folder is missing, or an image cannot be read.
    """
    if not config.data.unlabeled:
        return []
    folder = data.parent if names_store(data) else data
    try:
        sources = find_sources([_unlabeled_path(folder, name) for name in config.data.unlabeled])
        chosen = evenly_spaced(sources, min(1.0, MOST_UNLABELED / len(sources)))
        return [_middle_in_gray(normalized(read_pixels(source), config.images)) for source in chosen]
    except InputError as error:
        raise InputError(f"data.unlabeled: {error}") from error


def _middle_in_gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give at most `UNLABELED_SIDE` rows and columns around the middle, (h, w), of an image of (H, W, 3)."""
    row, col = (max(0, length - UNLABELED_SIDE) // 2 for length in image.shape[:2])
    middle = image[row : row + UNLABELED_SIDE, col : col + UNLABELED_SIDE]
    return np.asarray(np.rint(middle.mean(axis=-1)), dtype=np.uint8)


def _unlabeled_path(folder: Path, name: str) -> str:
    """Join a name or a pattern to a folder, whose own name is no pattern."""
    path = folder / name
    if path.exists():
        return str(path)
    if not glob.has_magic(name):
        raise InputError(f"no file or folder {path}; correct it in the config")
    return name if Path(name).is_absolute() else str(Path(glob.escape(str(folder)), name))


def _fraction(config: Config, part: SplitPart) -> float:
    return config.data.fraction if part == "train" else 1.0


def _stored(
    path: Path, source: str | None, config: Config, part: SplitPart, prompts: Path | None
) -> list[LabeledImage]:
    return stored_labeled_images(
        path,
        part,
        source=source,
        settings=config.images,
        fraction=_fraction(config, part),
        prompts=prompts,
    )


def _check_stored(source: SourceConfig) -> None:
    if source.labels != source.images:
        raise ConfigError(
            f"source {source.name} has its images in the store {source.images}; name the store as its labels "
            f"too, not {source.labels}"
        )
    if source.valid is not None or source.ignore_label is not None:
        raise ConfigError(
            f"source {source.name} is a store, which has its masks of valid pixels inside; leave valid and "
            "ignore_label out, or import it anew"
        )
    if source.components or source.min_size != SourceConfig.model_fields["min_size"].default:
        raise ConfigError(
            f"source {source.name} is a store, whose instances are made already; leave components and min_size "
            "out, or import it anew with --instances"
        )

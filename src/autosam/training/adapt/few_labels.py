"""The few labels that a model is adapted to: corrected results, a folder pair or a store."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from autosam.config import Config, SourceConfig
from autosam.data import LabeledImage
from autosam.data.folders import SplitPart, load_labeled_images
from autosam.data.label_place import label_folders
from autosam.data.store import Store
from autosam.data.stored_images import names_store, stored_labeled_images
from autosam.errors import InputError
from autosam.images.folder_listing import RUN_RECORD
from autosam.images.read import read_json
from autosam.pipeline.find_zoom import MOST, known_zoom, wanted_zoom
from autosam.training.samples.tiles import median_diameter

SOURCE = "labels"
"""Name of the source of the labels; names of folders may be those of patients, and a model is given away."""


@dataclass(frozen=True)
class LabelOptions:
    """How labels are read.

    Attributes
    ----------
    pixel_size : float, optional
        Side of a pixel of the images in nm.
    ignore_label : int, optional
        Number in the labels of pixels that do not count.
    components : bool
        The labels are semantic masks, whose connected components are the objects.
    """

    pixel_size: float | None = None
    ignore_label: int | None = None
    components: bool = False


def read_labels_of(data: Path, config: Config, options: LabelOptions) -> list[LabeledImage]:
    """Read all labeled images of a place.

    Parameters
    ----------
    data : Path
        Results that `autosam apply` has corrected; a folder with images and labels, see `find_pair`; or a store.
    config : Config
        The model's settings, by which images are normalized and zoomed.
    options : LabelOptions

    Returns
    -------
    list of LabeledImage
        By name. Those without a pixel that counts are left out.

    Raises
    ------
    InputError
        If there is nothing to learn from, a file cannot be read, or sizes differ.
    """
    zoom = known_zoom(config.images, pixel_size_nm=options.pixel_size, diameter=None)
    if names_store(data):
        there = {item.split for item in Store.open(data).items}
        parts: tuple[SplitPart, ...] = ("train", "val")
        found = [
            one
            for part in parts
            if part in there
            for one in stored_labeled_images(data, part, source=SOURCE, settings=config.images)
        ]
        found = [replace(one, zoom=zoom) for one in found]
    else:
        found = _of_folders(data, config, options, zoom)
    counted = [one for one in found if one.counted]
    if not counted:
        raise InputError(f"none of the {len(found)} images in {data} has a pixel whose labels count: review some")
    return counted


def _of_folders(data: Path, config: Config, options: LabelOptions, zoom: float | None) -> list[LabeledImage]:
    images, labels = label_folders(data)
    found = load_labeled_images(
        images,
        labels,
        source=SOURCE,
        component_size=SourceConfig.model_fields["min_size"].default if options.components else None,
        settings=config.images,
        ignore=options.ignore_label,
        zoom=zoom,
    )
    return found if zoom is not None else _with_recorded_zoom(found, data)


def _with_recorded_zoom(found: Sequence[LabeledImage], data: Path) -> list[LabeledImage]:
    """Let images of corrected results have the zoom at which they were segmented."""
    if not (data / RUN_RECORD).is_file():
        return list(found)
    entries = read_json(data / RUN_RECORD).get("images", {})
    zooms = {name.replace("/", "__"): entry.get("zoom") for name, entry in entries.items()}
    return [replace(one, zoom=zooms.get(one.name.partition("/")[2])) for one in found]


def zoom_by_objects(labeled_images: Sequence[LabeledImage], config: Config) -> float | None:
    """Give the zoom of images by the size of their objects, as it is found in segmentation with true objects.

    None where the model does not look for a zoom.
    """
    if not config.images.find_zoom or config.images.diameter is None:
        return None
    zoom = min(MOST, wanted_zoom(median_diameter(labeled_images), trained=config.images.diameter))
    tolerance = config.images.zoom_tolerance
    return 1.0 if 1 / tolerance <= zoom <= tolerance else round(zoom, 3)


def count_objects(labeled_images: Sequence[LabeledImage]) -> int:
    """Count the objects of all images."""
    return sum(int(np.count_nonzero(np.bincount(one.labels.ravel())[1:])) for one in labeled_images)


def share_that_counts(labeled_images: Sequence[LabeledImage]) -> float:
    """Give the share of the pixels of all images whose labels are known, 0 to 1; there has to be an image."""
    return sum(one.counted for one in labeled_images) / sum(one.labels.size for one in labeled_images)


def count_empty(labeled_images: Sequence[LabeledImage]) -> int:
    """Count the places whose labels are complete and hold no object, such as those of deleted ones."""
    number = 0
    for one in labeled_images:
        counted = np.ones(one.labels.shape, bool) if one.valid is None else one.valid
        places, there = ndimage.label(counted, structure=np.ones((3, 3)))
        number += there - len(np.unique(places[(one.labels > 0) & counted]))
    return number


def hash_of(labeled_images: Sequence[LabeledImage]) -> str:
    """Hash pixels, labels and what counts, whatever the images are called."""
    digest = hashlib.sha256()
    for one in labeled_images:
        digest.update(str(one.image.shape).encode())
        for array in (one.image, one.labels, one.valid):
            digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

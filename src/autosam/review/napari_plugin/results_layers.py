"""Results, and images to try, as napari's layers; nothing here needs Qt."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from autosam.errors import InputError
from autosam.images import read_image
from autosam.images.folder_listing import RUN_RECORD
from autosam.pipeline.origin_images import OriginImages
from autosam.review.object_features import features_of
from autosam.review.review_results import ReviewResults

Layer = tuple[Any, dict[str, Any], str]
"""What napari makes a layer of: its data, its options and its type."""

FOLDER, IMAGE = "autosam_results", "autosam_image"
"""What the metadata of a layer name: the folder of results, and the image among them."""


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[Layer]] | None:
    """Give the reader of a folder of results, or of its run record; None for anything else."""
    place = Path(path if isinstance(path, str) else path[0])
    folder = place.parent if place.name == RUN_RECORD else place
    if not (folder / RUN_RECORD).is_file() or (isinstance(path, list) and len(path) > 1):
        return None
    return lambda _: layers_of(ReviewResults.open(folder))


def layers_of(results: ReviewResults, name: str | None = None) -> list[Layer]:
    """Give an image of a folder of results, by default the first: its pixels, and its labels with their scores.

    Without the image file, there are labels alone.
    """
    found: list[Layer] = []
    name = name or next(iter(results.images))
    about = {FOLDER: str(results.folder), IMAGE: name}
    image = results.images[name]
    try:
        pixels = image.load(OriginImages(None)).image
    except InputError:
        pixels = []
    channels = [pixels] if isinstance(pixels, np.ndarray) else list(pixels)
    for number, channel in enumerate(channels):
        title = f"{name} {number}" if len(channels) > 1 else name
        found.append((channel, {"name": title, "rgb": channel.ndim == 3, "metadata": about}, "image"))
    labels = image.read_labels()
    features = features_of(image.read_scores(int(labels.max(initial=0))))
    found.append((labels, {"name": f"{name} objects", "features": features, "metadata": about}, "labels"))
    return found


def sample_fluorescence() -> list[Layer]:
    """Give stained nuclei in fluorescence, from stage 1 of the Data Science Bowl 2018 (CC0)."""
    return _sample("dsb2018_5f9d29d6388c")


def sample_stained() -> list[Layer]:
    """Give nuclei in stained tissue, from stage 1 of the Data Science Bowl 2018 (CC0)."""
    return _sample("dsb2018_5ef4442e5b8b")


def _sample(name: str) -> list[Layer]:
    # In the package, or in the repository that it is in.
    place = next(one for above in Path(__file__).resolve().parents[2:5] if (one := above / "examples").is_dir())
    pixels = read_image(place / "nuclei" / f"{name}.png")
    return [(pixels, {"name": name, "rgb": pixels.ndim == 3}, "image")]

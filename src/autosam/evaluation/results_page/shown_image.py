"""One image of a folder of results: its objects, and the pixels to show them on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.config import ImagesConfig, make_config
from autosam.errors import ConfigError, InputError
from autosam.evaluation.results_page.folder_record import RunFacts, without_folders
from autosam.images import read_image, to_uint8
from autosam.images.channels import mean_picture, normalize_channels
from autosam.images.multichannel import MultichannelImage, read_channels
from autosam.images.read import read_pixels
from autosam.instances import InstanceTable, measure_sizes, read_table
from autosam.pipeline.identity import content_of
from autosam.pipeline.origin_images import OriginImages
from autosam.pipeline.own_files import describe
from autosam.pipeline.results_folder import FoundLabels


@dataclass(frozen=True, eq=False)
class ShownImage:
    """What a report knows of an image that was segmented.

    Attributes
    ----------
    areas : ndarray of float64, shape (N,)
        Of its objects, in pixels.
    scores : mapping of int to float
        Of its objects by id, as far as they are known.
    labels : ndarray of integers, shape (H, W), or None
        None where they were not read: of an image that was segmented by parts.
    picture : ndarray of uint8, shape (h, w, 3), or None
        The image as the networks saw it; where it is gone, the overlay.
    drawn : bool
        Whether the picture is the overlay, which has outlines in it.
    missing : str
        Why the image itself is not shown; empty where it is.
    changed : bool
        The labels are not those that autosam wrote.
    """

    name: str
    entry: Mapping[str, Any]
    areas: NDArray[np.float64]
    scores: Mapping[int, float]
    labels: NDArray[np.integer[Any]] | None = field(repr=False)
    picture: NDArray[np.uint8] | None = field(repr=False)
    drawn: bool = False
    missing: str = ""
    changed: bool = False

    @property
    def pixels(self) -> float:
        """Pixels of the image in which objects count: all, or those of ``--inside``."""
        inside = self.entry.get("inside_px")
        if inside is not None:
            return float(inside)
        return float(self.entry.get("rows") or 0) * float(self.entry.get("columns") or 0)

    @property
    def um(self) -> float:
        """Side of a pixel in µm; NaN where it is not known."""
        size = self.entry.get("pixel_size_nm")
        return nan if size is None else float(size) / 1000


def show_image(
    found: FoundLabels,
    entry: Mapping[str, Any],
    run: RunFacts,
    images: OriginImages,
    folder: Path,
    *,
    pixels: bool,
) -> ShownImage:
    """Read the labels, the table and, if wanted, the pixels of an image.

    Raises
    ------
    InputError
        If the labels cannot be read. What else is missing is said in the result.
    """
    labels = None if found.by_parts else found.read()
    if labels is not None and labels.ndim != 2:
        raise InputError(f"they have shape {labels.shape}; wanted (H, W)")
    changed = labels is not None and _has_changed(found, folder)
    areas, scores = _measured(labels, found.table, changed=changed)
    picture, drawn, missing = None, False, ""
    if pixels:
        try:
            if found.by_parts:
                raise InputError("it is large, and shown reduced")
            picture = _pixels_of(found, entry, run, images)
            if labels is not None and picture.shape[:2] != labels.shape:
                raise InputError(f"it has shape {picture.shape[:2]} and the labels {labels.shape}")
        except InputError as error:
            missing = without_folders(str(error))
            picture = _overlay_of(folder, found.name)
            drawn = picture is not None
    return ShownImage(found.name, entry, areas, scores, labels, picture, drawn, missing, changed)


def _measured(
    labels: NDArray[np.integer[Any]] | None, table: Path | None, *, changed: bool
) -> tuple[NDArray[np.float64], dict[int, float]]:
    """Give the areas of all objects, and the scores of those that the table has."""
    rows: InstanceTable | None = None
    if table is not None and not changed:
        try:
            rows = read_table(table)
        except InputError:
            # Sizes come from the labels, and scores are not known.
            rows = None
    scores: dict[int, float] = {}
    if rows is not None and "score" in rows.columns:
        known = zip(rows["label"].tolist(), rows["score"].tolist(), strict=True)
        scores = {number: score for number, score in known if score == score}
    if labels is not None:
        return measure_sizes(labels)["area"].astype(np.float64), scores
    if rows is None or "area" not in rows.columns:
        return np.empty(0), scores
    return np.asarray(rows["area"], np.float64), scores


def _has_changed(found: FoundLabels, folder: Path) -> bool:
    """Tell whether somebody has changed the labels since they were written."""
    if found.file is None or not found.noted:
        return False
    noted = found.noted.get(found.file.relative_to(folder).as_posix())
    return noted is not None and describe(found.file)["sha256"] != noted.get("sha256")


def _pixels_of(
    found: FoundLabels, entry: Mapping[str, Any], run: RunFacts, images: OriginImages
) -> NDArray[np.uint8]:
    """Read the image that labels were made from, as the networks saw it; refuse another one in its place."""
    try:
        source = images.find(found, volume=False).sources[0]
    except InputError as error:
        raise InputError("it is not where the run record says any more") from error
    read = read_channels(source) if isinstance(source, MultichannelImage) else read_pixels(source)
    channels = [read] if isinstance(read, np.ndarray) else list(read)
    if "sha256" in entry and content_of(channels, entry.get("pixel_size_nm")) != entry["sha256"]:
        raise InputError("it has changed since it was segmented")
    return to_uint8(mean_picture(normalize_channels(read, _images_settings(run))))


def _images_settings(run: RunFacts) -> ImagesConfig:
    try:
        return make_config({"images": run.settings["images"]}).images
    except (ConfigError, KeyError):
        # Those of another version.
        return ImagesConfig(non_finite="background")


def _overlay_of(folder: Path, name: str) -> NDArray[np.uint8] | None:
    try:
        picture = read_image(folder / f"{name}_overlay.png")
    except InputError:
        return None
    return picture if picture.dtype == np.uint8 and picture.ndim == 3 else None

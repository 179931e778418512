"""The files of an image in a folder of corrected results, and what the record says of them."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from autosam.config import ImagesConfig, make_config
from autosam.errors import ConfigError
from autosam.images import to_uint8, write_labels, write_png
from autosam.images.channels import mean_picture, normalize_channels
from autosam.images.valid_masks import read_mask
from autosam.instances import measure_instances, write_table
from autosam.pipeline.one_image import LoadedImage
from autosam.pipeline.own_files import describe
from autosam.report import draw_overlay
from autosam.review.corrected_labels import CorrectedLabels
from autosam.review.review_results import ReviewImage

TRAINING = "training"
"""Folder of images, labels and masks of what was reviewed, to learn from."""
_PARTS = ("images", "labels", "valid")
_ENDINGS = ("_overlay.png", "_instances.csv")


def copy_files(image: ReviewImage, folder: Path, out: Path) -> dict[str, Any]:
    """Copy labels, overlay and table of an image that has no correction; give its entry for the record."""
    assert image.found.file is not None
    start, labels = folder / image.name, image.found.file
    target = out / labels.relative_to(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    if labels.is_dir():
        shutil.copytree(labels, target)
    else:
        shutil.copyfile(labels, target)
    copied = [target]
    for ending in _ENDINGS:
        file = start.with_name(start.name + ending)
        if file.is_file():
            copied.append(Path(shutil.copyfile(file, out / file.relative_to(folder))))
    return {**image.entry, "files": _described(copied, out)}


def write_files(
    image: ReviewImage, folder: Path, out: Path, loaded: LoadedImage, corrected: CorrectedLabels
) -> dict[str, Any]:
    """Write labels, overlay and table of corrected labels; give the image's entry for the record."""
    assert image.found.file is not None
    size_nm, labels = image.entry.get("pixel_size_nm"), corrected.labels
    target = out / image.found.file.relative_to(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    start = out / image.name
    overlay, table = (start.with_name(start.name + ending) for ending in _ENDINGS)
    pixels = loaded.image if isinstance(loaded.image, np.ndarray) else np.stack(loaded.image, axis=-1)
    measured = measure_instances(labels, pixels, corrected.scores, pixel_size_nm=size_nm)
    picture = draw_overlay(
        _picture(loaded, image.run.settings),
        labels,
        ids=bool(image.run.options.get("draw_ids")),
        pixel_size_nm=size_nm,
    )
    write_png(overlay, picture)
    write_table(table, measured)
    write_labels(target, labels, pixel_size_nm=size_nm)
    counted = image.entry.get("inside_px") or labels.size
    areas = measured["area"]
    warnings = [one for one in image.entry.get("warnings", []) if one != "nothing found"]
    # These tell of the labels before.
    kept = {
        key: value
        for key, value in image.entry.items()
        if key not in ("prompts", "instances_of_generator_alone", "timings")
    }
    return {
        **kept,
        "instances": len(areas),
        "median_area": float(np.median(areas)) if len(areas) else None,
        "area_share": round(float(areas.sum() / counted), 6) if counted else 0.0,
        "warnings": warnings if len(areas) else ["nothing found", *warnings],
        "corrected": corrected.counts,
        "files": _described([target, overlay, table], out),
    }


@dataclass(frozen=True)
class TrainingFiles:
    """Images, labels and masks of what was reviewed, as `autosam train` reads them.

    Parameters
    ----------
    folder : Path
        ``FIXED/training``; made when the first image is added.
    """

    folder: Path

    def add(
        self, name: str, loaded: LoadedImage, labels: NDArray[np.int32], area: NDArray[np.bool_]
    ) -> str | None:
        """Write an image; say why it is left out, where it is."""
        if not area.any():
            return None
        if not isinstance(loaded.image, np.ndarray):
            return f"{name} has several channels, and is left out of {TRAINING}"
        file = _file(name)
        if (self.folder / "images" / file).exists():
            return f"{name} would have the name of another image in {TRAINING}, and is left out of it"
        for part in _PARTS:
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        photometric = "rgb" if loaded.image.ndim == 3 else "minisblack"
        tifffile.imwrite(self.folder / "images" / file, loaded.image, photometric=photometric, compression="zlib")
        write_labels(self.folder / "labels" / file, np.where(area, labels, 0))
        write_labels(self.folder / "valid" / file, area.astype(np.uint8))
        return None

    def copy(self, name: str, other: "TrainingFiles") -> None:
        """Copy an image to other files of this kind, where it is among these."""
        for part in _PARTS:
            file = self.folder / part / _file(name)
            if file.is_file():
                (other.folder / part).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, other.folder / part / file.name)

    def area(self, name: str, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """Read what was reviewed of an image; None where it is not among these, or has another size."""
        file = self.folder / _PARTS[2] / _file(name)
        area = read_mask(file) if file.is_file() else None
        return area if area is not None and area.shape == shape else None


def training_names(name: str) -> list[str]:
    """Give the files of an image in the folder `TRAINING`, whether they are there or not."""
    return [f"{part}/{_file(name)}" for part in _PARTS]


def _file(name: str) -> str:
    # Folder pairs have no subfolders.
    return f"{name.replace('/', '__')}.tif"


def _picture(loaded: LoadedImage, settings: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Normalize an image as the run did."""
    try:
        own = make_config({"images": settings["images"]}).images
    except (ConfigError, KeyError):
        # Those of another version.
        own = ImagesConfig(non_finite="background")
    return to_uint8(mean_picture(normalize_channels(loaded.image, own)))


def _described(files: list[Path], out: Path) -> dict[str, Any]:
    return {file.relative_to(out).as_posix(): describe(file) for file in files}

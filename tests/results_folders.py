"""Folders of results for tests, as `autosam segment` writes them, without asking a model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from autosam.config import Config
from autosam.images import ImageSource, write_labels, write_png
from autosam.images.read import read_pixels
from autosam.instances import measure_instances
from autosam.instances.instance_table import InstanceTable, write_table
from autosam.pipeline.identity import content_of
from autosam.pipeline.own_files import describe
from autosam.pipeline.summary_table import write_summary
from autosam.report import draw_overlay

SETTINGS = Config().model_dump(mode="json", exclude={"training", "data"})
OPTIONS: dict[str, Any] = {"pixel_size_nm": None, "diameter": None, "channels": None, "selection": None}
RUN = {
    "autosam": "0.5.0",
    "model": "gone.safetensors",
    "model_sha256": "ab" * 32,
    "settings": SETTINGS,
    "options": OPTIONS,
    "started": "2026-11-29T10:00:00+00:00",
    "run": 1,
    "earlier_runs": {},
}


def discs(places: list[tuple[int, int, int]], shape: tuple[int, int] = (96, 128)) -> NDArray[np.int32]:
    """Draw labels of discs: row, column and radius of each, ids from 1."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for number, (row, col, radius) in enumerate(places, 1):
        labels[(rows - row) ** 2 + (cols - col) ** 2 <= radius**2] = number
    return labels


def image_of(labels: NDArray[np.int32], seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, 8, labels.shape)
    return np.asarray(np.clip(40 + 120 * (labels > 0) + noise, 0, 255), np.uint8)


def write_results(
    folder: Path,
    images: Mapping[str, NDArray[np.int32]],
    *,
    entries: Mapping[str, Mapping[str, Any]] | None = None,
    pixel_size_nm: float | None = None,
    run: Mapping[str, Any] | None = None,
) -> Path:
    """Write images and their results; `entries` adds to what the record says of an image.

    Images lie in ``images`` beside the folder. One that is in `entries` alone is recorded without any file.
    """
    beside = folder.parent / "images"
    recorded: dict[str, dict[str, Any]] = {}
    for seed, (name, labels) in enumerate(images.items()):
        source, start = beside / f"{name}.tif", folder / name
        for parent in (source.parent, start.parent):
            parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(source, image_of(labels, seed), photometric="minisblack")
        files = _write(start, image_of(labels, seed), labels)
        areas = np.bincount(labels.ravel())[1:]
        recorded[name] = {
            "run": 1,
            "input": str(source.resolve()),
            "seconds": 1.5,
            "sha256": content_of([np.asarray(read_pixels(ImageSource(source)))], pixel_size_nm),
            "rows": labels.shape[0],
            "columns": labels.shape[1],
            "instances": len(areas),
            "novelty": 0.5,
            "out_of_distribution": False,
            "median_area": float(np.median(areas)) if len(areas) else None,
            "pixel_size_nm": pixel_size_nm,
            "warnings": [],
            "files": {file.relative_to(folder).as_posix(): describe(file) for file in files},
        }
    for name, more in (entries or {}).items():
        recorded[name] = {**recorded.get(name, {"run": 1}), **more}
    folder.mkdir(parents=True, exist_ok=True)
    record = {**RUN, **(run or {}), "images": recorded}
    (folder / "autosam_run.json").write_text(json.dumps(record), encoding="utf-8")
    write_summary(folder / "summary.csv", recorded)
    return folder


def _write(start: Path, image: NDArray[np.uint8], labels: NDArray[np.int32]) -> list[Path]:
    files = [start.with_name(start.name + ending) for ending in ("_labels.tif", "_overlay.png", "_instances.csv")]
    write_labels(files[0], labels)
    write_png(files[1], draw_overlay(np.repeat(image[..., None], 3, axis=2), labels))
    measured = measure_instances(labels, None, np.linspace(0.6, 0.9, int(labels.max(initial=0))))
    write_table(files[2], InstanceTable(dict(measured.columns)))
    return files

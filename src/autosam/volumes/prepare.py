"""What is found out about a volume before its first task: contrast and zoom, once, and kept for reruns."""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from autosam import __version__
from autosam.config import Config
from autosam.errors import ConfigError, InputError
from autosam.images.stain_normalization import StainChange
from autosam.images.write import write_json
from autosam.pipeline.batch_workers import ModelChoice
from autosam.pipeline.find_zoom import known_zoom
from autosam.volumes.contrast import Contrast, measure_contrast
from autosam.volumes.job import VolumeJob, make_keys
from autosam.volumes.segment_pass import find_volume_zoom, loaded_model
from autosam.volumes.slice_objects import MOST_TILES
from autosam.volumes.slide_stain import find_slide_stain
from autosam.volumes.volume_grid import VolumeGrid
from autosam.volumes.volume_source import VolumeSource


def prepare_job(
    source: VolumeSource,
    model: ModelChoice,
    *,
    model_sha256: str,
    device: str,
    folder: Path,
    diameter: float | None = None,
) -> VolumeJob:
    """Measure the contrast and find the zoom of a volume, unless an earlier run has.

    The zoom is the one that is known, from the diameter of the objects or else the size of a pixel; otherwise the
    median of those that are found in some slices.

    Parameters
    ----------
    diameter : float, optional
        Typical diameter of the objects in pixels of a slice.

    Raises
    ------
    ConfigError
        If ``merge.exclude_border`` or ``merge.max_size`` are set and there are several slices.
    InputError
        If the file of an earlier run is damaged.
    """
    settings = model.settings
    _check_merge(settings, source)
    asked = [
        source.fingerprint,
        model_sha256,
        # The generator is asked for the zoom.
        settings.model_dump(mode="json", include={"images", "tiles", "prompts", "decode"}),
        __version__,
        diameter,
        source.pixel_size,
    ]
    name = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]
    path = folder / f"prepare-{name}.json"
    if path.exists():
        contrast, zoom = _prepared(path)
    else:
        contrast = measure_contrast(source, settings.images)
        contrast = replace(contrast, stain=find_slide_stain(source, contrast, settings.images.stain_references))
        zoom = _zoom(source, contrast, model, settings, device=device, diameter=diameter)
        write_json(path, {"contrast": asdict(contrast), "zoom": zoom})
    grid = VolumeGrid(source.shape, settings.volume.window, settings.volume.overlap)
    if len(grid.tiles) > MOST_TILES:
        raise ConfigError(
            f"a slice has {len(grid.tiles):,} windows, and at most {MOST_TILES:,} can be told apart; set a larger "
            "volume.window"
        )
    keys = make_keys(
        volume=source.fingerprint, model=model_sha256, settings=settings, contrast=contrast, zoom=zoom
    )
    return VolumeJob(source, model, device, settings, contrast, zoom, folder, keys)


def _prepared(path: Path) -> tuple[Contrast, float]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return _contrast(told["contrast"]), float(told["zoom"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is damaged ({type(error).__name__}: {error}); delete it and repeat the command."
        ) from None


def _check_merge(settings: Config, source: VolumeSource) -> None:
    if source.shape[0] > 1 and (settings.merge.exclude_border or settings.merge.max_size is not None):
        raise ConfigError(
            "merge.exclude_border and merge.max_size are for single images, and a volume has several slices; "
            "leave them out, and choose instances by the columns touches_border and voxels of the table"
        )


def _zoom(
    source: VolumeSource,
    contrast: Contrast,
    model: ModelChoice,
    settings: Config,
    *,
    device: str,
    diameter: float | None,
) -> float:
    zoom = known_zoom(settings.images, pixel_size_nm=source.pixel_size, diameter=diameter)
    if zoom is not None:
        return zoom
    if settings.images.find_zoom and settings.images.diameter is not None:
        return find_volume_zoom(source, contrast, loaded_model(model, device))
    return 1.0


def _contrast(told: dict[str, Any]) -> Contrast:
    stain = told.get("stain")
    change = None if stain is None else StainChange(tuple(stain["own"]), tuple(stain["target"]))
    return Contrast(tuple(told["z"]), tuple(told["dark"]), tuple(told["bright"]), bool(told["invert"]), change)

"""Pass A: every tile of every slice is segmented once, and its objects are kept."""

import threading
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from autosam.pipeline.batch_workers import ModelChoice
from autosam.pipeline.failures import MemoryShortError, of_device
from autosam.pipeline.segmentation import Segmentation
from autosam.pipeline.segmenter import Segmenter
from autosam.volumes.contrast import Contrast, Slices, is_flat, middle_windows
from autosam.volumes.finite import check_finite
from autosam.volumes.hole import HoleError
from autosam.volumes.job import VolumeJob
from autosam.volumes.slice_objects import FOUND, SliceObjects, objects_of_labels
from autosam.volumes.task_files import read_notes, write_objects
from autosam.volumes.volume_grid import GridTile, VolumeTask

ZOOM_SAMPLES, ZOOM_SIDE = 5, 1024

_lock = threading.Lock()


def asking() -> AbstractContextManager[object]:
    """Let networks answer one thread of a process at a time."""
    return _lock


@lru_cache(maxsize=1)
def loaded_model(model: ModelChoice, device: str) -> Segmenter:
    """Load a model once in a process, with the settings that hold for a tile.

    Objects at the border of a window are parts of larger ones, so that ``merge.exclude_border`` and
    ``merge.max_size`` are left to `unite_objects`. The stain is that of the whole volume (`Contrast.stain`), and
    not changed again.

    Raises
    ------
    AutosamError
        The model's errors.
    """
    segmenter = model.load(device)
    config = segmenter.config
    images = config.images.model_copy(update={"stain_references": ()})
    merge = config.merge.model_copy(update={"exclude_border": False, "max_size": None})
    return segmenter.with_settings(config.model_copy(update={"images": images, "merge": merge}))


def segment_task(job: VolumeJob, task: VolumeTask) -> dict[str, Any]:
    """Segment a task's tiles and write its objects, unless the file is there.

    Returns
    -------
    dict
        ``objects``, their number; ``holes``, slices and tiles that could not be read, with the reason; and
        ``unlike``, in how many tiles of how many the image was unlike the training images.
    """
    path = job.path("segment", task)
    if not path.exists():
        parts: list[SliceObjects] = []
        holes: list[list[Any]] = []
        unlike = known = 0
        for z in task.slab:
            for tile in (job.grid.tiles[index] for index in task.tiles):
                try:
                    found = segment_tile(job, z, tile)
                except HoleError as error:
                    holes.append([z, tile.index, str(error)])
                    continue
                parts.append(
                    objects_of_labels(
                        found.labels,
                        z=z,
                        tile=tile.index,
                        corner=tile.corner,
                        core=tile.core,
                        scores=found.scores,
                        origin=FOUND,
                    )
                )
                unlike += found.out_of_distribution
                known += found.novelty is not None
        objects = SliceObjects.concatenate(parts)
        notes = {"objects": len(objects), "holes": holes, "unlike": [unlike, known]}
        write_objects(path, objects, notes=notes)
        return notes
    return read_notes(path)


def segment_tile(job: VolumeJob, z: int, tile: GridTile) -> Segmentation:
    """Segment one tile of one slice.

    Raises
    ------
    HoleError
        Where it cannot be read.
    MemoryShortError
        If memory runs out.
    DeviceLostError
        If a GPU stops working.
    """
    assert job.model is not None
    pixels = job.source.read(z, tile.window)
    policy = job.settings.images.non_finite
    check_finite(pixels, name=job.source.name, z=z, window=tile.window, non_finite=policy)
    picture = job.contrast.picture(pixels, z)
    if is_flat(picture):
        # The networks are not asked about a constant image.
        picture = np.zeros_like(picture)
    with asking(), of_device():
        segmenter = loaded_model(job.model, job.device)
        try:
            return segmenter.segment(picture, zoom=job.zoom, normalized=True, keep_maps=False)
        except (MemoryError, torch.OutOfMemoryError) as error:
            reason = " ".join(str(error).split())[:200] or "no more is known"
            raise MemoryShortError(
                f"more memory is needed than there is ({reason}); use fewer --workers, a smaller "
                "volume.window, or another device"
            ) from error


def find_volume_zoom(source: Slices, contrast: Contrast, segmenter: Segmenter) -> float:
    """Find the zoom of a volume: the median of those of the middles of some slices; 1 where none tells."""
    zooms = []
    for z, window in middle_windows(source, count=ZOOM_SAMPLES, side=ZOOM_SIDE):
        try:
            pixels = source.read(z, window)
        except HoleError:
            continue
        picture = contrast.picture(pixels, z)
        if not is_flat(picture):
            zooms.append(segmenter.view(picture, normalized=True).zoom)
        if len(zooms) == ZOOM_SAMPLES:
            break
    # Of an even number the lower of the two in the middle: one that was really found.
    return sorted(zooms)[(len(zooms) - 1) // 2] if zooms else 1.0

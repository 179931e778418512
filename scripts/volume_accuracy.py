"""How good is ``autosam volume`` on real stacks, beside stitching by IoU and beside the generator alone?"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from skimage.io import imread
from volume_runs import read_store, run, volume_command

from autosam.evaluation.diagnosis.volume_errors import diagnose_volume
from autosam.evaluation.diagnosis.volume_sections import find_sections
from autosam.evaluation.open_pair import OpenPair
from autosam.images.label_volume import LabelVolume
from autosam.metrics import components, contingency_table, evaluate_pair
from autosam.volumes.slice_objects import paint
from autosam.volumes.task_files import read_objects

STITCH_IOU = 0.25
MIN_SIZE = 50
GENERATOR = "decode.sam=false"


@dataclass(frozen=True)
class Stack:
    """Consecutive slices, the place of their labels, and what is to be known about them."""

    folder: str
    images: str
    labels: str
    names: tuple[str, ...]
    semantic: bool
    voxel_size: str
    about: str


STACKS = {
    "epfl": Stack(
        "epfl",
        "raw",
        "mitochondria",
        tuple(f"{z:04d}" for z in range(20)),
        True,
        "5,5,5",
        "slices 0000-0019, all of which mito was trained on; truth: 3D components of the masks",
    ),
    "vnc": Stack(
        "vnc",
        "raw",
        "mitochondria",
        tuple(f"{z:02d}" for z in range(14)),
        True,
        "50,4.6,4.6",
        "slices 00-13, of which mito was trained on 00-10; truth: 3D components of the masks",
    ),
    "cardona": Stack(
        "cardona",
        "images",
        "labels",
        tuple(f"z{z:02d}" for z in range(21)),
        False,
        "50,4,4",
        "slices z00-z20, which mito has never seen; truth: instances in 3D",
    ),
}


def accuracy(data: Path, names: Sequence[str], work: Path, *, model: str, sets: Sequence[str]) -> dict[str, Any]:
    """Score each stack by each method; work is a folder for what the runs leave."""
    return {name: {"about": STACKS[name].about, **_stack(data, name, work, model, sets)} for name in names}


def _stack(data: Path, name: str, work: Path, model: str, sets: Sequence[str]) -> dict[str, Any]:
    stack = STACKS[name]
    images, truth = read_stack(data, stack)
    given = work / f"{name}.tif"
    tifffile.imwrite(given, images, photometric="minisblack")
    found: dict[str, Any] = {}
    for method, more in (("with SAM", ()), ("generator alone", (GENERATOR,))):
        out = work / f"{name}_{'generator' if more else 'sam'}.zarr"
        command = volume_command(given, out, model=model, sets=[*sets, *more])
        measured = run([*command, "--voxel-size", stack.voxel_size, "--overwrite"])
        labels = read_store(out)
        found[f"{method}, linked"] = {
            **_scores(labels, truth),
            "seconds": round(measured.seconds, 1),
            "cpu_seconds": round(measured.cpu_seconds, 1),
            "peak_gb": round(measured.peak_gb, 3),
            **_stages(labels, truth),
        }
        slices = list(_slices(out, images.shape))
        found[f"{method}, stitched by IoU {STITCH_IOU}"] = _scores(stitch(slices, iou=STITCH_IOU), truth)
    for label, row in found.items():
        print(f"{name:8s} {label:40s} {json.dumps(row)}", flush=True)
    return {"methods": found}


def read_stack(data: Path, stack: Stack) -> tuple[NDArray[Any], NDArray[Any]]:
    images, labels = (
        np.stack([imread(data / stack.folder / folder / f"{name}.png") for name in stack.names])
        for folder in (stack.images, stack.labels)
    )
    return images, components(labels, min_size=MIN_SIZE) if stack.semantic else labels


def _scores(pred: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    row = evaluate_pair(pred, truth).row()
    wanted = ("objects", "predicted", "ap50", "ap75", "mean_ap", "rand_error", "voi_split", "voi_merge", "dice")
    return {name: round(row[name], 4) for name in wanted}


def _stages(pred: NDArray[Any], truth: NDArray[Any]) -> dict[str, Any]:
    sides = (LabelVolume.of_array(side, array) for side, array in (("pred", pred), ("truth", truth)))
    found = diagnose_volume(find_sections(OpenPair(*sides, None, None)))
    ceiling = found.precisions["linked without a fault"]
    return {
        "lost": {str(stage): found.stages.count(stage) for stage in dict.fromkeys(found.stages)},
        "linked_without_a_fault_ap50": round(ceiling.at(0.5), 4),
        "linked_without_a_fault_ap75": round(ceiling.at(0.75), 4),
    }


def _slices(out: Path, shape: Sequence[int]) -> Iterator[NDArray[np.int32]]:
    """Draw the objects of each slice as the first pass of a run found them."""
    (folder,) = out.with_name(f"{out.stem}_tasks").glob("segment-*")
    labels = np.zeros(shape, np.int32)
    for file in sorted(folder.glob("*.objects.parquet")):
        for z, tile, objects in read_objects(file)[0].by_tile():
            if tile:
                raise SystemExit(f"{out} has several tiles; make volume.window as large as a slice")
            paint(objects, np.arange(1, len(objects) + 1), labels[z], corner=(0, 0))
    yield from labels


def stitch(slices: Sequence[NDArray[np.integer[Any]]], *, iou: float) -> NDArray[np.int64]:
    """Link slices the plain way: an object continues that of the slice before with which its IoU is highest.

    Both must be the best of one another, with an IoU of at least `iou`.
    """
    done = np.zeros((len(slices), *slices[0].shape), np.int64)
    last = 0
    for z, labels in enumerate(slices):
        ids = np.unique(labels[labels > 0])
        own = last + np.arange(1, len(ids) + 1)
        if z:
            table = contingency_table(labels, done[z - 1])
            values = table.overlap / table.union
            best = [np.zeros(len(side)) for side in (table.pred_ids, table.truth_ids)]
            np.maximum.at(best[0], table.pred_index, values)
            np.maximum.at(best[1], table.truth_index, values)
            kept = (values >= iou) & (values == best[0][table.pred_index]) & (values == best[1][table.truth_index])
            own[table.pred_index[kept]] = table.truth_ids[table.truth_index[kept]].astype(np.int64)
        last += len(ids)
        lookup = np.zeros(int(labels.max(initial=0)) + 1, np.int64)
        lookup[ids] = own
        done[z] = lookup[labels]
    return done

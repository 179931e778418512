"""What learns from corrections: the model, by `autosam adapt`, and the peer, which starts from random weights."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sources_peer import divide, predict, standardized, train_network

from autosam.config import ImagesConfig
from autosam.data import LabeledImage
from autosam.data.folders import load_labeled_images
from autosam.pipeline.segmenter import Segmenter
from autosam.training.adapt.adapt_model import adapt_model
from autosam.training.adapt.adapt_task import AdaptOptions, AdaptTask
from autosam.training.adapt.adapted_part import LEAST
from autosam.training.adapt.few_labels import count_objects, read_labels_of

Found = list[NDArray[np.integer[Any]]]


@dataclass(frozen=True, eq=False)
class Learnt:
    """What came out of learning.

    Attributes
    ----------
    labels : list of ndarray of integers, shapes (H, W)
        What is found in the images to score.
    objects : int
        Labeled objects that were given.
    kept : str
        See `corrections_log.Row`.
    cpu_s : float
        CPU seconds of learning, with those of processes that it started.
    """

    labels: Found
    objects: int
    kept: str
    cpu_s: float


def adapt(data: Path, model: Path, out: Path, options: AdaptOptions, scored: Sequence[LabeledImage]) -> Learnt:
    """Adapt a model as `autosam adapt` does; where the labels are too few for that, the model stays as it is."""
    began = _cpu_seconds()
    segmenter = Segmenter.from_model(model, device="cpu")
    objects = count_objects(read_labels_of(data, segmenter.config, options.labels))
    if objects < LEAST:
        print(f"not adapted: {objects} labeled objects, and autosam adapt wants {LEAST}", flush=True)
        return Learnt(find(segmenter, scored), 0, "refused", 0.0)
    task = AdaptTask.read(data, str(model), options)
    adapted = adapt_model(task, out, options, device=torch.device("cpu"), say=lambda *_: None)
    spent = _cpu_seconds() - began
    record = adapted.record
    kept = f"{record['trained']} {record['share']:g}" if adapted.better else "thresholds"
    if record["thresholds"]:
        kept += f" ({record['thresholds']})"
    return Learnt(find(Segmenter.from_model(out, device="cpu"), scored), count_objects(task.images), kept, spent)


def train_peer(
    data: Path, settings: ImagesConfig, scored: Sequence[LabeledImage], *, steps: int, seed: int
) -> Learnt:
    """Train the peer on the same labels, where they were reviewed."""
    images = load_labeled_images(data / "images", data / "labels", source="peer", settings=settings)
    began = _cpu_seconds()
    network, _, _ = train_network([images], seed=seed, steps=steps)
    spent = _cpu_seconds() - began
    network.eval()
    found: Found = [divide(*predict(network, standardized(one))) for one in scored]
    return Learnt(found, count_objects(images), "peer", spent)


def find(segmenter: Segmenter, scored: Sequence[LabeledImage]) -> Found:
    """Segment images as `autosam segment` does."""
    return [segmenter.segment(one.image, zoom=one.zoom, normalized=True).labels for one in scored]


def _cpu_seconds() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system

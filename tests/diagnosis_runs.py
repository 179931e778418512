"""A folder as `autosam segment` leaves it, made by networks that answer by rule, so that every loss is known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fake_networks import BrightPixels, build_small_sam, use_component_sam
from numpy.typing import NDArray

from autosam.config import load_config
from autosam.images import find_sources, write_labels, write_png
from autosam.models.files.file_hash import file_sha256
from autosam.models.networks import Networks
from autosam.pipeline.batch import segment_batch
from autosam.pipeline.segmenter import Segmenter

SHAPE = (64, 96)
STAGES = ["found", "detection", "prompt", "prompt"]
"""What becomes of the four objects of `draw_image`, by id."""


def draw_image() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Give an image and its true labels: a bright object, a dark one, and two that a bright bridge joins."""
    truth = np.zeros(SHAPE, dtype=np.uint8)
    truth[5:20, 5:20] = 1
    truth[5:20, 40:55] = 2
    truth[35:50, 5:25] = 3
    truth[35:50, 29:49] = 4
    image = np.where(np.isin(truth, (1, 3, 4)), 220, 30).astype(np.uint8)
    image[40:45, 25:29] = 220
    return np.repeat(image[..., None], 3, axis=2), truth


def fake_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every model file stand for the two networks that answer by rule."""
    use_component_sam(monkeypatch)
    networks = Networks(build_small_sam(), BrightPixels())  # type: ignore[arg-type]

    def from_model(model, *, config=None, overrides=(), device="auto"):
        return Segmenter(networks, load_config(config, overrides=overrides), name=str(model))

    monkeypatch.setattr(Segmenter, "from_model", from_model)


def write_images(folder: Path, names: Sequence[str] = ("a",)) -> tuple[Path, Path]:
    """Write images and truths; gives their folders."""
    image, truth = draw_image()
    (folder / "images").mkdir()
    (folder / "truth").mkdir()
    for name in names:
        write_png(folder / "images" / f"{name}.png", image)
        write_labels(folder / "truth" / f"{name}.png", truth)
    return folder / "images", folder / "truth"


def write_run(images: Path, out: Path, *overrides: str) -> Path:
    """Segment a folder of images with a model file beside it; gives the model file."""
    model = out.parent / "model.safetensors"
    model.write_bytes(b"stands for the weights")
    segmenter = Segmenter.from_model(str(model), overrides=["decode.precision=float32", *overrides])
    sources = find_sources([images])
    outcomes = list(segment_batch(sources, segmenter, out, model_sha256=file_sha256(model)))
    assert {outcome.state for outcome in outcomes} == {"done"}
    return model

"""What the training tests train on: bright discs on a dark ground, and a model small enough for seconds."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autosam.config import Config, ModelConfig, SamConfig, load_config, make_config
from autosam.data import LabeledImage
from autosam.images import write_labels, write_png
from autosam.models.files.checkpoint import ModelHeader, save_model
from autosam.models.files.model_file import network_tensors
from autosam.models.networks import build_networks
from autosam.training.losses.batch_loss import BatchLoss

SMALL = (
    "model.sam.image_size=64",
    "model.sam.encoder=full",
    "model.sam.prompt_encoder=full",
    "model.sam.mask_decoder=full",
    "model.generator.encoder=tu-resnet10t",
    "model.generator.depth=3",
    "model.generator.decoder_channels=[16, 8, 8]",
    "training.batch_size=2",
    "training.prompts_per_tile=4",
    "training.workers=0",
    "training.precision=float32",
    "decode.precision=float32",
)


def small_config(*overrides: str) -> Config:
    return load_config(overrides=[*SMALL, *overrides])


def tile_config(**augment: Any) -> Config:
    """Make settings whose tiles are cut and turned, and changed in nothing but what is named."""
    still = {"zoom": (1.0, 1.0), "contrast": 0.0, "brightness": 0.0, "noise": 0.0, "blur": 0.0}
    return make_config({"training": {"augment": still | augment}})


def discs(seed: int, side: int = 96) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Give an RGB image and its labels: discs of radius 8 to 11, one in each square of 32 pixels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((side, side), dtype=np.int32)
    rows, cols = np.mgrid[:side, :side]
    for row in range(16, side, 32):
        for col in range(16, side, 32):
            middle, radius = np.array([row, col]) + rng.integers(-3, 4, size=2), rng.uniform(8, 11)
            labels[(rows - middle[0]) ** 2 + (cols - middle[1]) ** 2 < radius**2] = labels.max() + 1
    gray = np.where(labels > 0, 200.0, 50.0) + rng.normal(0, 8, labels.shape)
    return np.repeat(gray.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2), labels


def labeled_image(seed: int, side: int = 96) -> LabeledImage:
    image, labels = discs(seed, side)
    return LabeledImage(f"discs/{seed}", "discs", image, labels)


def disc_tiles(count: int = 2) -> tuple[Tensor, Tensor]:
    """Give a batch of whole tiles of 64 pixels, each with four discs: images (B, 3, 64, 64) and labels."""
    images, labels = zip(*(discs(seed, 64) for seed in range(count)), strict=True)
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return pixels, torch.from_numpy(np.stack(labels))


def total_loss(loss: BatchLoss) -> Tensor:
    """Add up the means of a batch's three losses."""
    return loss.generator / loss.tiles + loss.mask / max(1, loss.masks) + loss.iou / max(1, loss.answers)


def write_base(path: Path, *, seed: int = 0) -> Path:
    """Write a tiny SAM for 64 pixels, with random weights, as a model file that can be a base."""
    model = ModelConfig(sam=SamConfig(image_size=64), generator=None)
    header = ModelHeader(settings={"model": model.model_dump(mode="json")})
    save_model(path, tensors=network_tensors(build_networks(model, seed=seed), model), metadata=header)
    return path


def write_discs(folder: Path, count: int, side: int = 96) -> Path:
    """Write ``images`` and ``labels`` as `autosam train` wants them."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for seed in range(count):
        image, labels = discs(seed, side)
        write_png(folder / "images" / f"{seed}.png", image)
        write_labels(folder / "labels" / f"{seed}.png", labels)
    return folder

"""The peer: a plain UNet for foreground and border with a seeded watershed, trained for a given CPU time.

Network, optimizer, loss, thresholds and steps are those of a common baseline. Beside it, it takes instances, whose
borders it sees where they touch, and leaves out pixels that do not count.
"""

import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import segmentation_models_pytorch as smp
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from scipy import ndimage
from skimage.measure import label
from skimage.segmentation import watershed
from sources_data import Study
from sources_log import replace_rows, scored
from sources_score import HASH, Model, score_images, study_images
from torch import Tensor, nn

from autosam.data import LabeledImage
from autosam.images import atomic_path, ensure_folder, write_text

TILE, BATCH = 384, 4
RATE, LEAST_RATE, DECAY = 1e-3, 1e-6, 1e-2
FOREGROUND, SEED_FOREGROUND, SEED_BORDER = 0.5, 0.6, 0.4
LEAST_SEED, LEAST_OBJECT = 40, 100
STRIDE = 32
NAME, FILE = "peer", "peer.safetensors"
_CROSS = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 1), 2)

Picture = NDArray[np.float32]


def train_peer(study: Study, run: str, folder: Path, *, seconds: float) -> Path:
    """Train the peer without the sources of a run, and keep it; one that is there is taken as it is.

    Parameters
    ----------
    seconds : float
        CPU time; reading the images does not count.

    Returns
    -------
    Path
        The weights; beside them ``log.csv`` tells the CPU time.
    """
    path = folder / FILE
    if path.is_file():
        print(f"{NAME} without {run}: trained before")
        return path
    lacked = study.lacking(run)
    sources = [study.images(name, "train", study.config.images) for name in study.names if name not in lacked]
    network, steps, spent = train_network(sources, seed=study.config.seed, seconds=seconds)
    ensure_folder(folder)
    write_text(folder / "log.csv", f"step,cpu_s\n{steps},{spent:.1f}\n")
    with atomic_path(path) as temporary:
        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, temporary)
    print(f"{NAME} without {run}: {steps} steps in {spent:.0f} CPU s", flush=True)
    return path


def train_network(
    sources: Sequence[Sequence[LabeledImage]],
    *,
    seed: int,
    seconds: float | None = None,
    steps: int | None = None,
) -> tuple[nn.Module, int, float]:
    """Train the network from random weights, for some CPU time or a number of steps.

    Parameters
    ----------
    sources : sequence of sequence of LabeledImage
        Each source is drawn equally often.
    seconds, steps : float, int
        One of them.

    Returns
    -------
    network : nn.Module
    steps : int
    spent : float
        CPU seconds.
    """
    pairs = [[_training_pair(one) for one in images] for images in sources]
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = build()
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    began, done, spent, share = time.process_time(), 0, 0.0, 0.0
    while share < 1 or not done:
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - share) + LEAST_RATE
        tiles = [_draw(pairs, rng, TILE) for _ in range(BATCH)]
        loss = _loss(network, *(torch.from_numpy(np.stack(part)) for part in zip(*tiles, strict=True)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done, spent = done + 1, time.process_time() - began
        share = spent / seconds if seconds is not None else done / steps if steps else 1.0
    return network, done, spent


def score_peer(model: Model, study: Study, log: Path, *, most: int | None = None, again: bool = False) -> None:
    """Score the peer as `sources_score.score_model` does autosam's models."""
    model_hash = sha256(model.path.read_bytes()).hexdigest()[:HASH]
    digest = sha256(f"{FOREGROUND} {SEED_FOREGROUND} {SEED_BORDER} {most}".encode()).hexdigest()[:HASH]
    if not again and (model.recipe, model.without, "", digest, model_hash) in scored(log):
        print(f"{model.recipe} without {model.without}: scored before")
        return
    network = build()
    network.load_state_dict(load_file(model.path))
    network.eval()

    def find(one: LabeledImage) -> Iterator[NDArray[np.integer[Any]]]:
        yield divide(*predict(network, standardized(one)))

    images = study_images(study, model.lacks, study.config, most)
    replace_rows(log, list(score_images(model, images, find, {"": digest}, model_hash)))


def build() -> nn.Module:
    """Build the network with random weights: one plane in, logits of foreground and border out."""
    network: nn.Module = smp.Unet("resnet18", encoder_weights=None, in_channels=1, classes=2)
    return network.to(memory_format=torch.channels_last)


def standardized(one: LabeledImage) -> Picture:
    """Bring an image's first and 99th percentile to −1 and 1."""
    plane = one.image.mean(axis=2)
    low, high = np.percentile(plane, (1, 99))
    return np.asarray((plane - low) / max(high - low, 1) * 2 - 1, np.float32)


@torch.inference_mode()
def predict(network: nn.Module, picture: Picture) -> tuple[Picture, Picture]:
    """Give the probabilities of foreground and border for a whole picture."""
    height, width = picture.shape
    # An image smaller than what is missing to the stride cannot be mirrored.
    padded = np.pad(picture, ((0, -height % STRIDE), (0, -width % STRIDE)), mode="reflect")
    pixels = torch.from_numpy(padded)[None, None].to(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(pixels)
    maps = logits.float().sigmoid()[0, :, :height, :width].numpy()
    return maps[0], maps[1]


def divide(foreground: Picture, border: Picture) -> NDArray[np.integer[Any]]:
    """Divide the foreground by a watershed from the seeds that the border leaves."""
    seeds = ndimage.binary_opening((foreground > SEED_FOREGROUND) & (border < SEED_BORDER), iterations=2)
    inside = foreground > FOREGROUND
    depth = ndimage.distance_transform_edt(inside)
    markers = _without_small(label(seeds), LEAST_SEED)
    return _without_small(watershed(-depth, markers, mask=inside), LEAST_OBJECT)


def _without_small(labels: NDArray[np.integer[Any]], least: int) -> NDArray[np.integer[Any]]:
    sizes = np.bincount(labels.ravel())
    return np.where(sizes[labels] < least, 0, labels)


def _training_pair(one: LabeledImage) -> tuple[Picture, NDArray[np.float32]]:
    """Give the picture, and foreground, border and what counts, (3, H, W)."""
    largest, smallest = (
        of(one.labels, footprint=_CROSS) for of in (ndimage.maximum_filter, ndimage.minimum_filter)
    )
    counted = np.ones(one.labels.shape, bool) if one.valid is None else one.valid
    return standardized(one), np.stack([one.labels > 0, largest != smallest, counted]).astype(np.float32)


def _draw(
    sources: Sequence[Sequence[tuple[Picture, NDArray[np.float32]]]], rng: np.random.Generator, side: int
) -> tuple[Picture, NDArray[np.float32]]:
    """Cut a tile out of a random image of a random source, turn it and change its gray values."""
    images = sources[int(rng.integers(len(sources)))]
    picture, targets = images[int(rng.integers(len(images)))]
    lacking = [(0, max(0, side - length)) for length in picture.shape]
    if any(after for _, after in lacking):
        picture, targets = np.pad(picture, lacking, mode="symmetric"), np.pad(targets, [(0, 0), *lacking])
    row, col = (int(rng.integers(length - side + 1)) for length in picture.shape)
    window = np.s_[row : row + side, col : col + side]
    turn, flip = int(rng.integers(4)), -1 if rng.random() < 0.5 else 1
    tile = np.rot90(picture[window], turn)[::flip] * rng.uniform(0.7, 1.3) + rng.uniform(-0.3, 0.3)
    tile = tile + rng.normal(0, 1, tile.shape) * rng.uniform(0, 0.15)
    turned = [np.rot90(target[window], turn)[::flip] for target in targets]
    return tile[None].astype(np.float32), np.stack(turned)


def _loss(network: nn.Module, pixels: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of both maps and Dice of the foreground, where pixels count."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(pixels.to(memory_format=torch.channels_last))
    logits, wanted, counted = logits.float(), targets[:, :2], targets[:, 2:]
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, wanted, counted.expand_as(wanted))
    found, true = logits[:, :1].sigmoid() * counted, wanted[:, :1] * counted
    loss: Tensor = entropy + 1 - (2 * (found * true).sum() + 1) / (found.sum() + true.sum() + 1)
    return loss

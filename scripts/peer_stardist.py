"""Train StarDist, the peer, on the images of `nuclei` and segment the validation split with it:

    pip install stardist
    python scripts/peer_stardist.py fluorescence DATA STORES OUT --minutes 72
    autosam evaluate OUT/fluorescence/labels DATA/dsb2018/labels --list OUT/fluorescence/val.txt
    python scripts/peer_stardist.py tissue DATA STORES OUT --minutes 25
    autosam evaluate OUT/tissue/labels DATA/monuseg --list OUT/tissue/val.txt

STORES is the folder with dsb2018.h5 and monuseg.h5 that scripts/train_bundled.sh makes. `fluorescence` are the
images of dsb2018 of that modality; `tissue` is trained on monuseg and, for half of the patches, on the stained
images of dsb2018.

Network, targets, losses, non-maximum suppression and polygons are nearly those of stardist 0.9 in its example: 32
rays on every second pixel, a U-Net of three levels that starts with 32 channels, patches of 256 pixels, batches
of 4, percentiles 1 and 99.8, turned and mirrored patches, changed intensities (here of each color by itself). The
network is written in torch, as in bfloat16 a CPU takes more steps in the same time than TensorFlow does; what
segments is the exponential mean of the weights. The learning rate of .0003 falls along a cosine after 40 % of the
time. Thresholds are the best ones on the validation split by mean AP, as those of the bundled model are.
"""

import argparse
import csv
import itertools
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from skimage.io import imread, imsave
from stardist import fill_label_holes
from stardist.geometry import polygons_to_label, star_dist
from stardist.nms import non_maximum_suppression
from stardist.utils import edt_prob
from torch import Tensor, nn

from autosam import load_config
from autosam.data.folders import LabeledImage, SplitPart
from autosam.metrics import average_precision
from autosam.training.samples.load_images import load_part

Pair = tuple[NDArray[np.float32], NDArray[np.int32]]
RAYS, GRID, PATCH, BATCH = 32, 2, 256, 4
PROBABILITIES = (0.3, 0.4, 0.5, 0.6, 0.7)
OVERLAPS = (0.3, 0.4, 0.5)


def convolutions(*channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(channels):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


class StarDist(nn.Module):
    """The U-Net of `stardist.models.Config2D` with its defaults."""

    def __init__(self, channels: int, base: int = 32) -> None:
        super().__init__()
        self.to_grid = convolutions(channels, base, base)
        self.down = nn.ModuleList(
            [
                convolutions(base, base, base),
                convolutions(base, 2 * base, 2 * base),
                convolutions(2 * base, 4 * base, 4 * base),
            ]
        )
        self.middle = convolutions(4 * base, 8 * base, 4 * base)
        self.up = nn.ModuleList(
            [
                convolutions(8 * base, 4 * base, 2 * base),
                convolutions(4 * base, 2 * base, base),
                convolutions(2 * base, base, base),
            ]
        )
        self.features = convolutions(base, 128)
        self.probability, self.distances = nn.Conv2d(128, 1, 1), nn.Conv2d(128, RAYS, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features, skips = F.max_pool2d(self.to_grid(image), GRID), []
        for block in self.down:
            features = block(features)
            skips.append(features)
            features = F.max_pool2d(features, 2)
        features = self.middle(features)
        for block, skip in zip(self.up, reversed(skips), strict=True):
            features = block(torch.cat([F.interpolate(features, scale_factor=2), skip], dim=1))
        features = self.features(features)
        return self.probability(features), self.distances(features)


def load(data: Path, labeled_image: LabeledImage, *, color: bool) -> Pair:
    """Give an image (H, W, channels), normalized color by color, and its labels."""
    source, stem = labeled_image.name.split("/")
    image = imread(data / source / "images" / f"{stem}.png").astype(np.float32)
    image = image[..., :3] if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    image = image if color else image.mean(axis=2, keepdims=True)
    low, high = np.percentile(image, (1, 99.8), axis=(0, 1))
    return ((image - low) / (high - low + 1e-20)).astype(np.float32), labeled_image.labels.astype(np.int32)


def draw(
    sources: list[list[Pair]], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    pairs = sources[rng.integers(len(sources))]
    image, labels = pairs[rng.integers(len(pairs))]
    for _ in range(4):  # most patches hold an object
        row, col = (rng.integers(side - PATCH + 1) for side in labels.shape)
        window = np.s_[row : row + PATCH, col : col + PATCH]
        if labels[window].any() or rng.random() < 0.1:
            break
    quarter, flip = rng.integers(4), -1 if rng.random() < 0.5 else 1
    image = np.rot90(image[window], quarter)[::flip]
    labels = np.ascontiguousarray(np.rot90(labels[window], quarter)[::flip])
    channels = image.shape[2]
    image = image * rng.uniform(0.6, 2, channels) + rng.uniform(-0.2, 0.2, channels)
    image = image + 0.02 * rng.uniform() * rng.normal(size=image.shape)
    distances = star_dist(labels, RAYS, mode="cpp", grid=(GRID, GRID)).transpose(2, 0, 1)
    return image.transpose(2, 0, 1).astype(np.float32), edt_prob(labels)[None, ::GRID, ::GRID], distances


def train(sources: list[list[Pair]], minutes: float, path: Path, seed: int = 0) -> None:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = StarDist(sources[0][0][0].shape[2]).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 3e-4)
    mean = {name: values.clone() for name, values in network.state_dict().items()}
    start, step, losses = time.monotonic(), 0, []
    while (share := (time.monotonic() - start) / (60 * minutes)) < 1:
        falling = 0.5 * (1 + math.cos(math.pi * max(0.0, (share - 0.4) / 0.6)))
        optimizer.param_groups[0]["lr"] = 3e-4 * min(1, (step + 1) / 200) * falling
        patches = zip(*(draw(sources, rng) for _ in range(BATCH)), strict=True)
        image, probability, distances = (torch.from_numpy(np.stack(part)).float() for part in patches)
        with torch.autocast("cpu", torch.bfloat16):
            logits, found = network(image.to(memory_format=torch.channels_last))
        logits, found = logits.float(), found.float()
        apart = (probability * (found - distances).abs()).mean() / (probability.mean() + 1e-7)
        outside = ((probability == 0) * found.abs()).mean()
        loss = F.binary_cross_entropy_with_logits(logits, probability) + 0.2 * (apart + 1e-4 * outside)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        losses.append(float(loss.detach()))
        for name, values in network.state_dict().items():
            mean[name].lerp_(values, 1 - min(0.999, (1 + step) / (10 + step)))
        if step % 500 == 0:
            print(f"{share * minutes:.1f} minutes, {step} steps, loss {np.mean(losses):.3f}", flush=True)
            losses = []
    torch.save({"mean": mean, "step": step}, path)
    print(f"{step} steps")


def predict(network: StarDist, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    height, width = (-(-side // GRID) for side in image.shape[:2])
    padded = np.pad(image, [*((0, -side % 16) for side in image.shape[:2]), (0, 0)], mode="reflect")
    with torch.no_grad():
        logits, distances = network(torch.from_numpy(padded.transpose(2, 0, 1))[None])
    probability = logits.sigmoid()[0, 0].numpy()[:height, :width]
    return probability, np.maximum(distances[0].numpy().transpose(1, 2, 0)[:height, :width], 1e-3)


def divide(
    maps: tuple[NDArray[np.float32], NDArray[np.float32]],
    shape: tuple[int, ...],
    *,
    probability: float,
    overlap: float,
) -> NDArray[np.int32]:
    points, scores, rays = non_maximum_suppression(
        maps[1], maps[0], grid=(GRID, GRID), b=2, prob_thresh=probability, nms_thresh=overlap
    )
    labels: NDArray[np.int32] = polygons_to_label(rays, points, shape=shape, prob=scores)
    return labels


def chosen(kind: str, data: Path, stores: Path, part: SplitPart) -> list[list[LabeledImage]]:
    """Give the labeled images, source by source."""
    with (data / "dsb2018" / "index.csv").open() as table:
        modality = {row["id"]: row["modality"] for row in csv.DictReader(table)}
    wanted = "fluo" if kind == "fluorescence" else "stain"
    labeled_images = load_part(stores / "dsb2018.h5", load_config(), part)
    sources = [
        [labeled_image for labeled_image in labeled_images if modality[labeled_image.name.split("/")[1]] == wanted]
    ]
    if kind == "tissue":
        tissue = load_part(stores / "monuseg.h5", load_config(), part)
        sources = [tissue] if part == "val" else [tissue, *sources]
    return sources


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["fluorescence", "tissue"])
    parser.add_argument("data", type=Path)
    parser.add_argument("stores", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=72)
    args = parser.parse_args()

    color = args.kind == "tissue"
    out = args.out / args.kind
    (out / "labels").mkdir(parents=True, exist_ok=True)
    weights = out / "weights.pt"
    if not weights.exists():
        sources = []
        for labeled_images in chosen(args.kind, args.data, args.stores, "train"):
            pairs = [load(args.data, labeled_image, color=color) for labeled_image in labeled_images]
            # As its example does it, in training alone.
            sources.append([(image, fill_label_holes(labels)) for image, labels in pairs])
        train(sources, args.minutes, weights)

    labeled_images = chosen(args.kind, args.data, args.stores, "val")[0]
    network = StarDist(3 if color else 1).eval()
    network.load_state_dict(torch.load(weights)["mean"])
    truth = [load(args.data, labeled_image, color=color) for labeled_image in labeled_images]
    maps = [predict(network, image) for image, _ in truth]
    best: tuple[float, list[NDArray[np.int32]]] = (-1.0, [])
    for overlap in OVERLAPS:
        for probability in PROBABILITIES:
            found = [
                divide(seen, labels.shape, probability=probability, overlap=overlap)
                for seen, (_, labels) in zip(maps, truth, strict=True)
            ]
            scored = [average_precision(labels, true) for labels, (_, true) in zip(found, truth, strict=True)]
            mean = float(np.mean([score.mean for score in scored]))
            print(f"probability {probability}, overlap {overlap}: mean AP {mean:.3f}", flush=True)
            best = max(best, (mean, found), key=lambda pair: pair[0])
    names = [labeled_image.name.split("/")[1] for labeled_image in labeled_images]
    for name, labels in zip(names, best[1], strict=True):
        imsave(out / "labels" / f"{name}.png", labels.astype(np.uint16), check_contrast=False)
    (out / "val.txt").write_text("\n".join(names) + "\n")


if __name__ == "__main__":
    main()

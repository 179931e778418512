"""Train StarDist, the peer, on the fluorescence images of dsb2018 and segment the validation split with it:

    pip install --no-deps stardist csbdeep && pip install numba
    python scripts/peer_stardist.py DATA OUT --minutes 72
    autosam evaluate OUT/labels DATA/dsb2018/labels --list OUT/fluorescence.txt

Network, targets, losses, non-maximum suppression and polygons are those of stardist 0.9 as its example trains it:
32 rays on every second pixel, a U-Net of three levels that starts with 32 channels, patches of 256 pixels, batches
of 4, percentiles 1 and 99.8, turned and mirrored patches, changed intensities. The network is written in torch, as
in bfloat16 a CPU takes more steps in the same time than TensorFlow does; what segments is the exponential mean of
the weights. The learning rate of .0003 falls along a cosine after 40 % of the time. Thresholds are the best ones
on the validation split by mean AP, as those of the bundled model are.
"""

import argparse
import csv
import itertools
import json
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

from autosam.metrics import average_precision

RAYS, GRID, PATCH, BATCH = 32, 2, 256, 4
PROBABILITIES = (0.3, 0.4, 0.5, 0.6, 0.7)
OVERLAPS = (0.3, 0.4, 0.5)


def convolutions(*channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(channels):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


class StarDist(nn.Module):
    """The U-Net of `stardist.models.Config2D` with its defaults, for gray images."""

    def __init__(self, base: int = 32) -> None:
        super().__init__()
        self.to_grid = convolutions(1, base, base)
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


def load(data: Path, name: str) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    image = imread(data / "dsb2018" / "images" / f"{name}.png").astype(np.float32)
    if image.ndim == 3:
        image = image[..., :3].mean(axis=-1)
    low, high = np.percentile(image, (1, 99.8))
    labels = imread(data / "dsb2018" / "labels" / f"{name}.png").astype(np.int32)
    return ((image - low) / (high - low + 1e-20)).astype(np.float32), labels


def draw(
    scenes: list[tuple[NDArray[np.float32], NDArray[np.int32]]], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    image, labels = scenes[rng.integers(len(scenes))]
    for _ in range(4):  # most patches hold an object
        row, col = (rng.integers(side - PATCH + 1) for side in image.shape)
        window = np.s_[row : row + PATCH, col : col + PATCH]
        if labels[window].any() or rng.random() < 0.1:
            break
    quarter, flip = rng.integers(4), -1 if rng.random() < 0.5 else 1
    image = np.rot90(image[window], quarter)[::flip]
    labels = np.ascontiguousarray(np.rot90(labels[window], quarter)[::flip])
    image = image * rng.uniform(0.6, 2) + rng.uniform(-0.2, 0.2)
    image = image + 0.02 * rng.uniform() * rng.normal(size=image.shape)
    distances = star_dist(labels, RAYS, mode="cpp", grid=(GRID, GRID)).transpose(2, 0, 1)
    return image.astype(np.float32)[None], edt_prob(labels)[None, ::GRID, ::GRID], distances


def train(
    scenes: list[tuple[NDArray[np.float32], NDArray[np.int32]]], minutes: float, path: Path, seed: int = 0
) -> None:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = StarDist().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 3e-4)
    mean = {name: values.clone() for name, values in network.state_dict().items()}
    start, step, losses = time.monotonic(), 0, []
    while (share := (time.monotonic() - start) / (60 * minutes)) < 1:
        falling = 0.5 * (1 + math.cos(math.pi * max(0.0, (share - 0.4) / 0.6)))
        optimizer.param_groups[0]["lr"] = 3e-4 * min(1, (step + 1) / 200) * falling
        patches = zip(*(draw(scenes, rng) for _ in range(BATCH)), strict=True)
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
            torch.save({"mean": mean, "step": step}, path)
            losses = []
    torch.save({"mean": mean, "step": step}, path)
    print(f"{step} steps")


def predict(network: StarDist, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    height, width = (-(-side // GRID) for side in image.shape)
    padded = np.pad(image, [(0, -side % 16) for side in image.shape], mode="reflect")
    with torch.no_grad():
        logits, distances = network(torch.from_numpy(padded)[None, None])
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=72)
    args = parser.parse_args()

    rows = csv.DictReader((args.data / "dsb2018" / "index.csv").open())
    fluorescence = {row["id"] for row in rows if row["modality"] == "fluo"}
    split = json.loads((args.data / "splits.json").read_text())["dsb2018"]
    names = {part: [name for name in split[part] if name in fluorescence] for part in ("train", "val")}
    (args.out / "labels").mkdir(parents=True, exist_ok=True)
    weights = args.out / "weights.pt"
    if not weights.exists():
        scenes = [load(args.data, name) for name in names["train"]]
        # As its example does it, in training alone.
        train([(image, fill_label_holes(labels)) for image, labels in scenes], args.minutes, weights)

    network = StarDist().eval()
    network.load_state_dict(torch.load(weights)["mean"])
    truth = [load(args.data, name) for name in names["val"]]
    maps = [predict(network, image) for image, _ in truth]
    best: tuple[float, list[NDArray[np.int32]]] = (-1.0, [])
    for overlap in OVERLAPS:
        for probability in PROBABILITIES:
            found = [
                divide(seen, image.shape, probability=probability, overlap=overlap)
                for seen, (image, _) in zip(maps, truth, strict=True)
            ]
            scored = [average_precision(labels, true) for labels, (_, true) in zip(found, truth, strict=True)]
            mean = float(np.mean([score.mean for score in scored]))
            print(f"probability {probability}, overlap {overlap}: mean AP {mean:.3f}", flush=True)
            best = max(best, (mean, found), key=lambda pair: pair[0])
    for name, labels in zip(names["val"], best[1], strict=True):
        imsave(args.out / "labels" / f"{name}.png", labels.astype(np.uint16), check_contrast=False)
    (args.out / "fluorescence.txt").write_text("\n".join(names["val"]) + "\n")


if __name__ == "__main__":
    main()

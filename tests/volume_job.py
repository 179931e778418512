"""What the tests of volumes share: bright objects, and a model that takes bright pixels for objects."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from fake_networks import BrightPixels, build_small_sam

from autosam.config import Config, make_config
from autosam.models.networks import Networks
from autosam.pipeline.segmenter import Segmenter
from autosam.volumes.hole import HoleError


@dataclass(frozen=True)
class RuleModel:
    """Stands for a `ModelChoice`: bright pixels are foreground, and without SAM regions are the objects."""

    settings: Config
    model: str = "by rule"

    def load(self, device):
        return Segmenter(Networks(build_small_sam(), BrightPixels()), self.settings, name=self.model)


def rule_model(**volume):
    settings = make_config(
        {
            "decode": {"sam": False, "precision": "float32"},
            "images": {"find_zoom": False, "limits": "plain", "low": 0.0, "high": 100.0},
            "prompts": {"min_size": 5},
            "merge": {"min_size": 5, "min_score": 0.0},
            "tiles": {"size": 64},
            "volume": {"window": 96, "overlap": 32, "slab": 4, "tile": 96, "fill": "none", **volume},
        }
    )
    return RuleModel(settings)


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Stands for a `VolumeSource` over an array."""

    array: np.ndarray
    holes: tuple = ()
    name: str = "an array"
    voxel_size: tuple | None = None
    pixel_size: float | None = None
    origin: tuple = (0, 0, 0)
    notes: tuple = ()
    storage: object = None
    reads: list = field(default_factory=list)

    @property
    def shape(self):
        return self.array.shape[:3]

    @property
    def color(self):
        return self.array.ndim == 4

    @property
    def fingerprint(self):
        return hashlib.sha256(self.array.tobytes()).hexdigest()[:16]

    def read(self, z, window):
        if z in self.holes:
            raise HoleError(self.name, z, window, "it is a hole")
        self.reads.append(z)
        return self.array[(z, *window)]


def draw_balls(shape, count, *, seed=0, radius=(4, 9)):
    """Draw bright balls that do not touch; gives the volume and its labels, in order of the first slice."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    grid = np.indices(shape)
    placed = []
    for _ in range(50 * count):
        if len(placed) == count:
            break
        size = rng.uniform(*radius)
        middle = rng.uniform(0, shape)
        if any(np.linalg.norm(middle - other) < size + at + 3 for other, at in placed):
            continue
        inside = sum((axis - at) ** 2 for axis, at in zip(grid, middle, strict=True)) < size**2
        # No specks at the border, where a ball shows few pixels.
        if any(0 < np.count_nonzero(inside[z]) < 12 for z in range(shape[0])):
            keep = np.array([np.count_nonzero(inside[z]) >= 12 for z in range(shape[0])])
            inside &= keep[:, None, None]
        if inside.any():
            placed.append((middle, size))
            labels[inside] = len(placed)
    return np.where(labels > 0, 255, 0).astype(np.uint8), labels


def same_partition(one, other):
    """Tell whether two label volumes have the same objects, whatever their ids are."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1] and (
        bool(((pairs[0] == 0) == (pairs[1] == 0)).all())
    )


def read_labels_at(path: Path):
    import zarr

    return np.asarray(zarr.open_group(path, mode="r")["0"][...])

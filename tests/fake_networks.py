"""Two networks that answer by rule, for tests of what goes on around them.

The generator takes bright pixels for foreground, and the mask of a prompt is the bright 8-connected component that
the prompt points at, as far as SAM's window shows it.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from segment_anything.modeling import Sam
from torch import Tensor, nn

from autosam.config import load_config
from autosam.models.networks import Networks
from autosam.models.sam import masks, postprocess
from autosam.models.sam.fast_decoder import Masks
from autosam.models.sam.interface import Decoded, Embedding
from autosam.models.sam.resampling import Upsampling
from autosam.models.statistics.novelty import NoveltyStatistics
from autosam.models.variants import build_sam
from autosam.pipeline import model_settings
from autosam.pipeline.segmenter import Segmenter
from autosam.prompts import Prompt


class BrightPixels(nn.Module):
    """A generator with any channels: foreground where the first color is above one half, boundary nowhere."""

    stride = 8
    downsample = 1
    tile_size = None

    def __init__(self, *channels: str) -> None:
        super().__init__()
        self.channels = channels or ("foreground", "boundary")
        self.anywhere = nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor) -> Tensor:
        foreground = (image[:, 0] - 0.5) * 40
        known = {"foreground": foreground, "boundary": torch.full_like(foreground, -8.0)}
        return torch.stack([known[channel] for channel in self.channels], dim=1)


class DescribedPixels(BrightPixels):
    """The same, with a deepest feature map: the colors' means over squares of 8 pixels."""

    def __init__(self, *channels: str) -> None:
        super().__init__(*channels)
        self.deepest = nn.AvgPool2d(8)

    def forward(self, image: Tensor) -> Tensor:
        self.deepest(image)
        return super().forward(image)


def colors_of(mean: float, deviation: float, *, limit: float) -> NoveltyStatistics:
    """Make statistics of gray training tiles: the mean and the deviation of each of three equal colors."""
    return NoveltyStatistics(
        means=np.repeat(np.array([[mean, deviation]], np.float32), 3, axis=1),
        components=np.zeros((0, 6), np.float32),
        variances=np.zeros(0, np.float32),
        rest=np.float32(3),
        limit=np.float32(limit),
    )


def build_small_sam() -> Sam:
    """Build the tiny SAM for 64 pixels, always with the same weights, which answer with masks of mixed signs."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sam = build_sam("tiny", image_size=64)
        with torch.no_grad():
            for parameter in sam.mask_decoder.parameters():
                if parameter.ndim > 1:
                    parameter *= 2
    sam.requires_grad_(False)
    return sam.eval()


class ComponentSam:
    """The places of `encode`, `decode` and `upsamplings`; remembers how large the windows and the batches were."""

    iou = 1.0
    """What it predicts for every mask."""

    def __init__(self) -> None:
        self.windows: list[tuple[int, int]] = []
        self.batches: list[int] = []

    def encode(self, sam: Sam, image: NDArray[np.uint8]) -> Embedding:
        assert image.dtype == np.uint8
        assert image.ndim == 3
        self.windows.append((image.shape[0], image.shape[1]))
        return Embedding(torch.from_numpy(image[..., 0].copy()), self.windows[-1], self.windows[-1])

    def decode(
        self,
        sam: Sam,
        embeddings: Sequence[Embedding],
        prompts: Sequence[Prompt],
        *,
        masks: Masks,
        batch_size: int,
        window: int | None,
    ) -> Iterator[list[Decoded]]:
        seen = [ndimage.label(one.features.numpy() > 127, structure=np.ones((3, 3)))[0] for one in embeddings]
        for start in range(0, len(prompts), batch_size):
            members = np.arange(start, min(start + batch_size, len(prompts)))
            self.batches.append(len(members))
            count = 3 if masks == "three" else 1
            answers = []
            for components in seen:
                shown = np.stack([_shown(components, prompts[index]) for index in members])
                logits = torch.from_numpy(np.where(shown, 10.0, -10.0).astype(np.float32))[:, None]
                iou = torch.full((len(members), count), self.iou)
                corners = np.zeros((len(members), 2), dtype=np.int64)
                answers.append(Decoded(members, logits.expand(-1, count, -1, -1), iou, corners))
            yield answers

    def upsamplings(self, sam: Sam, embedding: Embedding) -> tuple[Upsampling, Upsampling]:
        rows, columns = (Upsampling(torch.eye(n), np.arange(n), np.arange(n)) for n in embedding.original_size)
        return rows, columns


def _shown(components: NDArray[np.int32], prompt: Prompt) -> NDArray[np.bool_]:
    """Find the component that most positive points lie on; without points, the one that fills most of the box."""
    points = prompt.points[prompt.point_labels == 1]
    if len(points):
        rows, cols = np.rint(points).astype(int).T
        ids = components[rows, cols]
    else:
        assert prompt.box is not None
        row, col, last_row, last_col = np.rint(prompt.box).astype(int)
        ids = components[max(row, 0) : last_row + 1, max(col, 0) : last_col + 1].ravel()
    ids = ids[ids > 0]
    shown: NDArray[np.bool_] = (components == np.bincount(ids).argmax()) if len(ids) else components < 0
    return shown


def use_component_sam(monkeypatch: pytest.MonkeyPatch) -> ComponentSam:
    """Let `decode_masks` see components from here to the end of the test."""
    fake = ComponentSam()
    for module, name in ((masks, "encode"), (masks, "decode"), (postprocess, "upsamplings")):
        monkeypatch.setattr(module, name, getattr(fake, name))
    return fake


def use_rule_models(monkeypatch: pytest.MonkeyPatch) -> Networks:
    """Let each name of a model give these networks; return them."""
    use_component_sam(monkeypatch)
    networks = Networks(build_small_sam(), BrightPixels())  # type: ignore[arg-type]

    def from_model(model, *, config=None, overrides=(), device="auto"):
        return Segmenter(networks, load_config(config, overrides=overrides), name=str(model))

    def settings_of_model(model, *, config=None, overrides=()):
        return load_config(config, overrides=overrides)

    monkeypatch.setattr(Segmenter, "from_model", from_model)
    monkeypatch.setattr(model_settings, "settings_of_model", settings_of_model)
    return networks


def draw_ellipses(
    shape: tuple[int, int], ellipses: Sequence[tuple[float, float, float, float]]
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Draw bright ellipses (row, column, radius in rows, in columns) on dark; gives the image and its labels."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, dtype=np.int32)
    for number, (row, col, high, wide) in enumerate(ellipses, start=1):
        labels[((rows - row) / high) ** 2 + ((cols - col) / wide) ** 2 <= 1] = number
    return np.where(labels > 0, 220, 30).astype(np.uint8), labels

"""Mask prompts that carry a gradient: what is drawn is what inference draws."""

import numpy as np
import pytest
import torch
from blobs import discs
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from with_defaults import find_regions

from autosam.config import PromptsConfig, TrainingConfig
from autosam.models.sam.interface import Embedding, render_mask_prompt
from autosam.models.variants import build_sam
from autosam.prompts import Prompt
from autosam.training.losses.soft import soft_mask_prompts
from autosam.training.prompting.prompt_targets import TilePrompts
from autosam.training.prompting.tile_prompts import predicted_prompts, simulated_prompts


def smooth_logits(amplitude: float) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    coarse = torch.randn(1, 1, 9, 9, generator=generator)
    fine = F.interpolate(coarse, (64, 64), mode="bicubic", align_corners=True)[0, 0]
    return amplitude * fine / fine.abs().max()


def stripes() -> NDArray[np.float32]:
    return np.where(np.arange(64) % 16 == 0, 0.9, 0.1).astype(np.float32)[None].repeat(64, 0)


def prompts_for(kind: str, logits: Tensor) -> TilePrompts:
    foreground, (_, labels) = logits.sigmoid().numpy(), discs(0, 64)
    rng = np.random.default_rng(0)
    settings, training = PromptsConfig(min_size=1, box_margin=0.3), TrainingConfig()
    if kind == "truth":
        return simulated_prompts(labels, foreground, settings, training, rng)
    return predicted_prompts(labels, {"foreground": foreground, "boundary": stripes()}, settings, training, rng)


@pytest.mark.parametrize("kind", ["truth", "predicted"])
# float32 probabilities near 0 and 1 do not hold their logits any closer
@pytest.mark.parametrize(("amplitude", "tolerance"), [(3.0, 1e-5), (20.0, 1e-3)])
def test_soft_mask_prompts_are_those_that_inference_draws(kind: str, amplitude: float, tolerance: float) -> None:
    logits = smooth_logits(amplitude).requires_grad_()
    tile = prompts_for(kind, logits.detach())
    assert len(tile.prompts) >= 4
    soft = soft_mask_prompts(tile.prompts, tile.regions, logits)
    sam = build_sam("tiny", image_size=64)
    whole = Embedding(torch.zeros(1, 128, 4, 4), (64, 64), (64, 64))
    drawn = torch.cat([render_mask_prompt(sam, prompt.mask, whole) for prompt in tile.prompts if prompt.mask])
    assert soft.shape == drawn.shape == (len(tile.prompts), 1, 16, 16)
    assert torch.allclose(soft, drawn, atol=tolerance)
    assert drawn.std() > 1
    soft.sum().backward()
    assert logits.grad is not None
    reached = logits.grad != 0
    own = torch.from_numpy(np.isin(tile.regions, [prompt.region for prompt in tile.prompts]))
    assert (reached[own] | (logits[own].abs() > 8)).all()


def test_threshold_regions_the_prompts_are_those_of_inference() -> None:
    logits = smooth_logits(5.0)
    tile = prompts_for("predicted", logits)
    np.testing.assert_array_equal(tile.regions, find_regions(logits.sigmoid().numpy(), stripes(), min_size=1))


def test_a_prompt_without_a_mask_has_no_crop_to_draw() -> None:
    point = Prompt(points=np.array([[1.0, 1.0]]), point_labels=np.array([1]), region=1)
    with pytest.raises(ValueError, match="prompt 0 has no mask"):
        soft_mask_prompts([point], np.ones((8, 8), np.int32), torch.zeros(8, 8))

"""The gradient's way through prompts: what is drawn is what inference draws, and where the gradient points."""

import numpy as np
import pytest
import torch
from blobs import discs
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from autosam.models.sam.interface import Embedding, render_mask_prompt
from autosam.models.sam.variants import build_sam
from autosam.prompts import Prompt
from autosam.regions import find_regions
from autosam.training.prompting import TilePrompts, ground_truth_prompts, predicted_prompts
from autosam.training.soft import soft_mask_prompts, soft_points

# Mask prompts


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
    if kind == "truth":
        return ground_truth_prompts(
            labels,
            foreground,
            count=16,
            min_size=1,
            points=1,
            negatives=0,
            box_margin=0.3,
            how="uniform",
            jitter=0.1,
            max_jitter=20.0,
            mask=True,
            rng=rng,
        )
    return predicted_prompts(
        labels,
        foreground,
        stripes(),
        count=16,
        threshold=0.5,
        boundary_threshold=0.5,
        min_size=1,
        method="distance",
        points=1,
        negatives=0,
        box_margin=0.3,
        matching="hungarian",
        unmatched=True,
        rng=rng,
    )


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
    with pytest.raises(ValueError, match="prompt 0 has no mask"):
        soft_mask_prompts([pointing(1)], np.ones((8, 8), np.int32), torch.zeros(8, 8))


# Points


def pointing(region: int) -> Prompt:
    return Prompt(points=np.array([[1.0, 1.0]]), point_labels=np.array([1]), region=region)


def test_a_point_of_three_pixels_by_hand() -> None:
    # Equal logits: the mean place is row 1, and a pixel pulls by its weight × its distance from there.
    regions = np.zeros((3, 4), dtype=np.int32)
    regions[:, 2] = 7
    logits = torch.zeros(3, 4, requires_grad=True)
    shift = soft_points([pointing(7)], regions, logits)
    assert shift.tolist() == [[0.0, 0.0]]
    (row,) = torch.autograd.grad(shift[0, 0], logits, retain_graph=True)
    assert row[:, 2].tolist() == pytest.approx([-1 / 3, 0, 1 / 3])
    assert not row[:, [0, 1, 3]].any()
    (col,) = torch.autograd.grad(shift[0, 1], logits)
    assert col.abs().max() < 1e-6  # all of it lies in one column


def soft_argmax(logits: NDArray[np.float64], region: NDArray[np.bool_]) -> NDArray[np.float64]:
    places = np.argwhere(region)
    weights = np.exp(logits[region] - logits[region].max())
    return np.asarray((weights / weights.sum()) @ places)


def test_the_gradient_is_that_of_the_soft_argmax() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0, 2, (5, 6))
    regions = (rng.random((5, 6)) < 0.6).astype(np.int32) + (np.arange(6) > 3).astype(np.int32)
    logits = torch.tensor(values, requires_grad=True)
    prompts = [pointing(2), pointing(1)]
    shift = soft_points(prompts, regions, logits)
    assert shift.shape == (2, 2)
    assert not shift.detach().any()
    small = 1e-5
    for index, prompt in enumerate(prompts):
        for axis in range(2):
            (found,) = torch.autograd.grad(shift[index, axis], logits, retain_graph=True)
            for place in np.ndindex(values.shape):
                step = np.zeros_like(values)
                step[place] = small
                ends = [soft_argmax(values + sign * step, regions == prompt.region)[axis] for sign in (1, -1)]
                assert found[place].item() == pytest.approx((ends[0] - ends[1]) / (2 * small), abs=1e-7)


def test_a_pull_on_the_point_raises_the_logits_there() -> None:
    logits = torch.zeros(9, 9, requires_grad=True)
    shift = soft_points([pointing(1)], np.ones((9, 9), np.int32), logits)
    # A loss that falls to the lower right.
    (-(shift[0, 0] + shift[0, 1])).backward()
    assert logits.grad is not None
    after = logits.detach() - 0.1 * logits.grad
    assert after[8, 8] > after[4, 4] > after[0, 0]
    assert soft_argmax(after.double().numpy(), np.ones((9, 9), bool)).min() > 4


def test_without_a_region_there_is_no_gradient() -> None:
    regions = np.zeros((4, 4), dtype=np.int32)
    regions[0] = 1
    logits = torch.zeros(4, 4, requires_grad=True)
    shift = soft_points([pointing(0), pointing(9), pointing(1)], regions, logits)
    assert shift.tolist() == [[0.0, 0.0]] * 3
    shift[:2].sum().backward(retain_graph=True)
    assert logits.grad is not None
    assert not logits.grad.any()
    assert not soft_points([pointing(0)], regions, logits).requires_grad
    shift[2, 1].backward()
    assert logits.grad[0].any()
    assert not logits.grad[1:].any()

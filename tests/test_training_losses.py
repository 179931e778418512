"""Losses, by hand."""

import math

import pytest
import torch

from autosam.training.losses import bce_dice, mask_bce_dice, mask_iou

SURE = 50.0


def test_bce_and_dice_of_even_odds() -> None:
    # p = 1/2 everywhere, 2 of 4 pixels: BCE ln 2; Dice (2 · 1 + 1) / (2 + 2 + 1) = 3/5
    target = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    assert bce_dice(torch.zeros(2, 2), target).item() == pytest.approx(math.log(2) + 0.4)


def test_perfect_and_opposite_answers() -> None:
    target = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    logits = (target * 2 - 1) * SURE
    assert bce_dice(logits, target).item() == pytest.approx(0, abs=1e-6)
    # p = 1 - t: BCE 50; Dice 1 / (3 + 1 + 1)
    assert bce_dice(-logits, target).item() == pytest.approx(SURE + 0.8)


def test_an_empty_mask_predicted_empty_costs_nothing() -> None:
    empty = torch.zeros(3, 1, 4, 4)
    assert bce_dice(empty - SURE, empty).flatten().tolist() == pytest.approx([0.0] * 3, abs=1e-6)
    assert torch.isfinite(bce_dice(empty - 1e4, empty)).all()


def test_every_mask_has_its_own_loss() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    losses = bce_dice(logits, target)
    assert losses.shape == (2, 3)
    assert losses[1, 2].item() == pytest.approx(bce_dice(logits[1, 2], target[1, 2]).item())


def test_the_weight_is_that_of_the_whole_cross_entropy() -> None:
    target = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    logits = torch.zeros(2, 2)
    assert mask_bce_dice(logits, target).item() == pytest.approx(20 * math.log(2) + 0.4)
    assert mask_bce_dice(logits, target, weight=1).item() == pytest.approx(bce_dice(logits, target).item())


def test_better_answers_cost_less() -> None:
    target = torch.zeros(16, 16)
    target[4:8, 4:8] = 1
    costs = [bce_dice(shift * (target * 2 - 1), target).item() for shift in (-1.0, 0.0, 1.0, 3.0)]
    assert costs == sorted(costs, reverse=True)


def test_iou_of_thresholded_masks() -> None:
    # mask 3 pixels, truth 2 (.5 is out), both 1
    logits = torch.tensor([[1.0, 0.1, 2.0, 0.0, -1.0]])[None]
    target = torch.tensor([[1.0, 0.5, 0.0, 0.9, 0.0]])[None]
    assert mask_iou(logits, target).tolist() == [0.25]
    assert mask_iou(-logits.abs(), target * 0).tolist() == [0]
    assert not mask_iou(logits.requires_grad_(), target).requires_grad

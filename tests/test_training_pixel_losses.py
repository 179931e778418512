"""Losses, by hand."""

import math
from collections.abc import Mapping
from typing import get_args

import pytest
import torch

from autosam.config import TrainingConfig
from autosam.training.losses.pixel_losses import (
    GENERATOR_LOSSES,
    MASK_LOSSES,
    MaskLoss,
    bce,
    bce_dice,
    mask_bce_dice,
    mask_iou,
    squared_dice_ce,
)

SURE = 50.0


def test_bce_of_each_mask() -> None:
    # p = 3/4 where 1, 0 and 1/2 are wanted
    logits = torch.full((3, 1, 2), math.log(3))
    target = torch.tensor([1.0, 0.0, 0.5])[:, None, None].expand(3, 1, 2)
    expected = [math.log(4 / 3), math.log(4), (math.log(4 / 3) + math.log(4)) / 2]
    assert bce(logits, target).tolist() == pytest.approx(expected)
    # of two pixels, the mean
    assert bce(logits[0], torch.tensor([[1.0, 0.0]])).item() == pytest.approx(expected[2])


def test_bce_and_dice_of_even_odds() -> None:
    # p = 1/2 everywhere, 2 of 4 pixels: BCE ln 2; Dice (2 · 1 + 1) / (2 + 2 + 1) = 3/5
    target = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    assert bce_dice(torch.zeros(2, 2), target).item() == pytest.approx(math.log(2) + 0.4)


def test_dice_with_squares_of_even_odds() -> None:
    # p = 1/2 everywhere, 2 of 4 pixels: BCE ln 2; Dice 2 · 1 / (4 / 4 + 2) = 2/3
    target = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    assert squared_dice_ce(torch.zeros(2, 2), target).item() == pytest.approx(math.log(2) + 1 / 3, abs=1e-5)
    # targets are squared too: 2 · 1/2 · 2 / (4 / 4 + 4 / 4) = 1 for p = t = 1/2
    assert squared_dice_ce(torch.zeros(2, 2), target * 0 + 0.5).item() == pytest.approx(math.log(2), abs=1e-5)


def test_dice_with_squares_of_sure_answers() -> None:
    target = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    logits = (target * 2 - 1) * SURE
    assert squared_dice_ce(logits, target).item() == pytest.approx(0, abs=1e-6)
    assert squared_dice_ce(-logits, target).item() == pytest.approx(SURE + 1, abs=1e-4)
    # nothing wanted: 0 of nothing, 1 - SMOOTH / (4 + SMOOTH) of everything
    assert squared_dice_ce(target * 0 - SURE, target * 0).item() == pytest.approx(0, abs=1e-6)
    assert squared_dice_ce(target * 0 + SURE, target * 0).item() == pytest.approx(SURE + 1, abs=1e-4)


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


@pytest.mark.parametrize("loss", [*GENERATOR_LOSSES.values(), *MASK_LOSSES.values()])
def test_every_mask_has_its_own_loss(loss: MaskLoss) -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    losses = loss(logits, target)
    assert losses.shape == (2, 3)
    assert losses[1, 2].item() == pytest.approx(loss(logits[1, 2], target[1, 2]).item())
    assert loss(logits[:0], target[:0]).shape == (0, 3)


@pytest.mark.parametrize(("field", "table"), [("mask_loss", MASK_LOSSES), ("generator_loss", GENERATOR_LOSSES)])
def test_every_setting_has_its_loss(field: str, table: Mapping[str, MaskLoss]) -> None:
    assert set(table) == set(get_args(TrainingConfig.model_fields[field].annotation))
    torch.manual_seed(0)
    logits, target = torch.randn(8, 8), (torch.rand(8, 8) > 0.5).float()
    assert len({loss(logits, target).item() for loss in table.values()}) == len(table)


def test_the_names_of_losses() -> None:
    # p = 1/2, 2 of 4 pixels
    logits, target = torch.zeros(2, 2), torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    dice, squared = 1 - 3 / 5, 1 - 2 / 3
    costs = {name: loss(logits, target).item() for name, loss in {**MASK_LOSSES, **GENERATOR_LOSSES}.items()}
    assert costs == pytest.approx(
        {
            "weighted": 20 * math.log(2) + dice,
            "dice_ce": math.log(2) + dice,
            "squared_dice_ce": math.log(2) + squared,
            "bce": math.log(2),
            "bce_dice": math.log(2) + dice,
        },
        abs=1e-5,
    )


def test_the_weight_is_that_of_the_whole_cross_entropy() -> None:
    target = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    logits = torch.zeros(2, 2)
    assert mask_bce_dice(logits, target).item() == pytest.approx(20 * math.log(2) + 0.4)
    assert mask_bce_dice(logits, target, weight=1).item() == pytest.approx(bce_dice(logits, target).item())


@pytest.mark.parametrize("loss", [*GENERATOR_LOSSES.values(), *MASK_LOSSES.values()])
def test_better_answers_cost_less(loss: MaskLoss) -> None:
    target = torch.zeros(16, 16)
    target[4:8, 4:8] = 1
    costs = [loss(shift * (target * 2 - 1), target).item() for shift in (-1.0, 0.0, 1.0, 3.0)]
    assert costs == sorted(costs, reverse=True)


def test_iou_of_thresholded_masks() -> None:
    # mask 3 pixels, truth 2 (.5 is out), both 1
    logits = torch.tensor([[1.0, 0.1, 2.0, 0.0, -1.0]])[None]
    target = torch.tensor([[1.0, 0.5, 0.0, 0.9, 0.0]])[None]
    assert mask_iou(logits, target).tolist() == [0.25]
    assert mask_iou(-logits.abs(), target * 0).tolist() == [0]
    assert not mask_iou(logits.requires_grad_(), target).requires_grad

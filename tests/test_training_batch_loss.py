"""One loss of many devices: sums and counts by hand, and a gradient that is that of one large batch."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from autosam.config import TrainingConfig
from autosam.training.losses.batch_loss import DIGITS, BatchLoss, mean_row, step_loss


class Ranks:
    """What `step_loss` needs of Fabric: the sums of the other devices are known beforehand."""

    def __init__(self, *others: BatchLoss) -> None:
        self.world_size = 1 + len(others)
        self._others = others

    def all_reduce(self, data: Tensor, reduce_op: str) -> Tensor:
        assert reduce_op == "sum"
        assert not data.requires_grad
        return data + sum(
            torch.stack([torch.as_tensor(part).detach().float() for part in other]) for other in self._others
        )


class Step:
    """An objective, and the means beside it by name."""

    def __init__(self, objective: Tensor, means: dict[str, float]) -> None:
        assert means.keys() == DIGITS.keys()
        self.objective, self.means = objective, means
        self.total, self.generator, self.mask, self.iou, self.mask_iou, self.matched = means.values()


def objective(loss: BatchLoss, *others: BatchLoss, mask_weight: float = 1.0, iou_weight: float = 1.0) -> Step:
    fabric: Any = Ranks(*others)
    return Step(*step_loss(loss, TrainingConfig(mask_weight=mask_weight, iou_weight=iou_weight), fabric))


def sums(generator: Any, mask: Any, iou: Any, *counts: float) -> BatchLoss:
    """Make a loss; counts are tiles, masks, answers, mask_iou, matched, prompts."""
    parts = (torch.as_tensor(value, dtype=torch.float32) for value in (generator, mask, iou))
    return BatchLoss(*parts, *counts)  # type: ignore[arg-type]


def joined(*losses: BatchLoss) -> BatchLoss:
    return BatchLoss(*(sum(parts) for parts in zip(*losses, strict=True)))


def batches(weight: Tensor) -> tuple[BatchLoss, BatchLoss]:
    """Two devices' batches of different numbers of tiles, masks and answers, of the same weight."""
    one = sums(3 * weight, 2 * weight**2, weight + 1, 2, 4, 5, 2.0, 4, 5)
    other = sums(weight**3, weight, 4 * weight, 1, 1, 2, 0.5, 1, 2)
    return one, other


def test_one_device_by_hand() -> None:
    loss = sums(6.0, 8.0, 3.0, 2, 4, 6, 3.0, 4, 5)
    step = objective(loss, mask_weight=0.5)
    # 6 / 2 + 0.5 (8 / 4 + 3 / 6)
    assert step.total == step.objective.item() == 4.25
    assert (step.generator, step.mask, step.iou) == (3.0, 2.0, 0.5)
    assert (step.mask_iou, step.matched) == (0.75, pytest.approx(0.8))
    # 6 / 2 + 0.5 (8 / 4 + 5 × 3 / 6), and the parts as they were
    judged = objective(loss, mask_weight=0.5, iou_weight=5.0)
    assert judged.total == judged.objective.item() == 5.25
    assert (judged.generator, judged.mask, judged.iou) == (3.0, 2.0, 0.5)


@pytest.mark.parametrize("mask_weight", [1.0, 0.3, 0.0])
def test_the_gradient_of_two_devices_is_that_of_one_with_both_batches(mask_weight: float) -> None:
    def derivative(which: int | None) -> tuple[float, Step]:
        weight = torch.tensor(1.5, requires_grad=True)
        one, other = batches(weight)
        order = [(joined(one, other),), (one, other), (other, one)][0 if which is None else which]
        step = objective(*order, mask_weight=mask_weight)
        step.objective.backward()
        assert weight.grad is not None
        return float(weight.grad), step

    whole, alone = derivative(None)
    (first, one), (second, other) = derivative(1), derivative(2)
    # DistributedDataParallel averages the gradients of the devices.
    assert (first + second) / 2 == pytest.approx(whole)
    assert first != pytest.approx(second)
    for step in (one, other):
        assert step.means == pytest.approx(alone.means)
    assert (one.objective + other.objective).item() / 2 == pytest.approx(alone.total)


def test_the_mean_is_over_all_masks_not_over_devices() -> None:
    many, few = sums(0, 9.0, 0, 1, 9, 9, 9.0, 9, 9), sums(0, 11.0, 0, 1, 1, 1, 0.0, 1, 1)
    step = objective(many, few)
    assert step.mask == 2.0  # not (1 + 11) / 2
    assert step.mask_iou == pytest.approx(0.9)


def test_a_batch_without_any_prompt() -> None:
    generator = torch.tensor(4.0, requires_grad=True)
    step = objective(sums(generator, 0, 0, 2, 0, 0, 0, 0, 0))
    assert step.total == 2.0
    assert (step.mask, step.iou) == (0.0, 0.0)
    assert math.isnan(step.mask_iou)
    assert math.isnan(step.matched)
    step.objective.backward()
    assert generator.grad is not None
    assert generator.grad.item() == 0.5


def test_a_device_without_prompts_beside_one_with() -> None:
    empty, full = sums(1.0, 0, 0, 1, 0, 0, 0, 0, 0), sums(3.0, 6.0, 1.0, 1, 3, 4, 1.5, 3, 4)
    for step in (objective(empty, full), objective(full, empty)):
        assert step.total == pytest.approx(2 + 2 + 0.25)
        assert step.mask_iou == 0.5
        assert step.matched == 0.75


def test_batches_of_one_step_are_averaged_for_the_log() -> None:
    first = dict(zip(DIGITS, (4.0, 1.0, 2.0, 1.0, 0.5, 1.0), strict=True))
    last = dict(zip(DIGITS, (6.0, 3.0, 2.0, 1.0, 0.7, 0.0), strict=True))
    assert list(mean_row([first, last]).values()) == pytest.approx([5.0, 2.0, 2.0, 1.0, 0.6, 0.5])
    assert mean_row([last]) == last


def test_the_log_has_every_part() -> None:
    values = (1.234567, 1.0, 0.2, 0.034567, 0.56789, float("nan"))
    row = mean_row([dict(zip(DIGITS, values, strict=True))])
    assert list(row) == ["loss", "generator", "mask", "iou", "mask_iou", "matched"]
    assert (row["loss"], row["iou"], row["mask_iou"]) == (1.23457, 0.03457, 0.5679)
    assert math.isnan(row["matched"])

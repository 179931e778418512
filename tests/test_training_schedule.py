"""What changes from step to step, by hand."""

from typing import Any

import pytest
import torch

from autosam.config import TrainingConfig
from autosam.training.schedule import exponential_average, learning_rate, predicted_share


def rates(steps: int, *, warmup: float, peak: float, schedule: Any = "cosine", asked: int = 0) -> list[float]:
    settings = TrainingConfig(steps=steps, warmup=warmup, schedule=schedule)
    return [learning_rate(settings, step, peak=peak) for step in range(asked or steps)]


def shares(steps: int, *, between: tuple[float, float], final: float) -> list[float]:
    settings = TrainingConfig(steps=steps, predicted_between=between, predicted_share=final)
    return [predicted_share(settings, step) for step in range(steps)]


def test_warm_up_then_a_cosine_to_the_floor() -> None:
    found = rates(100, warmup=0.1, peak=2.0, asked=101)
    assert found[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert found[10] == 2.0
    assert found[55] == pytest.approx(2.0 * (0.01 + 0.99 / 2))
    assert found[100] == pytest.approx(0.02)
    assert found[10:] == sorted(found[10:], reverse=True)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (1, 1.0), (2, 0.05), (5, 1.0), (7, 0.0)])
def test_short_runs_have_a_rate_above_zero(steps: int, warmup: float) -> None:
    found = rates(steps, warmup=warmup, peak=1.0)
    assert all(0 < rate <= 1 for rate in found)
    assert max(found) == 1


def test_a_constant_schedule_rises_and_stays() -> None:
    assert rates(10, warmup=0.2, peak=4.0, schedule="constant") == [2.0] + [4.0] * 9
    assert rates(3, warmup=0.0, peak=1e-5, schedule="constant") == [1e-5] * 3


def test_predicted_prompts_come_in_linearly() -> None:
    share = shares(100, between=(0.1, 0.6), final=0.7)
    assert share[:11] == [0] * 11
    assert share[35] == pytest.approx(0.35)
    assert share[60:] == pytest.approx([0.7] * 40)


def test_predicted_prompts_from_the_beginning_and_at_once() -> None:
    assert shares(10, between=(0.5, 0.5), final=1.0) == [0] * 5 + [1] * 5
    rising = shares(10, between=(0.0, 1.0), final=0.7)
    assert rising[0] == 0
    assert rising[9] == pytest.approx(0.63)
    # As the recipe sac has it: half of the tiles, all the time.
    assert shares(10, between=(0.0, 0.0), final=0.5) == [0.5] * 10


def test_early_updates_forget_the_first_weights() -> None:
    mean, counter = torch.zeros(2), torch.zeros((), dtype=torch.int64)
    update = exponential_average(0.998)
    for count in range(1, 51):
        update([mean], [torch.ones(2)], count)
        update([counter], [torch.tensor(count)], torch.tensor(count))
    # A constant decay would leave 0.998 ** 50 = 90 % of the zeros; what is left is (2 ... 51) / (11 ... 60).
    assert torch.allclose(mean, torch.ones(2), atol=1e-4)
    assert int(counter) == 50


def test_in_the_long_run_the_decay_is_the_one_asked_for() -> None:
    mean = torch.zeros(1)
    exponential_average(0.9)([mean], [torch.ones(1)], 1000)
    assert torch.allclose(mean, torch.tensor([0.1]))


def test_no_decay_gives_the_current_weights() -> None:
    mean = torch.zeros(1)
    exponential_average(0.0)([mean], [torch.full((1,), 3.0)], 5)
    assert mean.item() == 3.0

"""What changes from step to step, by hand."""

import pytest

from autosam.training.schedule import learning_rate, predicted_share


def test_warm_up_then_a_cosine_to_the_floor() -> None:
    rates = [learning_rate(step, steps=100, warmup=0.1, peak=2.0) for step in range(101)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[10] == 2.0
    assert rates[55] == pytest.approx(2.0 * (0.01 + 0.99 / 2))
    assert rates[100] == pytest.approx(0.02)
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (1, 1.0), (2, 0.05), (5, 1.0), (7, 0.0)])
def test_short_runs_have_a_rate_above_zero(steps: int, warmup: float) -> None:
    rates = [learning_rate(step, steps=steps, warmup=warmup, peak=1.0) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    assert max(rates) == 1


def test_predicted_prompts_come_in_linearly() -> None:
    share = [predicted_share(step, steps=100, between=(0.1, 0.6), final=0.7) for step in range(100)]
    assert share[:11] == [0] * 11
    assert share[35] == pytest.approx(0.35)
    assert share[60:] == pytest.approx([0.7] * 40)


def test_predicted_prompts_from_the_beginning_and_at_once() -> None:
    assert [predicted_share(step, steps=10, between=(0.5, 0.5), final=1.0) for step in (4, 5, 6, 9)] == [
        0,
        1,
        1,
        1,
    ]
    assert predicted_share(0, steps=10, between=(0.0, 1.0), final=0.7) == 0
    assert predicted_share(9, steps=10, between=(0.0, 1.0), final=0.7) == pytest.approx(0.63)


def test_a_constant_schedule_rises_and_stays() -> None:
    rates = [learning_rate(step, steps=10, warmup=0.2, peak=4.0, schedule="constant") for step in range(10)]
    assert rates == [2.0] + [4.0] * 9
    flat = [learning_rate(step, steps=3, warmup=0.0, peak=1e-5, schedule="constant") for step in range(3)]
    assert flat == [1e-5] * 3


def test_predicted_prompts_in_a_fixed_share_from_the_first_step_on() -> None:
    # As the recipe sac has it: half of the tiles, all the time.
    share = [predicted_share(step, steps=10, between=(0.0, 0.0), final=0.5) for step in range(10)]
    assert share == [0.5] * 10

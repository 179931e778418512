"""Prompts of which parts are dropped, and thresholds that are drawn anew."""

import numpy as np
import pytest

from autosam.config import PromptsConfig, SimulateConfig, TrainingConfig
from autosam.prompts import MaskPrompt, Prompt
from autosam.training.prompting.vary import drop_parts, vary_points, vary_thresholds


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def whole(point: tuple[float, float]) -> Prompt:
    """Make a prompt with a point, a box and a mask."""
    return Prompt(
        points=np.array([point]),
        point_labels=np.array([1]),
        box=np.array([5.0, 5.0, 14.0, 14.0]),
        mask=MaskPrompt(row=5, col=5, logits=np.ones((9, 9), dtype=np.float32)),
        region=1,
    )


def shares(mask: float, box_only: float = 0.3, point_only: float = 0.2) -> TrainingConfig:
    return TrainingConfig(mask_prompt=mask, simulate=SimulateConfig(box_only=box_only, point_only=point_only))


# Parts


def test_every_kind_of_prompt_comes_up_and_none_is_empty() -> None:
    prompts = [whole((6.0, 6.0)), whole((25.0, 41.0))]
    kinds: dict[tuple[int, bool, bool], int] = {}
    for seed in range(2000):
        varied = drop_parts(prompts, shares(0.5, 0.3, 0.2), rng(seed))
        ((points, box, mask),) = {(len(p.points), p.box is not None, p.mask is not None) for p in varied}
        assert all(len(p.points) == len(p.point_labels) for p in varied)
        kinds[points, box, mask] = kinds.get((points, box, mask), 0) + 1
    found = {kind: count / 2000 for kind, count in kinds.items()}
    expected = {(1, True): 0.25, (0, True): 0.15, (1, False): 0.1}
    assert found == pytest.approx(
        {(*kind, mask): share for kind, share in expected.items() for mask in (True, False)}, abs=0.03
    )


@pytest.mark.parametrize(
    ("box_only", "point_only", "kinds"),
    [
        (1.0, 0.0, {(0, True)}),
        (0.0, 1.0, {(1, False)}),
        (0.0, 0.0, {(1, True)}),
        (0.7, 0.3, {(0, True), (1, False)}),
    ],
)
def test_shares_of_all_or_nothing(box_only: float, point_only: float, kinds: set[tuple[int, bool]]) -> None:
    prompts = [whole((6.0, 6.0)), whole((25.0, 41.0))]
    seen = set()
    for seed in range(200):
        for prompt in drop_parts(prompts, shares(0.5, box_only, point_only), rng(seed)):
            seen.add((len(prompt.points), prompt.box is not None))
    assert seen == kinds


@pytest.mark.parametrize(("box_only", "point_only"), [(1.0, 0.0), (0.0, 1.0), (0.3, 0.2)])
def test_a_prompt_always_keeps_something(box_only: float, point_only: float) -> None:
    mask = MaskPrompt(row=0, col=0, logits=np.zeros((4, 4), dtype=np.float32))
    both = whole((6.0, 6.0))
    pointed = Prompt(points=np.array([[6.0, 6.0], [21.0, 41.0]]), point_labels=np.array([1, 0]))
    boxed = Prompt(
        points=np.array([[6.0, 6.0]]), point_labels=np.array([0]), box=np.array([20.0, 40.0, 29.0, 49.0])
    )
    masked = Prompt(points=np.zeros((0, 2)), point_labels=np.zeros(0, dtype=np.int64), mask=mask)
    for seed in range(50):
        varied = drop_parts([both, pointed, boxed, masked], shares(0.0, box_only, point_only), rng(seed))
        assert varied[1].points.tolist() == pointed.points.tolist()
        assert varied[1].point_labels.tolist() == [1, 0]
        assert varied[2].box is boxed.box
        assert varied[3].mask is mask
        if box_only == 1:
            assert [len(prompt.points) for prompt in varied] == [0, 2, 0, 0]
        if point_only == 1:
            assert [prompt.box is None for prompt in varied] == [True, True, False, True]


def test_variation_leaves_the_rest_of_a_prompt() -> None:
    prompts = [whole((6.0, 6.0)), whole((25.0, 41.0))]
    for seed in range(10):
        for before, after in zip(prompts, drop_parts(prompts, shares(1.0), rng(seed)), strict=True):
            assert (after.region, after.foreground) == (before.region, before.foreground)
            assert after.mask is before.mask
            assert after.box is None or after.box is before.box
    for seed in range(20):
        assert all(p.mask is None for p in drop_parts(prompts, shares(0.0), rng(seed)))
    assert drop_parts([], shares(0.5), rng()) == []


# Thresholds


def thresholds(settings: PromptsConfig) -> tuple[float, float, float]:
    return settings.foreground, settings.boundary, settings.center


def test_thresholds_are_varied_within_reach() -> None:
    settings = PromptsConfig(foreground=0.5, boundary=0.9, center=0.7, points=3)
    assert vary_thresholds(settings, reach=0.0, rng=rng(0)) is settings
    drawn = [vary_thresholds(settings, reach=1.5, rng=rng(seed)) for seed in range(200)]
    assert {one.points for one in drawn} == {3}
    values = np.array([thresholds(one) for one in drawn])
    # In logits, each on its own and to both sides of where it was.
    shifts = np.log(values / (1 - values)) - np.log([1, 9, 7 / 3])
    assert (np.abs(shifts) <= 1.5 + 1e-9).all()
    assert (shifts.min(axis=0) < -1.3).all()
    assert (shifts.max(axis=0) > 1.3).all()
    assert (np.abs(np.corrcoef(shifts.T)[np.triu_indices(3, 1)]) < 0.3).all()
    ends = PromptsConfig(foreground=1.0, boundary=0.0)
    assert thresholds(vary_thresholds(ends, reach=1.5, rng=rng(0)))[:2] == (1, 0)


# Points


def test_the_number_of_points_is_drawn_log_uniformly() -> None:
    drawn = [vary_points(PromptsConfig(), (1, 20), rng(seed)).points for seed in range(2000)]
    assert set(drawn) == set(range(1, 21))
    # log 2 / log 21 of them is one point, log(21 / 10) / log 21 ten or more.
    assert np.mean(np.array(drawn) == 1) == pytest.approx(0.228, abs=0.03)
    assert np.mean(np.array(drawn) >= 10) == pytest.approx(0.244, abs=0.03)


def test_the_number_of_points_may_be_one_number_or_that_of_the_prompts() -> None:
    assert {vary_points(PromptsConfig(), (5, 5), rng(seed)).points for seed in range(20)} == {5}
    prompts = PromptsConfig(points=3)
    stream = rng()
    assert vary_points(prompts, None, stream) is prompts
    assert stream.random() == rng().random(), "nothing is drawn"

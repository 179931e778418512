"""The kinds of training images and the limits of novelty: what is known by hand, and windows of every size."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import mahalanobis

from autosam.models.statistics.novelty import NoveltyStatistics
from autosam.training.fit.kinds import (
    COMPONENTS,
    KINDS,
    LEAST_WINDOWS,
    PERCENTILE,
    SHRINKAGE,
    TILES_OF_A_KIND,
    Described,
    fit_statistics,
)


def single(*values: object) -> tuple[NDArray[np.float32], ...]:
    return tuple(np.array(value, dtype=np.float32) for value in values)


def draw(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def fit(sources: Sequence[NDArray[np.float32]]) -> NoveltyStatistics | None:
    """Fit to windows of one tile each, in which nothing is uncertain."""
    return fit_statistics([[Described(tile[None], 0.0, 1.0) for tile in tiles] for tiles in sources])


@pytest.mark.parametrize("size", [6, 60])
def test_distances_are_those_of_the_shrunk_covariance(size: int) -> None:
    """More and fewer tiles of one kind than dimensions, against numpy's covariance and scipy's distance."""
    tiles = 2 * TILES_OF_A_KIND - 1
    training, others = draw(tiles, size) @ draw(size, size, seed=1) / 8, draw(5, size, seed=2)
    covariance = np.cov(training.T)
    target = np.eye(size) * np.trace(covariance) / size
    inverse = np.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * target)
    wanted = [mahalanobis(other, training.mean(axis=0), inverse) for other in others]
    statistics = fit([training])
    assert statistics is not None
    assert statistics.distances(others) == pytest.approx(wanted, rel=1e-3)


def test_images_of_the_same_kind_are_known_and_others_are_not() -> None:
    statistics = fit([draw(200, 20)])
    assert statistics is not None
    assert statistics.novelty(draw(50, 20, seed=1)) < 1
    assert statistics.novelty(draw(50, 20, seed=1) + 4) > 1
    assert statistics.novelty(draw(50, 20, seed=1) * 5) > 1


@pytest.mark.parametrize("sources", [1, 2])
def test_between_two_kinds_is_like_neither(sources: int) -> None:
    """Whether they are two sources, or one source that holds both, in any order."""
    kinds = [draw(30, 8) - 20, draw(30, 8, seed=1) + 20]
    mixed = np.random.default_rng(2).permutation(np.concatenate(kinds))
    statistics = fit(kinds if sources == 2 else [mixed])
    assert statistics is not None
    # 30 tiles are one kind, 60 are three: no mean lies between.
    assert statistics.means.shape == (2 if sources == 2 else 3, 8)
    assert statistics.novelty(draw(9, 8, seed=2) - 20) < 1
    assert statistics.novelty(draw(9, 8, seed=3) + 20) < 1
    assert statistics.novelty(draw(9, 8, seed=4)) > 5


def test_the_limit_is_that_of_tiles_which_the_statistics_have_not_seen() -> None:
    """Where the halves of a source differ, an image may differ as much."""
    drift = np.repeat(single([0, 6])[0], 30)[:, None] * np.ones((1, 8), np.float32)
    for offset in (np.zeros_like(drift), drift):
        statistics = fit([draw(60, 8) + offset])
        assert statistics is not None
        seen = np.percentile(statistics.distances(draw(60, 8) + offset), PERCENTILE)
        if offset.any():
            assert statistics.limit > 4 * seen
        else:
            assert seen < statistics.limit < 3 * seen


def test_too_few_tiles_and_tiles_that_are_all_alike_say_nothing() -> None:
    assert fit_statistics([]) is None
    assert fit([draw(LEAST_WINDOWS - 1, 4)]) is None
    assert fit([draw(LEAST_WINDOWS, 4)]) is not None
    assert fit([np.ones((50, 4), np.float32), np.zeros((50, 4), np.float32)]) is None
    half = np.concatenate([np.ones((20, 4), np.float32), draw(20, 4)])
    assert fit([half]) is None
    assert fit([draw(1, 4, seed=seed) for seed in range(LEAST_WINDOWS)]) is None


def test_hardly_a_tile_that_differs_says_nothing() -> None:
    """A limit of 0 would make everything else infinitely unlike."""
    blank = np.zeros((400, 4), np.float32)
    differ = [draw(16, 4, seed=seed) + 20 for seed in range(2)]
    rest = np.concatenate([differ[0], blank[:100] + 2, differ[1]])
    assert fit([blank, blank + 1, rest]) is None
    assert fit([blank[:100], blank[:100] + 1, rest]) is not None


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_blank_tiles_among_others(share: float) -> None:
    blank = np.random.default_rng(3).random(400) < share
    statistics = fit([np.where(blank[:, None], np.float32(0), draw(400, 6) + 5)])
    assert statistics is not None
    assert statistics.novelty(np.zeros((3, 6), np.float32)) < 1
    assert statistics.novelty(draw(30, 6, seed=4) + 5) < 1
    assert statistics.novelty(draw(30, 6, seed=4) - 15) > 1


def test_tiles_that_come_again_and_again() -> None:
    """Four different tiles are one kind, however often they are there."""
    statistics = fit([np.tile(draw(4, 6), (16, 1))])
    assert statistics is not None
    assert len(statistics.means) == 1


def test_tiles_that_differ_by_rounding_and_an_outlier(recwarn: pytest.WarningsRecorder) -> None:
    steps = np.random.default_rng(0).integers(0, 8, (400, 4))
    tiles = (7 * (1 + steps * np.finfo(np.float32).eps)).astype(np.float32)
    tiles[0] = 1000
    statistics = fit([tiles])
    assert statistics is None or statistics.limit > 0
    assert not recwarn.list


def test_a_source_of_a_single_tile_stands_beside_another() -> None:
    alone = fit([draw(40, 4)])
    statistics = fit([draw(40, 4), draw(1, 4) + 30])
    assert statistics is not None
    assert alone is not None
    assert statistics.novelty(draw(1, 4) + 30) == pytest.approx(0, abs=1e-6)
    # One tile in 41 does not move the limit far.
    assert statistics.limit < 1.5 * alone.limit


def test_kinds_that_differ_in_a_feature_of_small_scale() -> None:
    """The feature with the largest numbers is noise here."""
    sides = np.random.default_rng(0).choice(single([-1, 1])[0], 320)
    tiles = np.stack([sides + 0.05 * draw(320), *(1000 * draw(3, 320, seed=1))], axis=1).astype(np.float32)
    statistics = fit([tiles])
    assert statistics is not None
    # No mean lies between the two sides.
    assert np.abs(statistics.means[:, 0]).min() > 0.8


def test_features_that_training_never_moved_count_when_they_move() -> None:
    training = np.concatenate([draw(60, 4), np.zeros((60, 4), np.float32)], axis=1)
    statistics = fit([training])
    assert statistics is not None
    moved = training[:5] + single([0, 0, 0, 0, 9, 9, 9, 9])[0]
    assert statistics.novelty(training[:5]) < 1 < statistics.novelty(moved)


# Windows of several sizes


def of_sizes(count: int, *, seed: int) -> list[Described]:
    """Draw windows whose squares grow by half of 1 / area."""
    rng = np.random.default_rng(seed)
    areas = rng.uniform(0.1, 1, count)
    return [
        Described(
            rng.normal(size=(1, 40), scale=(1 + 0.5 / area) ** 0.5).astype(np.float32), float(share), float(area)
        )
        for area, share in zip(areas, rng.uniform(0.1, 0.3, count) * (1 + 0.5 / areas) ** 0.5, strict=True)
    ]


def novelties(statistics: NoveltyStatistics, windows: Sequence[Described]) -> NDArray[np.float64]:
    found = [statistics.novelty(tiles, uncertain=share, area=area) for tiles, share, area in windows]
    return np.array(found)


def test_small_and_large_windows_are_known_alike() -> None:
    statistics = fit_statistics([of_sizes(600, seed=0)])
    assert statistics is not None
    assert 0.2 < statistics.growth < 1
    assert 0.2 < statistics.uncertain_growth < 1
    others = of_sizes(900, seed=1)
    areas, unlike = np.array([window.area for window in others]), novelties(statistics, others) > 1
    for low, high in ((0.1, 0.25), (0.25, 0.5), (0.5, 1)):
        assert unlike[(areas >= low) & (areas < high)].mean() < 0.08
    assert unlike.mean() > 0.01


def test_windows_of_one_size_tell_no_growth() -> None:
    statistics = fit([draw(100, 8)])
    assert statistics is not None
    assert statistics.growth == 0
    assert statistics.uncertain_growth == 0


def test_uncertain_windows_are_unlike_at_the_same_distance() -> None:
    windows = [
        window._replace(area=1.0, uncertain=0.2 + window.uncertain / 100) for window in of_sizes(200, seed=0)
    ]
    statistics = fit_statistics([windows])
    assert statistics is not None
    others = [window._replace(area=1.0, uncertain=0.2) for window in of_sizes(50, seed=1) if window.area > 0.8]
    sure, unsure = (
        novelties(statistics, [window._replace(uncertain=share) for window in others]) for share in (0.2, 0.8)
    )
    assert (sure < 1).all()
    assert (unsure > 1).all()


def test_a_file_of_limited_size() -> None:
    """However many windows and sources there are."""
    statistics = fit([draw(500, 200, seed=seed) + 9 * seed for seed in range(5)])
    assert statistics is not None
    assert len(statistics.means) <= KINDS
    assert statistics.components.shape == (COMPONENTS, 200)
    # What is left out of the components counts in the other directions.
    total = statistics.variances.sum() + statistics.rest * (200 - COMPONENTS)
    assert total == pytest.approx(200, rel=0.1)

"""How far an image is from the training images: distances and limits known by hand, and what the encoder gives."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import mahalanobis

from autosam.errors import ModelError
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.generator.unet import Generator
from autosam.models.statistics.novelty import (
    LEAST_TILES,
    PERCENTILE,
    SHRINKAGE,
    TILES_OF_A_KIND,
    NoveltyStatistics,
    describe_tiles,
    fit_statistics,
)
from autosam.models.variants import build_sam


def single(*values: object) -> tuple[NDArray[np.float32], ...]:
    return tuple(np.array(value, dtype=np.float32) for value in values)


def by_hand(**changes: object) -> NoveltyStatistics:
    """Two kinds at (0, 0) and (10, 0); variance 4 along the first axis, 1 along the second; limit 2."""
    values = {"means": [[0, 0], [10, 0]], "components": [[1, 0]], "variances": [4], "rest": 1, "limit": 2}
    return NoveltyStatistics(**{name: single(value)[0] for name, value in (values | changes).items()})


def draw(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# Distances


def test_distances_known_by_hand() -> None:
    descriptors = single([[0, 0], [2, 0], [0, 3], [10, 3], [4, 3], [9, 0]])[0]
    assert by_hand().distances(descriptors) == pytest.approx([0, 1, 3, 3, 13**0.5, 0.5])


def test_the_median_tile_speaks_for_the_image() -> None:
    assert by_hand().novelty(single([[2, 0], [0, 6], [0, 400]])[0]) == pytest.approx(3)
    assert by_hand().novelty(single([[2, 0]])[0]) == pytest.approx(0.5)


def test_without_components_all_directions_are_alike() -> None:
    sphere = by_hand(components=np.zeros((0, 2)), variances=[], rest=4)
    assert sphere.distances(single([[0, 4], [13, 4]])[0]) == pytest.approx([2, 2.5])


@pytest.mark.parametrize("size", [6, 60])
def test_distances_are_those_of_the_shrunk_covariance(size: int) -> None:
    """More and fewer tiles of one kind than dimensions, against numpy's covariance and scipy's distance."""
    tiles = 2 * TILES_OF_A_KIND - 1
    training, others = draw(tiles, size) @ draw(size, size, seed=1) / 8, draw(5, size, seed=2)
    covariance = np.cov(training.T)
    target = np.eye(size) * np.trace(covariance) / size
    inverse = np.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * target)
    wanted = [mahalanobis(other, training.mean(axis=0), inverse) for other in others]
    statistics = fit_statistics([training])
    assert statistics is not None
    assert statistics.distances(others) == pytest.approx(wanted, rel=1e-3)


# The statistics of training tiles


def test_images_of_the_same_kind_are_known_and_others_are_not() -> None:
    statistics = fit_statistics([draw(200, 20)])
    assert statistics is not None
    assert statistics.novelty(draw(50, 20, seed=1)) < 1
    assert statistics.novelty(draw(50, 20, seed=1) + 4) > 1
    assert statistics.novelty(draw(50, 20, seed=1) * 5) > 1


@pytest.mark.parametrize("sources", [1, 2])
def test_between_two_kinds_is_like_neither(sources: int) -> None:
    """Whether they are two sources, or one source that holds both, in any order."""
    kinds = [draw(30, 8) - 20, draw(30, 8, seed=1) + 20]
    mixed = np.random.default_rng(2).permutation(np.concatenate(kinds))
    statistics = fit_statistics(kinds if sources == 2 else [mixed])
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
        statistics = fit_statistics([draw(60, 8) + offset])
        assert statistics is not None
        seen = np.percentile(statistics.distances(draw(60, 8) + offset), PERCENTILE)
        if offset.any():
            assert statistics.limit > 4 * seen
        else:
            assert seen < statistics.limit < 3 * seen


def test_too_few_tiles_and_tiles_that_are_all_alike_say_nothing() -> None:
    assert fit_statistics([]) is None
    assert fit_statistics([draw(LEAST_TILES - 1, 4)]) is None
    assert fit_statistics([draw(LEAST_TILES, 4)]) is not None
    assert fit_statistics([np.ones((50, 4), np.float32), np.zeros((50, 4), np.float32)]) is None
    half = np.concatenate([np.ones((20, 4), np.float32), draw(20, 4)])
    assert fit_statistics([half]) is None
    assert fit_statistics([draw(1, 4, seed=seed) for seed in range(LEAST_TILES)]) is None


def test_hardly_a_tile_that_differs_says_nothing() -> None:
    """A limit of 0 would make everything else infinitely unlike."""
    blank = np.zeros((400, 4), np.float32)
    differ = [draw(16, 4, seed=seed) + 20 for seed in range(2)]
    rest = np.concatenate([differ[0], blank[:100] + 2, differ[1]])
    assert fit_statistics([blank, blank + 1, rest]) is None
    assert fit_statistics([blank[:100], blank[:100] + 1, rest]) is not None


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_blank_tiles_among_others(share: float) -> None:
    blank = np.random.default_rng(3).random(400) < share
    statistics = fit_statistics([np.where(blank[:, None], np.float32(0), draw(400, 6) + 5)])
    assert statistics is not None
    assert statistics.novelty(np.zeros((3, 6), np.float32)) < 1
    assert statistics.novelty(draw(30, 6, seed=4) + 5) < 1
    assert statistics.novelty(draw(30, 6, seed=4) - 15) > 1


def test_tiles_that_come_again_and_again() -> None:
    """Four different tiles are one kind, however often they are there."""
    statistics = fit_statistics([np.tile(draw(4, 6), (16, 1))])
    assert statistics is not None
    assert len(statistics.means) == 1


def test_tiles_that_differ_by_rounding_and_an_outlier(recwarn: pytest.WarningsRecorder) -> None:
    steps = np.random.default_rng(0).integers(0, 8, (400, 4))
    tiles = (7 * (1 + steps * np.finfo(np.float32).eps)).astype(np.float32)
    tiles[0] = 1000
    statistics = fit_statistics([tiles])
    assert statistics is None or statistics.limit > 0
    assert not recwarn.list


def test_a_source_of_a_single_tile_stands_beside_another() -> None:
    alone = fit_statistics([draw(40, 4)])
    statistics = fit_statistics([draw(40, 4), draw(1, 4) + 30])
    assert statistics is not None
    assert alone is not None
    assert statistics.novelty(draw(1, 4) + 30) == pytest.approx(0, abs=1e-6)
    # One tile in 41 does not move the limit far.
    assert statistics.limit < 1.5 * alone.limit


def test_kinds_that_differ_in_a_feature_of_small_scale() -> None:
    """The feature with the largest numbers is noise here."""
    sides = np.random.default_rng(0).choice(single([-1, 1])[0], 320)
    tiles = np.stack([sides + 0.05 * draw(320), *(1000 * draw(3, 320, seed=1))], axis=1).astype(np.float32)
    statistics = fit_statistics([tiles])
    assert statistics is not None
    # No mean lies between the two sides.
    assert np.abs(statistics.means[:, 0]).min() > 0.8


def test_features_that_training_never_moved_count_when_they_move() -> None:
    training = np.concatenate([draw(60, 4), np.zeros((60, 4), np.float32)], axis=1)
    statistics = fit_statistics([training])
    assert statistics is not None
    moved = training[:5] + single([0, 0, 0, 0, 9, 9, 9, 9])[0]
    assert statistics.novelty(training[:5]) < 1 < statistics.novelty(moved)


# In a model file


def test_statistics_come_back_as_they_were() -> None:
    statistics = fit_statistics([draw(40, 12), draw(30, 12) + 3])
    assert statistics is not None
    again = NoveltyStatistics.from_state_dict(statistics.state_dict(), channels=6)
    others = draw(7, 12, seed=5)
    assert np.array_equal(again.distances(others), statistics.distances(others))
    assert again.novelty(others) == statistics.novelty(others)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.pop("rest"),
        lambda state: state.update(more=torch.ones(1)),
        lambda state: state.update(means=torch.ones(2, 5)),
        lambda state: state.update(means=torch.ones(0, 12)),
        lambda state: state.update(means=torch.tensor(1.0)),
        lambda state: state.update(variances=torch.ones(1)),
        lambda state: state.update(limit=torch.tensor(0.0)),
        lambda state: state.update(rest=torch.ones(1)),
    ],
)
def test_statistics_that_do_not_fit(spoil: Callable[[dict[str, torch.Tensor]], None]) -> None:
    statistics = fit_statistics([draw(40, 12)])
    assert statistics is not None
    state = statistics.state_dict()
    spoil(state)
    with pytest.raises(ModelError, match="statistics of training images") as error:
        NoveltyStatistics.from_state_dict(state, channels=6)
    assert "\n" not in str(error.value)


# What the generator's encoder gives


def small() -> Generator:
    torch.manual_seed(0)
    return Generator(encoder="resnet18", channels=("foreground",), depth=3, decoder_channels=(16, 8, 8)).eval()


def test_tiles_are_described_by_the_deepest_feature_map() -> None:
    generator, images = small(), torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        alone = generator(images)
        with describe_tiles(generator) as tiles:
            answers = generator(images)
            assert len(tiles) == 2
            generator(images[:1])
        generator(images)
        deepest = generator.unet.encoder((images - 0.5) / 0.25)[-1].numpy()
    assert torch.equal(answers, alone)
    assert len(tiles) == 3
    assert deepest.shape == (2, generator.deepest_channels, 4, 6)
    for tile, features in zip(tiles, deepest[[0, 1, 0]], strict=True):
        wanted = np.concatenate([features.mean(axis=(1, 2)), features.std(axis=(1, 2))])
        assert tile.dtype == np.float32
        np.testing.assert_allclose(tile, wanted, rtol=1e-3, atol=1e-5)


def test_a_single_pixel_deep_down_has_no_deviation() -> None:
    generator = small()
    with torch.no_grad(), describe_tiles(generator) as tiles:
        generator(torch.rand(1, 3, 8, 8))
    mean, deviation = np.split(tiles[0], 2)
    assert mean.any()
    assert not deviation.any()


def test_an_error_leaves_nothing_hooked() -> None:
    generator = small()
    with pytest.raises(ModelError), describe_tiles(generator):
        raise ModelError("stop")
    assert not generator.deepest._forward_hooks


def test_sams_own_encoder_describes_tiles_too() -> None:
    torch.manual_seed(0)
    generator = SamGenerator(
        build_sam("tiny", image_size=64).image_encoder,
        channels=("foreground",),
        decoder_channels=(16, 8, 8, 8),
        skips=None,
    ).eval()
    with torch.no_grad(), describe_tiles(generator) as tiles:
        generator(torch.rand(2, 3, 64, 64))
    assert [tile.shape for tile in tiles] == [(2 * generator.deepest_channels,)] * 2
    assert all(np.isfinite(tile).all() for tile in tiles)

"""How far an image is from the training images: distances and limits known by hand, and what the encoder gives."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from autosam.errors import ModelError
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.generator.unet import Generator
from autosam.models.statistics.novelty import (
    USUAL,
    NoveltyStatistics,
    describe_tiles,
    shown_area,
    uncertain_share,
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


def test_the_limit_grows_in_small_images() -> None:
    """A quarter of a tile with a growth of 1 has a limit of 2 √5."""
    tile = single([[2, 0]])[0]
    assert by_hand(growth=1).novelty(tile, area=0.25) == pytest.approx(0.5 / 5**0.5)
    assert by_hand(growth=1).novelty(tile) == pytest.approx(0.5 / 2**0.5)
    assert by_hand(growth=0).novelty(tile, area=0.25) == pytest.approx(0.5)


def test_what_is_uncertain_adds_to_the_distance() -> None:
    tile = single([[2, 0]])[0]
    statistics = by_hand(uncertain_rate=2, uncertain_growth=3)
    assert statistics.novelty(tile, uncertain=0.5) == pytest.approx(0.5 + 0.5)
    assert statistics.novelty(tile, uncertain=0.5, area=0.2) == pytest.approx(0.5 + 0.25)
    assert by_hand().novelty(tile, uncertain=0.5) == pytest.approx(0.5)


def test_the_uncertain_share_is_that_of_object_pixels() -> None:
    sure = np.full((100, 100), 0.05, np.float32)
    sure[:50] = 0.95
    unsure = np.full((100, 100), 0.05, np.float32)
    unsure[:50] = 0.5
    # Beside 5,000 object pixels stand 100, a quarter of which count as uncertain.
    assert uncertain_share({"foreground": sure}) == pytest.approx(25 / 5100)
    assert uncertain_share({"foreground": unsure}) == pytest.approx(5025 / 5100)
    assert uncertain_share({"foreground": sure, "boundary": unsure}) == pytest.approx(5050 / 10200)
    assert uncertain_share({"foreground": sure, "center": unsure}) == pytest.approx(25 / 5100)


def test_hardly_an_object_says_little() -> None:
    blank = np.zeros((100, 100), np.float32)
    speck = blank.copy()
    speck[0, :10] = 0.5
    assert uncertain_share({"foreground": blank}) == pytest.approx(USUAL)
    assert uncertain_share({"foreground": speck}) == pytest.approx(35 / 110)
    assert uncertain_share({"center": blank}) == 0


def test_what_a_tile_shows_of_an_image() -> None:
    assert shown_area((512, 2000), tile=512) == 1
    assert shown_area((128, 2000), tile=512) == 0.25
    assert shown_area((256, 128), tile=512) == 0.125


# In a model file


def of_six_channels() -> NoveltyStatistics:
    """Two kinds of six channels, and all that limits them."""
    directions = np.linalg.qr(draw(12, 12))[0][:3]
    numbers = {"rest": 0.5, "limit": 3, "growth": 0.3, "uncertain_rate": 0.8, "uncertain_growth": 0.2}
    return by_hand(means=draw(2, 12), components=directions, variances=[3, 2, 1], **numbers)


def test_statistics_come_back_as_they_were() -> None:
    statistics, others = of_six_channels(), draw(7, 12, seed=5)
    again = NoveltyStatistics.from_state_dict(statistics.state_dict(), channels=6)
    assert np.array_equal(again.distances(others), statistics.distances(others))
    how = {"uncertain": 0.3, "area": 0.4}
    assert again.novelty(others, **how) == statistics.novelty(others, **how)


def test_statistics_of_before_know_neither_size_nor_uncertainty() -> None:
    state, others = of_six_channels().state_dict(), draw(7, 12, seed=5)
    for name in ("growth", "uncertain_rate", "uncertain_growth"):
        del state[name]
    old = NoveltyStatistics.from_state_dict(state, channels=6)
    wanted = float(np.median(old.distances(others)) / old.limit)
    assert old.novelty(others, uncertain=0.9, area=0.1) == wanted


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.pop("rest"),
        lambda state: state.pop("growth"),
        lambda state: state.update(more=torch.ones(1)),
        lambda state: state.update(means=torch.ones(2, 5)),
        lambda state: state.update(means=torch.ones(0, 12)),
        lambda state: state.update(means=torch.tensor(1.0)),
        lambda state: state.update(variances=torch.ones(1)),
        lambda state: state.update(limit=torch.tensor(0.0)),
        lambda state: state.update(rest=torch.ones(1)),
        lambda state: state.update(uncertain_rate=torch.tensor(-1.0)),
    ],
)
def test_statistics_that_do_not_fit(spoil: Callable[[dict[str, torch.Tensor]], None]) -> None:
    state = of_six_channels().state_dict()
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

"""An image unlike the training images says so, at no second look at it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_networks import DescribedPixels, build_small_sam, colors_of, use_component_sam
from test_pipeline_segmenter import SPOTS, noise, same_bytes, settings

from autosam import Segmenter
from autosam.models.networks import Networks
from autosam.models.statistics.novelty import NoveltyStatistics
from autosam.prompts import Prompt


@pytest.fixture(scope="module")
def sam():
    return build_small_sam()


@pytest.fixture(autouse=True)
def _component_sam(monkeypatch):
    use_component_sam(monkeypatch)


def knowing(sam, statistics: NoveltyStatistics | None, **sections) -> Segmenter:
    networks = Networks(sam, DescribedPixels(), statistics=statistics)  # type: ignore[arg-type]
    return Segmenter(networks, settings(**sections))


def test_the_novelty_of_a_tile_known_by_hand(sam):
    # One tile of 64 pixels: dark rows of 8 pixels, bright below, a color mean of 3/4 and a deviation of √3/4.
    image = np.zeros((64, 64), np.uint8)
    image[16:] = 255
    result = knowing(sam, colors_of(0.5, 3**0.5 / 4, limit=0.5)).segment(image)
    # Each of three colors is .25 away, and each direction has a variance of 3: a distance of .25.
    assert result.novelty == pytest.approx(0.5, abs=1e-4)
    assert not result.out_of_distribution
    assert knowing(sam, colors_of(0.5, 3**0.5 / 4, limit=0.2)).segment(image).out_of_distribution


def test_the_median_of_all_tiles_counts(sam):
    image = np.zeros((64, 64 * 3), np.uint8)
    image[::2, ::2] = 255  # seen by squares of 8 pixels: a quarter everywhere
    image[:, :64] = 0
    result = knowing(sam, colors_of(0.25, 0, limit=0.1), tiles={"overlap": 0.0}).segment(image)
    assert result.novelty == pytest.approx(0, abs=1e-6)
    result = knowing(sam, colors_of(0.35, 0, limit=0.1), tiles={"overlap": 0.0}).segment(image)
    assert result.novelty == pytest.approx(1, abs=1e-5)


def test_the_result_is_the_same_and_the_generator_looks_once(sam, monkeypatch):
    looks: list[tuple[int, ...]] = []
    real = DescribedPixels.forward

    def forward(self: DescribedPixels, image: torch.Tensor) -> torch.Tensor:
        looks.append(tuple(image.shape))
        return real(self, image)

    monkeypatch.setattr(DescribedPixels, "forward", forward)
    without = knowing(sam, None).segment(SPOTS)
    count = len(looks)
    within = knowing(sam, colors_of(0.2, 0.3, limit=1)).segment(SPOTS)
    assert len(looks) == 2 * count
    assert same_bytes(without, replace(within, novelty=None))
    assert without.novelty is None
    assert not without.out_of_distribution
    assert within.novelty is not None


def test_the_image_is_classified_as_the_networks_see_it(sam):
    image = np.tile(np.repeat(np.array([0, 255], np.uint8), 8), (64, 4))
    seen = [
        knowing(sam, colors_of(0.5, 0.5, limit=1), images={"zoom": scale}).segment(image) for scale in (1.0, 0.25)
    ]
    # Stripes of 8 pixels fill the squares; of 2 pixels they do not show in them.
    assert seen[0].novelty == pytest.approx(0, abs=1e-3)
    assert seen[1].novelty == pytest.approx(0.5, abs=0.05)
    assert seen[1].labels.shape == image.shape


def test_several_channels_are_classified_together(sam):
    image = np.zeros((64, 64), np.uint8)
    image[:32] = 255
    other = np.ascontiguousarray(image.T)
    result = knowing(sam, colors_of(0.5, 0.5, limit=1), images={"combine": "avg"}).segment([image, other])
    assert result.novelty == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("value", [0, 255])
def test_a_constant_image_has_no_novelty(sam, value):
    result = knowing(sam, colors_of(0.2, 0.3, limit=1)).segment(np.full((40, 50), value, np.uint8))
    assert result.novelty is None
    assert not result.out_of_distribution


def test_nobody_asks_the_generator(sam):
    point = Prompt(np.array([[20.0, 30.0]]), np.ones(1, dtype=np.int64))
    subject = knowing(sam, colors_of(0.2, 0.3, limit=1), prompts={"method": "user"})
    assert subject.segment(SPOTS, prompts=[point]).novelty is None
    assert (
        knowing(sam, colors_of(0.2, 0.3, limit=1), prompts={"method": "grid", "grid": 2}).segment(SPOTS).novelty
        is None
    )


def test_the_generators_own_segmentation_has_it_too(sam):
    result = knowing(sam, colors_of(0.2, 0.3, limit=1), decode={"sam": False}).segment(noise(70, 80))
    assert result.novelty is not None

"""Models in which a network is missing, or SAM's own encoder is the generator."""

import numpy as np
import pytest
import torch
from fake_networks import BrightPixels, build_small_sam, use_component_sam
from test_pipeline_segmenter import ONE, SPOT_LABELS, SPOTS, check, noise, segmenter, settings

from autosam import Segmenter
from autosam.errors import ConfigError
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.networks import Networks
from autosam.models.variants import build_sam
from autosam.pipeline.predict import predict
from autosam.pipeline.probability_maps import MapSettings
from autosam.prompts import Prompt

ENCODER_ONLY = {
    "sam": {"image_size": 64, "prompt_encoder": "none", "mask_decoder": "none"},
    "generator": {"encoder": "sam", "decoder_channels": [16, 8, 8, 8]},
}


@pytest.fixture(scope="module")
def sam_generator() -> SamGenerator:
    torch.manual_seed(0)
    encoder = build_sam("tiny", image_size=64).image_encoder
    channels = ("foreground", "boundary")
    return SamGenerator(encoder, channels=channels, decoder_channels=(16, 8, 8, 8), skips=None).eval()


def encoder_only(generator: SamGenerator, **sections) -> Segmenter:
    return Segmenter(Networks(None, generator), settings(model=ENCODER_ONLY, decode={"sam": False}, **sections))


@pytest.mark.parametrize("size", [32, 128])
def test_tiles_of_another_size_than_the_encoder_takes_are_refused(sam_generator, size):
    with pytest.raises(
        ConfigError, match=rf"tiles\.size is {size}; .* tiles of 64 pixels only: leave tiles\.size"
    ):
        encoder_only(sam_generator, tiles={"size": size})


@pytest.mark.parametrize("size", [None, 64])
def test_sams_encoder_segments_images_of_any_size(sam_generator, size):
    everything = {"min_size": 0, "fill_holes": False}
    result = encoder_only(sam_generator, tiles={"size": size}, merge=everything).segment(noise(40, 90))
    check(result, (40, 90))
    assert list(result.maps) == ["foreground", "boundary"]
    assert (result.prompt_of == -1).all()
    assert len(result.scores) == len(result.prompts)


def test_a_generator_without_sam_gives_its_regions():
    result = segmenter(None, BrightPixels(), model={"sam": None}, decode={"sam": False}).segment(SPOTS)
    check(result, SPOTS.shape)
    np.testing.assert_array_equal(result.labels, SPOT_LABELS)


def test_sam_without_a_generator_answers_prompts_by_hand(monkeypatch):
    use_component_sam(monkeypatch)
    alone = settings(model={"generator": None}, prompts={"method": "user"})
    subject = Segmenter(Networks(build_small_sam(), None), alone)
    result = subject.segment(SPOTS, prompts=[Prompt(np.array([[50.0, 100.0]]), ONE)])
    check(result, SPOTS.shape)
    np.testing.assert_array_equal(result.labels, SPOT_LABELS == 2)
    with pytest.raises(ConfigError, match="the model has no generator, so it predicts no maps"):
        predict(
            subject.networks,
            subject.view(SPOTS),
            MapSettings(64, 0.0, False, (1.0,), precision="auto", combine="avg"),
        )


@pytest.mark.parametrize("method", ["distance", "centroid", "probability"])
def test_a_method_that_asks_a_generator_is_refused_without_one(method):
    with pytest.raises(ConfigError, match=rf"prompts\.method={method} asks a generator"):
        settings(model={"generator": None}, prompts={"method": method})

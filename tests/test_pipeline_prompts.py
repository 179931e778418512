"""A person's prompts beside the automatic ones."""

import numpy as np
import pytest
from fake_networks import BrightPixels, build_small_sam, use_component_sam
from test_pipeline_segmenter import ONE, SPOT_LABELS, SPOTS, check, noise, same_bytes, segmenter, small_generator

from autosam.errors import ConfigError, InputError
from autosam.prompts import Prompt


@pytest.fixture(scope="module")
def sam():
    return build_small_sam()


def point(row: float, col: float, **more) -> Prompt:
    return Prompt(np.array([[row, col]]), ONE, **more)


def box(*corners: float) -> Prompt:
    return Prompt(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), box=np.array(corners, dtype=np.float64))


@pytest.mark.parametrize("mine", [point(52, 98), box(36, 90, 64, 110)], ids=["point", "box"])
def test_mine_replaces_the_predicted_one_of_its_object_and_the_others_stay(sam, monkeypatch, mine):
    use_component_sam(monkeypatch)
    result = segmenter(sam, BrightPixels()).segment(SPOTS, prompts=[mine])
    check(result, SPOTS.shape)
    assert [prompt.region for prompt in result.prompts] == [1, 3, 0]
    assert result.prompts[2] is mine
    np.testing.assert_array_equal(result.labels, SPOT_LABELS)
    assert result.prompt_of.tolist() == [0, 2, 1]


def test_a_prompt_on_nothing_takes_nothing_away(sam, monkeypatch):
    use_component_sam(monkeypatch)
    result = segmenter(sam, BrightPixels()).segment(SPOTS, prompts=[point(2, 2)])
    np.testing.assert_array_equal(result.labels, SPOT_LABELS)
    assert len(result.prompts) == 4
    assert result.prompt_of.tolist() == [0, 1, 2]


def test_no_threshold_drops_what_a_person_asked_for(sam, monkeypatch):
    use_component_sam(monkeypatch)
    # The generator gives the dim object a probability of 0.9, the others 1.
    image = np.where(SPOT_LABELS == 1, 135, SPOTS).astype(np.uint8)
    subject = segmenter(sam, BrightPixels(), merge={"min_score": 0.95, "fallback": 1.0})
    np.testing.assert_array_equal(subject.segment(image).labels > 0, SPOT_LABELS > 1)
    result = subject.segment(image, prompts=[point(20, 30, foreground=0.5)])
    check(result, SPOTS.shape)
    np.testing.assert_array_equal(result.labels, SPOT_LABELS)
    assert result.prompt_of.tolist() == [2, 0, 1]
    assert result.scores[0] == pytest.approx(0.5, abs=0.01)


def test_what_the_generator_missed_is_found_by_hand(sam, monkeypatch):
    use_component_sam(monkeypatch)
    # Regions of fewer pixels than the second object are not prompted.
    subject = segmenter(sam, BrightPixels(), prompts={"min_size": 420})
    assert subject.segment(SPOTS).labels.max() == 1
    result = subject.segment(SPOTS, prompts=[point(20, 30)])
    check(result, SPOTS.shape)
    np.testing.assert_array_equal(result.labels > 0, (SPOT_LABELS == 1) | (SPOT_LABELS == 2))
    assert [prompt.region for prompt in result.prompts] == [1, 0]


def test_beside_a_grid(sam, monkeypatch):
    use_component_sam(monkeypatch)
    mine = point(20, 30)
    result = segmenter(sam, BrightPixels(), prompts={"method": "grid", "grid": 12}).segment(SPOTS, prompts=[mine])
    check(result, SPOTS.shape)
    assert len(result.prompts) == 145
    assert result.prompts[144] is mine
    np.testing.assert_array_equal(result.labels, SPOT_LABELS)


def test_none_at_all_is_the_same_as_no_prompts(sam):
    image = noise(70, 90)
    subject = segmenter(sam, small_generator())
    assert same_bytes(subject.segment(image), subject.segment(image, prompts=[]))


def test_in_a_blank_image_only_mine_is_asked(sam, monkeypatch):
    use_component_sam(monkeypatch)
    mine = point(3, 4)
    result = segmenter(sam, BrightPixels()).segment(np.full((40, 50), 9, np.uint8), prompts=[mine])
    check(result, (40, 50))
    assert result.prompts == [mine]
    assert result.maps == {}


def test_a_prompt_that_cannot_be_asked_is_named_beside_automatic_ones_too(sam):
    with pytest.raises(InputError, match="prompt 0 lies outside the image"):
        segmenter(sam, BrightPixels()).segment(SPOTS, prompts=[point(100, 20)])


def test_without_sam_nothing_answers_prompts(sam):
    subject = segmenter(sam, BrightPixels(), decode={"sam": False})
    with pytest.raises(ConfigError, match=r"decode\.sam=false"):
        subject.segment(SPOTS, prompts=[point(20, 30)])
    check(subject.segment(SPOTS, prompts=[]), SPOTS.shape)

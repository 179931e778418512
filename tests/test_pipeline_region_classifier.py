"""A region classifier in the whole pipeline: SAM is asked about what it chose, and the scores are its own."""

import numpy as np
import pytest
import torch
from fake_networks import BrightPixels, build_small_sam, draw_ellipses, use_component_sam
from numpy.typing import NDArray
from test_pipeline_segmenter import ONE, settings
from torch import Tensor

from autosam import Segmenter
from autosam.models.networks import Networks
from autosam.models.statistics.region_classifier import RegionClassifier
from autosam.prompts import Prompt
from autosam.regions import FEATURES

IMAGE, LABELS = draw_ellipses((64, 96), [(20, 20, 9, 9), (42, 50, 8, 13), (18, 75, 5, 6)])


class PeakedPixels(BrightPixels):
    """A generator that takes bright pixels for foreground, and each ellipse's brightest pixels for its center."""

    def __init__(self) -> None:
        super().__init__("foreground", "center")

    def forward(self, image: Tensor) -> Tensor:
        bright = (image[:, 0] - 0.5) * 40
        return torch.stack([bright, bright / 10], dim=1)


def by_size(large: float, small: float, *, limit: float, diameter: float = 16.0) -> RegionClassifier:
    """One tree: regions of more than so many pixels are worth the one, others the other."""
    size = FEATURES.index("size")
    threshold = np.log(limit / (np.pi / 4 * diameter**2))
    return RegionClassifier(
        feature=np.array([[size, -1, -1]], np.int16),
        threshold=np.array([[threshold, 0, 0]], np.float32),
        left=np.array([[1, 0, 0]], np.int16),
        right=np.array([[2, 0, 0]], np.int16),
        value=np.array([[0, small, large]], np.float32),
        start=np.float32(0),
        features=np.int64(len(FEATURES)),
        diameter=np.float32(diameter),
    )


@pytest.fixture(scope="module")
def sam():
    return build_small_sam()


@pytest.fixture(autouse=True)
def _component_sam(monkeypatch):
    use_component_sam(monkeypatch)


def judging(sam, region_classifier: RegionClassifier, **sections: dict[str, object]) -> Segmenter:
    networks = Networks(sam, PeakedPixels(), region_classifier=region_classifier)  # type: ignore[arg-type]
    return Segmenter(networks, settings(**({"merge": {"min_score": 0.3, "fallback": 1.0}} | sections)))


def kept(*ids: int) -> NDArray[np.int32]:
    """Those ellipses, numbered anew in raster order."""
    order = [label for label in dict.fromkeys(LABELS[LABELS > 0].tolist()) if label in ids]
    return sum(((label == LABELS) * number for number, label in enumerate(order, start=1)), np.zeros_like(LABELS))


def test_the_score_of_a_mask_has_the_region_classifier_s_word_in_it(sam):
    # The fake SAM is sure of every mask, and every mask is stable.
    result = judging(sam, by_size(0.8, 0.6, limit=150)).segment(IMAGE)
    np.testing.assert_array_equal(result.labels, kept(1, 2, 3))
    sizes = np.bincount(result.labels.ravel())[1:]
    assert result.scores == pytest.approx(np.where(sizes > 150, 0.8, 0.6))
    assert [prompt.certainty for prompt in result.prompts] == pytest.approx(result.scores)


def test_sam_is_not_asked_about_what_the_region_classifier_rejects(sam):
    result = judging(sam, by_size(0.8, 0.1, limit=150)).segment(IMAGE)
    np.testing.assert_array_equal(result.labels, kept(1, 2))
    assert len(result.prompts) == 2
    all_three = judging(sam, by_size(0.8, 0.1, limit=150), prompts={"region_classifier": False}).segment(IMAGE)
    np.testing.assert_array_equal(all_three.labels, kept(1, 2, 3))


def test_what_comes_back_is_what_the_region_classifier_is_sure_of(sam):
    """SAM's masks all score less than the threshold; the foreground is sure of each of the three."""
    merge = {"min_score": 0.95, "fallback": 0.7}
    result = judging(sam, by_size(0.8, 0.6, limit=150), merge=merge).segment(IMAGE)
    np.testing.assert_array_equal(result.labels, kept(1, 2))
    assert result.prompt_of.tolist() == [-1, -1]
    assert result.scores == pytest.approx([0.4, 0.4])


def test_a_person_s_prompts_go_before_it(sam):
    small = Prompt(np.array([[18.0, 75.0]]), ONE)
    subject = judging(sam, by_size(0.8, 0.1, limit=150))
    result = subject.segment(IMAGE, prompts=[small])
    np.testing.assert_array_equal(result.labels, kept(1, 2, 3))
    by_hand = result.labels[18, 75]
    assert result.prompts[result.prompt_of[by_hand - 1]].region_score is None


@pytest.mark.parametrize("combine", ["avg", "max"])
def test_channels_are_classified_together(sam, combine):
    other = np.where(IMAGE > 100, 220, 40).astype(np.uint8)
    subject = judging(sam, by_size(0.8, 0.1, limit=150), images={"combine": combine})
    np.testing.assert_array_equal(subject.segment([IMAGE, other]).labels, kept(1, 2))


def test_zoomed_it_region_classifiers_in_the_pixels_that_sam_sees(sam):
    # Four times as many pixels for each object: all are large.
    subject = judging(sam, by_size(0.8, 0.1, limit=150))
    result = subject.segment(IMAGE, zoom=2.0)
    assert len(result.scores) == 3
    assert result.labels.shape == IMAGE.shape
    assert result.scores == pytest.approx(0.8, abs=1e-6)
    assert all(prompt.region_score == pytest.approx(0.8) for prompt in result.prompts)


def test_an_image_smaller_than_its_surroundings_reach(sam):
    result = judging(sam, by_size(0.8, 0.1, limit=2), prompts={"min_size": 1}).segment(IMAGE[18:21, 10:14])
    assert result.labels.shape == (3, 4)

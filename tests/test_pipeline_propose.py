"""Settings reach the steps that they are for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from autosam.config import load_config
from autosam.models.statistics.region_classifier import RegionClassifier
from autosam.pipeline.propose import (
    Regions,
    candidate_regions,
    classify_regions,
    prompt_regions,
    propose,
    threshold_regions,
)
from autosam.regions import FEATURES

Maps = dict[str, NDArray[np.float32]]


def plain_maps() -> Maps:
    """One object of 8 × 20 pixels, without anything that would part it."""
    values = {"foreground": 0.8, "boundary": 0.1, "center": 0.9}
    maps = {name: np.full((10, 22), value, dtype=np.float32) for name, value in values.items()}
    maps["foreground"][[0, -1]] = maps["foreground"][:, [0, -1]] = 0.1
    return maps


@pytest.mark.parametrize(
    ("channel", "at", "parting", "not_parting"),
    [
        ("boundary", 0.6, "prompts.boundary=0.5", "prompts.boundary=0.7"),
        ("center", 0.4, "prompts.center=0.5", "prompts.center=0.3"),
    ],
)
def test_each_map_parts_objects_at_its_own_threshold(
    channel: str, at: float, parting: str, not_parting: str
) -> None:
    maps = plain_maps()
    assert threshold_regions(maps, load_config().prompts).max() == 1
    maps[channel][:, 10:12] = at
    assert threshold_regions(maps, load_config(overrides=[parting]).prompts).max() == 2
    assert threshold_regions(maps, load_config(overrides=[not_parting]).prompts).max() == 1


def test_foreground_and_size_have_their_thresholds() -> None:
    maps = plain_maps()
    assert threshold_regions(maps, load_config(overrides=["prompts.foreground=0.9"]).prompts).max() == 0
    assert threshold_regions(maps, load_config(overrides=["prompts.min_size=160"]).prompts).max() == 1
    assert threshold_regions(maps, load_config(overrides=["prompts.min_size=161"]).prompts).max() == 0


def stump(*worth: float, size: int = 0, middle: float = 0.0) -> RegionClassifier:
    """A region classifier of one tree that asks for one feature."""
    return RegionClassifier(
        feature=np.array([[size, -1, -1]], np.int16),
        threshold=np.array([[middle, 0, 0]], np.float32),
        left=np.array([[1, 0, 0]], np.int16),
        right=np.array([[2, 0, 0]], np.int16),
        value=np.array([[0, *worth]], np.float32),
        start=np.float32(0),
        features=np.int64(len(FEATURES)),
        diameter=np.float32(8),
    )


def classified(*overrides: str, worth: tuple[float, ...]) -> Regions:
    """Two squares that touch: fragments 1 and 2, and the node 3 of both; each is worth what is given."""
    maps = plain_maps()
    maps["center"][:, 10:12] = 0.2
    settings = load_config(overrides=["prompts.min_size=10", *overrides]).prompts
    candidates = candidate_regions(maps, np.zeros((10, 22, 3), np.uint8), settings, diameter=8.0)
    assert candidates.tree.children[3:].tolist() == [[1, 2]]
    assert candidates.features.shape == (4, len(FEATURES))
    size = FEATURES.index("size")
    areas = candidates.features[1:, size]
    order = np.argsort(areas, kind="stable")
    # A tree that asks for the size alone tells the larger one; the two parts are of one size.
    assert order.tolist() == [0, 1, 2]
    middle = np.float32((areas[1] + areas[2]) / 2)
    region_classifier = stump(*worth, size=size, middle=float(middle))
    return classify_regions(candidates, region_classifier, settings)


def test_a_region_classifier_without_a_picture_is_not_left_out_quietly() -> None:
    with pytest.raises(AssertionError, match="needs the picture"):
        propose(plain_maps(), load_config().prompts, classifier=stump(0.6, 0.7))


def test_the_region_classifier_chooses_parts_or_the_whole() -> None:
    parts, whole = classified(worth=(0.6, 0.7)), classified(worth=(0.45, 0.8))
    assert parts.labels.max() == 2
    assert parts.scores == pytest.approx([0.6, 0.6])
    # What lies above the smallest score counts: .15 + .15 is less than .5.
    assert whole.labels.max() == 1
    assert whole.scores == pytest.approx([0.8])
    assert parts.rejected is not None
    assert not parts.rejected.any()


def test_foreground_without_an_object_is_rejected() -> None:
    none = classified("prompts.min_region_score=0.9", worth=(0.6, 0.7))
    assert none.labels.max() == 0
    assert none.scores is not None
    assert none.scores.shape == (0,)
    np.testing.assert_array_equal(none.rejected, plain_maps()["foreground"] > 0.5)
    assert classified("prompts.min_size=161", worth=(0.6, 0.7)).labels.max() == 0
    assert classified("prompts.min_size=100", worth=(0.6, 0.7)).labels.max() == 1


def test_a_region_classifier_s_word_comes_with_the_prompt() -> None:
    settings = load_config().prompts
    regions = classified(worth=(0.6, 0.7))
    by_classifier = prompt_regions(regions, plain_maps(), settings)
    by_threshold = prompt_regions(Regions(regions.labels), plain_maps(), settings)
    assert [prompt.certainty for prompt in by_classifier] == pytest.approx([0.6, 0.6])
    assert [prompt.certainty for prompt in by_threshold] == pytest.approx([0.8, 0.8])
    assert [prompt.region_score for prompt in by_threshold] == [None, None]

"""Wrong regions of two squares, by hand, and the prompts that are made of them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from autosam.config import PromptsConfig, SimulateConfig, TrainingConfig
from autosam.training.prompting.prompt_targets import TilePrompts
from autosam.training.prompting.wrong_prompts import MISTAKES, wrong_prompts, wrong_region


def squares() -> NDArray[np.int32]:
    """Objects 1 and 3 beside each other, 5 far away; there is no 2 or 4."""
    labels = np.zeros((64, 64), dtype=np.int32)
    labels[4:14, 4:14], labels[4:14, 16:26], labels[50:60, 50:60] = 1, 3, 5
    return labels


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def prompted(
    labels: NDArray[np.int32], count: int, *, mask: float = 0.5, valid: NDArray[np.bool_] | None = None
) -> TilePrompts:
    training = TrainingConfig(simulate=SimulateConfig(wrong=count), mask_prompt=mask)
    where = np.ones(labels.shape, dtype=bool) if valid is None else valid
    return wrong_prompts(labels, PromptsConfig(), training, rng(), valid=where)


def test_a_merged_region_is_an_object_and_its_nearest_neighbor() -> None:
    labels = squares()
    np.testing.assert_array_equal(wrong_region(labels, 1, "merged", rng()), np.isin(labels, (1, 3)))
    np.testing.assert_array_equal(wrong_region(labels, 5, "merged", rng()), np.isin(labels, (3, 5)))
    assert not wrong_region(np.where(labels == 1, 1, 0).astype(np.int32), 1, "merged", rng()).any()


@pytest.mark.parametrize("seed", range(5))
def test_a_region_on_background_has_the_shape_of_an_object_and_touches_none(seed: int) -> None:
    labels = squares()
    region = wrong_region(labels, 1, "background", rng(seed))
    assert np.count_nonzero(region) == 100
    rows, cols = np.nonzero(region)
    assert (np.ptp(rows), np.ptp(cols)) == (9, 9)
    assert not labels[region].any()


def test_a_tile_full_of_objects_has_no_place_on_background() -> None:
    assert not wrong_region(np.ones((8, 8), dtype=np.int32), 1, "background", rng()).any()


@pytest.mark.parametrize("seed", range(5))
def test_a_shifted_region_overlaps_its_object_by_a_part(seed: int) -> None:
    labels = squares()
    region = wrong_region(labels, 5, "shifted", rng(seed))
    # By 4 to 8 of 10 pixels along both axes, and cut at the border of the image.
    assert 2 * 2 <= np.count_nonzero(region & (labels == 5)) <= 6 * 6
    assert np.count_nonzero(region) <= 100


@pytest.mark.parametrize("seed", range(5))
def test_a_piece_is_one_side_of_its_object(seed: int) -> None:
    labels = squares()
    region = wrong_region(labels, 3, "piece", rng(seed))
    assert not (region & (labels != 3)).any()
    assert 24 <= np.count_nonzero(region) <= 62


def test_the_mistakes_take_turns_and_have_no_object() -> None:
    tile = prompted(squares(), len(MISTAKES))
    assert len(tile.prompts) == len(MISTAKES)
    assert tile.targets.tolist() == [0] * len(MISTAKES)
    assert tile.best_iou
    for prompt in tile.prompts:
        assert (prompt.region, prompt.point_labels.tolist()) == (0, [1])
        assert prompt.box is not None
        assert prompt.mask is not None
        assert (prompt.points[0] >= prompt.box[:2]).all()
        assert (prompt.points[0] <= prompt.box[2:]).all()
    assert all(prompt.mask is None for prompt in prompted(squares(), 4, mask=0.0).prompts)


def test_without_objects_or_known_labels_there_are_no_wrong_prompts() -> None:
    assert prompted(np.zeros((64, 64), dtype=np.int32), 4).prompts == []
    assert prompted(squares(), 4, valid=np.zeros((64, 64), dtype=bool)).prompts == []
    assert prompted(squares(), 0).prompts == []

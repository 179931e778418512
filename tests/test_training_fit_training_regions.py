"""What candidate regions of training images are worth: IoUs by hand, and where labels are not known."""

import numpy as np
import pytest
from scipy import ndimage
from with_defaults import grow_tree

from autosam.training.fit.training_regions import TrainingRegions, alike, best_ious, joined, known_nodes


def test_ious_known_by_hand() -> None:
    center = np.array([[0.9, 0.9, 0.2, 0.2, 0.9, 0.9]] * 6)
    grown = grow_tree({"foreground": np.ones((6, 6)), "center": center})
    assert grown.children[3].tolist() == [1, 2]
    truth = np.zeros((6, 6), dtype=np.int32)
    truth[:, :2] = 7
    assert best_ious(grown, truth) == pytest.approx([0, 2 / 3, 0, 1 / 3])
    truth[:, 3:] = 3
    assert best_ious(grown, truth) == pytest.approx([0, 2 / 3, 1, 1 / 2])
    assert best_ious(grown, np.full((6, 6), 4)) == pytest.approx([0, 1 / 2, 1 / 2, 1])
    assert not best_ious(grown, np.zeros((6, 6), dtype=np.int32)).any()


def test_ious_are_those_of_the_painted_nodes() -> None:
    rng = np.random.default_rng(0)
    grown = grow_tree({"foreground": rng.random((30, 40)) + 0.2, "center": rng.random((30, 40))})
    truth = ndimage.label(rng.random((30, 40)) < 0.55)[0]
    measured = best_ious(grown, truth)
    for node in range(1, len(grown), 5):
        mask = grown.paint(np.array([node])) == 1
        ious = [(mask & (truth == k)).sum() / (mask | (truth == k)).sum() for k in range(1, truth.max() + 1)]
        assert measured[node] == pytest.approx(max(ious))


def test_nodes_with_too_few_known_pixels() -> None:
    center = np.array([[0.9] * 5 + [0.2, 0.2] + [0.9] * 5] * 6)
    grown = grow_tree({"foreground": np.ones((6, 12)), "center": center})
    assert grown.children[3].tolist() == [1, 2]
    valid = np.ones((6, 12), dtype=bool)
    assert known_nodes(grown, valid)[1:].all()
    # Eleven of twelve columns are known: nine tenths of the whole, five sixths of the right half.
    valid[:, 11] = False
    assert known_nodes(grown, valid)[1:].tolist() == [True, False, True]
    assert not known_nodes(grown, np.zeros((6, 12), dtype=bool))[1:].any()


def of_size(number: int, weight: float) -> TrainingRegions:
    return TrainingRegions(
        np.full((number, 2), number, np.float32), np.arange(number) / 10.0, np.full(number, weight)
    )


def test_parts_one_after_another_count_the_same() -> None:
    assert joined([]) is None
    assert alike([of_size(0, 1.0)]) == []
    both = joined(alike([of_size(2, 3.0), of_size(4, 0.1)]))
    assert both is not None
    assert len(both) == 6
    assert both.weights == pytest.approx([1 / 2] * 2 + [1 / 4] * 4)
    assert both.scores == pytest.approx([0, 0.1, 0, 0.1, 0.2, 0.3])
    assert both.features[:, 0].tolist() == [2, 2, 4, 4, 4, 4]

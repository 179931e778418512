"""Labels after corrections, and where they are complete."""

import numpy as np
import pytest
from results_folders import discs

from autosam.errors import InputError
from autosam.instances import MaskCrop
from autosam.review.check_corrections import faults_of
from autosam.review.corrected_labels import ObjectOrigin, correct_labels
from autosam.review.corrections import Correction
from autosam.review.reviewed_area import reviewed_area

LABELS = discs([(20, 20, 8), (20, 60, 8), (20, 78, 8), (60, 30, 8), (60, 90, 8)])
SCORES = np.array([0.9, 0.8, 0.6, 0.5, np.nan])


def one(action, *objects, number="1", **more):
    return Correction("a", action, objects, action_id=number, **more)


def square(row, col, side, score=0.7):
    return MaskCrop(row, col, np.ones((side, side), bool), score, 0)


def corrected(*corrections, drawn=None, labels=LABELS, scores=SCORES):
    assert faults_of(labels, corrections) == []
    before = labels.copy()
    found = correct_labels(labels, scores, corrections, drawn or {})
    assert np.array_equal(labels, before)
    assert len(found.scores) == found.labels.max() == sum(origin.label > 0 for origin in found.origins)
    return found


def test_without_corrections_nothing_changes():
    found = corrected()
    assert np.array_equal(found.labels, LABELS)
    assert np.array_equal(found.scores, SCORES, equal_nan=True)
    assert found.origins[1] == ObjectOrigin(2, "model", before=(2,))
    assert not reviewed_area(LABELS, found, []).any()


def test_labels_without_an_object_stay_so_and_can_get_one():
    empty = np.zeros((30, 40), np.int32)
    found = corrected(labels=empty, scores=np.empty(0))
    assert found.origins == ()
    assert found.labels.shape == (30, 40)
    added = corrected(
        one("add", mask="1 1 2 2: 0 4"), drawn={"1": square(1, 1, 2)}, labels=empty, scores=np.empty(0)
    )
    assert added.labels.sum() == 4
    assert added.scores.tolist() == [1]
    assert added.counts == {"model": 0, "sam": 0, "hand": 1}


def test_accept_and_delete():
    found = corrected(one("accept", 1, 4), one("delete", 2, number="2"))
    assert np.array_equal(found.labels > 0, (LABELS > 0) & (LABELS != 2))
    assert found.scores[:3].tolist() == [0.9, 0.6, 0.5]
    assert found.origins[0] == ObjectOrigin(1, "model", "accept", "1", (1,))
    assert found.origins[1] == ObjectOrigin(2, "model", before=(3,))
    assert found.origins[-1] == ObjectOrigin(0, "hand", "delete", "2", (2,))


def test_merge_joins_all_that_share_an_object():
    labels = LABELS.copy()
    labels[55:66, 39:45] = 6
    found = corrected(
        one("merge", 3, 2),
        one("merge", 6, 4, number="2"),
        one("merge", 2, 3, number="3"),
        labels=labels,
        scores=np.append(SCORES, 0.1),
    )
    joined = found.labels[20, 60]
    assert joined == found.labels[20, 78] == found.labels[20, 69]
    size = (LABELS == 2).sum()
    assert size == (LABELS == 3).sum()
    assert found.scores[joined - 1] == pytest.approx(0.7)
    assert found.origins[joined - 1] == ObjectOrigin(joined, "hand", "merge", "1", (2, 3))
    assert len(found.scores) == 4
    with pytest.raises(InputError, match=r"objects 1 and 5 lie more than 16 pixels apart"):
        correct_labels(LABELS, SCORES, [one("merge", 1, 5)], {})


def test_split_gives_each_point_a_part():
    labels = np.where(LABELS == 3, 2, LABELS)
    labels[19:22, 68:70] = 2
    points = ((18.0, 59.0), (21.0, 80.0))
    found = corrected(one("split", 2, points=points, point_labels=(1, 1)), labels=labels)
    left, right = found.labels[18, 59], found.labels[21, 80]
    assert left != right
    assert np.array_equal(found.labels == left, LABELS == 2) or (found.labels == left).sum() - 197 in range(-9, 10)
    assert found.origins[left - 1].before == found.origins[right - 1].before == (2,)
    assert found.scores[left - 1] == found.scores[right - 1] == 0.8


def test_what_is_drawn_takes_background_and_unreviewed_pixels():
    drawn = {"1": square(14, 50, 12)}
    found = corrected(one("add", points=((20.0, 56.0),), point_labels=(1,)), drawn=drawn)
    new = found.labels[14, 50]
    assert (found.labels[14:26, 50:62] == new).all()
    assert found.scores[new - 1] == 0.7
    assert found.origins[new - 1] == ObjectOrigin(new, "sam", "add", "1")
    # Less than half of object 2 was left: it is gone.
    assert [(origin.action, origin.before) for origin in found.origins if not origin.label] == [("replaced", (2,))]
    # An accepted object keeps its pixels, and the new one gets the rest.
    kept = corrected(
        one("add", points=((20.0, 56.0),), point_labels=(1,)), one("accept", 2, number="2"), drawn=drawn
    )
    assert ((kept.labels == kept.labels[20, 60]) == (LABELS == 2)).all()
    assert kept.labels[14, 50] not in (0, kept.labels[20, 60])


def test_redraw_frees_its_own_pixels_first():
    drawn = {"1": square(56, 26, 9, score=0.4)}
    found = corrected(one("redraw", 4, mask="56 26 9 9: 0 81"), drawn=drawn)
    new = found.labels[60, 30]
    assert (found.labels == new).sum() == 81
    assert found.origins[new - 1] == ObjectOrigin(new, "hand", "redraw", "1", (4,))
    with pytest.raises(InputError, match=r"action 1: all pixels of its object belong to objects 1"):
        correct_labels(
            LABELS, SCORES, [one("add", mask="x"), one("accept", 1, number="2")], {"1": square(18, 18, 3)}
        )


@pytest.mark.parametrize(
    ("corrections", "words"),
    [
        ([one("delete", 9)], "a has no object 9"),
        (
            [one("accept", 1), one("delete", 1, number="2")],
            "object 1 is action 1 to accept and action 2 to delete",
        ),
        (
            [one("merge", 1, 2), one("merge", 2, 3, number="2"), one("delete", 3, number="3")],
            "object 3 is action 2",
        ),
        (
            [one("redraw", 1, box=(0, 0, 9, 9)), one("redraw", 1, number="2", box=(0, 0, 9, 8))],
            "object 1 is action",
        ),
        ([one("add", points=((95.6, 3.0),), point_labels=(1,))], "the point lies outside the image of 96 × 128"),
        ([one("reviewed", box=(0, 0, 96, 127))], "the box lies outside the image of 96 × 128"),
        ([one("add", mask="90 0 9 1: 0 9")], "the mask lies outside"),
        (
            [one("split", 1, points=((20, 20), (20, 40)), point_labels=(1, 1))],
            "the point 20, 40 is not on object 1",
        ),
        ([one("split", 1, points=((20, 20), (20.4, 20)), point_labels=(1, 1))], "two points of split are on one"),
    ],
)
def test_contradictions_and_what_is_not_there(corrections, words):
    faults = faults_of(LABELS, corrections)
    assert len(faults) == 1
    assert words in faults[0]


def test_saying_the_same_twice_is_no_contradiction():
    assert faults_of(LABELS, [one("accept", 1), one("accept", 1, number="2"), one("delete", 2, number="3")]) == []


def test_reviewed_are_objects_with_a_rim_and_boxes():
    own = [one("accept", 2), one("delete", 4, number="2"), one("reviewed", number="3", box=(80, 100, 90, 120))]
    found = corrected(*own)
    area = reviewed_area(LABELS, found, own)
    assert area[LABELS == 2].all()
    assert area[20, 60 - 11]
    assert not area[20, 60 - 14]
    # Not an unreviewed neighbor, not even where it touches the rim.
    assert not area[(LABELS > 0) & ~np.isin(LABELS, (2, 4))].any()
    assert area[LABELS == 4].all()
    assert not area[60, 30 - 10]
    assert area[80:91, 100:121].all()
    assert not area[79, 100:121].any()
    assert reviewed_area(LABELS, found, [one("reviewed")]).all()

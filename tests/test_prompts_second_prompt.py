"""Second prompts by hand: the box and the middle of a mask, and the nearest neighbors as negatives."""

import numpy as np
import pytest

from autosam.prompts import MaskPrompt, Prompt, prompt_place, second_prompt

NONE, NO_LABELS = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
MASK = np.zeros((5, 9), dtype=bool)
MASK[:, :5] = True
"""A square of 5 × 5 in a crop that is wider."""


def first(**changes: object) -> Prompt:
    given: dict[str, object] = {"points": np.array([[3.0, 4.0]]), "point_labels": np.ones(1, dtype=np.int64)}
    return Prompt(**(given | changes))  # type: ignore[arg-type]


def test_the_box_and_the_deepest_pixel_are_those_of_the_mask() -> None:
    second = second_prompt(first(region=7, foreground=0.6), MASK, (10, 20), NONE)
    assert second.box is not None
    assert second.box.tolist() == [10, 20, 14, 24]
    assert (second.points.tolist(), second.point_labels.tolist()) == ([[12, 22]], [1])
    assert (second.region, second.foreground, second.mask) == (7, 0.6, None)


def test_negatives_are_the_nearest_places_outside_the_mask() -> None:
    # (12, 21) lies under the mask; (12, 26) in its crop, but beside it. Distances to the box: 9, 2, 5, 2.
    others = np.array([[12.0, 33.0], [12.0, 26.0], [12.0, 21.0], [5.0, 22.0], [16.0, 24.0]])
    second = second_prompt(first(), MASK, (10, 20), others, count=3)
    assert second.points.tolist() == [[12, 22], [12, 26], [16, 24], [5, 22]]
    assert second.point_labels.tolist() == [1, 0, 0, 0]


def test_there_are_six_negatives_at_most() -> None:
    others = np.array([[50.0, float(col)] for col in range(10)])
    assert second_prompt(first(), MASK, (10, 20), others).point_labels.tolist() == [1, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("prompt", "place"),
    [
        (first(points=np.array([[1.0, 2], [5, 6]]), point_labels=np.array([0, 1])), [5, 6]),
        (first(points=NONE, point_labels=NO_LABELS, box=np.array([2.0, 4, 4, 9])), [3, 6.5]),
        (
            first(points=NONE, point_labels=NO_LABELS, mask=MaskPrompt(1, 2, np.zeros((3, 5), np.float32))),
            [2, 4],
        ),
        (first(points=np.array([[1.0, 2], [5, 6]]), point_labels=np.array([0, 0])), [3, 4]),
    ],
)
def test_a_place_is_a_point_or_else_a_center(prompt: Prompt, place: list[float]) -> None:
    assert prompt_place(prompt).tolist() == place

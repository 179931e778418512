"""The figure of a diagnosis."""

import numpy as np

from autosam.evaluation.diagnosis import Stage
from autosam.evaluation.diagnosis.draw import (
    COLORS,
    MASK,
    REGION,
    RESULT,
    SIDE,
    TRUTH,
    draw_diagnosis,
    draw_example,
)
from autosam.evaluation.diagnosis.examples import Example

NONE = dict.fromkeys(Stage, 0)


def example(stage: Stage = Stage.MASK, shape: tuple[int, int] = (50, 100)) -> Example:
    truth, mask = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    regions, labels = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
    truth[5:15, 5:15], regions[5:15, 30:40], labels[20:30, 5:15], mask[20:30, 30:40] = True, 3, 1, True
    return Example(
        image="a",
        number=7,
        size=100,
        stage=stage,
        lines=("prompt: part", "a, object 7, 100 px"),
        picture=np.full((*shape, 3), 90, dtype=np.uint8),
        truth=truth,
        mask=mask,
        regions=regions,
        labels=labels,
    )


def shows(picture, color) -> bool:
    return bool((picture == np.array(color, dtype=np.uint8)).all(axis=-1).any())


def rgb(stage: Stage) -> tuple[int, ...]:
    return tuple(bytes.fromhex(COLORS[stage][1:]))


def test_an_example_is_drawn_twice():
    drawn = draw_example(example())
    left, right = drawn[:, :SIDE], drawn[:, -SIDE:]
    assert drawn.shape[0] == SIDE // 2
    assert [shows(left, color) for color in (TRUTH, REGION, MASK, RESULT)] == [True, False, False, False]
    assert [shows(right, color) for color in (TRUTH, REGION, MASK, RESULT)] == [False, True, True, True]
    # The truth's outline, not its inside; 1.5 pixels for each
    assert (left[15, 15] == 90).all()
    assert (left[7, 10] == TRUTH).all()


def test_large_examples_are_shrunk():
    drawn = draw_example(example(shape=(900, 400)))
    assert drawn.shape[0] == SIDE


def test_bars_have_the_colors_of_their_stages():
    counts = {"all": NONE | {Stage.FOUND: 6, Stage.MASK: 2}, "none": NONE}
    drawn = draw_diagnosis(counts, [])
    legend = 40
    assert [shows(drawn[legend:], rgb(stage)) for stage in (Stage.FOUND, Stage.MASK, Stage.PROMPT)] == [
        True,
        True,
        False,
    ]


def test_each_stage_has_its_own_row_of_examples():
    counts = {"all": NONE | {Stage.PROMPT: 5}}
    bare = draw_diagnosis(counts, [])
    one = draw_diagnosis(counts, [example(Stage.PROMPT)])
    same = draw_diagnosis(counts, [example(Stage.PROMPT)] * 4)
    two = draw_diagnosis(counts, [example(Stage.PROMPT), example(Stage.MASK)])
    assert bare.shape[0] < one.shape[0] == same.shape[0] < two.shape[0]
    assert same.shape[1] > one.shape[1]
    assert shows(one, TRUTH)


def test_the_same_diagnosis_gives_the_same_picture():
    counts = {"all": NONE | {Stage.FOUND: 1}}
    assert np.array_equal(draw_diagnosis(counts, [example()]), draw_diagnosis(counts, [example()]))

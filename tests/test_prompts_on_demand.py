"""Prompts that are made when they are read: once, all of them, and like a list."""

import numpy as np
import pytest

from autosam.prompts import Prompt, PromptsOnDemand


def point(row: float) -> Prompt:
    return Prompt(points=np.array([[row, 0.0]]), point_labels=np.ones(1, dtype=np.int64))


def test_they_are_counted_without_being_made_and_made_once() -> None:
    calls = []
    made = [point(1), point(2)]

    def make() -> list[Prompt]:
        calls.append(1)
        return made

    prompts = PromptsOnDemand(2, make)
    assert len(prompts) == 2
    assert prompts.made == ()
    assert prompts != [made[0]]
    assert calls == []
    assert prompts[1] is made[1]
    assert prompts[:1] == made[:1]
    assert list(prompts) == list(prompts.made) == made
    assert prompts == made
    assert prompts != made[::-1]
    assert calls == [1]


def test_none() -> None:
    nothing = PromptsOnDemand(0, list)
    assert nothing == []
    assert not nothing
    assert nothing != 0


def test_another_number_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="1 prompts were made, wanted 2"):
        PromptsOnDemand(2, lambda: [point(1)])[0]

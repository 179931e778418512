"""Masks and regions → instances: rings, what is too small or too large, and what touches the border."""

from itertools import permutations

import numpy as np
import pytest
from test_instances_holes import COLS, INNER, MIDDLE, OUTER, ROWS, crop, ring

from autosam.config import MergeConfig
from autosam.pipeline import merge_answers
from autosam.pipeline.merging import merge
from autosam.pipeline.probability_maps import Maps
from autosam.pipeline.propose import Proposals, Regions
from autosam.pipeline.view import View
from autosam.prompts import Prompt

SHAPE = (100, 100)


def prompt(row=50.0, col=50.0, region=0, foreground=1.0):
    return Prompt(np.array([[row, col]]), np.array([1]), region=region, foreground=foreground)


def sizes(labels):
    return np.bincount(labels.ravel())[1:].tolist()


def view(shape=SHAPE, zoom=1):
    blank = np.zeros((*shape, 3), dtype=np.uint8)
    return View(blank, (blank.astype(np.float32),), zoom=zoom)


def regions_of(*masks):
    labels = np.zeros(masks[0].shape, dtype=np.int32)
    for number, mask in enumerate(masks, start=1):
        labels[mask] = number
    return labels


@pytest.mark.parametrize("by_hand", [0, 3])
@pytest.mark.parametrize("scores", list(permutations((0.9, 0.8, 0.7))))
def test_rings_in_each_other_are_objects_of_their_own(scores, by_hand):
    masks = (OUTER, MIDDLE, INNER)
    crops = [crop(mask, score, i) for i, (mask, score) in enumerate(zip(masks, scores, strict=True))]
    prompts = [prompt(10), prompt(25), prompt(50)]
    found = merge_answers(crops, prompts, SHAPE, MergeConfig(), by_hand=by_hand)
    assert sizes(found.labels) == [int(mask.sum()) for mask in masks]
    assert found.scores.tolist() == list(scores)


def test_a_ring_with_an_empty_hole_is_filled():
    crops, prompts = [crop(OUTER)], [prompt(10)]
    assert sizes(merge_answers(crops, prompts, SHAPE, MergeConfig(), by_hand=1).labels) == [ring(0, 44).sum()]
    unfilled = MergeConfig(fill_holes=False)
    assert sizes(merge_answers(crops, prompts, SHAPE, unfilled, by_hand=1).labels) == [OUTER.sum()]


def test_a_ring_around_two_objects_is_no_merge_of_them():
    masks = (ring(36, 44), np.hypot(ROWS - 40, COLS - 50) <= 9, np.hypot(ROWS - 60, COLS - 50) <= 9)
    crops = [crop(mask, 0.8, i) for i, mask in enumerate(masks)]
    prompts = [prompt(10), prompt(40), prompt(60)]
    found = merge_answers(crops, prompts, SHAPE, MergeConfig(), by_hand=3)
    assert sizes(found.labels) == [int(mask.sum()) for mask in masks]


def test_what_is_dropped_lies_in_no_hole():
    prompts = [prompt(10), prompt(50)]
    for inside in (crop(INNER, 0.2, 1), crop(ring(0, 3), 0.9, 1)):
        found = merge_answers([crop(OUTER), inside], prompts, SHAPE, MergeConfig(), by_hand=2)
        assert sizes(found.labels) == [ring(0, 44).sum()]
    # A user prompt's mask is kept whatever its score.
    found = merge_answers([crop(OUTER), crop(INNER, 0.2, 1)], prompts, SHAPE, MergeConfig(), by_hand=1)
    assert sizes(found.labels) == [OUTER.sum(), INNER.sum()]


def test_a_region_that_sam_rejects_keeps_the_ring_around_it_open():
    labels = regions_of(OUTER, INNER)
    proposals = Proposals(Regions(labels), [prompt(10, region=1), prompt(50, region=2)], 2)
    foreground = np.where(labels > 0, 0.9, 0).astype(np.float32)
    found = merge(view(), Maps({"foreground": foreground}), proposals, [crop(OUTER)], MergeConfig())
    assert sizes(found.labels) == [OUTER.sum(), INNER.sum()]
    assert found.prompt_of.tolist() == [0, -1]
    # The generator is not sure enough of it.
    unsure = np.where(INNER, 0.6, foreground).astype(np.float32)
    found = merge(view(), Maps({"foreground": unsure}), proposals, [crop(OUTER)], MergeConfig())
    assert sizes(found.labels) == [ring(0, 44).sum()]


def generator_alone(*masks, foreground=1.0, zoom=1, **settings):
    prompts = [prompt(region=i, foreground=foreground) for i in range(1, len(masks) + 1)]
    proposals = Proposals(Regions(regions_of(*masks)), prompts, len(prompts))
    shape = (masks[0].shape[0] // zoom, masks[0].shape[1] // zoom)
    maps = Maps({"foreground": np.full(masks[0].shape, foreground, dtype=np.float32)})
    return merge(view(shape, zoom), maps, proposals, None, MergeConfig(**settings))


def test_the_generator_alone_obeys_the_merge_settings():
    small = np.zeros(SHAPE, dtype=bool)
    small[0:5, 90:98] = True
    everything = [small.sum(), OUTER.sum(), INNER.sum()]
    assert sizes(generator_alone(small, OUTER, INNER, min_size=40).labels) == everything
    found = generator_alone(small, OUTER, INNER, min_size=41)
    assert sizes(found.labels) == everything[1:]
    assert found.scores.tolist() == [1, 1]
    assert found.prompt_of.tolist() == [-1, -1]
    assert sizes(generator_alone(OUTER).labels) == [ring(0, 44).sum()]
    assert sizes(generator_alone(OUTER, fill_holes=False).labels) == [OUTER.sum()]
    assert sizes(generator_alone(OUTER, INNER, foreground=0.4, min_score=0.5).labels) == []


@pytest.mark.parametrize("zoom", [1, 2])
def test_size_and_border_are_those_of_the_own_grid(zoom):
    scaled = lambda mask: np.kron(mask, np.ones((zoom, zoom), dtype=bool))  # noqa: E731
    masks = [np.zeros((40, 60), dtype=bool) for _ in range(5)]
    masks[0][0:10, 5:15] = True
    masks[1][12:22, 20:30] = True
    masks[2][12:32, 35:55] = True
    masks[3][25:39, 1:15] = True
    masks[4][30:40, 20:30] = True
    found = generator_alone(*map(scaled, masks), zoom=zoom)
    assert sizes(found.labels) == [100, 100, 400, 196, 100]
    found = generator_alone(*map(scaled, masks), zoom=zoom, max_size=196)
    assert sizes(found.labels) == [100, 100, 196, 100]
    found = generator_alone(*map(scaled, masks), zoom=zoom, exclude_border=True)
    assert sizes(found.labels) == [100, 400, 196]
    assert found.scores.shape == found.prompt_of.shape == (3,)
    found = generator_alone(*map(scaled, masks), zoom=zoom, exclude_border=True, max_size=99)
    assert not found.labels.any()
    assert found.scores.shape == (0,)

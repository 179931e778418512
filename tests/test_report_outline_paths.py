"""Outlines as paths: known by hand, near the exact ones, and short."""

import re

import numpy as np
import pytest
from results_folders import discs
from skimage.draw import polygon

from autosam.report.outline_paths import outline_paths


def filled(path, shape):
    """Draw a path again, by the rule of even and odd."""
    mask = np.zeros(shape, bool)
    for ring in re.findall(r"M([^z]*)z", path):
        first, *steps = np.array(re.findall(r"-?\d+", ring), int).reshape(-1, 2)
        x, y = (np.cumsum([first, *steps], axis=0) / 2 - 0.5).T
        mask[polygon(y, x, shape)] ^= True
    return mask


def test_a_single_pixel_is_a_diamond():
    assert outline_paths(np.array([[0, 7]])) == {7: "M3 0l1 1-1 1-1-1z"}


def test_no_objects_have_no_paths():
    assert outline_paths(np.zeros((4, 5), np.int32)) == {}


def test_a_staircase_becomes_a_straight_line():
    path = outline_paths(np.tril(np.ones((30, 30), np.int32)))[1]
    assert len(re.findall(r"-?\d+", path)) // 2 <= 9


@pytest.mark.parametrize("radius", [3, 9, 25])
def test_discs_are_shown_nearly_exactly(radius):
    labels = discs([(40, 40, radius), (40, 90, radius)])
    paths = outline_paths(labels)
    assert list(paths) == [1, 2]
    for number, path in paths.items():
        drawn, true = filled(path, labels.shape), labels == number
        assert (drawn & true).sum() / (drawn | true).sum() > (0.88 if radius == 3 else 0.95)


def test_holes_and_further_parts_are_rings_of_the_same_path():
    labels = discs([(30, 30, 20)])
    labels[28:33, 28:33] = 0
    labels[70:80, 90:100] = 1
    path = outline_paths(labels)[1]
    assert path.count("M") == 3
    assert not filled(path, labels.shape)[30, 30]
    assert filled(path, labels.shape)[75, 95]


def test_large_ids_keep_their_numbers():
    labels = np.zeros((6, 6), np.uint32)
    labels[1:5, 1:5] = 4_000_000_000
    assert list(outline_paths(labels)) == [4_000_000_000]

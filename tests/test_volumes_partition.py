"""Partitions of dense objects: chains of weak overlaps are cut where components would join everything."""

import sys

import numpy as np
import pytest

from autosam.config import VolumeConfig
from autosam.errors import ConfigError
from autosam.metrics import average_precision
from autosam.volumes.edges import ObjectEdges
from autosam.volumes.link_labels import link_labels
from autosam.volumes.partition import find_rivals, kept_edges, require_package
from autosam.volumes.slice_objects import make_ids

SOLVERS = ["multicut", "mutex_watershed"]


def edges_of(ids, rows):
    """Edges from (first, second, iou, containment), by position."""
    first, second, iou, containment = (np.array(column) for column in zip(*rows, strict=True))
    a, b = ids[first], ids[second]
    return ObjectEdges(
        a,
        b,
        ((b >> np.uint64(40)) - (a >> np.uint64(40))).astype(np.uint8),
        iou.astype(np.float32),
        containment.astype(np.float32),
    )


@pytest.fixture
def two_tracks():
    """Two objects in each of four slices; the tracks touch between the middle ones."""
    ids = make_ids(np.repeat(np.arange(4), 2), 0, np.tile([0, 1], 4))
    strong = [(i, i + 2, 0.8, 0.9) for i in range(6)]
    return ids, edges_of(ids, [*strong, (2, 5, 0.16, 0.35)])


def test_rivals_are_of_one_slice_and_tile_and_share_a_partner():
    ids = make_ids([0, 0, 0, 1, 1, 1], [0, 0, 5, 0, 0, 0], [0, 1, 0, 0, 1, 2])
    first, second = np.array([0, 1, 2, 2, 2]), np.array([3, 3, 3, 4, 5])
    assert find_rivals(ids, first, second).tolist() == [[0, 1], [3, 4], [3, 5], [4, 5]]
    assert find_rivals(ids, first[:0], second[:0]).shape == (0, 2)


def test_components_keep_everything(two_tracks):
    ids, edges = two_tracks
    assert kept_edges(ids, edges, method="components").all()


@pytest.mark.parametrize("method", SOLVERS)
def test_a_weak_edge_between_strong_tracks_is_cut(method, two_tracks):
    pytest.importorskip("bioimage_cpp")
    ids, edges = two_tracks
    kept = kept_edges(ids, edges, method=method)
    assert edges.iou[~kept].tolist() == pytest.approx([0.16])
    assert (kept == kept_edges(ids, edges, method=method)).all()
    assert kept_edges(ids, ObjectEdges.empty(), method=method).shape == (0,)


@pytest.mark.parametrize("method", SOLVERS)
def test_a_gap_is_bridged_as_before(method):
    pytest.importorskip("bioimage_cpp")
    ids = make_ids([0, 1, 3], 0, 0)
    edges = edges_of(ids, [(0, 1, 0.9, 0.9), (1, 2, 0.7, 0.9)])
    assert kept_edges(ids, edges, method=method).all()


def neurites(depth=30, side=128, count=40):
    """Cells around points that wander, with membranes between them."""
    generator = np.random.default_rng(3)
    points, rows, cols = generator.uniform(0, side, (count, 2)), *np.mgrid[:side, :side]
    volume = np.zeros((depth, side, side), np.int64)
    for labels in volume:
        near = ((rows[..., None] - points[:, 0]) ** 2 + (cols[..., None] - points[:, 1]) ** 2).argmin(axis=2) + 1
        inside = np.ones((side, side), bool)
        for axis in (0, 1):
            inside &= near == np.roll(near, 1, axis)
        labels[inside] = near[inside]
        points = np.clip(points + generator.normal(0, 2.5, points.shape), 0, side)
    return volume


@pytest.mark.parametrize("method", SOLVERS)
def test_neurites_fall_apart_where_components_are_one(method):
    pytest.importorskip("bioimage_cpp")
    truth = neurites()

    def ap(way):
        linked = link_labels(lambda z: truth[z], len(truth), settings=VolumeConfig(min_slices=1, partition=way))
        found = np.stack([linked.relabel(z, labels) for z, labels in enumerate(truth)])
        return average_precision(found, truth).at(0.5)

    assert ap("components") < 0.2
    assert ap(method) > 0.5


def test_a_missing_package_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "bioimage_cpp", None)
    require_package("components")
    with pytest.raises(ConfigError, match=r"needs the package bioimage-cpp.*pip install 'autosam\[partition\]'"):
        require_package("multicut")

"""Runs of label images, and their groups."""

import numpy as np
import pytest

from autosam.instances import runs
from autosam.instances.runs import find_runs


def test_a_row_ends_every_run() -> None:
    found = find_runs(np.array([[0, 4, 4], [4, 4, 4], [4, 0, 2]], np.uint8))
    assert found.ids.tolist() == [2, 4]
    assert found.index.tolist() == [1, 1, 1, 0]
    assert found.rows.tolist() == [0, 1, 2, 2]
    assert found.starts.tolist() == [1, 0, 0, 2]
    assert found.stops.tolist() == [3, 3, 1, 3]


def test_groups_hold_whole_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_MOST", 3)
    # Runs of the ids: 5, 1, 2 and 1.
    labels = np.array([[1, 0, 2, 0], [1, 0, 3, 0], [1, 0, 3, 0], [1, 0, 4, 0], [1, 0, 0, 0]])
    groups = list(find_runs(labels).parts())
    assert [group.ids.tolist() for group in groups] == [[1], [2, 3], [4]]
    assert [group.index.tolist() for group in groups] == [[0] * 5, [0, 1, 1], [0]]
    assert [group.rows.tolist() for group in groups] == [[0, 1, 2, 3, 4], [0, 1, 2], [3]]
    assert groups[1].starts.tolist() == [2, 2, 2]


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (3, 4)])
def test_nothing(shape: tuple[int, int]) -> None:
    found = find_runs(np.zeros(shape, np.uint16))
    assert (found.ids.dtype, len(found.ids), len(found.rows)) == (np.uint16, 0, 0)
    (group,) = found.parts()
    assert len(group.ids) == 0

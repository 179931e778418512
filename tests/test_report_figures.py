import subprocess
import sys

import numpy as np
import pytest

from autosam.errors import InputError
from autosam.metrics import ErrorKind, Protocol, best_ious, contingency_table, evaluate_pair
from autosam.report.figures import COLORS, ap_curves, draw_errors, error_map, save_figure, size_and_iou

TRUTH = np.array([[1, 1, 1, 1], [2, 2, 3, 3], [4, 4, 0, 0], [5, 5, 6, 6]])
PRED = np.array([[1, 1, 2, 2], [3, 3, 3, 3], [0, 0, 4, 4], [5, 5, 0, 6]])


def color(kind, dim=False):
    return [c // 2 if dim else c for c in COLORS[kind]]


def test_every_kind_has_its_color():
    # With a gap between the objects, as touching ones are parted by a line.
    pred, truth = (np.kron(labels, np.diag([1, 0])).astype(int) for labels in (PRED, TRUTH))
    picture = draw_errors(pred, truth)[::2, ::2]
    assert picture.shape == (4, 4, 3)
    assert picture[3, 0].tolist() == color(ErrorKind.HIT)
    assert picture[3, 2].tolist() == color(ErrorKind.HIT, dim=True)  # of a hit, but not predicted
    assert picture[2, 0].tolist() == color(ErrorKind.MISSED)
    assert picture[2, 2].tolist() == color(ErrorKind.SPURIOUS)
    row = [picture[0, 0].tolist(), picture[0, 2].tolist()]
    assert sorted(row) == sorted([color(ErrorKind.HIT), color(ErrorKind.SPLIT)])
    row = [picture[1, 0].tolist(), picture[1, 2].tolist()]
    assert sorted(row) == sorted([color(ErrorKind.HIT), color(ErrorKind.MERGED)])
    assert len({tuple(c) for c in COLORS.values()}) == 5


def test_touching_objects_are_parted():
    labels = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 3, 3]])
    picture = draw_errors(labels, labels).any(axis=2)
    assert picture.tolist() == [[True, True, False, True], [True, True, False, True], [False] * 4]


def test_background_is_black_and_ids_may_be_huge():
    assert not draw_errors(TRUTH * 0, TRUTH * 0).any()
    huge = np.where(TRUTH > 0, np.uint64(2**64 - 10) + TRUTH.astype(np.uint64), np.uint64(0))
    np.testing.assert_array_equal(draw_errors(PRED, huge), draw_errors(PRED, TRUTH))
    with pytest.raises(InputError, match="error maps are drawn of images"):
        draw_errors(TRUTH[None], TRUTH[None])


def test_figures_are_written_and_the_same_each_time(tmp_path):
    scores = evaluate_pair(PRED, TRUTH, protocol=Protocol(ranked=("coco",)))
    table = contingency_table(PRED, TRUTH)

    def make():
        return {
            "map": error_map(PRED, TRUTH, title="a"),
            "curves": ap_curves({"a": scores}),
            "sizes": size_and_iou(table.truth_sizes, best_ious(table)),
            "none": size_and_iou(np.empty(0, np.int64), np.empty(0)),
        }

    for name, figure in make().items():
        save_figure(tmp_path / f"{name}.png", figure)
        before = (tmp_path / f"{name}.png").read_bytes()
        save_figure(tmp_path / f"{name}.png", make()[name])
        assert (tmp_path / f"{name}.png").read_bytes() == before
        assert before.startswith(b"\x89PNG")
    labels = make()["curves"].axes[0].get_legend_handles_labels()[1]
    assert labels == ["a (dsb)", "a (coco)"]


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, autosam.report.figures, autosam.metrics; assert 'matplotlib' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

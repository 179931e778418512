"""The bundled models give what they gave: crops of the example images, in every way to segment them.

The labels in golden.npz were written by `scripts/golden.py`, which compares bit for bit on one machine. Here torch
and the processor may be others, so that a few pixels may differ.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread

from autosam.metrics import best_ious, contingency_table

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("golden", ROOT / "scripts" / "golden.py")
assert _spec is not None
assert _spec.loader is not None
golden = importlib.util.module_from_spec(_spec)
sys.modules["golden"] = golden
_spec.loader.exec_module(golden)


def agrees(labels: np.ndarray, wanted: np.ndarray) -> bool:
    """Tell whether two label images have as many objects, each of which is the other's at an IoU of .98."""
    table = contingency_table(labels, wanted)
    return len(table.pred_ids) == len(table.truth_ids) and bool((best_ious(table) >= 0.98).all())


def test_agreement_allows_for_single_pixels_only():
    wanted = np.zeros((40, 40), dtype=np.int32)
    wanted[5:25, 5:25] = 1
    almost, other, one_more = wanted.copy(), wanted.copy(), wanted.copy()
    almost[5, 5] = 0
    other[5:8, 5:25] = 0
    one_more[30:34, 30:34] = 2
    assert agrees(almost, wanted)
    assert not agrees(other, wanted)
    assert not agrees(one_more, wanted)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::autosam.config.old_names.OldNameWarning")
@pytest.mark.parametrize("model", list(golden.EXAMPLES))
def test_labels_are_those_that_are_stored(model, tmp_path):
    with np.load(Path(__file__).parent / "golden.npz") as stored:
        wanted = {name: stored[name] for name in stored.files if name.startswith(f"{model}/")}
    assert len(wanted) == 2 * len(golden.SETTINGS)
    golden.run_model(tmp_path, model, crops_only=True)
    wrong = [name for name in wanted if not agrees(imread(tmp_path / f"{name}_labels.tif"), wanted[name])]
    assert not wrong

"""What may come as labels: lists, masked arrays, tensors, floats with whole numbers, and what is refused."""

from math import isnan

import numpy as np
import pytest
import torch

from autosam.errors import InputError
from autosam.metrics import (
    adapted_rand,
    aji,
    aji_plus,
    average_precision,
    components,
    contingency_table,
    cremi_score,
    dice,
    evaluate_pair,
    f1,
    iou,
    panoptic_quality,
    variation_of_information,
)

PRED = np.array([[1, 1, 0, 2], [1, 1, 0, 2], [0, 0, 0, 3]])
TRUTH = np.array([[5, 5, 0, 0], [5, 5, 0, 8], [0, 0, 0, 8]])
METRICS = {
    "ap": lambda p, t, **k: average_precision(p, t, **k).accuracy.tolist(),
    "coco": lambda p, t, **k: average_precision(p, t, convention="coco", **k).accuracy.tolist(),
    "rand": lambda p, t, **k: adapted_rand(p, t, **k).error,
    "voi": lambda p, t, **k: variation_of_information(p, t, **k).total,
    "cremi": cremi_score,
    "pq": lambda p, t, **k: panoptic_quality(p, t, **k).pq,
    "aji": aji,
    "aji_plus": aji_plus,
    "dice": dice,
    "iou": iou,
    "f1": f1,
    "all": lambda p, t, **k: evaluate_pair(p, t, **k).row(),
}


class Foreign:
    """Pixels of another library: it has nothing but ``__array__``."""

    def __init__(self, values, device=None):
        self.values, self.device = values, device

    def __array__(self, dtype=None, copy=None):
        if self.device == "cuda:0":
            raise TypeError("can't convert cuda:0 device type tensor to numpy.\nUse Tensor.cpu()")
        return np.array(self.values, dtype)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize(
    "form",
    [
        lambda x: x.tolist(),
        lambda x: tuple(map(tuple, x.tolist())),
        lambda x: torch.from_numpy(x),
        lambda x: torch.from_numpy(x).to(torch.uint8),
        lambda x: x.astype(np.float32),
        lambda x: x.astype(np.float16),
        lambda x: np.ma.array(x),
        lambda x: np.asfortranarray(x),
        lambda x: x.astype(">i4"),
        Foreign,
    ],
    ids=[
        "list",
        "tuple",
        "tensor",
        "uint8 tensor",
        "float32",
        "float16",
        "unmasked",
        "fortran",
        "big-endian",
        "foreign",
    ],
)
def test_every_metric_takes_every_form(metric, form):
    expected = metric(PRED, TRUTH)
    assert metric(form(PRED), form(TRUTH)) == expected
    assert metric(form(PRED), TRUTH) == expected


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_masked_pixels_do_not_count(metric):
    hidden = np.zeros(TRUTH.shape, bool)
    hidden[:, 2:] = True
    expected = metric(PRED[:, :2], TRUTH[:, :2])
    for pred, truth in (
        (np.ma.array(PRED, mask=hidden), TRUTH),
        (PRED, np.ma.array(TRUTH, mask=hidden)),
        (np.ma.array(PRED, mask=hidden), np.ma.array(np.where(hidden, -1, TRUTH), mask=hidden)),
    ):
        assert metric(pred, truth) == expected
    assert metric(PRED, TRUTH, valid=~hidden) == expected
    assert metric(PRED, np.where(hidden, 255, TRUTH), ignore=255) == expected
    assert metric(PRED, np.where(hidden, -1, TRUTH), ignore=-1) == expected
    assert metric(PRED, np.where(hidden, np.nan, TRUTH), valid=np.where(hidden, 0, 255).tolist()) == expected


def test_bool_is_one_object_and_an_empty_array_none():
    assert average_precision([[True, False]], [[True, True]], thresholds=[0.5]).tp.tolist() == [1]
    for empty in ([], np.zeros((0, 4), int), np.zeros((3, 0), np.uint8)):
        assert isnan(average_precision(empty, empty).mean)
        assert isnan(dice(empty, empty))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[1, 2, 3], [4]], "the prediction is a list and no array"),
        (
            Foreign([[1]], "cuda:0"),
            r"a Foreign on cuda:0 and no array \(can't convert cuda:0.*numpy\.\): .*\.cpu\(\)",
        ),
        (torch.ones((1, 1), requires_grad=True), "a Tensor on cpu and no array"),
        (7, "the prediction is a int: give an array"),
        (np.array(7), "the prediction is a ndarray: give an array"),
        ("labels.tif", "the prediction is a str: give an array"),
        (None, "got truth"),
        ({1: 2}, "the prediction is a dict: give an array"),
        ([["a"]], "of dtype <U1"),
        (np.array([[1j]]), "of dtype complex128"),
        (np.array([[None]], object), "of dtype object"),
        ([[0.5]], r"dtype float64 and holds 0\.5"),
        ([[np.nan]], "holds nan"),
        ([[np.inf]], "holds inf"),
        ([[2.0**60]], "holds 1.15292e"),
        ([[-1]], "negative id -1"),
        ([[-1.0]], "negative id -1"),
        ([1], r"shape \(1,\) and the truth \(1, 1\)"),
        ([[[1]]], r"shape \(1, 1, 1\) and the truth \(1, 1\)"),
    ],
)
def test_what_is_refused_is_named_in_one_line(given, message):
    with pytest.raises(InputError, match=message) as caught:
        average_precision(given, np.array([[1]]))
    assert "\n" not in str(caught.value)


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"valid mask has shape \(2,\) and the labels \(1, 2\)"):
        contingency_table([[1, 2]], [[1, 2]], valid=[1, 0])
    with pytest.raises(InputError, match="got valid and table"):
        average_precision(table=contingency_table([1], [1]), valid=[1])


def test_components_take_lists_tensors_and_masked_arrays():
    mask = [[1, 0, 1]]
    expected = [[1, 0, 2]]
    assert components(mask, min_size=1).tolist() == expected
    assert components(torch.tensor(mask), min_size=1).tolist() == expected
    assert components(np.ma.array([[1, 1, 1]], mask=[[0, 1, 0]]), min_size=1).tolist() == expected

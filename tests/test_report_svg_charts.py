"""Charts as SVG: well formed, with the right counts, and with escaped names."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from autosam.report.svg_charts import ChartAxis, curve, histogram, strips

HOSTILE = '<script>alert(1)</script> & "quotes"'


def parsed(svg):
    return ET.fromstring(svg)


def counts_of(svg):
    return [int(text) for text in re.findall(r": (\d+)</title>", svg)]


@pytest.mark.parametrize("log", [False, True])
def test_a_histogram_counts_every_value(log):
    values = np.random.default_rng(0).lognormal(4, 1, 500)
    svg = histogram(values, label="size (px)", log=log)
    parsed(svg)
    assert sum(counts_of(svg)) == 500
    assert "500 objects" in parsed(svg).get("aria-label")


@pytest.mark.parametrize("values", [[5.0], [3.0, 3.0, 3.0]])
def test_a_histogram_of_one_value(values):
    assert sum(counts_of(histogram(np.array(values), label="size", log=True))) == len(values)
    assert sum(counts_of(histogram(np.array([0.0, 1.0]), label="score", limits=(0.0, 1.0)))) == 2


def test_strips_have_a_dot_for_each_value_and_room_for_an_empty_group():
    root = parsed(strips({"a": [1.0, 2.0, 4.0], HOSTILE: [], "b": [3.0]}, label="density"))
    assert len([one for one in root.iter() if one.get("class") == "dot"]) == 4
    assert "a: median 2" in root.get("aria-label")


def test_names_are_escaped():
    for svg in (
        strips({HOSTILE: [1.0]}, label=HOSTILE),
        curve([0.5, 0.9], [0.2, 0.1], label=HOSTILE, up_label="AP"),
    ):
        assert "<script" not in svg
        parsed(svg)


def test_a_curve_leaves_out_what_is_undefined():
    root = parsed(curve([0.5, 0.6, 0.7], [0.9, float("nan"), 0.1], label="IoU", up_label="AP"))
    assert len([one for one in root.iter() if one.get("class") == "dot"]) == 2


def test_values_lie_where_the_axis_says():
    axis = ChartAxis(10, 1000, 0, 200, log=True)
    assert (axis(10), axis(100), axis(1000)) == (0, 100, 200)
    assert ChartAxis(0, 1, 100, 0)(0.25) == 75
    assert 3.0 in ChartAxis(3, 3, 0, 1).ticks()


@pytest.mark.parametrize(("low", "high"), [(210, 490), (52, 98), (3, 11), (1, 1e4), (0.2, 3e8), (7, 7)])
def test_a_logarithmic_axis_has_some_ticks_and_not_too_many(low, high):
    ticks = ChartAxis(low, high, 0, 1, log=True).ticks()
    assert 2 <= len(ticks) <= 7
    assert ticks == sorted(set(ticks))

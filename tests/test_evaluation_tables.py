import csv
import json
from math import nan

import numpy as np
import pytest

from autosam.evaluation.tables import format_number, summarize, write_results
from autosam.metrics import evaluate_pair


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1_000_000, "1000000"),
        (1_234_567.0, "1234567"),
        (9_007_199_254_740_993, "9007199254740993"),
        (1_234_567.5, "1234567.50"),
        (0.1234567, "0.123457"),
        (-0.5, "-0.5"),
        (0.0, "0"),
        (nan, ""),
    ],
)
def test_numbers_are_exact_where_they_are_whole(value, text):
    assert format_number(value) == text


def test_a_million_objects_are_counted_exactly_in_the_files(tmp_path):
    truth = np.arange(1, 1_234_568)
    pred = np.where(truth % 1000 == 0, 0, truth)
    scores = [evaluate_pair(pred, truth)]
    summary = summarize(["a"], scores, resamples=0, seed=0)
    table, record = write_results(tmp_path, {}, {"p": summary}, {})
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["objects"] for row in rows] == ["1234567"] * 3
    assert [row["tp50"] for row in rows] == ["1233333"] * 3
    assert rows[0]["missed"] == "1234"
    assert json.loads(record.read_text(encoding="utf-8"))["pooled"]["objects"] == 1_234_567

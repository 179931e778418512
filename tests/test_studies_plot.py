from math import isnan

import pytest

from autosam.evaluation.axes import Axis, Combination
from autosam.studies.plot import draw_sweep


def row(combination: Combination, mean_ap: float | None) -> tuple[Combination, dict[str, str]]:
    return combination, {"mean_ap": "" if mean_ap is None else str(mean_ap), "ap50": "0.9", "ap75": "0.5"}


def test_one_number_gives_three_lines_in_the_order_of_the_number() -> None:
    axes = [Axis("data.fraction", ("1", "0.1", "0.5")), Axis("seed", ("3",))]
    rows = [row({"data.fraction": value}, float(value) / 2) for value in axes[0].values]
    (panel,) = draw_sweep(axes, rows).axes
    first, *others = panel.get_lines()
    assert [line.get_label() for line in (first, *others)] == ["mean AP", "AP@.5", "AP@.75"]
    assert list(first.get_xdata()) == [0.1, 0.5, 1]
    assert list(first.get_ydata()) == [0.05, 0.25, 0.5]
    assert panel.get_xlabel() == "data.fraction"
    assert panel.get_xscale() == "log"
    assert first.get_marker() == "o"


def test_more_settings_give_a_line_each_and_a_panel_per_score() -> None:
    axes = [
        Axis("prompts.box", ("true", "false")),
        Axis("prompts.negatives", ("0", "2")),
        Axis("prompts.points", ("0", "5", "10")),
    ]
    rows = [
        row({"prompts.box": box, "prompts.negatives": n, "prompts.points": points}, 0.5)
        for box in axes[0].values
        for n in axes[1].values
        for points in axes[2].values[:2]
    ]
    figure = draw_sweep(axes, rows)
    assert [panel.get_title() for panel in figure.axes] == ["mean AP", "AP@.5", "AP@.75"]
    for panel in figure.axes:
        assert panel.get_xlabel() == "prompts.points"
        assert panel.get_xscale() == "linear"
        assert [line.get_label() for line in panel.get_lines()] == [
            "box=true, negatives=0",
            "box=true, negatives=2",
            "box=false, negatives=0",
            "box=false, negatives=2",
        ]
    colors = [line.get_color() for line in figure.axes[0].get_lines()]
    assert len(set(colors)) == 4


def test_words_give_bars() -> None:
    axes = [Axis("prompts.method", ("centroid", "distance"))]
    rows = [row({"prompts.method": "centroid"}, 0.25), row({"prompts.method": "distance"}, None)]
    (panel,) = draw_sweep(axes, rows).axes
    assert [label.get_text() for label in panel.get_yticklabels()] == ["centroid", "distance"]
    widths = [bar.get_width() for bar in panel.patches]
    assert widths[0] == 0.25
    assert isnan(widths[1])
    assert widths[2:] == [0.9, 0.9, 0.5, 0.5]


@pytest.mark.parametrize("axes", [[], [Axis("seed", ("1", "2"))], [Axis("prompts.method", ("a", "b"))]])
def test_nothing_scored_is_an_empty_panel(axes: list[Axis]) -> None:
    for panel in draw_sweep(axes, []).axes:
        assert not panel.get_lines()
        assert not panel.patches

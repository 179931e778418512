"""The plot of a sweep: scores against what was varied. Needs matplotlib."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from autosam.evaluation.axes import Axis, Combination

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCORES = {"mean_ap": "mean AP", "ap50": "AP@.5", "ap75": "AP@.75"}

# Okabe and Ito's colors, which color-blind readers tell apart.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_DASHES = ("-", "--", ":", "-.")
_LOGARITHMIC = 10
"""Largest value beside the smallest from which the axis is logarithmic."""

Scored = tuple[Combination, Mapping[str, str]]
"""A combination and its row of the table, where undefined scores are empty: they leave a gap."""


def draw_sweep(axes: Sequence[Axis], scored: Sequence[Scored]) -> "Figure":
    """Draw mean AP, AP@.5 and AP@.75 of combinations of the axes.

    Returns
    -------
    Figure
        Where a varied setting is a number, lines against it (against the one with the most values): the three
        scores in one panel, or, where more was varied, a panel for each score and a line for each combination
        of the others. Otherwise bars, a group for each combination. Without rows, an empty panel.
    """
    axes = [axis for axis in axes if len(axis.values) > 1]
    numeric = [axis for axis in axes if all(map(_is_number, axis.values))]
    if not numeric:
        return _draw_bars(axes, scored)
    x = max(numeric, key=lambda axis: len(axis.values))
    others = [axis for axis in axes if axis is not x]
    groups: dict[str, list[Scored]] = {}
    for combination, row in scored:
        groups.setdefault(_label(others, combination), []).append((combination, row))
    several = len(groups) > 1
    figure, panels = _figure(len(SCORES) if several else 1)
    for number, (column, title) in enumerate(SCORES.items()):
        panel = panels[number % len(panels)]
        panel.set_title(title if several else "")
        for at, (label, members) in enumerate(groups.items()):
            points = sorted((float(combination[x.key]), _height(row[column])) for combination, row in members)
            style = at if several else number
            panel.plot(
                *zip(*points, strict=True),
                marker="o",
                color=_COLORS[style % len(_COLORS)],
                linestyle=_DASHES[style // len(_COLORS) % len(_DASHES)],
                label=label if several else title,
            )
    values = sorted(map(float, x.values))
    for panel in panels:
        if values[0] > 0 and values[-1] / values[0] >= _LOGARITHMIC:
            panel.set_xscale("log")
            panel.minorticks_off()
        panel.set_xticks(values, [f"{value:g}" for value in values])
        panel.set_xlabel(x.key)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("average precision")
    if groups:
        _add_legend(panels[-1], ", ".join(axis.key for axis in others))
    return figure


def _draw_bars(axes: Sequence[Axis], scored: Sequence[Scored]) -> "Figure":
    figure, (panel,) = _figure(1, height=1.5 + 0.7 * max(len(scored), 1))
    thick = 0.8 / len(SCORES)
    for number, (column, title) in enumerate(SCORES.items()):
        places = [at + (number - 1) * thick for at in range(len(scored))]
        heights = [_height(row[column]) for _, row in scored]
        panel.barh(places, heights, height=thick, color=_COLORS[number], label=title)
    panel.set_yticks(range(len(scored)), [_label(axes, combination) for combination, _ in scored])
    panel.invert_yaxis()
    panel.set(xlabel="average precision", xlim=(0, 1))
    panel.grid(alpha=0.3, axis="x")
    _add_legend(panel, "")
    return figure


def _add_legend(panel: Any, title: str) -> None:
    panel.legend(frameon=False, title=title, loc="center left", bbox_to_anchor=(1, 0.5))


def _label(axes: Sequence[Axis], combination: Combination) -> str:
    if len(axes) == 1:
        return combination[axes[0].key]
    return ", ".join(f"{axis.key.rpartition('.')[2]}={combination[axis.key]}" for axis in axes)


def _height(score: str) -> float:
    return float(score or "nan")


def _is_number(value: str) -> bool:
    try:
        return isfinite(float(value))
    except ValueError:
        return False


def _figure(panels: int, *, height: float = 4.5) -> "tuple[Figure, list[Any]]":
    # Not pyplot: its state is global, and it may look for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7 if panels == 1 else 4 * panels + 2, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, panels, sharey=True, squeeze=False)[0])

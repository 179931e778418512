"""The curves of the study: AP@.5 and mean AP against corrections."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corrections_log import ADAPT, ALL, NONE, SCORES, Row
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images import atomic_path

COLORS = {"doubt": "#0072b2", "random": "#e69f00"}
LABELS = {
    ("adapt", "doubt"): "adapted, by doubt",
    ("adapt", "random"): "adapted, at random",
    ("peer", "doubt"): "UNet from scratch, by doubt",
    ("peer", "random"): "UNet from scratch, at random",
}
TITLES = {"ap50": "AP at IoU .5", "mean_ap": "mean AP"}


def write_figure(figure: Figure, picture: Path) -> None:
    """Write a figure in the format of the suffix."""
    with atomic_path(picture) as temporary:
        figure.savefig(temporary, format=picture.suffix.lstrip(".") or "png", dpi=120)


def draw_curves(rows: Sequence[Row]) -> Figure:
    """Draw a row of two plots for each case and model; the best of several steps and seeds is not chosen.

    Points of all steps, seeds and settings are drawn, so give a table with one of each.

    Raises
    ------
    InputError
        If there is no point.
    """
    groups = list(dict.fromkeys((row.key.case, row.key.model) for row in rows))
    if not groups:
        raise InputError("the table has no point; compute some with: study_corrections.py run")
    # Not pyplot: its state is global, and it may look for a screen.
    figure = Figure(figsize=(9, 3.2 * len(groups)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(groups), len(TITLES), squeeze=False)
    for line, (case, model) in zip(axes, groups, strict=True):
        own = [row for row in rows if (row.key.case, row.key.model) == (case, model)]
        for axis, (score, title) in zip(line, TITLES.items(), strict=True):
            _curves(axis, own, SCORES.index(score))
            axis.set(title=f"{case} ({model})", xlabel="corrections", ylabel=title)
            axis.set_ylim(bottom=0)
            axis.grid(alpha=0.3)
    add_legend(figure, axes, ncol=3)
    return figure


def add_legend(figure: Figure, axes: NDArray[Any], *, ncol: int) -> None:
    """Add one legend of what any of the plots shows."""
    named = {
        label: one for axis in axes.flat for one, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncol=ncol, fontsize=7)


def _curves(axis: Axes, rows: Sequence[Row], at: int) -> None:
    start = [row for row in rows if row.key.order == NONE]
    for (learner, order), label in LABELS.items():
        curve = [row for row in rows if (row.key.learner, row.key.order) == (learner, order)]
        if not curve:
            continue
        points = sorted([*(start if learner == ADAPT else []), *curve], key=lambda row: row.key.corrections)
        numbers = [row.key.corrections for row in points]
        values, low, high = ([row.scores[column] for row in points] for column in (at, at + 1, at + 2))
        style = "-" if learner == ADAPT else "--"
        axis.plot(numbers, values, style, marker="o", ms=3, color=COLORS[order], label=label)
        axis.fill_between(numbers, low, high, color=COLORS[order], alpha=0.1)
    for row in rows:
        if row.key.order == ALL:
            learner = "adapted" if row.key.learner == ADAPT else "UNet from scratch"
            style = ":" if row.key.learner == ADAPT else "-."
            axis.axhline(row.scores[at], ls=style, color="#555555", lw=1, label=f"{learner}, all labels")

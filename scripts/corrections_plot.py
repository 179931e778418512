"""The curves of the study: AP@.5 and mean AP against corrections."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from corrections_log import ADAPT, ALL, NONE, SCORES, Row
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from autosam.errors import InputError
from autosam.images import atomic_path

T = TypeVar("T")
COLORS = {"doubt": "#0072b2", "random": "#e69f00", "whole": "#009e73"}
LABELS = {
    ("adapt", "doubt"): "adapted, by doubt",
    ("adapt", "random"): "adapted, at random",
    ("adapt", "whole"): "adapted, whole images",
    ("peer", "doubt"): "UNet from scratch, by doubt",
    ("peer", "random"): "UNet from scratch, at random",
    ("peer", "whole"): "UNet from scratch, whole images",
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
    named = {
        f"{case} ({model})": [row for row in rows if (row.key.case, row.key.model) == (case, model)]
        for case, model in groups
    }
    return draw_panels(named, _curves, xlabel="corrections")


def draw_panels(
    groups: Mapping[str, Sequence[T]], curves: Callable[[Axes, Sequence[T], int], None], *, xlabel: str
) -> Figure:
    """Draw a row of two plots for each group, under its title, and one legend.

    Parameters
    ----------
    groups : mapping of str to sequence
        Points by title.
    curves : callable
        Draws the points of a group into a plot, by a score's place in `corrections_log.SCORES`.
    """
    # Not pyplot: its state is global, and it may look for a screen.
    figure = Figure(figsize=(9, 3.2 * len(groups)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(groups), len(TITLES), squeeze=False)
    for line, (title, own) in zip(axes, groups.items(), strict=True):
        for axis, (score, label) in zip(line, TITLES.items(), strict=True):
            curves(axis, own, SCORES.index(score))
            axis.set(title=title, xlabel=xlabel, ylabel=label)
            axis.set_ylim(bottom=0)
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.grid(alpha=0.3)
    named = {
        label: one for axis in axes.flat for one, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncol=3, fontsize=7)
    return figure


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

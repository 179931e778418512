"""The curves of a few labeled slices: AP@.5 and mean AP against their number."""

import re
from collections.abc import Sequence

from corrections_log import ALL, NONE, Row
from corrections_plot import draw_panels
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from autosam.errors import InputError

NUMBERED = re.compile(r"(.+)_(\d+)")
"""The name of a case of so many slices; see scripts/slices.yaml."""

CURVES = {"adapt": ("adapted", "-", "#0072b2"), "peer": ("UNet from scratch", "--", "#d55e00")}


def draw_slices(rows: Sequence[Row]) -> Figure:
    """Draw a row of two plots for each set and model.

    The model as it is, scored on the same images whatever is learnt, stands at 0 slices. Points of all steps,
    seeds and settings are drawn, so give a table with one of each.

    Raises
    ------
    InputError
        If no case is one of so many slices.
    """
    sets: dict[str, list[tuple[int, Row]]] = {}
    for row in rows:
        if found := NUMBERED.fullmatch(row.key.case):
            sets.setdefault(f"{found[1]} ({row.key.model})", []).append((int(found[2]), row))
    if not sets:
        raise InputError(
            "the table has no case of slices, such as vnc_5; compute some with: study_corrections.py run"
        )
    return draw_panels(sets, _curves, xlabel="labeled slices")


def _curves(axis: Axes, rows: Sequence[tuple[int, Row]], at: int) -> None:
    start = next(((0, row) for _, row in rows if row.key.order == NONE), None)
    for learner, (label, style, color) in CURVES.items():
        learnt = [(number, row) for number, row in rows if row.key.order == ALL and row.key.learner == learner]
        if not learnt:
            continue
        if learner == "adapt" and start is not None:
            learnt.append(start)
        learnt.sort(key=lambda one: one[0])
        numbers = [number for number, _ in learnt]
        values, low, high = ([row.scores[column] for _, row in learnt] for column in (at, at + 1, at + 2))
        axis.plot(numbers, values, style, marker="o", ms=3, color=color, label=label)
        axis.fill_between(numbers, low, high, color=color, alpha=0.1)

"""Charts as SVG for a page: crisp at any size, a few kilobytes, colored by the page's own style."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import ceil, floor, isfinite, log10

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 440, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 14, 44


class ChartAxis:
    """Values along one side of a chart, linear or logarithmic.

    Parameters
    ----------
    low, high : float
        Of the values; equal ones are widened.
    start, end : float
        Where these two lie in the chart.
    """

    def __init__(self, low: float, high: float, start: float, end: float, *, log: bool = False) -> None:
        if low == high:
            low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
        self.low, self.high, self.log = low, high, log
        self._from, self._to = (log10(low), log10(high)) if log else (low, high)
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        """Give the place of a value."""
        share = ((log10(value) if self.log else value) - self._from) / (self._to - self._from)
        return round(self._start + share * (self._end - self._start), 1)

    def ticks(self, most: int = 6) -> list[float]:
        """Choose round values.

        Examples
        --------
        >>> ChartAxis(0, 97, 0, 1).ticks(), ChartAxis(30, 2500, 0, 1, log=True).ticks()
        ([0.0, 20.0, 40.0, 60.0, 80.0], [50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0])
        """
        if self.log:
            powers = range(floor(self._from), ceil(self._to) + 1)
            for steps in ((1, 2, 5), (1, 3), (1,)):
                found = [float(step * 10.0**power) for power in powers for step in steps]
                found = [value for value in found if self.low <= value <= self.high]
                if 2 <= len(found) <= most:
                    return found
            if len(found) > most:
                return found[:: ceil(len(found) / most)]
        raw = (self.high - self.low) / most
        power = 10.0 ** floor(log10(raw))
        step = next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= raw * (1 - 1e-9))
        first = ceil(self.low / step - 1e-9)
        return [round(number * step, 10) for number in range(first, floor(self.high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """Write a number in three digits or, from 1,000 on, as a whole one.

    Examples
    --------
    >>> number(0.1234), number(15000.4), number(-3.0), number(float("nan"))
    ('0.123', '15,000', '−3', '–')
    """
    if not isfinite(value):
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 999.5 else f"{float(f'{value:.3g}'):g}"
    return text.replace("-", "−")


def histogram(
    values: NDArray[np.floating], *, label: str, log: bool = False, limits: tuple[float, float] | None = None
) -> str:
    """Draw how many values there are in each of some equal steps, with a line at the median.

    Parameters
    ----------
    values : ndarray, shape (N,)
        Finite, at least one; above 0 where `log`.
    label : str
        Of the axis.
    log : bool
        Equal steps of the logarithm.
    limits : tuple of float, optional
        Ends of the axis; by default the lowest and the highest value.
    """
    low, high = limits or (float(values.min()), float(values.max()))
    across = ChartAxis(low, high, _LEFT, WIDTH - _RIGHT, log=log)
    bins = int(min(40, max(8, 2 * ceil(len(values) ** (1 / 3))))) if limits is None else 20
    edges = (
        np.geomspace(across.low, across.high, bins + 1) if log else np.linspace(across.low, across.high, bins + 1)
    )
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    counts, _ = np.histogram(values, edges)
    up = ChartAxis(0, float(counts.max()), HEIGHT - _BOTTOM, _TOP)
    bars = []
    for count, begin, end in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            left, right, top = across(begin), across(end), up(count)
            about = f"{number(begin)} to {number(end)}: {count}"
            bars.append(
                f'<rect class="bar" x="{left:g}" y="{top:g}" width="{max(0.5, right - left - 1):g}" '
                f'height="{HEIGHT - _BOTTOM - top:g}"><title>{about}</title></rect>'
            )
    median = float(np.median(values))
    line = _line("median", across(median), across(median), _TOP, HEIGHT - _BOTTOM)
    summary = f"Histogram of {len(values)} objects: {label}. Median {number(median)}."
    return _chart([*_frame(across, up, label, "objects", whole=True), *bars, line], summary)


def strips(groups: Mapping[str, Sequence[float]], *, label: str) -> str:
    """Draw each value of each group as a dot, beside a box of the quartiles with a line at the median.

    Parameters
    ----------
    groups : mapping of str to sequence of float
        Finite values by group, at least one in all; an empty group is left blank.
    """
    everything = [value for values in groups.values() for value in values]
    highest = max(everything)
    up = ChartAxis(min(0.0, *everything), highest if highest > 0 else 1.0, HEIGHT - _BOTTOM, _TOP)
    step = (WIDTH - _LEFT - _RIGHT) / len(groups)
    parts = [*_grid(up), _title_of(label)]
    for place, (name, values) in enumerate(groups.items()):
        middle = _LEFT + (place + 0.5) * step
        shown = name if len(name) <= (fit := max(4, int(step / 7))) else name[: fit - 1] + "…"
        parts.append(_text("tick", middle, HEIGHT - _BOTTOM + 18, shown, about=name))
        if not values:
            continue
        lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
        half = min(34.0, step * 0.36)
        parts.append(
            f'<rect class="box" x="{middle - half:g}" width="{2 * half:g}" y="{up(upper):g}" '
            f'height="{max(0.5, up(lower) - up(upper)):g}"/>'
            + _line("median", middle - half, middle + half, up(median), up(median))
        )
        for index, value in enumerate(values):
            # Spread by the golden ratio: even, and the same each time.
            aside = ((index * 0.618034) % 1 - 0.5) * 1.6 * half
            parts.append(
                f'<circle class="dot" r="3.2" cx="{middle + aside:.1f}" cy="{up(value):g}">'
                f"<title>{number(value)}</title></circle>"
            )
    medians = "; ".join(f"{name}: median {number(float(np.median(v)))}" for name, v in groups.items() if len(v))
    return _chart(parts, f"{label} by group, a dot for each image. {medians}.")


def curve(across_values: Sequence[float], up_values: Sequence[float], *, label: str, up_label: str) -> str:
    """Draw values from 0 to 1 against others, as a line with dots; what is not finite is left out."""
    across = ChartAxis(min(across_values), max(across_values), _LEFT + 8, WIDTH - _RIGHT - 8)
    up = ChartAxis(0.0, 1.0, HEIGHT - _BOTTOM, _TOP)
    known = [(x, y) for x, y in zip(across_values, up_values, strict=True) if isfinite(y)]
    points = " ".join(f"{across(x):g},{up(y):g}" for x, y in known)
    dots = [
        f'<circle class="dot" r="3.4" cx="{across(x):g}" cy="{up(y):g}"><title>{x:.2f}: {y:.3f}</title></circle>'
        for x, y in known
    ]
    told = ", ".join(f"{x:.2f}: {y:.2f}" for x, y in known)
    parts = [*_frame(across, up, label, up_label), f'<polyline class="line" points="{points}"/>', *dots]
    return _chart(parts, f"{up_label} against {label}. {told}.")


def _frame(across: ChartAxis, up: ChartAxis, label: str, up_label: str, *, whole: bool = False) -> Iterator[str]:
    yield from _grid(up, whole=whole)
    bottom = HEIGHT - _BOTTOM
    for value in across.ticks():
        yield _line("tickmark", across(value), across(value), bottom, bottom + 4)
        yield _text("tick", across(value), bottom + 18, number(value))
    yield _text("label", (WIDTH + _LEFT) / 2, HEIGHT - 8, label)
    yield _title_of(up_label)


def _grid(up: ChartAxis, *, whole: bool = False) -> Iterator[str]:
    for value in up.ticks(5):
        if whole and value != int(value):
            continue
        yield _line("axis" if value == up.low else "grid", _LEFT, WIDTH - _RIGHT, up(value), up(value))
        yield _text("tick", _LEFT - 6, up(value) + 4, number(value), anchor="end")


def _title_of(label: str) -> str:
    middle = (HEIGHT - _BOTTOM + _TOP) / 2
    turned = f'<g transform="translate(13 {middle:g}) rotate(-90)">'
    return f"{turned}{_text('label', 0, 0, label)}</g>"


def _line(kind: str, x1: float, x2: float, y1: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:g}" x2="{x2:g}" y1="{y1:g}" y2="{y2:g}"/>'


def _text(kind: str, x: float, y: float, text: str, *, anchor: str = "middle", about: str = "") -> str:
    title = f"<title>{escape(about)}</title>" if about else ""
    start = f'<text class="{kind}" text-anchor="{anchor}" x="{x:g}" y="{y:g}">'
    return f"{start}{escape(text)}{title}</text>"


def _chart(parts: Sequence[str], about: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(about)}">'
        f"{''.join(parts)}</svg>"
    )

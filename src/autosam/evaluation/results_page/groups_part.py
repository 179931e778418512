"""Groups of images compared: densities and sizes, with the images as the unit of replication."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from autosam.errors import listed
from autosam.evaluation.results_page.shown_image import ShownImage
from autosam.metrics.group_comparison import (
    FEWEST,
    RankTest,
    dominance,
    holm,
    rank_test,
    shift_between,
    spread_of,
)
from autosam.report.page_content import Cell, Chart, Column, GroupsPart, Measure, Table
from autosam.report.svg_charts import number, strips

MOST_PAIRS = 15
"""Pairs of groups that are listed."""

_SPREADS = (
    Column("group", numeric=False),
    Column("images"),
    Column("median"),
    Column("quartiles", about="First and third quartile of the images"),
    Column("range"),
)
_SHIFTS = (
    Column("second − first group", numeric=False),
    Column("shift", about="Hodges-Lehmann estimate: the median of all differences between images"),
    Column("95 % interval"),
    Column("Cliff's delta", about="Share of pairs in which the second is higher, minus that in which it is lower"),
    Column("95 % interval"),
)


@dataclass(frozen=True)
class _Values:
    """A measure of each image, by group."""

    title: str
    by_group: Mapping[str, list[float]]


def compare_groups(images: Sequence[ShownImage], groups: Mapping[str, str]) -> GroupsPart:
    """Compare the groups by density, median size, and share of the image that is in objects.

    Densities are by area where the pixel size of all grouped images is known, otherwise by pixels. An image
    without objects has a density and a share of 0, and no size.

    Parameters
    ----------
    images : sequence of ShownImage
        Those in no group are left out.
    groups : mapping of str to str
        Group by the name of the image.
    """
    grouped = [image for image in images if image.name in groups]
    names = list(dict.fromkeys(groups.values()))
    in_um = all(image.um == image.um for image in grouped)
    measures = [_Values(title, {name: [] for name in names}) for title in _titles(in_um)]
    for image in grouped:
        for measure, value in zip(measures, _values_of(image, in_um), strict=True):
            if value == value:
                measure.by_group[groups[image.name]].append(value)
    tests = [rank_test(list(measure.by_group.values())) for measure in measures]
    adjusted = holm([test.p for test in tests])
    shown = [
        _measure(measure, test, p, count=sum(test.p == test.p for test in tests))
        for measure, test, p in zip(measures, tests, adjusted, strict=True)
        if any(measure.by_group.values())
    ]
    return GroupsPart(tuple(shown), tuple(_notes(images, grouped, names)))


def _titles(sizes_known: bool) -> tuple[str, str, str]:
    if sizes_known:
        return "objects per mm²", "median object size (µm²)", "share of the image in objects"
    return "objects per megapixel", "median object size (px)", "share of the image in objects"


def _values_of(image: ShownImage, in_um: bool) -> tuple[float, float, float]:
    count, pixels, nan = len(image.areas), image.pixels, float("nan")
    # A pixel in mm², or in megapixels; and in µm², or in pixels.
    area, unit = (image.um**2 * 1e-6, image.um**2) if in_um else (1e-6, 1.0)
    return (
        count / (pixels * area) if pixels else nan,
        float(np.median(image.areas)) * unit if count else nan,
        float(image.areas.sum()) / pixels if pixels else nan,
    )


def _measure(measure: _Values, test: RankTest, adjusted: float, *, count: int) -> Measure:
    groups = measure.by_group
    rows = []
    for name, values in groups.items():
        spread = spread_of(values)
        ends = ((spread.lower_quartile, spread.upper_quartile), (spread.lowest, spread.highest))
        texts = [str(spread.count), number(spread.median), *(_between(*two) for two in ends)]
        rows.append((Cell(name), *map(Cell, texts)))
    pairs = [(a, b) for a, b in combinations(groups, 2) if groups[a] and groups[b]]
    shifts = []
    for first, second in pairs[:MOST_PAIRS]:
        shift, delta = (of(groups[first], groups[second]) for of in (shift_between, dominance))
        texts = [number(shift.value), _between(shift.low, shift.high)]
        texts += [number(delta.value), _between(delta.low, delta.high)]
        shifts.append((Cell(f"{second} − {first}"), *map(Cell, texts)))
    return Measure(
        Chart(measure.title[0].upper() + measure.title[1:], strips(groups, label=measure.title)),
        Table(f"{measure.title}, of images", _SPREADS, tuple(rows)),
        Table("Effect sizes", _SHIFTS, tuple(shifts)) if shifts else None,
        _sentence(test, adjusted, groups, count),
    )


def _between(low: float, high: float) -> str:
    """Write two limits.

    Examples
    --------
    >>> _between(1.5, 2500.0), _between(float("nan"), float("nan"))
    ('1.5 to 2,500', '–')
    """
    return "–" if low != low or high != high else f"{number(low)} to {number(high)}"


def _sentence(test: RankTest, adjusted: float, groups: Mapping[str, list[float]], count: int) -> str:
    if len(groups) < 2:
        return "One group alone: there is nothing to compare it with."
    if not test.name:
        few = [name for name, values in groups.items() if len(values) < FEWEST]
        have = "has" if len(few) == 1 else "have"
        return f"No test: it takes at least {FEWEST} images in each group, and {listed(few)} {have} fewer."
    others = f", adjusted for {count} measures (Holm): p = {_p(adjusted)}" if count > 1 else ""
    value = "" if test.statistic != test.statistic else f" = {number(test.statistic)}"
    p = f"{test.name}{value}, p = {_p(test.p)}{others}."
    return f"{p} The effect sizes say how large a difference is, p does not.".replace("= <", "<")


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def _notes(images: Sequence[ShownImage], grouped: Sequence[ShownImage], names: Sequence[str]) -> list[str]:
    notes = [
        "The unit of replication is the image: each image gives one value, and each dot is an image. Images of "
        "one animal, patient or culture are not independent. If groups hold several images of each, average them "
        "first, or use a mixed model: intervals and p-values here would be too good."
    ]
    left_out = len(images) - len(grouped)
    if left_out:
        are = "image is" if left_out == 1 else "images are"
        notes.append(f"{left_out} {are} in no group, and left out here.")
    pairs = len(names) * (len(names) - 1) // 2
    if pairs > MOST_PAIRS:
        notes.append(f"Of {pairs} pairs of groups, the first {MOST_PAIRS} are listed.")
    return notes

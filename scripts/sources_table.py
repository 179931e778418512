"""Tables of the study: means over sources at home and abroad, with bootstrap intervals over images."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from sources_log import THRESHOLDS, Row

from autosam.errors import InputError

Floats = NDArray[np.float64]
Counts = dict[str, Floats]
"""By image: true objects, predicted objects, the matches at each threshold and runs, added up over runs."""
Places = dict[str, dict[str, Counts]]
"""Counts by place and source."""

SCORES = ("mean AP", "AP@.5", "AP@.75")
LEVEL = 0.95
_AT = [THRESHOLDS.index(threshold) for threshold in (50, 75)]


@dataclass(frozen=True)
class Figures:
    """Scores with their intervals.

    Attributes
    ----------
    values : ndarray of float64, shape (3,)
        Those of `SCORES`; NaN where there is no object on either side.
    drawn : ndarray of float64, shape (R, 3)
        Scores of the resampled images.
    single : bool
        A single image: nothing can be resampled.
    """

    values: Floats
    drawn: Floats
    single: bool = False

    @property
    def limits(self) -> tuple[Floats, Floats]:
        """Lower and upper limits; NaN where there are none."""
        # A draw without any object on either side has no score.
        drawn = self.drawn[~np.isnan(self.drawn).any(axis=1)]
        if self.single or not len(drawn):
            return np.full(3, np.nan), np.full(3, np.nan)
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        return low, high

    def text(self, index: int, *, signed: bool = False) -> str:
        """Write a score and its interval."""
        low, high = (limit[index] for limit in self.limits)
        value = _number(self.values[index], signed)
        return value if np.isnan(low) else f"{value} [{_number(low, signed)}, {_number(high, signed)}]"


def collect(rows: Iterable[Row]) -> Places:
    """Add up counts by place, source and image."""
    found: Places = {"home": {}, "abroad": {}}
    for row in rows:
        counts = np.array([row.objects, row.predicted, *row.tp, 1], np.float64)
        images = found[row.place].setdefault(row.source, {})
        images[row.image] = images[row.image] + counts if row.image in images else counts
    return found


def scores_of(counts: Floats) -> Floats:
    """Turn added counts (..., 2 + 10 + 1) into `SCORES` (..., 3): TP / (TP + FP + FN); NaN without any object."""
    tp = counts[..., 2:-1]
    union = counts[..., :1] + counts[..., 1:2] - tp
    ap = np.divide(tp, union, out=np.full(tp.shape, np.nan), where=union > 0)
    return np.concatenate([ap.mean(axis=-1, keepdims=True), ap[..., _AT]], axis=-1)


def source_figures(source: str, counts: Counts, *, resamples: int, seed: int = 0) -> Figures:
    """Pool the images of a source, and draw as many of them again and again.

    The draws depend on the source and its number of images alone, so that two recipes get the same ones.
    """
    values = np.array([counts[image] for image in sorted(counts)])
    rng = np.random.default_rng([seed, crc32(source.encode())])
    times = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), size=resamples)
    return Figures(scores_of(values.sum(axis=0)), scores_of(times @ values), single=len(values) == 1)


def mean_figures(figures: Sequence[Figures]) -> Figures:
    """Average over sources, but for those without any object; a single image is the same in all draws."""
    values, drawn = (np.stack([getattr(one, name) for one in figures]) for name in ("values", "drawn"))
    return Figures(mean_known(values), mean_known(drawn), single=all(one.single for one in figures))


def place_figures(sources: Mapping[str, Counts], *, resamples: int, seed: int = 0) -> dict[str, Figures]:
    """Give the figures of every source, sorted by name."""
    return {name: source_figures(name, sources[name], resamples=resamples, seed=seed) for name in sorted(sources)}


def difference(
    first: Mapping[str, Counts], other: Mapping[str, Counts], *, resamples: int, seed: int = 0
) -> tuple[Figures, list[str]] | None:
    """Compare two recipes on the images that both have: other minus first, and the sources; None without any."""
    pairs, common = [], []
    for name in sorted(first.keys() & other.keys()):
        images = first[name].keys() & other[name].keys()
        if images:
            common.append(name)
            pairs.append(
                [
                    source_figures(
                        name, {image: of[name][image] for image in images}, resamples=resamples, seed=seed
                    )
                    for of in (first, other)
                ]
            )
    if not common:
        return None
    before, after = (mean_figures(figures) for figures in zip(*pairs, strict=True))
    return Figures(after.values - before.values, after.drawn - before.drawn, before.single), common


def choose_rows(
    rows: Sequence[Row], recipes: Collection[str], setting: str | None
) -> dict[tuple[str, str], Places]:
    """Group a log by recipe and setting.

    Parameters
    ----------
    recipes : collection of str
        Only these; empty for all.
    setting : str or None
        Only rows with this setting; None for all.

    Raises
    ------
    InputError
        If a recipe is not there, or nothing is left.
    """
    known = list(dict.fromkeys(row.recipe for row in rows))
    if unknown := [name for name in recipes if name not in known]:
        raise InputError(f"no recipe {', '.join(unknown)} in the log; it has {', '.join(known) or 'none'}")
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if (not recipes or row.recipe in recipes) and setting in (None, row.setting):
            groups.setdefault((row.recipe, row.setting), []).append(row)
    if not groups:
        raise InputError(f"the log has no row with the setting {setting!r}; see its column setting")
    order = [*recipes] or known
    return {key: collect(groups[key]) for key in sorted(groups, key=lambda key: order.index(key[0]))}


def write_tables(groups: Mapping[tuple[str, str], Places], *, resamples: int, seed: int = 0) -> list[str]:
    """Write the tables in Markdown: means over sources, every source, and differences from the first recipe."""
    lines = ["Mean over sources, with 95 % bootstrap intervals over images:", ""]
    lines += _header("recipe", "place", "sources", *SCORES)
    detail = ["", "Every source:", "", *_header("recipe", "place", "source", "images", "objects", *SCORES)]
    alone: set[str] = set()
    for key, places in groups.items():
        for place in ("abroad", "home"):
            figures = place_figures(places[place], resamples=resamples, seed=seed)
            if not figures:
                continue
            mean = mean_figures(list(figures.values()))
            lines.append(_line(_name(key), place, len(figures), *_texts(mean)))
            for name, one in figures.items():
                counts = places[place][name]
                objects = int(sum(value[0] / value[-1] for value in counts.values()))
                detail.append(_line(_name(key), place, name, len(counts), objects, *_texts(one)))
                if one.single:
                    alone.add(f"{name} ({place})")
    if alone:
        detail += ["", f"A single image has no interval: {', '.join(sorted(alone))}. It is the same in all draws."]
    return lines + detail + _differences(groups, resamples=resamples, seed=seed)


def _differences(groups: Mapping[tuple[str, str], Places], *, resamples: int, seed: int) -> list[str]:
    (first, reference), *others = groups.items()
    lines = ["", f"Differences from {_name(first)}, paired by image:", ""]
    lines += _header("recipe", "place", "sources", *SCORES)
    count = len(lines)
    for key, places in others:
        for place in ("abroad", "home"):
            found = difference(reference[place], places[place], resamples=resamples, seed=seed)
            if found is not None:
                figures, common = found
                lines.append(_line(_name(key), place, " ".join(common), *_texts(figures, signed=True)))
    return lines if len(lines) > count else []


def _texts(figures: Figures, *, signed: bool = False) -> list[str]:
    return [figures.text(index, signed=signed) for index in range(len(SCORES))]


def mean_known(values: Floats) -> Floats:
    """Average over the first axis what is a number; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0).sum(axis=0)
    mean: Floats = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return mean


def _name(key: tuple[str, str]) -> str:
    return f"{key[0]} ({key[1]})" if key[1] else key[0]


def _number(value: float, signed: bool) -> str:
    if np.isnan(value):
        return "–"
    text = f"{abs(value):.3f}"
    text = text if abs(value) >= 0.9995 else text.removeprefix("0")
    return f"{'−' if value < 0 else '+' if signed else ''}{text}"


def _header(*columns: str) -> list[str]:
    return [_line(*columns), "|---" * len(columns) + "|"]


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"

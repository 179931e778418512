"""Thresholds by cross-fitting over sources: those of a source are chosen without any of its images."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from sources_data import ALL
from sources_log import Row
from sources_table import SCORES, Counts, Floats, collect, difference, mean_known, scores_of

from autosam.errors import InputError

Source = tuple[str, str]
"""A run and a source."""
BySetting = Mapping[str, Counts]
"""The counts of the images that were scored with every setting."""
Choice = Mapping[Source, str]


def cross_fit(rows: Sequence[Row], recipe: str, *, resamples: int) -> list[str]:
    """Choose settings for each left-out source by the others, and write what that gives.

    Parameters
    ----------
    rows : sequence of Row
        Of a log with several settings of one recipe; the first one is where the choice starts from.

    Returns
    -------
    list of str
        A table in Markdown and the settings that were chosen.

    Raises
    ------
    InputError
        If fewer than two runs or two settings are there to choose by.
    """
    rows = [row for row in rows if row.recipe == recipe and row.without != ALL]
    abroad, home, settings = group_rows(rows)
    if len({run for run, _ in abroad}) < 2 or len(settings) < 2:
        runs = {row.without for row in rows if row.place == "abroad"}
        raise InputError(
            f"the log has {len(runs)} runs of {recipe} without a source, and {len(settings)} settings that all "
            "have; cross-fitting needs two of each: score the runs with --set section.key=value,value"
        )
    lines = ["| thresholds | place | " + " | ".join(SCORES) + " |", "|---" * (2 + len(SCORES)) + "|"]
    crossed = choose_by_others(abroad)
    ways = {
        f"as they are: {settings[0] or 'own'}": (
            dict.fromkeys(abroad, settings[0]),
            dict.fromkeys(home, settings[0]),
        ),
        "cross-fitted": (crossed, _at_home(home, crossed, best(abroad.values()))),
        "tuned on val": _on_val(abroad, home),
        "tuned on what is scored": (
            dict.fromkeys(abroad, best(abroad.values())),
            dict.fromkeys(home, best(home.values())) if home else {},
        ),
    }
    means = {}
    for way, choices in ways.items():
        for place, counts, choice in zip(("abroad", "home"), (abroad, home), choices, strict=True):
            if counts:
                means[way, place] = mean_of(counts, choice)
                lines.append(f"| {way} | {place} | " + " | ".join(f"{x:.3f}" for x in means[way, place]) + " |")
    gain = difference(
        {"/".join(key): by[settings[0]] for key, by in abroad.items()},
        {"/".join(key): by[crossed[key]] for key, by in abroad.items()},
        resamples=resamples,
    )
    assert gain is not None
    lines += ["", f"Cross-fitted minus as they are, abroad: mean AP {gain[0].text(0, signed=True)}"]
    if home:
        optimism = means["tuned on val", "home"][0] - means["cross-fitted", "home"][0]
        lines.append(
            f"Tuned on val minus cross-fitted, at home: mean AP {optimism:+.3f}, by which val is optimistic"
        )
    lines += [f"Chosen for {source} by the others: {setting or 'own'}" for (_, source), setting in crossed.items()]
    return [*lines, f"Chosen by all sources: {best(abroad.values()) or 'own'}"]


def group_rows(
    rows: Sequence[Row],
) -> tuple[dict[Source, BySetting], dict[Source, BySetting], list[str]]:
    """Group counts abroad and at home by run and source, for the settings and images that all have in common.

    Returns
    -------
    abroad, home : dict
    settings : list of str
        In the order of the log.
    """
    groups: dict[tuple[str, str, str], dict[str, list[Row]]] = {}
    for row in rows:
        groups.setdefault((row.place, row.without, row.source), {}).setdefault(row.setting, []).append(row)
    settings = [
        setting
        for setting in dict.fromkeys(row.setting for row in rows)
        if all(setting in by for by in groups.values())
    ]
    found: dict[str, dict[Source, BySetting]] = {"abroad": {}, "home": {}}
    for (place, run, source), by in groups.items():
        counts = {setting: collect(by[setting])[place][source] for setting in settings}
        images = set.intersection(*map(set, counts.values())) if counts else set()
        if images:
            found[place][run, source] = {
                setting: {image: known[image] for image in sorted(images)} for setting, known in counts.items()
            }
    return found["abroad"], found["home"], settings


def choose_by_others(abroad: Mapping[Source, BySetting]) -> dict[Source, str]:
    """Choose the settings of each left-out source by the mean over the sources that other runs lack.

    Raises
    ------
    InputError
        If no other run lacks another source.
    """
    chosen = {}
    for run, source in abroad:
        others = [by for (other, name), by in abroad.items() if other != run and name != source]
        if not others:
            raise InputError(
                f"no other run lacks another source than {source}, so nothing chooses its settings; score runs "
                "without one source each"
            )
        chosen[run, source] = best(others)
    return chosen


def best(sources: Iterable[BySetting]) -> str:
    """Name the setting with the best mean AP, averaged over sources; of equal ones, the first."""
    listed = list(sources)
    values = {setting: mean_known(np.array([_scores(by[setting])[0] for by in listed])) for setting in listed[0]}
    return max(values, key=lambda setting: float(np.nan_to_num(values[setting], nan=-1.0)))


def mean_of(counts: Mapping[Source, BySetting], choice: Choice) -> Floats:
    """Average the scores of all runs and sources, each with the settings that were chosen for it; shape (3,)."""
    return mean_known(np.array([_scores(by[choice[key]]) for key, by in counts.items()]))


def _at_home(home: Mapping[Source, BySetting], crossed: Choice, everything: str) -> Choice:
    """Take for a source at home what was chosen without it; one that no run lacks has what all chose."""
    without = {source: setting for (_, source), setting in crossed.items()}
    return {key: without.get(key[1], everything) for key in home}


def _on_val(abroad: Mapping[Source, BySetting], home: Mapping[Source, BySetting]) -> tuple[Choice, Choice]:
    """Choose the settings of each run by its val images, for these and for the source that it lacks."""
    runs = {run for run, _ in abroad}
    val = {run: [by for (other, _), by in home.items() if other == run] for run in runs}
    start = next(iter(next(iter(abroad.values()))))
    chosen = {run: best(listed) if listed else start for run, listed in val.items()}
    return {key: chosen[key[0]] for key in abroad}, {key: chosen[key[0]] for key in home}


def _scores(counts: Counts) -> Floats:
    return scores_of(np.sum(list(counts.values()), axis=0))

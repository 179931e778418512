"""The scores of `autosam evaluate`, on the screen and in files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autosam.cli.console import say
from autosam.cli.evaluation_inputs import settings_of
from autosam.cli.evaluation_tables import ShownScores, print_results
from autosam.cli.progress import progress
from autosam.cli.words import count

if TYPE_CHECKING:
    from autosam.evaluation.pairing import Pair
    from autosam.evaluation.scoring import FileScores, Ranking
    from autosam.evaluation.tables import Summary
    from autosam.metrics.all_scores import Protocol


@dataclass(frozen=True)
class WantedScores:
    """What an evaluation was asked for.

    Attributes
    ----------
    chosen : list of str
        Average precisions to print.
    sides : dict
        What objects and pixels count; see `score_predictions`.
    resamples, seed : int
        Of the bootstrap.
    wide, volumes : bool
        See `ShownScores`.
    roi : str or None
        The part that is compared.
    """

    chosen: list[str]
    protocol: "Protocol"
    ranking: "Ranking"
    sides: dict[str, int | None]
    resamples: int
    seed: int
    wide: bool
    volumes: bool
    roi: str | None


def score_and_tell(
    compared: str,
    paired: "Mapping[str, Sequence[Pair]]",
    notes: Sequence[str],
    wanted: WantedScores,
    output: Path | None,
    *,
    figures: bool,
) -> None:
    """Score all pairs and print the results; with an output folder, also write and, if wanted, draw them."""
    from autosam.evaluation.scoring import score_predictions
    from autosam.evaluation.tables import summarize, write_results
    from autosam.metrics.bootstrap import paired_differences
    from autosam.metrics.definitions import definitions

    protocol, sides = wanted.protocol, wanted.sides
    with progress("evaluating", sum(map(len, paired.values()))) as bar:
        scored = score_predictions(
            paired, protocol=protocol, ranking=wanted.ranking, **sides, progress=lambda done, _: bar.update(done)
        )
    (first, *others), sampling = paired, {"resamples": wanted.resamples, "seed": wanted.seed}
    names = [pair.name for pair in paired[first]]
    summaries = {place: summarize(names, found.scores, **sampling) for place, found in scored.items()}
    base = scored[first].scores
    differences = {place: paired_differences(base, scored[place].scores, **sampling) for place in others}
    title = f"{compared}: {count(len(names), 'volume' if wanted.volumes else 'image')}"
    notes = [*notes, *_notes_of(scored)]
    shown = ShownScores("dsb" in wanted.chosen, wanted.wide, wanted.volumes, wanted.resamples)
    print_results(title, notes, summaries, differences, protocol, shown)
    if output is not None:
        settings = {**settings_of(protocol, wanted.chosen, {**sampling, **sides}), "roi": wanted.roi}
        about = {"title": title, "settings": settings, "notes": notes, "definitions": definitions(protocol)}
        say(f"Written: {', '.join(map(str, write_results(output, about, summaries, differences)))}")
        if figures:
            _draw(output / "figures", paired, scored, summaries, sides)


def _notes_of(scored: "Mapping[str, FileScores]") -> list[str]:
    """List what was noted while scoring, each note once."""
    return list(dict.fromkeys(note for found in scored.values() for note in found.notes))


def _draw(
    folder: Path,
    paired: "Mapping[str, Sequence[Pair]]",
    scored: "Mapping[str, FileScores]",
    summaries: "Mapping[str, Summary]",
    sides: dict[str, int | None],
) -> None:
    from autosam.evaluation.draw_scores import draw_scores

    draw_scores(folder, paired, scored, summaries, **sides)
    say(f"Drawn: {folder}")

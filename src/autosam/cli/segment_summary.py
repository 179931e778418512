"""What `autosam segment` says while it works and at the end."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autosam.cli.console import detail, error, note, result, say, table
from autosam.cli.words import count, duration
from autosam.errors import AutosamError, listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from autosam.cli.progress import Bar
    from autosam.pipeline.outputs import AnySource, ImageOutcome


class Shown:
    """Shows on a bar how far a batch is: the images that are done, and the shares of those in work."""

    def __init__(self, bar: "Bar") -> None:
        self._bar = bar
        self._done = 0
        self._shares: dict[AnySource, float] = {}
        self._now = ""

    def watch(self, source: "AnySource", share: float) -> None:
        """Show the image that is segmented now; SAM's last window is followed by much other work."""
        self._shares[source] = min(share, 0.99)
        self._now = f"{source.name}, merging and writing" if share >= 1 else source.name
        self._show()

    def ended(self, outcome: "ImageOutcome") -> None:
        """Count an image."""
        self._done += 1
        self._shares.pop(outcome.source, None)
        self._show()

    def _show(self) -> None:
        self._bar.update(self._done + sum(self._shares.values()), self._now)


def tell(outcome: "ImageOutcome") -> None:
    """Say what became of an image; failures are said at the end, all at once."""
    if outcome.state == "done":
        detail(f"{outcome.name}: {count(outcome.instances, 'object')}, {duration(outcome.seconds)}")


def tell_failed(outcomes: "Sequence[ImageOutcome]", failures: "Sequence[str]") -> int:
    """Say which images failed, and why, those first that could not even be tried; give their number."""
    failed = [*failures, *(outcome.message for outcome in outcomes if outcome.state == "failed")]
    if len(failed) == 1:
        error(failed[0])
    elif failed:
        error("\n  ".join([f"{count(len(failed), 'image')} failed:", *failed]))
    return len(failed)


@contextmanager
def telling_failed(outcomes: "Sequence[ImageOutcome]", failures: "Sequence[str]") -> "Iterator[None]":
    """Say which images have failed so far if the batch is interrupted or cannot go on."""
    try:
        yield
    except (KeyboardInterrupt, AutosamError):
        tell_failed(outcomes, failures)
        raise


def summarize(
    outcomes: "Sequence[ImageOutcome]", failures: "Sequence[str]", out: Path, *, only_user: bool, oracle: bool
) -> None:
    """Say what was done; exit with 1 as soon as one image failed."""
    done, skipped, elsewhere = (
        [outcome for outcome in outcomes if outcome.state == state] for state in ("done", "skipped", "elsewhere")
    )
    if oracle and (done or skipped):
        say("The truth chose among SAM's masks for each prompt. This is an upper bound, not a result.")
    if done:
        _tell_done(done, only_user=only_user)
    _tell_replaced(outcomes)
    if skipped:
        say(f"{count(len(skipped), 'image')} skipped: finished before (--overwrite segments them again).")
    if elsewhere:
        who = listed(list(dict.fromkeys(outcome.message for outcome in elsewhere)))
        say(f"{count(len(elsewhere), 'image')} left to {who}, which works on them now.")
    if done or skipped:
        say(
            f"Results are in {out}: *_overlay.png to look at, *_labels.* and *_instances.csv to work with, and "
            "summary.csv."
        )
    if tell_failed(outcomes, failures):
        raise typer.Exit(1)


def show_timings(outcomes: "Sequence[ImageOutcome]") -> None:
    """Print where the time of the images went that were segmented, as a table of stages."""
    from autosam.pipeline.timings import add_up

    done = [outcome for outcome in outcomes if outcome.state == "done"]
    total = add_up(outcome.timings for outcome in done)
    whole = sum(outcome.seconds for outcome in done)
    if not done or not whole:
        return
    # What no stage covers, such as looking for earlier results.
    rows = {**total, "other": max(0.0, whole - sum(total.values())), "all": whole}
    shown = table("stage", "seconds", "share", "seconds per image")
    for stage, seconds in rows.items():
        shown.add_row(stage, f"{seconds:.2f}", f"{seconds / whole:.0%}", f"{seconds / len(done):.3f}")
    result(shown)


def _tell_done(done: "Sequence[ImageOutcome]", *, only_user: bool) -> None:
    seconds = sum(outcome.seconds for outcome in done)
    objects = sum(outcome.instances for outcome in done)
    say(
        f"{count(len(done), 'image')} segmented, {count(objects, 'object')} found, "
        f"{seconds / len(done):.1f} s per image."
    )
    asked = sum(outcome.prompts for outcome in done)
    if only_user and objects < asked:
        say(
            f"{asked - objects} of your {count(asked, 'prompt')} gave no object of their own: too small "
            "(merge.min_size), or the same as another's."
        )
    empty = [outcome.name for outcome in done if not outcome.instances]
    if empty:
        say(f"Nothing was found in {listed(empty)}.")
    doubtful: dict[str, list[str]] = {}
    for outcome in done:
        for warning in outcome.warnings:
            doubtful.setdefault(warning, []).append(outcome.name)
    for warning, names in doubtful.items():
        say(f"{listed(names)}: {warning}.")
    unlike = [outcome.name for outcome in done if outcome.out_of_distribution]
    if unlike:
        say(
            f"{len(unlike)} of {count(len(done), 'image')} {'is' if len(unlike) == 1 else 'are'} "
            f"unlike what the model was trained on ({listed(unlike)}): look at the overlays."
        )


def _tell_replaced(outcomes: "Sequence[ImageOutcome]") -> None:
    """Say which images are no longer those that had results here, and what became of files of earlier runs."""
    changed = [outcome.name for outcome in outcomes if outcome.changed]
    if changed:
        is_, was = ("has", "was") if len(changed) == 1 else ("have", "were")
        say(
            f"{count(len(changed), 'image')} {is_} changed since the last run and {was} segmented again: "
            f"{listed(changed)}."
        )
    removed = [file for outcome in outcomes for file in outcome.removed]
    if removed:
        say(f"{count(len(removed), 'file')} of earlier runs removed, out of date now: {listed(removed)}.")
    kept = [file for outcome in outcomes for file in outcome.kept]
    if kept:
        note(
            f"{count(len(kept), 'file')} of earlier runs kept though out of date, for autosam cannot tell whether "
            f"somebody has changed them: {listed(kept)}"
        )

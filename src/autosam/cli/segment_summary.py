"""What `autosam segment` says while it works and at the end."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autosam.cli.console import detail, error, news, say
from autosam.cli.words import count, duration, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autosam.cli.progress import Bar
    from autosam.images import ImageSource
    from autosam.images.multichannel import MultichannelImage
    from autosam.pipeline.outputs import ImageOutcome


def show(bar: "Bar", sources: "Sequence[ImageSource | MultichannelImage]", done: int, share: float) -> None:
    """Show the image that is segmented now; SAM's last window is followed by much other work."""
    now = sources[done].name if done < len(sources) else ""
    bar.update(done + min(share, 0.99), f"{now}, merging and writing" if share >= 1 else now)


def tell(outcome: "ImageOutcome", *, alone: bool) -> None:
    """Say what became of an image."""
    if outcome.state == "failed" and not alone:
        news(f"failed: {outcome.message}")
    if outcome.state == "done":
        detail(f"{outcome.source.name}: {count(outcome.instances, 'object')}, {duration(outcome.seconds)}")


def summarize(outcomes: "list[ImageOutcome]", out: Path, *, only_user: bool, oracle: bool) -> None:
    """Say what was done; raise the error of a single image, exit with 1 if some of several failed."""
    from autosam.errors import InputError

    done, skipped, failed = (
        [outcome for outcome in outcomes if outcome.state == state] for state in ("done", "skipped", "failed")
    )
    if len(outcomes) == 1 and failed:
        raise InputError(failed[0].message)
    if oracle:
        say("The truth chose among SAM's masks for each prompt. This is an upper bound, not a result.")
    if done:
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
    empty = [outcome.source.name for outcome in done if not outcome.instances]
    if empty:
        say(f"Nothing was found in {listed(empty)}.")
    unlike = [outcome.source.name for outcome in done if outcome.out_of_distribution]
    if unlike:
        say(
            f"{len(unlike)} of {count(len(done), 'image')} {'is' if len(unlike) == 1 else 'are'} "
            f"unlike what the model was trained on ({listed(unlike)}): look at the overlays."
        )
    if skipped:
        say(f"{count(len(skipped), 'image')} skipped: finished before (--overwrite segments them again).")
    say(f"Results are in {out}: *_overlay.png to look at, *_labels.* and *_instances.csv to work with.")
    if failed:
        error("\n  ".join([f"{count(len(failed), 'image')} failed:", *(outcome.message for outcome in failed)]))
        raise typer.Exit(1)

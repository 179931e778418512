"""`autosam segment`: every object of every image, as labels, a picture and a table."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autosam.cli.console import detail, error, interruptible, news, note, say
from autosam.cli.options import ConfigFile, Device, Model, Settings
from autosam.cli.progress import progress
from autosam.cli.words import count, duration, listed

FORMATS = ("tif", "png", "h5", "zarr")
METHODS = ("distance", "centroid", "probability", "grid")
"""Ways to predict prompts that --prompts takes by name."""
ALL = "all"
"""--channels all: the channel axis of each file holds the channels."""

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autosam.cli.progress import Bar
    from autosam.evaluation.truths import Truths
    from autosam.images import ImageSource
    from autosam.images.multichannel import MultichannelImage
    from autosam.pipeline.batch import ImageOutcome
    from autosam.prompts.user_prompts import PromptTables


def _length(text: str) -> float:
    """Read a length above 0."""
    try:
        length = float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number") from None
    if not 1e-6 <= length <= 1e9:
        raise typer.BadParameter(f"{text} is not above 0 and at most 1e9")
    return length


def segment(
    inputs: list[str] = typer.Argument(
        ...,
        metavar="INPUT...",
        help="Images (TIFF, PNG, JPEG), folders, quoted patterns, or FILE.h5:/DATASET. Each page of a TIFF "
        "and each slice of a volume is an image; they are counted from zero.",
    ),
    out: Path = typer.Option(..., "--output", "--out", "-o", metavar="FOLDER", help="Folder for the results."),
    model: Model = "mito",
    config: ConfigFile = None,
    settings: Settings = None,
    device: Device = "auto",
    prompts: str | None = typer.Option(
        None,
        metavar="METHOD|FILE.csv|FOLDER",
        help="distance, centroid, probability or grid: how prompts are predicted. FILE.csv or FOLDER: your "
        "own prompts, in one table or in NAME_prompts.csv for each image.",
    ),
    with_automatic: bool = typer.Option(
        False, "--with-automatic", help="Beside your own prompts: find all other objects, too."
    ),
    save_prompts: bool = typer.Option(
        False, "--save-prompts", help="Also write NAME_prompts.csv, to correct and give to --prompts."
    ),
    channels: str | None = typer.Option(
        None,
        metavar="ENDING,...|all",
        help="Take aligned images for channels of one. _dapi,_gfp: NAME_dapi.tif and NAME_gfp.tif. all: the "
        "channel axis of a TIFF. --set images.combine=input (the default), avg or max combines them.",
    ),
    oracle_mask: str | None = typer.Option(
        None,
        metavar="LABELS",
        help="True labels, paired by name: of SAM's masks for a prompt, keep the one closest to the truth. "
        "This gives an upper bound for every prompt, not a result.",
    ),
    components: bool = typer.Option(
        False,
        "--components",
        help="The labels of --oracle-mask are semantic: their connected components of 50 pixels or more are "
        "the objects.",
    ),
    file_format: str = typer.Option("tif", "--format", metavar="|".join(FORMATS), help="Format of the labels."),
    pixel_size: float | None = typer.Option(
        None,
        parser=_length,
        metavar="NM",
        help="Side of a pixel in nm. It gives areas in µm², and zooms images to what the model was trained "
        "on. [what the file says]",
    ),
    diameter: float | None = typer.Option(
        None,
        parser=_length,
        metavar="PIXELS",
        help="Typical diameter of the objects: zooms images to what the model was trained on.",
    ),
    draw_prompts: bool = typer.Option(False, "--draw-prompts", help="Draw the prompts on the overlays."),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Segment finished images again, instead of skipping them."
    ),
) -> None:
    """Find every object in images, without clicking.

    For each image the folder gets NAME_labels.tif (one id for each object), NAME_overlay.png and
    NAME_instances.csv, and one autosam_run.json for all. Damaged files are skipped and listed at the end. An
    interrupted run goes on where it stopped when the command is repeated.
    """
    from autosam.config import find_config
    from autosam.errors import ConfigError

    if file_format not in FORMATS:
        raise ConfigError(f"--format {file_format} is unknown; choose one of {', '.join(FORMATS)}")
    sources = _sources(inputs, out, channels)
    user_prompts, overrides = _prompting(prompts, settings or [], sources, with_automatic=with_automatic)
    if config is not None:
        find_config(config)
    truths = _truths(oracle_mask, sources, components=components)

    # Slow imports only now: a mistyped path is answered at once.
    from autosam.cli.settings import tell_settings
    from autosam.models.files.zoo import resolve_model
    from autosam.models.weights import file_sha256
    from autosam.pipeline.batch import BatchOptions, segment_batch
    from autosam.pipeline.segmenter import Segmenter

    segmenter = Segmenter.from_model(model, config=config, overrides=overrides, device=device)
    tell_settings(segmenter.config, f"settings of {model} in this run")
    options = BatchOptions(
        file_format=file_format,
        overwrite=overwrite,
        draw_prompts=draw_prompts,
        save_prompts=save_prompts,
        pixel_size_nm=pixel_size,
        diameter=diameter,
        # The same channels have one spelling in the record.
        channels=None if channels is None else ",".join(part.strip() for part in channels.split(",")),
    )
    model_sha256 = file_sha256(resolve_model(model))
    outcomes: list[ImageOutcome] = []
    with interruptible("the same command goes on where it stopped"), progress("segmenting", len(sources)) as bar:
        batch = segment_batch(
            sources,
            segmenter,
            out,
            options,
            prompts=user_prompts,
            truths=truths,
            model_sha256=model_sha256,
            progress=lambda share: _show(bar, sources, len(outcomes), share),
        )
        # Closes the record when the command is interrupted.
        with closing(batch):
            for outcome in batch:
                outcomes.append(outcome)
                _show(bar, sources, len(outcomes), 0)
                _tell(outcome, alone=len(sources) == 1)
    _summarize(outcomes, out, only_user=user_prompts is not None and not with_automatic, oracle=truths is not None)


def _sources(
    inputs: list[str], out: Path, channels: str | None
) -> "Sequence[ImageSource] | Sequence[MultichannelImage]":
    from autosam.errors import OutputError
    from autosam.images import find_sources
    from autosam.images.multichannel import find_channels, split_channels

    files = find_sources(inputs)
    if out.resolve() in {file.path.resolve().parent for file in files}:
        raise OutputError(
            f"{out} holds the images themselves, and the next run would take the results for images; "
            "choose another folder with --output"
        )
    if channels is None:
        return files
    if channels == ALL:
        return split_channels(files)
    endings = [ending.strip() for ending in channels.split(",")]
    found = find_channels(files, endings)
    if found.left_out:
        names = [source.name for source in found.left_out]
        note(f"{count(len(names), 'image')} left out, for names that end in none of {channels}: {listed(names)}")
    return found.images


def _prompting(
    prompts: str | None,
    settings: list[str],
    sources: "Sequence[ImageSource | MultichannelImage]",
    *,
    with_automatic: bool,
) -> "tuple[PromptTables | None, list[str]]":
    """Tell a method from a table of prompts, and find the faults of the table before the work starts."""
    from autosam.errors import ConfigError
    from autosam.prompts.user_prompts import open_prompt_tables

    if with_automatic and (prompts is None or prompts in METHODS):
        raise ConfigError("--with-automatic wants prompts of your own beside it; give a table with --prompts")
    if prompts is None or prompts in METHODS:
        return None, [*([f"prompts.method={prompts}"] if prompts else []), *settings]
    place = Path(prompts)
    if not place.exists():
        raise ConfigError(
            f"--prompts {prompts}: no such table or folder, and no method; methods are {', '.join(METHODS)}"
        )
    method = [] if with_automatic else ["prompts.method=user"]
    return open_prompt_tables(place, sources, required=not with_automatic), [*method, *settings]


def _truths(
    place: str | None, sources: "Sequence[ImageSource | MultichannelImage]", *, components: bool
) -> "Truths | None":
    from autosam.errors import ConfigError
    from autosam.evaluation.truths import open_truths

    if place is None:
        if components:
            raise ConfigError(
                "--components makes objects of the labels of --oracle-mask; add that or leave it out"
            )
        return None
    truths = open_truths(place, sources, components=components)
    if truths.semantic:
        note(
            f"{count(truths.semantic, 'file')} of the truth may be semantic, with one id for all objects; "
            "--components makes objects of them"
        )
    return truths


def _show(bar: "Bar", sources: "Sequence[ImageSource | MultichannelImage]", done: int, share: float) -> None:
    """Show the image that is segmented now; SAM's last window is followed by much other work."""
    now = sources[done].name if done < len(sources) else ""
    bar.update(done + min(share, 0.99), f"{now}, merging and writing" if share >= 1 else now)


def _tell(outcome: "ImageOutcome", *, alone: bool) -> None:
    if outcome.state == "failed" and not alone:
        news(f"failed: {outcome.message}")
    if outcome.state == "done":
        detail(f"{outcome.source.name}: {count(outcome.instances, 'object')}, {duration(outcome.seconds)}")


def _summarize(outcomes: "list[ImageOutcome]", out: Path, *, only_user: bool, oracle: bool) -> None:
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

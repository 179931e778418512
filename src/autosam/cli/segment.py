"""`autosam segment`: every object of every image, as labels, a picture and a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

FORMATS = ("tif", "png", "h5", "zarr")

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autosam.images import ImageSource
    from autosam.images.multichannel import MultichannelImage
    from autosam.pipeline.batch import ImageOutcome
    from autosam.prompts import Prompt


def segment(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Images (TIFF, PNG, JPEG), folders, quoted patterns, or file.h5:/dataset.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--output", "--out", "-o", help="Folder for the results.", show_default=False)
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Name of a bundled model, or a model file.")
    ] = "mito",
    config: Annotated[
        str | None, typer.Option("--config", "-c", help="YAML file of settings, or the name of one.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be given several times.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    prompts: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD|FILE.csv|FOLDER",
            help="distance, centroid, probability or grid; or your own prompts in a table.",
        ),
    ] = None,
    with_automatic: Annotated[
        bool,
        typer.Option("--with-automatic", help="Beside your own prompts in a table: find everything else, too."),
    ] = False,
    save_prompts: Annotated[
        bool,
        typer.Option("--save-prompts", help="Write NAME_prompts.csv, to correct by hand and give to --prompts."),
    ] = False,
    channels: Annotated[
        str | None,
        typer.Option(
            metavar="ENDING,...|all",
            help="Several aligned images are one scene. _dapi,_gfp: NAME_dapi.tif and NAME_gfp.tif; all: a TIFF's "
            "own channel axis. --set images.combine=input (the default), avg or max combines them.",
        ),
    ] = None,
    oracle_mask: Annotated[
        str | None,
        typer.Option(
            metavar="LABELS",
            help="True labels, paired by name: of all of SAM's masks for a prompt, keep the one closest to the "
            "truth. What it gives is an upper bound for every prompt, not a result.",
        ),
    ] = None,
    components: Annotated[
        bool,
        typer.Option(
            "--components",
            help="The labels of --oracle-mask are semantic: their components of 50 pixels or more are objects.",
        ),
    ] = False,
    file_format: Annotated[str, typer.Option("--format", help="Of the labels: tif, png, h5 or zarr.")] = "tif",
    pixel_size: Annotated[
        float | None,
        typer.Option(
            min=1e-6,
            max=1e9,
            metavar="NM",
            help="Side of a pixel in nm, by default what the file says: gives areas in µm², and brings images to "
            "the scale that the model was trained at.",
        ),
    ] = None,
    diameter: Annotated[
        float | None,
        typer.Option(
            min=1e-6,
            max=1e9,
            metavar="PX",
            help="Typical diameter of the objects in pixels: brings images to the scale that the model was "
            "trained at.",
        ),
    ] = None,
    draw_prompts: Annotated[
        bool, typer.Option("--draw-prompts", help="Draw the prompts on the overlays.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Do images again that are finished, instead of skipping them.")
    ] = False,
) -> None:
    """Find every object in images, without clicking.

    For each image NAME the folder gets NAME_labels.tif (one id per object), NAME_overlay.png and
    NAME_instances.csv, and once autosam_run.json. An interrupted run goes on where it stopped.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from autosam.cli.console import console
    from autosam.cli.segment_inputs import find_channels, read_truths
    from autosam.config import find_config
    from autosam.errors import ConfigError, OutputError
    from autosam.images import find_sources

    if file_format not in FORMATS:
        raise ConfigError(f"--format {file_format} is unknown; choose one of {', '.join(FORMATS)}")
    if components and oracle_mask is None:
        raise ConfigError("--components makes objects of the labels of --oracle-mask; add that or leave it out")
    files = find_sources(inputs)
    if out.resolve() in {file.path.resolve().parent for file in files}:
        raise OutputError(
            f"{out} holds the images themselves, and the next run would take the results for images; "
            "choose another folder with --output"
        )
    sources: Sequence[ImageSource | MultichannelImage] = (
        files if channels is None else find_channels(files, channels)
    )
    overrides, prompts_for, prompts_sha256 = _prompting(
        prompts, settings or [], sources, with_automatic=with_automatic
    )
    if config is not None:
        find_config(config)
    truths = None if oracle_mask is None else read_truths(oracle_mask, sources, components=components)

    # Slow imports only now: a mistyped path is answered at once.
    from autosam.models.files.sam_weights import file_sha256
    from autosam.models.files.zoo import resolve_model
    from autosam.pipeline.batch import segment_batch
    from autosam.pipeline.segmenter import Segmenter

    segmenter = Segmenter.from_model(model, config=config, overrides=overrides, device=device)
    outcomes: list[ImageOutcome] = []
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("images, time left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("segmenting", total=len(sources))
        batch = segment_batch(
            sources,
            segmenter,
            out,
            file_format=file_format,
            overwrite=overwrite,
            draw_prompts=draw_prompts,
            save_prompts=save_prompts,
            pixel_size_nm=pixel_size,
            diameter=diameter,
            # The same channels have one spelling in the record.
            channels=None if channels is None else ",".join(part.strip() for part in channels.split(",")),
            prompts_for=prompts_for,
            prompts_sha256=prompts_sha256,
            oracle_for=None if truths is None else truths.of,
            oracle_sha256=None if truths is None else truths.sha256,
            model_sha256=file_sha256(resolve_model(model)),
            progress=lambda share: bar.update(task, completed=len(outcomes) + share),
        )
        try:
            for outcome in batch:
                outcomes.append(outcome)
                bar.update(task, completed=len(outcomes))
                if outcome.state == "failed" and len(sources) > 1:
                    bar.console.print(f"failed: {outcome.message}", markup=False)
        except KeyboardInterrupt:
            # Closes the record, too.
            batch.close()
            bar.stop()
            typer.echo("autosam: interrupted; the same command goes on where it stopped", err=True)
            raise typer.Exit(130) from None
    if truths is not None:
        typer.echo(
            "--oracle-mask: the truth chose among all of SAM's masks for each prompt. This is an upper bound, "
            "not a result."
        )
    _summarize(outcomes, out, manual=prompts_for is not None and not with_automatic)


def _prompting(
    prompts: str | None,
    settings: list[str],
    sources: "Sequence[ImageSource | MultichannelImage]",
    *,
    with_automatic: bool,
) -> "tuple[list[str], Callable[[ImageSource | MultichannelImage, tuple[int, int]], list[Prompt]] | None, str]":
    """Tell a method from a table of prompts, and read the table once to find its faults before the work starts."""
    from hashlib import sha256

    from autosam.errors import ConfigError
    from autosam.prompts import read_prompts

    methods = ("distance", "centroid", "probability", "grid")
    if with_automatic and (prompts is None or prompts in methods):
        raise ConfigError("--with-automatic wants prompts of your own beside it; give a table with --prompts")
    if prompts is None:
        return settings, None, ""
    if prompts in methods:
        return [f"prompts.method={prompts}", *settings], None, ""
    place = Path(prompts)
    if not place.exists():
        raise ConfigError(
            f"--prompts {prompts}: no such table or folder, and no method; methods are {', '.join(methods)}"
        )

    def table_of(source: "ImageSource | MultichannelImage") -> Path:
        return place / f"{source.name}_prompts.csv" if place.is_dir() else place

    digest = sha256()
    for table in dict.fromkeys(map(table_of, sources)):
        if with_automatic and place.is_dir() and not table.is_file():
            continue
        if not table.is_file():
            raise ConfigError(
                f"--prompts {place} holds no {table.name}; wanted one for each image, as --save-prompts"
            )
        content = table.read_bytes()
        lines = [line for line in content.decode("utf-8-sig", errors="replace").splitlines() if line.strip()]
        if len(lines) < 2:
            raise ConfigError(
                f"--prompts {table} holds no prompt below its header; add a row for each point or box"
            )
        if len(sources) > 1 and not place.is_dir() and "image" not in lines[0].split(","):
            raise ConfigError(
                f"--prompts {table} has no column image, and {len(sources)} images came; add the column, or give "
                "one image"
            )
        digest.update(content)

    def prompts_of(source: "ImageSource | MultichannelImage", shape: tuple[int, int] | None) -> "list[Prompt]":
        table = table_of(source)
        if with_automatic and not table.is_file():
            return []
        return read_prompts(table, image=source.image, shape=shape, required=not with_automatic)

    given = [len(prompts_of(source, None)) for source in sources]
    if with_automatic and not any(given):
        raise ConfigError(f"--prompts {place} holds no prompt for any of the images; correct its names")
    method = [] if with_automatic else ["prompts.method=user"]
    return [*method, *settings], prompts_of, digest.hexdigest()


def _summarize(outcomes: "list[ImageOutcome]", out: Path, *, manual: bool) -> None:
    """Say what was done; raise the error of a single image, exit with 1 if some of several failed."""
    from autosam.errors import InputError

    by_state = {
        state: [outcome for outcome in outcomes if outcome.state == state]
        for state in ("done", "skipped", "failed")
    }
    if len(outcomes) == 1 and by_state["failed"]:
        raise InputError(outcomes[0].message)
    done = by_state["done"]
    if done:
        seconds = sum(outcome.seconds for outcome in done)
        objects = sum(outcome.instances for outcome in done)
        typer.echo(
            f"{_count(len(done), 'image')} segmented, {_count(objects, 'object')} found, "
            f"{seconds / len(done):.1f} s per image."
        )
        asked = sum(outcome.prompts for outcome in done)
        if manual and objects < asked:
            typer.echo(
                f"{asked - objects} of your {_count(asked, 'prompt')} gave no object of their own: too small "
                "(merge.min_size), or the same as another's."
            )
        empty = [outcome.source.name for outcome in done if not outcome.instances]
        if empty:
            typer.echo(f"Nothing was found in {_listed(empty)}.")
        unlike = [outcome.source.name for outcome in done if outcome.out_of_distribution]
        if unlike:
            typer.echo(
                f"{len(unlike)} of {_count(len(done), 'image')} {'is' if len(unlike) == 1 else 'are'} "
                f"unlike what the model was trained on ({_listed(unlike)}): look at the overlays."
            )
    if by_state["skipped"]:
        typer.echo(
            f"{_count(len(by_state['skipped']), 'image')} skipped: finished before (--overwrite does them again)."
        )
    typer.echo(f"Results are in {out}: *_overlay.png to look at, *_labels.* and *_instances.csv to work with.")
    if by_state["failed"]:
        typer.echo(f"autosam: {_count(len(by_state['failed']), 'image')} failed:", err=True)
        for outcome in by_state["failed"]:
            typer.echo(f"  {outcome.message}", err=True)
        raise typer.Exit(1)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(names: list[str], most: int = 5) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")

"""`autosam tune`: the thresholds that suit a model and labeled images best."""

from enum import StrEnum
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from autosam.studies.tune import Tried, Tuned

FEW_FROM_SAM = 0.2
"""Share of objects with SAM's outline below which SAM as good as has no say."""


class Part(StrEnum):
    """Which images are tuned on."""

    TRAIN = "train"
    VAL = "val"


def tune(
    data: Annotated[Path, typer.Argument(help="Labeled images: a folder or a store, as for `autosam train`.")],
    out: Annotated[
        Path, typer.Option("--output", "--out", "-o", help="YAML file to write, for `autosam segment --config`.")
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Name of a bundled model, or a model file.")
    ] = "mito",
    config: Annotated[
        str | None,
        typer.Option(
            "--config", "-c", help="YAML file, or the name of one: its data section says where images are."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value holds a setting; key=value,value tries these values."),
    ] = None,
    part: Annotated[Part, typer.Option(help="Part of DATA to tune on.")] = Part.VAL,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it is there.")] = False,
) -> None:
    """Pick prompt and merge thresholds by mean AP on labeled images, and write them as a config file."""
    from autosam.cli.console import console
    from autosam.errors import OutputError
    from autosam.studies.axes import Axis, parse_axes

    given = parse_axes(settings or [])
    if out.is_dir():
        raise OutputError(f"{out} is a folder: give -o a file such as tuned.yaml")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} is there already; choose another file, or add --overwrite")

    # Slow imports only now: a mistyped setting is answered at once.
    from autosam.images import ensure_folder, write_text
    from autosam.models.files.sam_weights import file_sha256
    from autosam.models.files.zoo import resolve_model
    from autosam.pipeline.segmenter import Segmenter
    from autosam.studies.settings import model_setups
    from autosam.studies.tune import axes_for, check_axes, tuned_yaml, value_of
    from autosam.studies.tune import tune as search
    from autosam.training.samples.load_images import load_part

    path = resolve_model(model)
    segmenter = Segmenter.from_model(model, device=device)
    own = segmenter.config
    fixed = {axis.key: axis.values[0] for axis in given if len(axis.values) == 1}
    (setup,) = model_setups(own.model_dump(mode="json"), config, given, [fixed])
    axes: list[Axis] = axes_for(setup.config, given, judged=segmenter.networks.region_classifier is not None)
    check_axes(setup.config, axes)
    labeled_images = load_part(data, setup.config, part.value)
    ensure_folder(out.absolute().parent)
    number = 0
    with console.status("") as status:

        def report(key: str, value: str, tried: "Tried") -> None:
            nonlocal number
            number += 1
            if not key:
                objects = sum(int(labeled_image.labels.max(initial=0)) for labeled_image in labeled_images)
                console.print(
                    f"{len(labeled_images)} images with {objects} objects, part {part.value}; the start has "
                    f"mean AP {tried.mean_ap:.4f}"
                )
            elif not console.is_terminal:
                console.print(f"{key}={value}: mean AP {tried.mean_ap:.4f}", markup=False)
            status.update(f"{number} settings scored, now {key}={value}")

        try:
            tuned = search(segmenter, setup.config, axes, labeled_images, report=report)
        except KeyboardInterrupt:
            status.stop()
            typer.echo("autosam: interrupted; nothing was written", err=True)
            raise typer.Exit(130) from None
    _print_result(tuned)
    figures = ", ".join(f"{name} {before:.4f} -> {after:.4f}" for name, before, after in _figures(tuned))
    comments = [
        f"Tuned by autosam tune for the model {model}, SHA-256 {file_sha256(path)}.",
        f"On {tuned.images} images with {tuned.objects} objects, part {part.value} of {data}: {figures}.",
        "Figures on the images that were tuned on are optimistic.",
    ]
    write_text(out, tuned_yaml(tuned, own, comments))
    changed = [
        key for key in tuned.keys if value_of(tuned.before.config, key) != value_of(tuned.after.config, key)
    ]
    if not changed:
        typer.echo("Nothing was better than the settings that it started with.")
    if tuned.after.config.decode.sam and tuned.after.from_sam < FEW_FROM_SAM:
        typer.echo(
            f"autosam: with these settings {tuned.after.from_sam:.0%} of the objects have SAM's outline, the "
            "others the generator's: thresholds such as merge.min_score drop nearly every mask, which seldom "
            "holds on other images; lower it",
            err=True,
        )
    typer.echo(
        f"autosam: these figures are of the {tuned.images} images tuned on, and so optimistic; score other images "
        "before you quote any",
        err=True,
    )
    typer.echo(f"Written: {out}; use it with: autosam segment IMAGE --model {model} --config {out} -o RESULTS")


def _figures(tuned: "Tuned") -> list[tuple[str, float, float]]:
    before, after = tuned.before, tuned.after
    return [
        ("mean AP", before.mean_ap, after.mean_ap),
        ("AP@.5", before.ap50, after.ap50),
        ("AP@.75", before.ap75, after.ap75),
    ]


def _print_result(tuned: "Tuned") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from autosam.studies.tune import value_of

    table = Table(box=None, pad_edge=False)
    table.add_column(f"{tuned.tried} settings scored")
    for title in ("before", "after"):
        table.add_column(title, justify="right")
    for key in tuned.keys:
        before, after = (value_of(tried.config, key) for tried in (tuned.before, tuned.after))
        table.add_row(Text(key), Text(str(before)), Text(str(after)), style=None if before == after else "bold")
    for name, old, new in _figures(tuned):
        table.add_row(Text(name), f"{old:.4f}", f"{new:.4f}")
    if tuned.after.config.decode.sam:
        shares = (tuned.before.from_sam, tuned.after.from_sam)
        table.add_row("objects with SAM's outline", *("–" if isnan(part) else f"{part:.0%}" for part in shares))
    Console(width=1000, highlight=False).print(table)

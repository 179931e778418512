"""`autosam tune`: the thresholds that suit a model and labeled images best."""

from collections.abc import Callable, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from autosam.cli.console import detail, interruptible, news, note, result, say, table
from autosam.cli.options import ConfigFile, Device, LabeledData, Model
from autosam.cli.progress import progress

if TYPE_CHECKING:
    from autosam.cli.progress import Bar
    from autosam.data import LabeledImage
    from autosam.studies.tune import Tried, Tuned

FEW_FROM_SAM = 0.2
"""Share of objects with SAM's outline below which SAM as good as has no say."""


def tune(
    data: LabeledData,
    out: Path = typer.Option(
        ...,
        "--output",
        "--out",
        "-o",
        metavar="FILE.yaml",
        help="Settings to write, for autosam segment --config.",
    ),
    model: Model = "mito",
    config: ConfigFile = None,
    settings: list[str] | None = typer.Option(
        None,
        "--set",
        metavar="KEY=VALUE[,...]",
        help="Hold a setting at one value, or try several. May be repeated.",
    ),
    part: Literal["train", "val"] = typer.Option("val", metavar="train|val", help="Part of DATA to tune on."),
    device: Device = "auto",
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace FILE.yaml if it is there."),
) -> None:
    """Find the thresholds that suit a model and labeled images best.

    Thresholds of prompts and of merging are chosen by mean AP, and written as a file of settings.
    """
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
    from autosam.studies.tune import axes_for, check_axes, tuned_yaml
    from autosam.studies.tune import tune as search
    from autosam.training.samples.load_images import load_part

    path = resolve_model(model)
    segmenter = Segmenter.from_model(model, device=device)
    own = segmenter.config
    fixed = {axis.key: axis.values[0] for axis in given if len(axis.values) == 1}
    (setup,) = model_setups(own.model_dump(mode="json"), config, given, [fixed])
    axes: list[Axis] = axes_for(
        setup.config, given, region_classifier=segmenter.networks.region_classifier is not None
    )
    check_axes(setup.config, axes)
    labeled_images = load_part(data, setup.config, part)
    ensure_folder(out.absolute().parent)
    one_round = sum(len(axis.values) for axis in axes)
    with interruptible("nothing was written"), progress("tuning", one_round, "settings") as bar:
        report = _reporter(bar, labeled_images, part)
        tuned = search(segmenter, setup.config, axes, labeled_images, report=report)
    _print_result(tuned)
    comments = [
        f"Tuned by autosam tune for the model {model}, SHA-256 {file_sha256(path)}.",
        f"On {tuned.images} images with {tuned.objects} objects, part {part} of {data}: "
        + ", ".join(f"{name} {before:.4f} -> {after:.4f}" for name, before, after in _figures(tuned))
        + ".",
        "Figures on the images that were tuned on are optimistic.",
    ]
    write_text(out, tuned_yaml(tuned, own, comments))
    _tell(tuned)
    say(f"Written: {out}; use it with: autosam segment IMAGE --model {model} --config {out} -o RESULTS")


def _reporter(
    bar: "Bar", labeled_images: "Sequence[LabeledImage]", part: str
) -> "Callable[[str, str, Tried], None]":
    def report(key: str, value: str, tried: "Tried") -> None:
        if not key:
            objects = sum(int(labeled_image.labels.max(initial=0)) for labeled_image in labeled_images)
            news(
                f"{len(labeled_images)} images with {objects} objects, part {part}; the start has "
                f"mean AP {tried.mean_ap:.4f}"
            )
        else:
            detail(f"{key}={value}: mean AP {tried.mean_ap:.4f}")
        bar.advance(f"{key}={value}" if key else "")

    return report


def _tell(tuned: "Tuned") -> None:
    """Tell what to consider before the settings are used."""
    from autosam.studies.tune import value_of

    before, after = tuned.before.config, tuned.after.config
    if all(value_of(before, key) == value_of(after, key) for key in tuned.keys):
        say("Nothing was better than the settings that it started with.")
    if after.decode.sam and tuned.after.from_sam < FEW_FROM_SAM:
        note(
            f"with these settings {tuned.after.from_sam:.0%} of the objects have SAM's outline, the others the "
            "generator's: thresholds such as merge.min_score drop nearly every mask, which seldom holds on other "
            "images; lower it"
        )
    note(
        f"these figures are of the {tuned.images} images tuned on, and so optimistic; score other images "
        "before you quote any"
    )


def _figures(tuned: "Tuned") -> list[tuple[str, float, float]]:
    before, after = tuned.before, tuned.after
    return [
        ("mean AP", before.mean_ap, after.mean_ap),
        ("AP@.5", before.ap50, after.ap50),
        ("AP@.75", before.ap75, after.ap75),
    ]


def _print_result(tuned: "Tuned") -> None:
    from rich.text import Text

    from autosam.studies.tune import value_of

    rows = table(f"{tuned.tried} settings scored", "before", "after")
    for key in tuned.keys:
        before, after = (value_of(tried.config, key) for tried in (tuned.before, tuned.after))
        rows.add_row(Text(key), Text(str(before)), Text(str(after)), style=None if before == after else "bold")
    for name, old, new in _figures(tuned):
        rows.add_row(Text(name), f"{old:.4f}", f"{new:.4f}")
    if tuned.after.config.decode.sam:
        shares = (tuned.before.from_sam, tuned.after.from_sam)
        rows.add_row("objects with SAM's outline", *("–" if isnan(part) else f"{part:.0%}" for part in shares))
    result(rows)

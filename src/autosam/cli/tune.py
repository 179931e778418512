"""`autosam tune`: the thresholds that suit a model and labeled images best."""

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from autosam.cli.console import detail, interruptible, news, note, result, say, table
from autosam.cli.options import ConfigFile, Device, LabeledData, Model
from autosam.cli.progress import progress
from autosam.cli.words import count

if TYPE_CHECKING:
    from autosam.evaluation.tune import Tried

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
    from autosam.evaluation.axes import Axis, parse_axes

    given = parse_axes(settings or [])
    if out.is_dir():
        raise OutputError(f"{out} is a folder: give -o a file such as tuned.yaml")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} is there already; choose another file, or add --overwrite")

    # Slow imports only now: a mistyped setting is answered at once.
    from autosam.evaluation.tune import axes_for, tuned_yaml
    from autosam.evaluation.tune import tune as search
    from autosam.images import ensure_folder, write_text
    from autosam.images.overwriting import refuse_overwriting
    from autosam.models.files.file_hash import file_sha256
    from autosam.models.files.zoo import resolve_model
    from autosam.pipeline.segmenter import Segmenter
    from autosam.studies.settings import model_setups
    from autosam.training.samples.load_images import load_part

    path = resolve_model(model)
    refuse_overwriting(out, (path, data))  # --overwrite may replace the settings
    segmenter = Segmenter.from_model(model, device=device)
    own = segmenter.config
    fixed = {axis.key: axis.values[0] for axis in given if len(axis.values) == 1}
    (setup,) = model_setups(own.model_dump(mode="json"), config, given, [fixed])
    classifies = segmenter.networks.region_classifier is not None
    axes: list[Axis] = axes_for(setup.config, given, region_classifier=classifies)
    keys = [axis.key for axis in axes]
    labeled_images = load_part(data, setup.config, part)
    objects = sum(int(one.labels.max(initial=0)) for one in labeled_images)
    images = f"{count(len(labeled_images), 'image')} with {count(objects, 'object')}, part {part}"
    ensure_folder(out.absolute().parent)
    tried: list[Tried] = []
    one_round = sum(len(axis.values) for axis in axes)
    with interruptible("nothing was written"), progress("tuning", one_round, "settings") as bar:
        for one in search(segmenter, setup.config, axes, labeled_images):
            tried.append(one)
            _tell_tried(one, images)
            bar.advance(one.change)
    before, after = tried[0], max(tried, key=lambda one: one.mean_ap)
    _print_result(before, after, keys, len(tried))
    comments = [
        f"Tuned by autosam tune for the model {model}, SHA-256 {file_sha256(path)}.",
        f"On {images} of {data}: {_changes(before, after)}.",
        "Figures on the images that were tuned on are optimistic.",
    ]
    write_text(out, tuned_yaml(after.config, own, keys, comments))
    _tell(before, after)
    say(f"Written: {out}; use it with: autosam segment IMAGE --model {model} --config {out} -o RESULTS")


def _tell_tried(one: "Tried", images: str) -> None:
    if one.change:
        detail(f"{one.change}: mean AP {one.mean_ap:.4f}")
    else:
        news(f"{images}; the start has mean AP {one.mean_ap:.4f}")


def _tell(before: "Tried", after: "Tried") -> None:
    """Tell what to consider before the settings are used."""
    if after is before:
        say("Nothing was better than the settings that it started with.")
    if after.config.refines_regions and after.from_sam < FEW_FROM_SAM:
        note(
            f"with these settings {after.from_sam:.0%} of the objects have SAM's outline, the others the "
            "generator's: thresholds such as merge.min_score drop nearly every mask, which seldom holds on other "
            "images; lower it"
        )
    note("these figures are of the images tuned on, and so optimistic; score other images before you quote any")


def _figures(before: "Tried", after: "Tried") -> list[tuple[str, float, float]]:
    return [
        ("mean AP", before.mean_ap, after.mean_ap),
        ("AP@.5", before.ap50, after.ap50),
        ("AP@.75", before.ap75, after.ap75),
    ]


def _changes(before: "Tried", after: "Tried") -> str:
    return ", ".join(f"{name} {old:.4f} -> {new:.4f}" for name, old, new in _figures(before, after))


def _print_result(before: "Tried", after: "Tried", keys: "Sequence[str]", tried: int) -> None:
    from rich.text import Text

    from autosam.evaluation.tune import value_of

    rows = table(f"{tried} settings scored", "before", "after")
    for key in keys:
        old, new = (str(value_of(one.config, key)) for one in (before, after))
        rows.add_row(Text(key), Text(old), Text(new), style=None if old == new else "bold")
    for name, old_score, new_score in _figures(before, after):
        rows.add_row(Text(name), f"{old_score:.4f}", f"{new_score:.4f}")
    if after.config.refines_regions:
        shares = (before.from_sam, after.from_sam)
        rows.add_row("objects with SAM's outline", *("–" if isnan(share) else f"{share:.0%}" for share in shares))
    result(rows)

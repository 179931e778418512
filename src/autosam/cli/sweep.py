"""`autosam sweep`: a grid of settings, scored side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autosam.cli.console import error, interruptible, news, result, say, table
from autosam.cli.options import ConfigFile, Device, LabeledData
from autosam.cli.progress import progress

if TYPE_CHECKING:
    from autosam.evaluation.axes import Axis
    from autosam.studies.results import Row
    from autosam.studies.settings import Setup
    from autosam.studies.sweep import Sweep, SweepOutcome


def sweep(
    data: LabeledData,
    out: Path = typer.Option(
        ..., "--output", "--out", "-o", metavar="FOLDER", help="Folder for results.csv, sweep.png and runs."
    ),
    model: str | None = typer.Option(
        None,
        "--model",
        "-m",
        metavar="NAME|FILE",
        help="Score this model with each combination, instead of training one.",
    ),
    config: ConfigFile = None,
    settings: list[str] | None = typer.Option(
        None, "--set", metavar="KEY=VALUE,...", help="Try these values of a setting; several options make a grid."
    ),
    device: Device = "auto",
) -> None:
    """Score every combination of settings on labeled images.

    Without --model, a model is trained for each combination, in FOLDER/runs. Scores are of the validation images
    of DATA. Finished combinations are not repeated, and an interrupted training goes on where it stopped.
    """
    import logging

    from autosam.errors import OutputError
    from autosam.evaluation.axes import parse_axes
    from autosam.report.figures import save_figure

    axes = parse_axes(settings or [])
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file: give -o a folder")

    # Slow imports only now: a mistyped setting is answered at once.
    from autosam.studies.plot import draw_sweep
    from autosam.studies.results import TABLE

    for package in ("lightning.fabric", "lightning.pytorch"):
        logging.getLogger(package).setLevel(logging.WARNING)
    work = _prepare(data, out, model, config, axes, device)
    total = len(work.setups)
    outcomes: list[SweepOutcome] = []
    with (
        interruptible("the same command goes on where it stopped"),
        progress("sweeping", total, "combinations") as bar,
    ):

        def begin(setup: "Setup") -> None:
            news(f"[{len(outcomes) + 1}/{total}] {setup.name} ...")

        for outcome in work.run(begin=begin, say=lambda doing: bar.update(len(outcomes), doing)):
            outcomes.append(outcome)
            news(f"[{len(outcomes)}/{total}] {outcome.setup.name}: {_describe(outcome)}")
            bar.update(len(outcomes))
    varied = [axis for axis in axes if len(axis.values) > 1] or list(axes)
    scored = [(outcome.setup.combination, outcome.row) for outcome in outcomes if outcome.row is not None]
    if scored:
        _print_table(varied, scored)
        save_figure(out / "sweep.png", draw_sweep(varied, scored))
        say(f"Written: {out / TABLE}, {out / 'sweep.png'}")
    failed = [outcome for outcome in outcomes if outcome.row is None]
    if failed:
        lines = [f"{outcome.setup.name}: {outcome.message}" for outcome in failed]
        error("\n  ".join([f"{len(failed)} of {total} combinations failed:", *lines]))
        raise typer.Exit(1)


def _prepare(
    data: Path, out: Path, model: str | None, config: str | None, axes: "tuple[Axis, ...]", device: str
) -> "Sweep":
    """Resolve every combination."""
    from autosam.evaluation.axes import combinations
    from autosam.models.files.file_hash import file_sha256
    from autosam.models.files.zoo import resolve_model
    from autosam.models.precision import choose_device
    from autosam.pipeline.segmenter import Segmenter
    from autosam.studies.settings import model_setups, trained_setups
    from autosam.studies.sweep import Sweep

    grid = combinations(axes)
    if model is None:
        target = choose_device(device)
        return Sweep(trained_setups(config, grid), data, out, device=target)
    path, segmenter = resolve_model(model), Segmenter.from_model(model, device=device)
    setups = model_setups(segmenter.config.model_dump(mode="json"), config, axes, grid)
    return Sweep(setups, data, out, segmenter=segmenter, model_sha256=file_sha256(path))


def _describe(outcome: "SweepOutcome") -> str:
    row = outcome.row
    if row is None:
        return f"failed: {outcome.message}"
    return (
        f"mean AP {_cell(row['mean_ap'])}, AP@.5 {_cell(row['ap50'])}, {row['predicted']} objects found of "
        f"{row['objects']}, {float(row['seconds_per_image']):.2f} s per image"
        f"{' (finished before)' if outcome.kept else ''}"
    )


def _print_table(axes: "list[Axis]", scored: "list[tuple[Mapping[str, str], Row]]") -> None:
    from rich.text import Text

    columns = {
        "ap50": "AP@.5",
        "ap75": "AP@.75",
        "mean_ap": "mean AP",
        "dice": "Dice",
        "iou": "IoU",
        "f1_50": "F1@.5",
        "rand_error": "A-Rand",
        "predicted": "found",
        "objects": "objects",
    }
    keys = [axis.key for axis in axes]
    rows = table(*keys, *columns.values(), "s/image", left=keys)
    best = max(float(row["mean_ap"] or 0) for _, row in scored)
    for combination, row in scored:
        cells = [Text(combination[key]) for key in keys]
        cells += [Text(_cell(row[column])) for column in columns]
        is_best = len(scored) > 1 and float(row["mean_ap"] or "nan") == best
        rows.add_row(*cells, f"{float(row['seconds_per_image']):.2f}", style="bold" if is_best else None)
    result(rows)


def _cell(value: str) -> str:
    """Write a score to three digits; counts stay as they are."""
    if not value:
        return "–"
    return f"{float(value):.3f}" if "." in value else value

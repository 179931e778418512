"""`autosam sweep`: a grid of settings, scored side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from autosam.studies.axes import Axis
    from autosam.studies.finished import Result
    from autosam.studies.settings import Setup
    from autosam.studies.sweep import LabeledData, Study, SweepOutcome


def sweep(
    data: Annotated[Path, typer.Argument(help="LabelSource images: a folder or a store, as for `autosam train`.")],
    out: Annotated[
        Path, typer.Option("--output", "--out", "-o", help="Folder for sweep.csv, sweep.png, results and runs.")
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Score this model with each combination, instead of training one."),
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", "-c", help="YAML file, or a name such as joint or mito.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value,value,...; several options make a grid."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
) -> None:
    """Score every combination of settings on the validation images of DATA.

    Without --model, a model is trained for each combination, in OUT/runs. Finished combinations are not repeated,
    and an interrupted training goes on where it stopped.
    """
    import logging

    from autosam.cli.console import console
    from autosam.errors import OutputError
    from autosam.report.figures import save_figure
    from autosam.studies.axes import combinations, parse_axes

    axes = parse_axes(settings or [])
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file: give -o a folder")
    grid = combinations(axes)

    # Slow imports only now: a mistyped setting is answered at once.
    from autosam.studies.finished import TABLE, Results, write_table
    from autosam.studies.plot import draw_sweep
    from autosam.studies.sweep import LabeledData
    from autosam.studies.sweep import sweep as run_sweep

    for package in ("lightning.fabric", "lightning.pytorch"):
        logging.getLogger(package).setLevel(logging.WARNING)
    labeled = LabeledData(data)
    setups, study = _study(model, config, axes, grid, labeled, out, device)
    results = Results(out)
    varied = [axis for axis in axes if len(axis.values) > 1] or list(axes)
    rows: list[tuple[Setup, Result]] = []
    failed: list[SweepOutcome] = []
    with console.status("") as status:

        def begin(setup: "Setup") -> None:
            console.print(f"[{len(rows) + len(failed) + 1}/{len(setups)}] {setup.name} ...", markup=False)

        def say(news: str) -> None:
            status.update(news)

        try:
            for outcome in run_sweep(setups, study, results, begin=begin, say=say):
                at = f"[{len(rows) + len(failed) + 1}/{len(setups)}] {outcome.setup.name}"
                if outcome.result is None:
                    failed.append(outcome)
                    console.print(f"{at}: failed: {outcome.message}", markup=False)
                    continue
                rows.append((outcome.setup, outcome.result))
                # At once, so that an interrupted sweep leaves a table, too.
                write_table(out / TABLE, varied, rows)
                known = " (finished before)" if outcome.state == "kept" else ""
                console.print(f"{at}: {_said(outcome.result)}{known}", markup=False)
        except KeyboardInterrupt:
            status.stop()
            typer.echo("autosam: interrupted; the same command goes on where it stopped", err=True)
            raise typer.Exit(130) from None
    if rows:
        _print_table(varied, rows)
        figure = draw_sweep(varied, [(setup.combination, result.scores) for setup, result in rows])
        save_figure(out / "sweep.png", figure)
        typer.echo(f"Written: {out / TABLE}, {out / 'sweep.png'}")
    if failed:
        typer.echo(f"autosam: {len(failed)} of {len(setups)} combinations failed:", err=True)
        for outcome in failed:
            typer.echo(f"  {outcome.setup.name}: {outcome.message}", err=True)
        raise typer.Exit(1)


def _study(
    model: str | None,
    config: str | None,
    axes: "tuple[Axis, ...]",
    grid: list[dict[str, str]],
    labeled: "LabeledData",
    out: Path,
    device: str,
) -> "tuple[list[Setup], Study]":
    """Resolve all combinations, and read the first one's images, before anything is written."""
    from autosam.models.files.sam_weights import file_sha256
    from autosam.models.files.zoo import resolve_model
    from autosam.models.precision import choose_device
    from autosam.pipeline.segmenter import Segmenter
    from autosam.studies.settings import model_setups, trained_setups
    from autosam.studies.sweep import ModelStudy, TrainingStudy

    if model is None:
        target = choose_device(device)
        setups = trained_setups(config, grid)
        labeled.labeled_images(setups[0].config, "train")
        labeled.labeled_images(setups[0].config, "val")
        return setups, TrainingStudy(out, labeled, target)
    path = resolve_model(model)
    segmenter = Segmenter.from_model(model, device=device)
    setups = model_setups(segmenter.config.model_dump(mode="json"), config, axes, grid)
    labeled.labeled_images(setups[0].config, "val")
    return setups, ModelStudy(segmenter, file_sha256(path), labeled)


def _said(result: "Result") -> str:
    scores = result.scores
    return (
        f"mean AP {_cell(scores['mean_ap'])}, AP@.5 {_cell(scores['ap50'])}, {scores['predicted']} objects found "
        f"of {scores['objects']}, {result.seconds_per_image:.2f} s per image"
    )


def _print_table(axes: "list[Axis]", rows: "list[tuple[Setup, Result]]") -> None:
    from rich.console import Console
    from rich.table import Table
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
    table = Table(box=None, pad_edge=False)
    for axis in axes:
        table.add_column(axis.key)
    for title in (*columns.values(), "s/image"):
        table.add_column(title, justify="right")
    best = max((result.scores["mean_ap"] or 0.0) for _, result in rows)
    for setup, result in rows:
        cells = [Text(setup.combination[axis.key]) for axis in axes]
        cells += [Text(_cell(result.scores[column])) for column in columns]
        is_best = len(rows) > 1 and result.scores["mean_ap"] == best
        table.add_row(*cells, Text(f"{result.seconds_per_image:.2f}"), style="bold" if is_best else None)
    # Wider than any table: rich would cut numbers to fit a narrow terminal.
    Console(width=1000, highlight=False).print(table)


def _cell(value: float | int | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.3f}"

"""`autosam train`: train generator and SAM on labeled images, by any recipe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from autosam.training.run.estimate import Estimate


def train(
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder of images and labels (see data.sources), or a store that `autosam data import` made."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--output", "--out", "-o", help="Folder of the run; not needed by --dry-run.")
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", "-c", help="YAML file, or a name such as joint or mito.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be given several times.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    devices: Annotated[
        int, typer.Option(min=1, help="How many GPUs, or processes on a CPU; training.batch_size is for each.")
    ] = 1,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check everything, say what would be trained and how much memory it needs."
        ),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in OUT.")] = False,
    license: Annotated[str, typer.Option(help="License of the weights, written into the model file.")] = "",
) -> None:
    """Train a prompt generator, SAM, or both together, on labeled images.

    The recipe is a --config: joint, sac, adapter, decoder, medsam, em_sam or generator.

    DATA holds one folder of images and one of labels with the same file names: `images` and `labels`, or
    what the config's data.sources names.
    """
    import logging
    import os

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from autosam.cli.console import console
    from autosam.config import load_config
    from autosam.errors import ConfigError
    from autosam.models.precision import choose_device
    from autosam.training.loop import Progress as Report
    from autosam.training.loop import train as run_training
    from autosam.training.run.estimate import estimate
    from autosam.training.run.run_folder import CHECKPOINT, SETTINGS, check_resumable
    from autosam.training.samples.load_images import load_part

    if out is None and not dry_run:
        raise ConfigError("no folder for the run; give one with --output RUN")
    # Fabric announces its precision, which the settings say already, in the name of either package.
    for package in ("lightning.fabric", "lightning.pytorch"):
        logging.getLogger(package).setLevel(logging.WARNING)
    if resume and out is not None:
        check_resumable(out)
        # The run knows its own settings.
        config = config or str(out / SETTINGS)
    resolved = load_config(config, overrides=settings or ())
    target = choose_device(device)
    # Fabric starts the other processes by running this command again; they have nothing to say.
    first = os.environ.get("LOCAL_RANK", "0") == "0"
    train_images = load_part(data, resolved, "train")
    val_images = load_part(data, resolved, "val")
    if out is None or dry_run:
        _show_estimate(estimate(resolved, train_images, device=target), resolved.training.batch_size)
        return
    bar = Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    task = bar.add_task("training", total=resolved.training.steps, loss=float("nan"))
    # In a log file there is no bar to look at.
    every = 0 if console.is_terminal else max(1, resolved.training.steps // 20)
    begun = False

    def report(progress: Report) -> None:
        nonlocal begun
        if not begun:
            # Only now is it sure that there is something to do: a refusal stays one line.
            console.print(
                f"{len(train_images)} training and {len(val_images)} validation images, "
                f"{sum(int(scene.labels.max()) for scene in train_images)} objects to learn from; on {target}"
            )
            bar.start()
            begun = True
        bar.update(task, completed=progress.step, loss=progress.loss)
        if progress.message or (every and progress.step % every == 0):
            news = progress.message or f"loss {progress.loss:.3f}"
            console.print(f"step {progress.step}: {news}", markup=False)

    try:
        model = run_training(
            resolved,
            train_images,
            val_images,
            out=out,
            resume=resume,
            device=target,
            devices=devices,
            license=license,
            report=report,
        )
    except KeyboardInterrupt:
        if not first:
            raise typer.Exit(130) from None
        kept = (out / CHECKPOINT).is_file()
        then = (
            f"add --resume to go on from the last checkpoint in {out}" if kept else "the same command starts again"
        )
        console.print(f"autosam: interrupted; {then}", markup=False)
        raise typer.Exit(130) from None
    finally:
        bar.stop()
    if not first:
        return
    use = f"autosam segment IMAGE --model {model} -o RESULTS"
    if resolved.prompts.method == "user":
        use += " --prompts TABLE.csv"
    console.print(f"wrote {model}; use it with: {use}", markup=False)


def _show_estimate(estimate: "Estimate", batch_size: int) -> None:
    """Print the table of parameters and the memory of a step."""
    from rich.table import Table

    from autosam.cli.console import console

    table = Table("part", "parameters", "trained", box=None, pad_edge=False)
    for row in estimate.parts:
        table.add_row(row.part, f"{row.total:,}", f"{row.trainable:,}")
    total, trained = (sum(getattr(row, column) for row in estimate.parts) for column in ("total", "trainable"))
    table.add_row("all", f"{total:,}", f"{trained:,}")
    console.print(table)
    memory = Table("memory of a step", "MB", box=None, pad_edge=False)
    for name, size in (
        ("weights", estimate.weights),
        ("their average", estimate.average),
        ("gradients", estimate.gradients),
        ("optimizer", estimate.optimizer),
        (f"activations of {batch_size} tiles", estimate.activations),
        ("together, beside the program itself", estimate.total),
    ):
        memory.add_row(name, f"{size / 1e6:,.0f}")
    console.print(memory)
    console.print("nothing was trained or written: --dry-run")

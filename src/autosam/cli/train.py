"""`autosam train`: train generator and SAM jointly on labelled images."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder of images and labels (see data.sources), or a store that `autosam data import` made."
        ),
    ],
    out: Annotated[Path, typer.Option("--output", "--out", "-o", help="Folder of the run.")],
    config: Annotated[
        str | None, typer.Option("--config", "-c", help="YAML file, or a name such as joint or mito.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be given several times.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in OUT.")] = False,
    licence: Annotated[str, typer.Option(help="Licence of the weights, written into the model file.")] = "",
) -> None:
    """Train a prompt generator and SAM jointly.

    DATA holds one folder of images and one of labels with the same file names: `images` and `labels`, or
    what the config's data.sources names.
    """
    import logging

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from autosam.cli.console import console
    from autosam.config import load_config
    from autosam.models.precision import choose_device
    from autosam.training.loop import Progress as Report
    from autosam.training.loop import train as run_training
    from autosam.training.run import CHECKPOINT, SETTINGS, check_resumable
    from autosam.training.scenes import load_part

    # Fabric announces its precision, which the settings say already, in the name of either package.
    for package in ("lightning.fabric", "lightning.pytorch"):
        logging.getLogger(package).setLevel(logging.WARNING)
    if resume:
        check_resumable(out)
        # The run knows its own settings.
        config = config or str(out / SETTINGS)
    resolved = load_config(config, overrides=settings or ())
    target = choose_device(device)
    train_scenes = load_part(data, resolved, "train")
    val_scenes = load_part(data, resolved, "val")
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
                f"{len(train_scenes)} training and {len(val_scenes)} validation images, "
                f"{sum(int(scene.labels.max()) for scene in train_scenes)} objects to learn from; on {target}"
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
            train_scenes,
            val_scenes,
            out=out,
            resume=resume,
            device=target,
            licence=licence,
            report=report,
        )
    except KeyboardInterrupt:
        kept = (out / CHECKPOINT).is_file()
        then = (
            f"add --resume to go on from the last checkpoint in {out}" if kept else "the same command starts again"
        )
        console.print(f"autosam: interrupted; {then}", markup=False)
        raise typer.Exit(130) from None
    finally:
        bar.stop()
    console.print(f"wrote {model}; use it with: autosam segment IMAGE --model {model} -o RESULTS", markup=False)

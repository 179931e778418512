"""`autosam train`: train generator and SAM on labeled images, by any recipe."""

from collections.abc import Callable, Sequence
from functools import partial
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autosam.cli.console import interruptible, news, result, set_up, table
from autosam.cli.interrupts import ending_in_order
from autosam.cli.options import ConfigFile, Device, LabeledData, Settings
from autosam.cli.progress import progress

if TYPE_CHECKING:
    import torch

    from autosam.cli.progress import Bar
    from autosam.data import LabeledImage
    from autosam.training.loop import Progress as Report
    from autosam.training.run.estimate import Estimate


def train(
    data: LabeledData,
    out: Path | None = typer.Option(
        None, "--output", "--out", "-o", metavar="FOLDER", help="Folder of the run; not needed for --dry-run."
    ),
    config: ConfigFile = None,
    settings: Settings = None,
    device: Device = "auto",
    devices: int = typer.Option(
        1,
        min=1,
        metavar="N",
        help="Number of GPUs, or of processes on a CPU; each gets training.batch_size tiles.",
    ),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Check everything; tell what would be trained and the memory it needs."
    ),
    resume: bool = typer.Option(False, "--resume", help="Go on with the run in FOLDER."),
    license: str = typer.Option("", metavar="LICENSE", help="License of the weights, for the model file."),
) -> None:
    """Train a prompt generator, SAM, or both together.

    The recipe is a --config: joint, sac, adapter, decoder, medsam, em_sam or generator.

    DATA holds one folder of images and one of labels with the same file names: images and labels, or what
    data.sources names in the config.
    """
    import logging
    import os

    from autosam.cli.settings import tell_settings
    from autosam.config import load_config
    from autosam.errors import ConfigError
    from autosam.models.precision import choose_device
    from autosam.training.fit.fit_thresholds import hold_out
    from autosam.training.loop import train as run_training
    from autosam.training.run.estimate import estimate
    from autosam.training.run.run_folder import SETTINGS, check_resumable
    from autosam.training.samples.load_images import load_part, load_unlabeled

    # Fabric starts the other processes by running this command again; they have nothing to say.
    first = os.environ.get("LOCAL_RANK", "0") == "0"
    if not first:
        set_up(quiet=True)
    # Fabric announces its precision, which the settings say already, in the name of either package.
    for package in ("lightning.fabric", "lightning.pytorch"):
        logging.getLogger(package).setLevel(logging.WARNING)
    if out is None and not dry_run:
        raise ConfigError("no folder for the run; give one with --output RUN")
    if resume and out is not None:
        check_resumable(out)
        # The run knows its own settings.
        config = config or str(out / SETTINGS)
    resolved = load_config(config, overrides=settings or ())
    target = choose_device(device)
    train_images, val_images = load_part(data, resolved, "train"), load_part(data, resolved, "val")
    unlabeled = load_unlabeled(data, resolved)
    if out is None or dry_run:
        _show_estimate(estimate(resolved, train_images, device=target), resolved.training.batch_size)
        return
    run, held = out, resolved.training.threshold_images
    tell_settings(resolved, f"settings of {run}")
    with (
        interruptible(partial(_then, run)),
        ending_in_order(),
        progress("training", resolved.training.steps, "steps") as bar,
    ):
        model = run_training(
            resolved,
            train_images,
            val_images,
            out=run,
            unlabeled=unlabeled,
            resume=resume,
            device=target,
            devices=devices,
            license=license,
            report=_reporter(bar, *hold_out(train_images, held), val_images, target),
        )
    if first:
        own = " --prompts TABLE.csv" if resolved.prompts.method == "user" else ""
        news(f"wrote {model}; use it with: autosam segment IMAGE --model {model} -o RESULTS{own}")


def _then(run: Path) -> str:
    from autosam.training.run.run_folder import CHECKPOINT

    again = f"add --resume to go on from the last checkpoint in {run}"
    return again if (run / CHECKPOINT).is_file() else "the same command starts again"


def _reporter(
    bar: "Bar",
    train: "Sequence[LabeledImage]",
    held_out: "Sequence[LabeledImage]",
    val: "Sequence[LabeledImage]",
    device: "torch.device",
) -> "Callable[[Report], None]":
    objects = sum(int(image.labels.max()) for image in train)
    share = sum(one.counted for one in (*train, *val)) / sum(one.labels.size for one in (*train, *val))
    known = f" in the {share:.0%} of the pixels that count" if share < 1 else ""
    fitted = f" and {len(held_out)} to fit thresholds to" if held_out else ""
    begun = False

    def report(step: "Report") -> None:
        nonlocal begun
        if not begun:
            # Only now is it sure that there is something to do: a refusal stays one line.
            news(
                f"{len(train)} training and {len(val)} validation images{fitted}, {objects} objects to learn "
                f"from{known}; on {device}"
            )
            begun = True
        bar.update(step.step, "" if isnan(step.loss) else f"loss {step.loss:.3f}")
        if step.message:
            news(f"step {step.step}: {step.message}")

    return report


def _show_estimate(estimate: "Estimate", batch_size: int) -> None:
    """Print the table of parameters and the memory of a step."""
    parts = table("part", "parameters", "trained")
    for row in estimate.parts:
        parts.add_row(row.part, f"{row.total:,}", f"{row.trainable:,}")
    total, trained = (sum(getattr(row, column) for row in estimate.parts) for column in ("total", "trainable"))
    parts.add_row("all", f"{total:,}", f"{trained:,}")
    memory = table("memory of a step", "MB")
    for name, size in (
        ("weights", estimate.weights),
        ("their average", estimate.average),
        ("gradients", estimate.gradients),
        ("optimizer", estimate.optimizer),
        (f"activations of {batch_size} tiles", estimate.activations),
        ("total, without the program itself", estimate.total),
    ):
        memory.add_row(name, f"{size / 1e6:,.0f}")
    result(parts, memory, "nothing was trained or written: --dry-run")

"""`autosam adapt`: a model of your own from another one and few labels."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autosam.cli.console import interruptible, news, result, say, table
from autosam.cli.interrupts import ending_in_order, leaving_at_once
from autosam.cli.options import Device, Settings
from autosam.cli.progress import progress

if TYPE_CHECKING:
    from rich.table import Table

    from autosam.training.adapt.adapt_model import Adapted


def adapt(
    data: Path = typer.Argument(
        ...,
        metavar="DATA",
        help="Corrected results of autosam apply, a folder with images and labels, or a store.",
        show_default=False,
    ),
    model: str = typer.Option(
        ...,
        "--model",
        "-m",
        metavar="NAME|FILE",
        help="The model to start from: a bundled one, or a model file.",
        show_default=False,
    ),
    output: Path = typer.Option(
        ...,
        "--output",
        "--out",
        "-o",
        metavar="FILE",
        help="The new model; .safetensors is added where it is missing.",
        show_default=False,
    ),
    minutes: float = typer.Option(
        10.0, min=0.1, metavar="N", help="Time for everything. After ten steps it becomes a number of steps."
    ),
    steps: int | None = typer.Option(
        None, min=1, metavar="N", help="Steps instead of minutes; the same number repeats a run exactly."
    ),
    train: str = typer.Option(
        "auto",
        metavar="auto|thresholds|lora|sam|generator|all",
        help="What is trained; auto goes by the model and the number of objects.",
    ),
    pixel_size: float | None = typer.Option(
        None,
        min=0.0001,
        metavar="NM",
        help="Side of a pixel of the images in nm. [zoom by the size of the labeled objects]",
    ),
    components: bool = typer.Option(
        False, "--components", help="The labels are semantic: their connected components are the objects."
    ),
    ignore_label: int | None = typer.Option(
        None, "--ignore-label", metavar="N", help="Pixels of this number in the labels, such as 255, do not count."
    ),
    seed: int = typer.Option(0, min=0, metavar="N", help="Seed of every random draw."),
    settings: Settings = None,
    device: Device = "auto",
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace a file that is there already."),
) -> None:
    """Adapt a model to a few labels, in minutes.

    Some labels are left out to validate on. The old weights stay where new ones are no better on these. If less
    than half of the pixels have labels, they stay only where new ones are surely worse.
    """
    began = time.monotonic()
    with leaving_at_once():
        from autosam.errors import ConfigError

        if not math.isfinite(minutes):
            raise ConfigError(f"--minutes is {minutes}, wanted a number such as 10; or give --steps")
        from autosam.training.adapt.adapted_part import asked_part

        asked, out = asked_part(train), _free_place(output, data, model, overwrite=overwrite)

        # Slow imports only now: what is refused is answered at once.
        from autosam.images import ensure_folder
        from autosam.models.precision import choose_device
        from autosam.training.adapt.adapt_model import adapt_model, announced
        from autosam.training.adapt.adapt_task import AdaptOptions, AdaptTask
        from autosam.training.adapt.few_labels import LabelOptions

        options = AdaptOptions(
            minutes,
            steps,
            asked,
            LabelOptions(pixel_size, ignore_label, components),
            seed,
            tuple(settings or ()),
        )
        target = choose_device(device)
        task = AdaptTask.read(data, model, options)
        ensure_folder(out.absolute().parent)
    _quiet_fabric()
    for line in announced(task):
        news(line)
    with (
        interruptible(f"nothing is written to {out}; the same command starts again"),
        ending_in_order(),
        progress("adapting", steps or 0, "steps") as bar,
    ):

        def report(step: int, all_steps: int, message: str) -> None:
            if step:
                bar.update(step, total=all_steps or None)
            if message:
                news(f"step {step}: {message}" if step else message)

        adapted = adapt_model(task, out, options, device=target, say=report, began=began)
    for line in adapted.said:
        news(line)
    if adapted.before.tables:
        result(_scores(adapted))
    say(_told(adapted, out))


def _free_place(output: Path, data: Path, model: str, *, overwrite: bool) -> Path:
    """Give the file to write, and refuse what can be known to be wrong without slow imports."""
    from autosam.data.label_place import label_folders
    from autosam.errors import OutputError
    from autosam.images.overwriting import refuse_overwriting
    from autosam.models.files.zoo import resolve_model

    if output.name in ("", ".."):
        raise OutputError(f"--output {output} is a folder; give the name of the new model file")
    out = output if output.suffix == ".safetensors" else output.with_name(f"{output.name}.safetensors")
    if out.is_dir():
        raise OutputError(f"--output {out} is a folder; choose another name for the new model file")
    refuse_overwriting(out, (data, resolve_model(model)))
    if out.exists() and not overwrite:
        raise OutputError(f"{out} is there already; choose another name with --output, or add --overwrite")
    # A store is read later: that takes slow imports.
    if not data.is_file() and data.suffix.lower() != ".zarr":
        label_folders(data)
    return out


def _quiet_fabric() -> None:
    """Fabric announces its precision, in the name of either package."""
    import logging

    for package in ("lightning.fabric", "lightning.pytorch"):
        logging.getLogger(package).setLevel(logging.WARNING)


def _scores(adapted: "Adapted") -> "Table":
    """Show the scores of the old and the new model, with intervals."""
    from autosam.metrics.object_intervals import object_differences, object_intervals

    shown = table("score", "before", "after", "difference")
    before, after = (object_intervals(one.tables) for one in (adapted.before, adapted.after))
    difference = object_differences(adapted.before.tables, adapted.after.tables)
    for name, title in (("mean_ap", "mean AP"), ("ap50", "AP@.5"), ("ap75", "AP@.75")):
        cells = (
            f"{one.value:{sign}.3f} ({one.low:{sign}.3f} to {one.high:{sign}.3f})"
            for one, sign in ((before[name], ""), (after[name], ""), (difference[name], "+"))
        )
        shown.add_row(title, *cells)
    return shown


def _told(adapted: "Adapted", out: Path) -> str:
    """Say in a line what came out."""
    from autosam.training.fit.fit_thresholds import changed_thresholds

    thresholds = changed_thresholds(adapted.before.config, adapted.after.config)
    new = f"with thresholds fitted to them ({thresholds})" if thresholds else "with the thresholds of before"
    if adapted.better:
        share = adapted.record["share"]
        weights = "new weights" if share == 1 else f"{share:.0%} of new weights and {1 - share:.0%} of old ones"
        what = f"{weights}, {new}"
    elif adapted.record["planned"] == "thresholds":
        what = f"the weights of before, {new}"
    else:
        found = "not better" if adapted.task.validates else "surely worse"
        what = f"the weights of before, as new ones are {found} by these scores, {new}"
    return f"{out} has {what}. Use it: autosam segment IMAGES --model {out} -o RESULTS"

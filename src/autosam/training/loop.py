"""The training loop, on one page."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from lightning.fabric import Fabric
from torch.optim.swa_utils import AveragedModel

from autosam.config import Config
from autosam.data import LabeledImage
from autosam.errors import AutosamError, ConfigError
from autosam.images import ensure_folder, write_png
from autosam.models.networks import Networks, build_networks
from autosam.training.average import exponential_average
from autosam.training.fit.fit_novelty import complete_statistics
from autosam.training.fit.fit_region_classifier import complete_region_classifier
from autosam.training.joint import JointModel, UserPrompts
from autosam.training.losses.batch_loss import BatchLoss, mean_row, step_loss
from autosam.training.optimizer import make_optimizer, trainable_parameters
from autosam.training.run.board import TensorBoardLog
from autosam.training.run.devices import (
    clip_gradients,
    diverged,
    ends_together,
    make_fabric,
    memory_advice,
    peak_memory,
    prepare,
    reproducible,
)
from autosam.training.run.run_folder import MODEL, PREVIEWS, TENSORBOARD, TRAIN_LOG, VALIDATION_LOG, RunFolder
from autosam.training.run.saving import averaged_networks, save_trained
from autosam.training.run.validation import validate
from autosam.training.samples.batches import check_trainable, make_batches, tile_size
from autosam.training.samples.tiles import median_diameter
from autosam.training.schedule import learning_rate, predicted_share

RATES = {"sam": "learning_rate", "generator": "generator_learning_rate"}
"""Columns of the log by the part of the model whose learning rate they hold."""


@dataclass(frozen=True)
class Progress:
    """Where a run is, for a progress bar."""

    step: int
    steps: int
    loss: float
    message: str = ""


def train(
    config: Config,
    train_images: Sequence[LabeledImage],
    val_images: Sequence[LabeledImage],
    *,
    out: Path,
    resume: bool = False,
    device: torch.device | None = None,
    devices: int = 1,
    license: str = "",
    report: Callable[[Progress], None] | None = None,
) -> Path:
    """Train generator and SAM jointly, or what of them the settings name.

    Everything random follows from ``config.seed`` and the step, so that a resumed run ends with the weights of an
    uninterrupted one.

    Parameters
    ----------
    config : Config
    train_images, val_images : sequence of LabeledImage
        Without validation labeled images the last weights are kept, otherwise those with the best mean AP.
    out : Path
        Folder of the run.
    resume : bool
        Go on from the run's checkpoint.
    device : torch.device, optional
        The CPU by default.
    devices : int
        How many; with several, Fabric starts this program again for each of the others.
    license : str
        License of the weights, written into the model file.
    report : callable, optional
        Called by the first process before the first step, with a message about the parameters, and after every
        step.

    Returns
    -------
    Path
        The model file.

    Raises
    ------
    InputError
        If no training image has an object.
    ConfigError
        If the settings name no way to prompt from the generator, or nothing is trainable.
    AutosamError
        If the loss is no number.
    """
    check_trainable(config, train_images)
    networks = build_networks(config.model, seed=config.seed)
    fabric = make_fabric(device or torch.device("cpu"), devices=devices, precision=config.training.precision)
    # Only the first process writes, and refuses before it starts the others.
    run = RunFolder(out, config, resume=resume, first=fabric.is_global_zero)
    fabric.launch()
    with ends_together(fabric):
        _train(
            config,
            train_images,
            val_images,
            networks=networks,
            fabric=fabric,
            run=run,
            resume=resume,
            license=license,
            report=report,
        )
    return out / MODEL


def _train(
    config: Config,
    train_images: Sequence[LabeledImage],
    val_images: Sequence[LabeledImage],
    *,
    networks: Networks,
    fabric: Fabric,
    run: RunFolder,
    resume: bool,
    license: str,
    report: Callable[[Progress], None] | None,
) -> None:
    """Train in this process, of however many."""
    settings, out = config.training, run.path

    # Build
    model = JointModel(networks, prompts=config.prompts, training=settings)
    prepare(model, device=fabric.device, compiled=settings.compile)
    optimizer = make_optimizer(
        model, name=settings.optimizer, weight_decay=settings.weight_decay, betas=settings.betas
    )
    averaged = AveragedModel(model, multi_avg_fn=exponential_average(settings.ema), use_buffers=True)
    wrapped, optimizer = fabric.setup(model, optimizer)
    start, best, fruitless = 0, -1.0, 0

    def save_checkpoint(step: int) -> None:
        run.save_checkpoint(
            {
                "step": step,
                "best": best,
                "fruitless": fruitless,
                "license": license,
                "model": model.state_dict(),
                "averaged": averaged.state_dict(),
                "optimizer": optimizer.state_dict(),
                "precision": fabric.strategy.precision.state_dict(),
            }
        )

    if resume:
        state = run.load_checkpoint()
        model.load_state_dict(state["model"])
        averaged.load_state_dict(state["averaged"])
        optimizer.load_state_dict(state["optimizer"])
        fabric.strategy.precision.load_state_dict(state["precision"])
        start, best, fruitless = int(state["step"]), float(state["best"]), int(state["fruitless"])
        if license and license != state["license"]:
            raise ConfigError(
                f"the run in {out} was started with license {state['license']!r}; leave --license away"
            )
        license = str(state["license"])
        run.cut_log(TRAIN_LOG, start)
        run.cut_log(VALIDATION_LOG, start)
    else:
        # From here on there is something to resume, whatever ends the run.
        save_checkpoint(0)
    saved = start
    keep = partial(
        save_trained,
        out / MODEL,
        averaged,
        networks,
        config,
        license=license,
        diameter=median_diameter(train_images),
    )
    board = TensorBoardLog(out / TENSORBOARD) if fabric.is_global_zero and TensorBoardLog.available() else None
    batches = make_batches(config, train_images, tile_size(networks, config), fabric, start=start)
    if report is not None and fabric.is_global_zero:
        report(Progress(start, settings.steps, float("nan"), trainable_parameters(model)))

    for step in range(start, settings.steps):
        began, cpu_began, waited = time.perf_counter(), time.process_time(), 0.0
        model.train()
        for group in optimizer.param_groups:
            peak = settings.generator_learning_rate if group["part"] == "generator" else settings.learning_rate
            group["lr"] = learning_rate(
                step, steps=settings.steps, warmup=settings.warmup, peak=peak, schedule=settings.schedule
            )
        share = predicted_share(
            step, steps=settings.steps, between=settings.predicted_between, final=settings.predicted_share
        )

        # Step
        parts: list[dict[str, float]] = []
        for number in range(settings.accumulate):
            asked_at = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked_at
            images = batch.images.to(fabric.device, memory_format=torch.channels_last)
            last_part = number == settings.accumulate - 1
            with (
                reproducible(config.seed, step, fabric.device),
                memory_advice(settings.batch_size),
                fabric.no_backward_sync(wrapped, enabled=not last_part),
            ):
                loss: BatchLoss = wrapped(
                    images,
                    batch.labels.to(fabric.device),
                    user_prompts=UserPrompts(batch.prompts),
                    predicted_share=share,
                    seed=(config.seed, step),
                    first=(number * fabric.world_size + fabric.global_rank) * settings.batch_size,
                )
                objective, means = step_loss(loss, settings, fabric)
                if not math.isfinite(means["loss"]):
                    raise diverged(f"loss is {means['loss']}", step, fabric, kept=out if saved else None)
                fabric.backward(objective / settings.accumulate)
            parts.append(means)
        norm = clip_gradients(fabric, optimizer, (model.generator, model.sam), settings.clip)
        # Under float16 such a step is left out, and the scale lowered.
        if not math.isfinite(norm) and settings.precision != "float16":
            raise diverged(f"gradient's norm is {norm}", step, fabric, kept=out if saved else None)
        optimizer.step()
        optimizer.zero_grad()
        averaged.update_parameters(model)

        # Log, validate, save
        seconds = time.perf_counter() - began
        tiles = settings.batch_size * settings.accumulate * fabric.world_size
        rates = {group["part"]: round(group["lr"], 8) for group in optimizer.param_groups}
        row = {
            "step": step + 1,
            **mean_row(parts),
            "predicted_share": round(share, 4),
            **{column: rates[part] for part, column in RATES.items() if part in rates},
            "waited_s": round(waited, 4),
            "seconds": round(seconds, 3),
            "cpu_s": round(time.process_time() - cpu_began, 3),
            "tiles_per_second": round(tiles / seconds, 3),
            "peak_mb": round(peak_memory(fabric.device) / 1e6),
        }
        run.append(TRAIN_LOG, row)
        if board is not None:
            board.scalars(step + 1, {f"train/{name}": value for name, value in row.items() if name != "step"})
        done, message, ends = step + 1, "", False
        last = done == settings.steps
        validated = bool(val_images) and (last or done % settings.validate_every == 0)
        if validated and fabric.is_global_zero:
            validation = validate(averaged_networks(averaged, networks), config, val_images)
            scores = validation.scores
            run.append(VALIDATION_LOG, {"step": done, **scores})
            message = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
            for name, picture in validation.previews:
                write_png(ensure_folder(out / PREVIEWS) / f"step_{done:06d}_{name.replace('/', '_')}.png", picture)
                if board is not None:
                    board.image(done, name, picture)
            if board is not None:
                board.scalars(done, {f"val/{name}": value for name, value in scores.items()})
            fruitless += 1
            if validation.score >= best:
                best, fruitless = validation.score, 0
                keep({"step": done, **scores})
            ends = 0 < settings.patience <= fruitless
        elif last and fabric.is_global_zero and not val_images:
            keep({"step": done})
        if validated and settings.patience:
            ends = bool(fabric.broadcast(ends))
        # Also where a model was kept: it must not be left without the checkpoint that it belongs to.
        if validated or last or done % settings.checkpoint_every == 0:
            # A run that has ended early has nothing to go on with.
            saved = settings.steps if ends else done
            save_checkpoint(saved)
        if report is not None and fabric.is_global_zero:
            if ends and not last:
                message += f"; no better for {fruitless} validations, so the run ends here"
            report(Progress(done, settings.steps, row["loss"], message))
        if ends:
            break
    if fabric.is_global_zero:
        # The others may be here while this one still validates, before it keeps any model.
        if not (out / MODEL).is_file():
            raise AutosamError(
                f"the run in {out} is finished, but its {MODEL} is gone; start again in another folder"
            )
        # Once, of the weights that are kept; not each time that weights are better.
        complete_statistics(out / MODEL, train_images, seed=config.seed, device=fabric.device)
        if settings.region_classifier_images:
            found = complete_region_classifier(
                out / MODEL, train_images, images=settings.region_classifier_images, seed=config.seed
            )
            if not found and report is not None:
                message = (
                    "the model has no region classifier: its training images give too few candidates "
                    "(training.region_classifier_images)"
                )
                report(Progress(settings.steps, settings.steps, float("nan"), message))
    fabric.barrier()
    if board is not None:
        board.close()

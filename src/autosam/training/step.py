"""One step of the optimizer: its batches, their loss, the gradient, the new weights and a row for the log."""

import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from autosam.training.joint import UserPrompts
from autosam.training.losses.batch_loss import BatchLoss, mean_row, step_loss
from autosam.training.run.devices import clip_gradients, diverged, memory_advice, peak_memory, reproducible
from autosam.training.samples.tiles import TileBatch
from autosam.training.schedule import learning_rate, predicted_share
from autosam.training.state import TrainingState

RATES = {"sam": "learning_rate", "generator": "generator_learning_rate"}
"""Columns of the log by the part of the model whose learning rate they hold; also the settings of their peaks."""


def take_step(state: TrainingState, batches: Iterator[TileBatch]) -> dict[str, float]:
    """Learn from the next ``training.accumulate`` batches.

    Parameters
    ----------
    state : TrainingState
        Its weights, average and ``step`` are moved on.

    Returns
    -------
    dict of str to float
        The row of the training log.

    Raises
    ------
    AutosamError
        If the loss or the gradient is no number, or a GPU's memory does not hold the step.
    """
    settings, step, fabric = state.config.training, state.step, state.fabric
    began, cpu_began, waited = time.perf_counter(), time.process_time(), 0.0
    state.model.train()
    rates = _set_rates(state)
    share = predicted_share(settings, step)
    means = []
    for number in range(settings.accumulate):
        asked_at = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked_at
        means.append(_learn_batch(state, batch, number, share=share))
    parts = (state.model.generator, state.model.coarse_maps, state.model.sam)
    norm = clip_gradients(fabric, state.optimizer, parts, settings.clip)
    # Under float16 such a step is left out, and the scale lowered.
    if not math.isfinite(norm) and settings.precision != "float16":
        raise diverged(f"gradient's norm is {norm}", step, fabric, kept=state.folder if state.saved else None)
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.averaged.update_parameters(state.model)
    state.step += 1
    seconds = time.perf_counter() - began
    tiles = settings.batch_size * settings.accumulate * fabric.world_size
    return {
        "step": state.step,
        **mean_row(means),
        "predicted_share": round(share, 4),
        **rates,
        "waited_s": round(waited, 4),
        "seconds": round(seconds, 3),
        "cpu_s": round(time.process_time() - cpu_began, 3),
        "tiles_per_second": round(tiles / seconds, 3),
        "peak_mb": round(peak_memory(fabric.device) / 1e6),
    }


def _set_rates(state: TrainingState) -> dict[str, float]:
    """Set the learning rates of this step, and give them as columns of the log."""
    settings = state.config.training
    found = {}
    for group in state.optimizer.param_groups:
        part = group["part"]
        rate = learning_rate(settings, state.step, peak=getattr(settings, RATES[part]))
        found[part] = round(rate, 8)
        # Checkpoints of older versions have no relative rates.
        group["lr"] = rate * group.get("relative", 1.0)
    return {column: found[part] for part, column in RATES.items() if part in found}


def _learn_batch(state: TrainingState, batch: TileBatch, number: int, *, share: float) -> dict[str, float]:
    """Add the gradient of one batch, the ``number``-th of its step; give the means of its loss."""
    config, fabric, step = state.config, state.fabric, state.step
    settings = config.training
    images: Tensor = batch.images.to(fabric.device, memory_format=torch.channels_last)
    last = number == settings.accumulate - 1
    with (
        reproducible(config.seed, step, fabric.device),
        memory_advice(settings.batch_size),
        fabric.no_backward_sync(state.wrapped, enabled=not last),
    ):
        loss: BatchLoss = state.wrapped(
            images,
            batch.labels.to(fabric.device),
            user_prompts=UserPrompts(batch.prompts),
            predicted_share=share,
            seed=(config.seed, step),
            first=(number * fabric.world_size + fabric.global_rank) * settings.batch_size,
        )
        objective, means = step_loss(loss, settings, fabric)
        if not math.isfinite(means["loss"]):
            kept = state.folder if state.saved else None
            raise diverged(f"loss is {means['loss']}", step, fabric, kept=kept)
        fabric.backward(objective / settings.accumulate)
    return means

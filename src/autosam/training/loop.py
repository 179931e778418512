"""The joint training loop, on one page."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Subset

from autosam.config import Config
from autosam.data import Scene
from autosam.errors import AutosamError, ConfigError, InputError
from autosam.models.checkpoint import ModelHeader, save_model
from autosam.models.precision import use_bfloat16
from autosam.models.variants import image_size
from autosam.networks import Networks, build_networks, network_tensors
from autosam.training.average import exponential_average
from autosam.training.joint import JointLoss, JointModel
from autosam.training.optimizer import make_optimizer, trainable_parameters
from autosam.training.run import MODEL, TRAIN_LOG, VALIDATION_LOG, RunFolder
from autosam.training.schedule import emitted_share, learning_rate
from autosam.training.tiles import Augmentation, TileDataset
from autosam.training.validation import validate


@dataclass(frozen=True)
class Progress:
    """Where a run is, for a progress bar."""

    step: int
    steps: int
    loss: float
    message: str = ""


def train(
    config: Config,
    train_scenes: Sequence[Scene],
    val_scenes: Sequence[Scene],
    *,
    out: Path,
    resume: bool = False,
    device: torch.device | None = None,
    licence: str = "",
    report: Callable[[Progress], None] | None = None,
) -> Path:
    """Train generator and SAM jointly.

    Everything random follows from ``config.seed`` and the step, so that a resumed run ends with the weights of an
    uninterrupted one.

    Parameters
    ----------
    config : Config
    train_scenes, val_scenes : sequence of Scene
        Without validation scenes the last weights are kept, otherwise those with the best mean AP.
    out : Path
        Folder of the run.
    resume : bool
        Go on from the run's checkpoint.
    device : torch.device, optional
        The CPU by default.
    licence : str
        Licence of the weights, written into the model file.
    report : callable, optional
        Called before the first step, with a message about the parameters, and after every step.

    Returns
    -------
    Path
        The model file.

    Raises
    ------
    InputError
        If no training scene has an object.
    ConfigError
        If the settings name no way to prompt from the generator, or nothing is trainable.
    AutosamError
        If the loss is no number.
    """
    if not any(scene.labels.any() for scene in train_scenes):
        raise InputError(f"none of the {len(train_scenes)} training images has an object; check the labels")
    settings = config.training
    if config.prompts.method in ("grid", "manual"):
        raise ConfigError(
            f"prompts.method={config.prompts.method} asks no generator, so there is none to train; choose "
            "distance, centroid or probability"
        )
    device = device or torch.device("cpu")

    # Build
    networks = build_networks(config.model, seed=config.seed)
    run = RunFolder(out, config, resume=resume)
    model = JointModel(networks.sam, networks.generator, prompts=config.prompts, training=settings)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(model, weight_decay=settings.weight_decay)
    precision = "bf16-mixed" if use_bfloat16(device, settings.precision) else "32-true"
    # A GPU is named by its number, a CPU counted.
    devices = [device.index] if device.type != "cpu" and device.index is not None else 1
    fabric = Fabric(accelerator=device.type, devices=devices, precision=precision)
    averaged = AveragedModel(model, multi_avg_fn=exponential_average(settings.ema), use_buffers=True)
    wrapped, optimizer = fabric.setup(model, optimizer)
    start, best = 0, -1.0
    if resume:
        state = run.load_checkpoint()
        model.load_state_dict(state["model"])
        averaged.load_state_dict(state["averaged"])
        optimizer.load_state_dict(state["optimizer"])
        start, best = int(state["step"]), float(state["best"])
        if licence and licence != state["licence"]:
            raise ConfigError(
                f"the run in {out} was started with licence {state['licence']!r}; leave --licence away"
            )
        licence = str(state["licence"])
        for log in (TRAIN_LOG, VALIDATION_LOG):
            run.cut_log(log, start)

    # Data
    tiles = TileDataset(
        train_scenes,
        size=image_size(networks.sam),
        length=settings.steps * settings.batch_size,
        seed=config.seed,
        augmentation=Augmentation(**settings.augment.model_dump()),
    )
    todo = Subset(tiles, range(start * settings.batch_size, len(tiles)))
    loader = DataLoader(
        todo,
        batch_size=settings.batch_size,
        num_workers=settings.workers,
        # Its own, although tiles need none: by default torch's global one is moved.
        generator=torch.Generator().manual_seed(config.seed),
    )
    batches = iter(loader)
    if report is not None:
        report(Progress(start, settings.steps, float("nan"), trainable_parameters(model)))

    for step in range(start, settings.steps):
        began = time.perf_counter()
        images, labels = next(batches)
        waited = time.perf_counter() - began
        images, labels = images.to(device, memory_format=torch.channels_last), labels.to(device)

        # Step
        model.train()
        for group in optimizer.param_groups:
            peak = settings.generator_learning_rate if group["part"] == "generator" else settings.learning_rate
            group["lr"] = learning_rate(step, steps=settings.steps, warmup=settings.warmup, peak=peak)
        share = emitted_share(step, steps=settings.steps, between=settings.emitted, final=settings.emitted_share)
        with reproducible(config.seed, step, device), memory_advice(settings.batch_size):
            loss: JointLoss = wrapped(images, labels, emitted_share=share, seed=(config.seed, step))
            total = loss.generator + settings.mask_weight * (loss.mask + loss.iou)
            if not bool(torch.isfinite(total)):
                raise _diverged(f"loss is {float(total.detach())}", step, run)
            fabric.backward(total)
        for part in (model.generator, model.sam):
            norm = nn.utils.clip_grad_norm_(part.parameters(), settings.clip)
            if not bool(torch.isfinite(norm)):
                raise _diverged(f"gradient's norm is {float(norm)}", step, run)
        optimizer.step()
        optimizer.zero_grad()
        averaged.update_parameters(model)

        # Log, validate, save
        row = {
            "step": step + 1,
            "loss": round(float(total.detach()), 5),
            "generator": round(float(loss.generator.detach()), 5),
            "mask": round(float(loss.mask.detach()), 5),
            "iou": round(float(loss.iou.detach()), 5),
            "mask_iou": round(loss.mask_iou, 4),
            "matched": round(loss.matched, 4),
            "emitted_share": round(share, 4),
            "learning_rate": round(optimizer.param_groups[0]["lr"], 8),
            "waited_s": round(waited, 4),
            "seconds": round(time.perf_counter() - began, 3),
        }
        run.append(TRAIN_LOG, row)
        done, message = step + 1, ""
        last = done == settings.steps
        validated = bool(val_scenes) and (last or done % settings.validate_every == 0)
        if validated:
            scores = validate(averaged_networks(averaged, networks), config, val_scenes)
            run.append(VALIDATION_LOG, {"step": done, **scores})
            message = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
            if scores["mean_ap"] >= best:
                best = scores["mean_ap"]
                save_trained(out / MODEL, averaged, networks, config, {"step": done, **scores}, licence)
        elif last:
            save_trained(out / MODEL, averaged, networks, config, {"step": done}, licence)
        # Also where a model was kept: it must not be left without the checkpoint that it belongs to.
        if validated or last or done % settings.checkpoint_every == 0:
            run.save_checkpoint(
                {
                    "step": done,
                    "best": best,
                    "licence": licence,
                    "model": model.state_dict(),
                    "averaged": averaged.state_dict(),
                    "optimizer": optimizer.state_dict(),
                }
            )
        if report is not None:
            report(Progress(done, settings.steps, row["loss"], message))
    if not (out / MODEL).is_file():
        raise AutosamError(f"the run in {out} is finished, but its {MODEL} is gone; start again in another folder")
    return out / MODEL


@contextmanager
def reproducible(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """Seed what some encoders draw from torch's global generators (dropped paths), and put these back."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed * 1_000_003 + step)
        yield


@contextmanager
def memory_advice(batch_size: int) -> Iterator[None]:
    """Say what to set when a GPU's memory does not hold a step."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        smaller = f"training.batch_size below {batch_size} or " if batch_size > 1 else ""
        raise AutosamError(
            f"the GPU's memory does not hold a training step; set {smaller}training.prompts_per_tile to less in "
            "a new run"
        ) from error


def _diverged(what: str, step: int, run: RunFolder) -> AutosamError:
    """Say what can be done; the weights before this step are not on disk unless they are a checkpoint."""
    lower = "lower training.learning_rate and training.generator_learning_rate"
    if not run.has_checkpoint():
        return AutosamError(f"the {what} at step {step}, before the first checkpoint; start again with a {lower}")
    return AutosamError(
        f"the {what} at step {step}; the last checkpoint is kept in {run.path}: resume with --set "
        f"training.precision=float32, or start again in another folder with a {lower}"
    )


def averaged_networks(averaged: AveragedModel, networks: Networks) -> Networks:
    """Give the averaged weights as networks in evaluation mode; they share memory with the average."""
    model: Any = averaged.module
    model.eval()
    return Networks(model.sam, model.generator, networks.base_name, networks.base_sha256)


def save_trained(
    path: Path,
    averaged: AveragedModel,
    networks: Networks,
    config: Config,
    summary: Mapping[str, Any],
    licence: str,
) -> None:
    """Write the model file: averaged weights in float16, and the settings that it is to be used with."""
    trained = averaged_networks(averaged, networks)
    used = {"images", "model", "tiles", "prompts", "decode", "merge"}
    header = ModelHeader(
        settings=config.model_dump(mode="json", include=used),
        base_name=networks.base_name,
        base_sha256=networks.base_sha256,
        training={
            **summary,
            "steps": config.training.steps,
            "batch_size": config.training.batch_size,
            "seed": config.seed,
            "sources": [source.name for source in config.data.sources],
        },
        licence=licence,
    )
    save_model(path, tensors=network_tensors(trained, config.model), metadata=header, half=True)

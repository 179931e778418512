"""The training loop, on one page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from autosam.config import Config
from autosam.data import LabeledImage
from autosam.errors import AutosamError
from autosam.models.networks import build_networks
from autosam.training.fit.complete import complete_model
from autosam.training.fit.fit_thresholds import hold_out
from autosam.training.optimizer import trainable_parameters
from autosam.training.run.devices import ends_together, make_fabric
from autosam.training.run.run_folder import MODEL, RunFolder
from autosam.training.run.run_log import RunLog
from autosam.training.run.validation import validate
from autosam.training.samples.batches import check_trainable, make_batches, tile_size
from autosam.training.samples.tiles import median_diameter
from autosam.training.state import TrainingState, build_state
from autosam.training.step import take_step
from autosam.training.teacher import load_teacher


@dataclass(frozen=True)
class Progress:
    """Where a run is, for a progress bar."""

    step: int
    steps: int
    loss: float
    message: str = ""


Report = Callable[[Progress], None]


def train(
    config: Config,
    train_images: Sequence[LabeledImage],
    val_images: Sequence[LabeledImage],
    *,
    out: Path,
    unlabeled: Sequence[NDArray[np.uint8]] = (),
    resume: bool = False,
    device: torch.device | None = None,
    devices: int = 1,
    license: str = "",
    report: Report | None = None,
) -> Path:
    """Train generator and SAM jointly, or what of them the settings name.

    Everything random follows from ``config.seed`` and the step, so that a resumed run ends with the weights of an
    uninterrupted one.

    Parameters
    ----------
    train_images, val_images : sequence of LabeledImage
        Without validation images the last weights are kept, otherwise those with the best score by
        ``training.metric``. Of the training images, ``training.threshold_images`` are held out.
    out : Path
        Folder of the run.
    unlabeled : sequence of ndarray of uint8, shape (H, W)
        What `data.unlabeled` names, see `samples.load_images.load_unlabeled`.
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
        If no training image has an object, or no source has images enough to hold some out.
    ConfigError
        If the settings name no way to prompt from the generator, or nothing is trainable.
    AutosamError
        If the loss is no number.
    """
    learnt, held_out = hold_out(train_images, config.training.threshold_images)
    check_trainable(config, learnt)
    networks = build_networks(config.model, seed=config.seed)
    teacher = load_teacher(config)
    fabric = make_fabric(device or torch.device("cpu"), devices=devices, precision=config.training.precision)
    # Only the first process writes, and refuses before it starts the others.
    run = RunFolder(out, config, resume=resume, first=fabric.is_global_zero)
    fabric.launch()
    with ends_together(fabric):
        state = build_state(config, networks, fabric, folder=out, license=license, teacher=teacher)
        if resume:
            state.restore(run)
        else:
            # From here on there is something to resume, whatever ends the run.
            state.save(run)
        say = report if report and run.first else _say_nothing
        _train(state, learnt, val_images, unlabeled, run, say)
        if run.first:
            _complete(state, learnt, held_out, val_images, say)
        fabric.barrier()
    return out / MODEL


def _train(
    state: TrainingState,
    train_images: Sequence[LabeledImage],
    val_images: Sequence[LabeledImage],
    unlabeled: Sequence[NDArray[np.uint8]],
    run: RunFolder,
    say: Report,
) -> None:
    """Train in this process, of however many, from where the state is."""
    config, settings, fabric = state.config, state.config.training, state.fabric
    log, diameter = RunLog(run), median_diameter(train_images)
    size = tile_size(state.networks, config)
    batches = make_batches(config, train_images, size, fabric, start=state.step, unlabeled=unlabeled)
    say(Progress(state.step, settings.steps, float("nan"), trainable_parameters(state.model)))

    while state.step < settings.steps:
        row = take_step(state, batches)
        log.step(row)
        last = state.step == settings.steps
        validates = bool(val_images) and (last or state.step % settings.validate_every == 0)
        message = ""
        if validates and run.first:
            validation = validate(state.evaluated, config, val_images)
            log.validation(state.step, validation)
            message = ", ".join(f"{name} {value:.3f}" for name, value in validation.scores.items())
            if state.is_best(validation.score):
                state.keep(validation.scores, diameter=diameter)
        elif last and run.first and not val_images:
            state.keep({}, diameter=diameter)

        ends = False
        if validates and settings.patience:
            ends = bool(fabric.broadcast(state.fruitless >= settings.patience))
        # Also where a model was kept: it must not be left without the checkpoint that it belongs to.
        if validates or last or state.step % settings.checkpoint_every == 0:
            state.save(run, finished=ends)
        if ends and not last:
            message += f"; no better for {state.fruitless} validations, so the run ends here"
        say(Progress(state.step, settings.steps, row["loss"], message))
        if ends:
            break

    log.close()


def _complete(
    state: TrainingState,
    train_images: Sequence[LabeledImage],
    held_out: Sequence[LabeledImage],
    val_images: Sequence[LabeledImage],
    say: Report,
) -> None:
    """Fit the rest of the model once the weights are settled."""
    model, steps = state.folder / MODEL, state.config.training.steps
    if not model.is_file():
        raise AutosamError(
            f"the run in {state.folder} is finished, but its {MODEL} is gone; start again in another folder"
        )

    def tell(message: str) -> None:
        say(Progress(steps, steps, float("nan"), message))

    if said := complete_model(
        model, state.config, train_images, held_out, val_images, device=state.fabric.device, say=tell
    ):
        tell(said)


def _say_nothing(progress: Progress) -> None:
    """Stand in where nobody listens, as in all processes but the first."""

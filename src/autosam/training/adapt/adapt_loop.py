"""The steps of an adaptation: how many follows from the time that the first ten take."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from autosam.config import Config
from autosam.data import LabeledImage
from autosam.models.networks import Networks
from autosam.training.adapt.adapt_settings import with_steps
from autosam.training.adapt.adapted_networks import State, Trainee
from autosam.training.adapt.pace import TIMED, Budget, validation_steps
from autosam.training.adapt.validated import compete
from autosam.training.run.devices import make_fabric
from autosam.training.samples.batches import make_batches, tile_size
from autosam.training.samples.tiles import TileBatch
from autosam.training.state import TrainingState, build_state
from autosam.training.step import take_step
from autosam.training.teacher import load_teacher


@dataclass(frozen=True, eq=False)
class Trained:
    """What a run gave.

    Attributes
    ----------
    state : State
        The averaged weights of its best validation, or of its end without any.
    steps, best_step : int
        Steps that were planned, and the step of that validation.
    """

    state: State
    steps: int
    best_step: int


def train_steps(
    trainee: Trainee,
    config: Config,
    learnt: Sequence[LabeledImage],
    left_out: Sequence[LabeledImage],
    *,
    steps: int | None,
    budget: Budget,
    device: torch.device,
    say: Callable[[int, int, str], None],
) -> Trained:
    """Train on few labels.

    Parameters
    ----------
    config : Config
        From `adapt_settings`.
    left_out : sequence of LabeledImage
        Validate, and end the run early; may be empty.
    steps : int, optional
        By default as many as the budget allows, once the first ten are done. The same number gives the same
        weights, wherever it comes from.
    say : callable
        Called after each step with its number, the number of all steps (0 while it is not known) and a message.
    """
    fabric = make_fabric(device, devices=1, precision=config.training.precision)
    config = with_steps(config, steps)
    teacher = load_teacher(config)
    state = build_state(config, trainee.networks, fabric, folder=Path(), license="", teacher=teacher)
    size = tile_size(trainee.networks, config)
    batches = make_batches(config, learnt, size, fabric, start=0)
    seconds: list[float] = []
    while steps is None or state.step < min(steps, TIMED):
        seconds.append(take_step(state, batches)["seconds"])
        say(state.step, steps or 0, "")
        if steps is None and state.step == TIMED:
            steps = budget.steps(seconds)
            state.config = with_steps(config, steps)
            say(
                state.step,
                steps,
                f"{budget.minutes:g} minutes are {steps} steps; --steps {steps} repeats this run",
            )
    batches = make_batches(state.config, learnt, size, fabric, start=state.step)
    return _finish(state, batches, trainee, left_out, say)


def _finish(
    state: TrainingState,
    batches: Iterator[TileBatch],
    trainee: Trainee,
    left_out: Sequence[LabeledImage],
    say: Callable[[int, int, str], None],
) -> Trained:
    """Train to the end, and keep the best weights."""
    steps, patience = state.config.training.steps, state.config.training.patience
    places = validation_steps(steps) if left_out else []
    kept, best_step = None, steps
    while state.step < steps:
        take_step(state, batches)
        message = ""
        if state.step in places:
            now = _averaged(state)
            networks = trainee.evaluated(now, state.fabric.device)
            metric = state.config.training.metric
            found = compete(networks, state.config, left_out, metric)
            message = f"{'mean AP' if metric == 'mean_ap' else '1 - adapted Rand error'} {found.score:.3f}"
            if state.is_best(found.rank):
                kept, best_step = now, state.step
            elif patience and state.fruitless >= patience:
                say(
                    state.step,
                    steps,
                    f"{message}; no better for {patience} validations, so the training ends here",
                )
                break
        say(state.step, steps, message)
    return Trained(_averaged(state) if kept is None else kept, steps, best_step)


def _averaged(state: TrainingState) -> State:
    """Copy the averaged weights."""
    networks: Networks = state.evaluated
    both = {"sam": networks.sam, "generator": networks.generator}
    return {
        name: {key: value.detach().clone().cpu() for key, value in network.state_dict().items()}
        for name, network in both.items()
        if network is not None
    }

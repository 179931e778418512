"""`autosam adapt`: a model and few labels → a model that fits them better, or the old one."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from autosam.metrics.object_intervals import object_differences
from autosam.models.files.model_file import load_networks
from autosam.models.networks import Networks
from autosam.training.adapt.adapt_loop import Trained, train_steps
from autosam.training.adapt.adapt_task import AdaptOptions, AdaptTask
from autosam.training.adapt.adapted_networks import State, Trainee, make_trainee, mixed
from autosam.training.adapt.adapted_part import WORDS
from autosam.training.adapt.few_labels import count_objects, share_that_counts
from autosam.training.adapt.pace import VALIDATIONS, Budget
from autosam.training.adapt.validated import LEAST_FITTED, Competitor, compete, with_smallest_size, with_thresholds
from autosam.training.adapt.write_adapted import Weights, write_adapted

SHARES = (1.0, 0.5)
"""Shares of the new weights in the average with the old ones; the better one on what was left out is kept."""

UNCHECKED = 0.5
"""That share where nothing tells which one is better; see `AdaptTask.validates`. Three quarters were as good for a
weak model, and worse for a good one (docs/benchmarks.md).
"""

Say = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class Adapted:
    """What came out.

    Attributes
    ----------
    task : AdaptTask
        What was adapted to what.
    better : bool
        Whether the file has new weights; otherwise those of the old model.
    before, after : Competitor
        What the old and the new model find in ``task.scored``.
    record : dict
        What the model file says about it.
    said : list of str
        What became of the novelty statistics and the region classifier.
    """

    task: AdaptTask
    better: bool
    before: Competitor
    after: Competitor
    record: dict[str, Any]
    said: list[str]


def adapt_model(
    task: AdaptTask,
    out: Path,
    options: AdaptOptions,
    *,
    device: torch.device,
    say: Say,
    began: float | None = None,
) -> Adapted:
    """Adapt a model to few labels.

    Parameters
    ----------
    task : AdaptTask
        From `AdaptTask.read`.
    out : Path
        The new model file; it appears when it is whole.
    say : callable
        Called with a step, the number of steps (0 while it is not known) and a message, which may be empty.
    began : float, optional
        When the minutes began, by `time.monotonic`; by default now.

    Raises
    ------
    AutosamError
        If the loss is no number.
    OutputError
        If the file cannot be written.
    """
    budget = Budget(options.minutes, time.monotonic() if began is None else began)
    old = load_networks(task.path)[0]
    for network in old.parts:
        network.to(device)
    timed = time.monotonic()
    before = start_from = compete(old, task.own, task.scored, task.config.training.metric)
    validating = time.monotonic() - timed
    sized = _sized(task, old)
    if sized is not task:
        task, start_from = sized, compete(old, sized.own, task.scored, task.config.training.metric)
    best, weights = _fitted(start_from, old, task), None
    fitting = time.monotonic() - timed - validating
    trained = None
    if task.choice.part != "thresholds":
        validations = len(_shares(task)) + (VALIDATIONS if task.validates else 0)
        budget.beside = validations * validating + fitting + _statistics_time(task, validating)
        trainee = make_trainee(task.path, task.choice.part, seed=task.config.seed)
        start = trainee.state()
        trained = train_steps(
            trainee,
            task.config,
            task.division.learnt,
            task.division.left_out if task.validates else [],
            steps=options.steps,
            budget=budget,
            device=device,
            say=say,
        )
        weights, after = _averaged(task, trainee, start, trained, device)
        if _is_taken(after, best, task):
            best = after
        else:
            weights = None
    record, said = write_adapted(out, task, before, best, weights, trained=trained)
    return Adapted(task, weights is not None, before, best, record, said)


def _sized(task: AdaptTask, old: Networks) -> AdaptTask:
    """Start from the smallest size of instances that suits all labels; the same where there is no better one."""
    own = with_smallest_size(old, task.own, task.images, task.config.training.metric)
    if own is task.own:
        return task
    return replace(task, own=own, config=task.config.model_copy(update={"merge": own.merge}))


def _shares(task: AdaptTask) -> tuple[float, ...]:
    """Give the shares of new weights that compete."""
    return SHARES if task.validates else (UNCHECKED,)


def _averaged(
    task: AdaptTask, trainee: Trainee, start: State, trained: Trained, device: torch.device
) -> tuple[Weights, Competitor]:
    """Average new weights with the old ones, and fit thresholds."""
    metric = task.config.training.metric
    found: list[tuple[Competitor, float, Networks]] = []
    for share in _shares(task):
        networks = trainee.evaluated(mixed(start, trained.state, share), device)
        found.append((compete(networks, task.own, task.scored, metric), share, networks))
    after, share, networks = max(found, key=lambda one: one[0].rank)
    after = _fitted(after, networks, task)
    return Weights(trainee, mixed(start, trained.state, share), share), after


def _is_taken(new: Competitor, old: Competitor, task: AdaptTask) -> bool:
    """Whether new weights are taken: where they score better, or, where nothing validates, are not surely worse.

    A handful of objects in reviewed areas does not tell the better one of two models that are close.
    """
    if new.rank > old.rank:
        return True
    if task.validates:
        return False
    return object_differences(old.tables, new.tables)["mean_ap"].high >= 0


def _fitted(competitor: Competitor, networks: Networks, task: AdaptTask) -> Competitor:
    """Fit thresholds where what was left out tells them, or nothing is trained; a user's prompts want none."""
    learnt = task.choice.part != "thresholds" and not task.validates
    few = count_objects(task.scored) < LEAST_FITTED
    if learnt or few or task.own.prompts.method in ("grid", "user"):
        return competitor
    return with_thresholds(competitor, networks, task.scored, task.config.training.metric)


def _statistics_time(task: AdaptTask, validating: float) -> float:
    """Guess the seconds that describing windows for novelty will take, a few tenths of those of segmenting."""
    if task.choice.part not in ("generator", "all") or not task.scored:
        return 0.0
    per_pixel = validating / sum(one.labels.size for one in task.scored)
    learnt = sum(one.labels.size for one in task.division.learnt)
    return 16 * 0.3 * per_pixel * min(learnt, 200 * 512 * 512 / 16)


def announced(task: AdaptTask) -> list[str]:
    """Say what is learnt from, what is left out and what is trained, before it begins."""
    division = task.division
    share = share_that_counts(task.images)
    known = f" in the {share:.0%} of the pixels that count" if share < 1 else ""
    images, left = len(task.images), count_objects(division.left_out)
    what = {
        "images": f"those of {len(division.left_out)} images",
        "regions": "those at one side",
        "nothing": "none",
    }[division.how]
    lines = [f"{images} image{'s' * (images != 1)} with {count_objects(task.images)} objects{known}"]
    if task.choice.part == "thresholds":
        return [*lines, f"adapts {WORDS['thresholds']}: {task.choice.why}; scores are of the same objects"]
    if not division.left_out:
        lines.append("nothing can be left out, so scores are of what was learnt from: label more, in other places")
    held = "averaging its weights with the new ones"
    if task.config.training.teacher is not None and task.choice.part in ("generator", "all") and share < 1:
        held += f", and by learning maps of {task.config.training.teacher} where labels are unknown"
    lines[0] += f": {count_objects(division.learnt)} to learn from, and {left} ({what}) to validate on"
    return [
        *lines,
        f"adapts {WORDS[task.choice.part]}: {task.choice.why}",
        f"holds the old model by {held}; no old image is replayed",
    ]

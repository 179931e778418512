"""The file of an adapted model, with a record of how it was adapted."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autosam.metrics.object_intervals import object_intervals
from autosam.models.files.checkpoint import load_model, save_model
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.model_file import network_tensors
from autosam.models.files.model_header import NOTICE
from autosam.models.networks import Networks
from autosam.training.adapt.adapt_loop import Trained
from autosam.training.adapt.adapt_task import AdaptTask
from autosam.training.adapt.adapted_networks import State, Trainee, file_networks
from autosam.training.adapt.few_labels import SOURCE, count_objects, hash_of
from autosam.training.adapt.validated import Competitor
from autosam.training.fit.fit_novelty import measure_statistics
from autosam.training.fit.fit_thresholds import changed_thresholds

ADAPTED = "adapted"
"""Name, in the training summary of a model file, of how it was adapted."""

OLD = "model"
"""Name, there, of the summary of the model that it was before."""


@dataclass(frozen=True, eq=False)
class Weights:
    """New weights.

    Attributes
    ----------
    trainee : Trainee
        The networks.
    state : State
        Their tensors, mixed with the old ones.
    share : float
        That of the new ones in the mixture.
    """

    trainee: Trainee
    state: State
    share: float


def write_adapted(
    out: Path,
    task: AdaptTask,
    before: Competitor,
    after: Competitor,
    weights: Weights | None,
    *,
    trained: Trained | None,
) -> tuple[dict[str, Any], list[str]]:
    """Write the model file.

    Parameters
    ----------
    weights : Weights, optional
        None where those of the old model stay.
    trained : Trained, optional
        What the steps gave, even if it is not kept.

    Returns
    -------
    record : dict
        What the file says about the adaptation.
    said : list of str
        What became of the novelty statistics and the region classifier; empty with the old weights.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    record = _record(task, before, after, weights, trained)
    sections = after.config.model_dump(mode="json", include={"prompts", "merge"})
    settings = {**task.header.settings, **sections}
    training: dict[str, Any] = {ADAPTED: record, OLD: dict(task.header.training)}
    if task.header.notice:
        training[NOTICE] = task.header.notice
    header = replace(task.header, settings=settings, training=training)
    if weights is None:
        # Bit for bit: even float16 in place of float32 moves objects that are near a threshold.
        tensors, _ = load_model(task.path, as_stored=True)
        save_model(out, tensors=tensors, metadata=header)
        return record, []
    networks = file_networks(weights.trainee, weights.state)
    networks, said = _with_statistics(networks, task, after, new=weights.trainee.new_generator)
    model = weights.trainee.model
    header = replace(header, settings={**settings, "model": model.model_dump(mode="json")})
    save_model(out, tensors=network_tensors(networks, model), metadata=header, half=True)
    return record, said


def _with_statistics(
    networks: Networks, task: AdaptTask, after: Competitor, *, new: bool
) -> tuple[Networks, list[str]]:
    """Fit novelty statistics anew for a new generator; say what became of them and of the region classifier."""
    if not new or networks.generator is None:
        return networks, []
    for network in networks.parts:
        network.cpu().eval()
    statistics = measure_statistics(networks, after.config, task.division.learnt)
    images = f"{len(task.division.learnt)} image{'s' * (len(task.division.learnt) != 1)}"
    said = [
        f"novelty statistics are those of the {images} that were learnt from: images unlike these are named"
        if statistics is not None
        else "the new model has no novelty statistics: what was learnt from is too little, or too much alike"
    ]
    if networks.region_classifier is not None:
        said.append("the region classifier stays as it is: few labels give no better one")
    return replace(networks, statistics=statistics), said


def _record(
    task: AdaptTask, before: Competitor, after: Competitor, weights: Weights | None, trained: Trained | None
) -> dict[str, Any]:
    """Say how a model was adapted; the same run gives the same, however long it took."""
    learnt, left_out = task.division.learnt, task.division.left_out
    return {
        "model": task.name if not Path(task.name).suffix else Path(task.name).name,
        "sha256": file_sha256(task.path),
        "sources": [SOURCE],
        "data": {
            "sha256": hash_of(task.images),
            "images": len(task.images),
            "objects": count_objects(task.images),
            "learnt": count_objects(learnt),
            "left_out": count_objects(left_out),
            "by": task.division.how,
            "counted": round(
                sum(one.counted for one in task.images) / sum(one.labels.size for one in task.images), 4
            ),
        },
        "planned": task.choice.part,
        "trained": task.choice.part if weights else "thresholds",
        "steps": trained.steps if trained else 0,
        "best_step": trained.best_step if trained else 0,
        "share": weights.share if weights else 0.0,
        "seed": task.config.seed,
        "thresholds": changed_thresholds(before.config, after.config) or None,
        "before": _scores(before),
        "after": _scores(after),
    }


def _scores(competitor: Competitor) -> dict[str, list[float]]:
    """Give each score with the limits of its interval."""
    if not competitor.tables:
        return {}
    intervals = object_intervals(competitor.tables)
    return {name: [round(value, 4) for value in (one.value, one.low, one.high)] for name, one in intervals.items()}

"""The settings with which a model is adapted: its own, and those of a short training on few images."""

from collections.abc import Sequence
from typing import Any

from autosam.config import Config, load_config
from autosam.models.files.model_header import ModelHeader
from autosam.training.adapt.adapted_part import Part
from autosam.training.adapt.pace import MOST_STEPS, TIMED

FEW: dict[str, Any] = {
    "batch_size": 2,
    # A tenth to a third of the rates of a training from random weights.
    "learning_rate": 2e-4,
    "generator_learning_rate": 4e-4,
    # Two tiles tell nothing of the statistics of all images.
    "freeze_statistics": True,
    "ema": 0.98,
    # The model finds objects already.
    "predicted_between": (0.0, 0.0),
    "predicted_share": 0.5,
    "previews": 0,
    "patience": 2,
    # A teacher, which is asked for, gives the maps of places that nobody has reviewed.
    "teacher_where": "unknown",
    "teacher_share": 1.0,
    "augment": {"zoom": (0.8, 1.25), "rotate": 0.3, "elastic": 4.0},
}
"""What differs from the defaults of training."""


def adapt_settings(header: ModelHeader, part: Part, *, seed: int, overrides: Sequence[str] = ()) -> Config:
    """Give the settings of a run, for a number of steps that is not known yet; see `with_steps`.

    Parameters
    ----------
    header : ModelHeader
        That of the model.
    overrides : sequence of str
        ``section.key=value``.

    Raises
    ------
    ConfigError
        If an override is wrong.
    """
    settings = dict(header.settings)
    own = load_config(defaults=settings)
    training = {**FEW, "freeze_generator": part in ("lora", "sam")}
    if part in ("sam", "lora", "all"):
        # SAM is asked in training as it is at inference.
        training |= {"fusion": own.decode.fusion, "second_pass": 0.5 if own.decode.second_pass else 0.0}
    config = load_config(defaults={**settings, "training": training, "seed": seed}, overrides=overrides)
    return with_steps(config, None)


def with_steps(config: Config, steps: int | None) -> Config:
    """Set the number of steps; the first ten of them are the same for any number, also where it is not known."""
    total = steps or MOST_STEPS
    update = {"steps": total, "warmup": min(1.0, TIMED / total)}
    return config.model_copy(update={"training": config.training.model_copy(update=update)})

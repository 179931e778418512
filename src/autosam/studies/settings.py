"""The settings of every combination, resolved and checked before anything runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autosam.config import Config, load_config
from autosam.errors import ConfigError
from autosam.evaluation.axes import PIPELINE, Axis, Combination, names_of, overrides

_NO_USER = "prompts.method=user wants prompts of yours, and a study has none; choose another method"
_NO_GRID = "prompts.method=grid asks no generator; set model.generator=null"
_ONE_FILE = (
    "images.combine joins the channels of an image that come as several files, and labeled data has one file "
    "for each image; leave it out"
)


@dataclass(frozen=True)
class Setup:
    """One combination: a readable name that a file can have, what was set as written, and every setting."""

    name: str
    combination: Combination
    config: Config


def trained_setups(config: str | None, combinations: Sequence[Combination]) -> list[Setup]:
    """Resolve combinations of which each is trained, over a YAML file or the name of one.

    Raises
    ------
    ConfigError
        If any cannot be used: every fault of all combinations in one line.
    """

    def resolve(settings: list[str]) -> Config:
        resolved = load_config(config, overrides=settings)
        if resolved.prompts.method == "grid" and resolved.model.generator is not None:
            raise ConfigError(_NO_GRID)
        return resolved

    return _setups(combinations, resolve)


def model_setups(
    own: Mapping[str, Any], config: str | None, axes: Sequence[Axis], combinations: Sequence[Combination]
) -> list[Setup]:
    """Resolve combinations with which one model is scored.

    Parameters
    ----------
    own : mapping
        The settings that the model brings.
    config : str or None
        YAML file, or the name of one: its `data` section says which images there are, and what it says of the
        pipeline holds over the model's own. What it says of the model and its training does not apply.
    axes : sequence of Axis
        What may be set, for the refusals.
    combinations : sequence of mapping
        What is set over both.

    Raises
    ------
    ConfigError
        If any cannot be used, or a setting is fixed by the model or by the data: every fault in one line.
    """
    faults = []
    for axis in axes:
        section = axis.key.partition(".")[0]
        if section in ("seed", "model", "training") or axis.key == "data.fraction":
            faults.append(f"{axis.key} is fixed by the model; leave --model out to train a model for each value")
        elif section == "data" and len(axis.values) > 1:
            faults.append(f"{axis.key} says which images are scored, and {len(axis.values)} values came; give one")
    if faults:
        raise ConfigError("; ".join(faults))
    # The sections of the pipeline are flat, so two levels are enough.
    given = load_config(config).model_dump(mode="json", exclude_unset=True)
    below = {name: {**own.get(name, {}), **given.get(name, {})} for name in PIPELINE}
    below |= {"model": own.get("model", {}), "data": given.get("data", {})}
    return _setups(combinations, lambda settings: load_config(overrides=settings, defaults=below))


def _setups(combinations: Sequence[Combination], resolve: Callable[[list[str]], Config]) -> list[Setup]:
    setups: dict[Config, Setup] = {}
    faults = []
    for name, combination in zip(names_of(combinations), combinations, strict=True):
        said = ", ".join(overrides(combination))
        try:
            config = resolve(overrides(combination))
            if config.prompts.method == "user":
                raise ConfigError(_NO_USER)
        except ConfigError as error:
            faults.append(f"{said}: {error}" if said else str(error))
            continue
        if config in setups:
            faults.append(f"{name} and {setups[config].name} are the same settings")
        if "images.combine" in combination:
            faults.append(_ONE_FILE)
        setups.setdefault(config, Setup(name, combination, config))
    if faults:
        raise ConfigError("; ".join(dict.fromkeys(faults)))
    return list(setups.values())

"""The settings of every combination, resolved and checked before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autosam.config import Config, load_config
from autosam.errors import ConfigError
from autosam.studies.axes import Axis, Combination, name_of, overrides, varied_keys

PIPELINE = ("images", "tiles", "prompts", "decode", "merge")
"""The sections that can be changed after training."""

_BY_HAND = "prompts.method=user wants prompts of yours, and a study has none; choose another method"
_ONE_FILE = (
    "images.combine joins the channels of an image that come as several files, and labeled data has one file "
    "for each image; leave it out"
)
_FIXED = ("seed", "model", "training")


@dataclass(frozen=True)
class Setup:
    """One combination and what it resolves to.

    Attributes
    ----------
    name : str
        Readable, unique among the combinations, fit for a file.
    combination : mapping of str to str
        What was set, as written.
    config : Config
    """

    name: str
    combination: Combination
    config: Config


def trained_setups(config: str | None, combinations: Sequence[Combination]) -> list[Setup]:
    """Resolve combinations that are each trained.

    Parameters
    ----------
    config : str or None
        YAML file, or the name of one.
    combinations : sequence of mapping
        What is set over it.

    Returns
    -------
    list of Setup
        In the same order.

    Raises
    ------
    ConfigError
        If any cannot be: every fault of all combinations in one line.
    """
    setups, faults = [], []
    varied = varied_keys(combinations)
    for combination in combinations:
        try:
            resolved = load_config(config, overrides=overrides(combination))
        except ConfigError as error:
            faults.append(_fault(combination, error))
            continue
        method, generator = resolved.prompts.method, resolved.model.generator
        if method == "user":
            faults.append(_fault(combination, _BY_HAND))
        elif method == "grid" and generator is not None:
            faults.append(_fault(combination, "prompts.method=grid asks no generator; set model.generator=null"))
        setups.append(Setup(name_of(combination, varied), combination, resolved))
    return _checked(setups, faults)


def model_setups(
    own: Mapping[str, Any], config: str | None, axes: Sequence[Axis], combinations: Sequence[Combination]
) -> list[Setup]:
    """Resolve combinations that one model is scored with.

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

    Returns
    -------
    list of Setup
        In the same order.

    Raises
    ------
    ConfigError
        If any cannot be, or a setting is fixed by the model or by the data: every fault in one line.
    """
    faults = []
    for axis in axes:
        section = axis.key.partition(".")[0]
        if section in _FIXED or axis.key == "data.fraction":
            faults.append(f"{axis.key} is fixed by the model; leave --model out to train a model for each value")
        elif section == "data" and len(axis.values) > 1:
            faults.append(f"{axis.key} says which images are scored, and {len(axis.values)} values came; give one")
    if faults:
        raise ConfigError("; ".join(faults))
    # The sections of the pipeline are flat, so two levels are enough.
    given = load_config(config).model_dump(mode="json", exclude_unset=True)
    below = {name: {**own.get(name, {}), **given.get(name, {})} for name in PIPELINE}
    below |= {"model": own.get("model", {}), "data": given.get("data", {})}
    setups = []
    varied = varied_keys(combinations)
    for combination in combinations:
        try:
            resolved = load_config(overrides=overrides(combination), defaults=below)
        except ConfigError as error:
            faults.append(_fault(combination, error))
            continue
        if resolved.prompts.method == "user":
            faults.append(_fault(combination, _BY_HAND))
        setups.append(Setup(name_of(combination, varied), combination, resolved))
    return _checked(setups, faults)


def as_normalized(config: Config) -> Config:
    """Give settings for labeled images, which are normalized already: a second clipping would change them."""
    images = config.images.model_copy(update={"low": 0.0, "high": 100.0})
    return config.model_copy(update={"images": images})


def _checked(setups: list[Setup], faults: list[str]) -> list[Setup]:
    seen: dict[str, str] = {}
    for setup in setups:
        settings = setup.config.model_dump_json()
        if settings in seen:
            faults.append(f"{setup.name} and {seen[settings]} are the same settings")
        seen.setdefault(settings, setup.name)
        if "images.combine" in setup.combination:
            faults.append(_ONE_FILE)
    if faults:
        raise ConfigError("; ".join(dict.fromkeys(faults)))
    return setups


def _fault(combination: Combination, what: object) -> str:
    said = ", ".join(overrides(combination))
    return f"{said}: {what}" if said else str(what)

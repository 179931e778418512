"""From ``key=v1,v2`` to a grid of settings: its axes, their combinations and names for these."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product

from autosam.errors import ConfigError

Combination = Mapping[str, str]
"""One value per key, as it was written."""

PIPELINE = ("images", "tiles", "prompts", "decode", "merge")
"""The sections that can be changed after training."""

_PAIRS = {"[": "]", "{": "}"}
_LONGEST_NAME = 120


@dataclass(frozen=True)
class Axis:
    """A setting, by its dotted path as ``prompts.points``, and its values: YAML, as written, at least one."""

    key: str
    values: tuple[str, ...]


def parse_axes(settings: Sequence[str]) -> tuple[Axis, ...]:
    """Read ``section.key=v1,v2,...``, each a setting with one or more values, in the order given.

    Raises
    ------
    ConfigError
        If a key is missing or comes twice, or a value is missing or comes twice: every fault in one line.

    Examples
    --------
    >>> parse_axes(["prompts.points=1,5", "training.augment.zoom=[0.7,1.4]"])[1].values
    ('[0.7,1.4]',)
    """
    axes: dict[str, Axis] = {}
    faults: list[str] = []
    for setting in settings:
        key, separator, text = (part.strip() for part in setting.partition("="))
        values = split_values(text)
        if not separator or not all(key.split(".")):
            faults.append(
                f"--set {setting!r} was not understood; write section.key=value,value, such as prompts.points=1,5"
            )
        elif not all(values):
            faults.append(f"--set {setting!r} has an empty value; write null for none")
        elif key in axes:
            faults.append(f"{key} is set twice; write its values as one list, {key}=value,value")
        else:
            faults += [f"{key} has the value {value} twice" for value, n in Counter(values).items() if n > 1]
            axes[key] = Axis(key, values)
    if faults:
        raise ConfigError("; ".join(faults))
    return tuple(axes.values())


def split_values(text: str) -> tuple[str, ...]:
    """Split at commas outside of brackets, braces and quotes.

    Examples
    --------
    >>> split_values("1, 'a,b', [2,3]")
    ('1', "'a,b'", '[2,3]')
    """
    values, start, awaited = [], 0, ""
    for place, character in enumerate(text):
        if awaited and character == awaited[-1]:
            awaited = awaited[:-1]
        elif awaited[-1:] in ("'", '"'):
            continue
        elif character in ("'", '"'):
            awaited += character
        elif character in _PAIRS:
            awaited += _PAIRS[character]
        elif character == "," and not awaited:
            values.append(text[start:place].strip())
            start = place + 1
    return (*values, text[start:].strip())


def combinations(axes: Sequence[Axis]) -> list[dict[str, str]]:
    """Return the Cartesian product of the axes, the last one varying fastest; one empty mapping without axes."""
    keys = [axis.key for axis in axes]
    return [dict(zip(keys, values, strict=True)) for values in product(*(axis.values for axis in axes))]


def overrides(combination: Combination) -> list[str]:
    """Write a combination as `load_config` takes it: ``["prompts.points=5"]``."""
    return [f"{key}={value}" for key, value in combination.items()]


def names_of(combinations: Sequence[Combination]) -> list[str]:
    """Make a readable name for each combination that a file can have, too; different ones have different names.

    One that would be too long is cut, with the keys that have several values in front.

    Examples
    --------
    >>> names_of([{"prompts.points": "5", "prompts.method": "centroid"}, {}])
    ['points=5_method=centroid', 'settings']
    """
    values = Counter(key for key, _ in {item for one in combinations for item in one.items()})
    names = []
    for combination in combinations:
        plain = _join(combination, list(combination))
        name = _readable(plain)
        if len(name) > _LONGEST_NAME:
            name = _readable(_join(combination, sorted(combination, key=lambda key: values[key] == 1)))
        if name != plain or len(name) > _LONGEST_NAME:
            # What was cut or replaced may be all that distinguished two names.
            name = f"{name[: _LONGEST_NAME - 9]}-{sha256(plain.encode()).hexdigest()[:8]}"
        names.append(name)
    return names


def _join(combination: Combination, keys: Sequence[str]) -> str:
    """Write settings in the order of keys, by the last part of a key where that is enough."""
    leaf = {key: key.rpartition(".")[2] for key in keys}
    count = Counter(leaf.values())
    return "_".join(f"{leaf[k] if count[leaf[k]] == 1 else k}={combination[k]}" for k in keys) or "settings"


def _readable(name: str) -> str:
    return re.sub(r"[^\w.=+-]", "-", name, flags=re.ASCII)

"""Results that can be put together over images: their counts add up where their settings are the same."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from autosam.errors import InputError

_Result = TypeVar("_Result")


@dataclass(frozen=True, eq=False)
class Summed:
    """Base of results that are counts and sums, from which the scores follow.

    Every field adds up over images: numbers, arrays, other results and mappings of them. Exceptions are the
    `settings`, ``empty_value``, and the `joined` arrays, which are concatenated along their last axis.
    """

    settings: ClassVar[tuple[str, ...]] = ()
    joined: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def pooled(cls, results: Iterable[Self]) -> Self:
        """Add up the counts of several images, so that every voxel and every object weighs the same.

        Raises
        ------
        InputError
            If there are no results, or they differ in a setting.
        """
        listed = comparable(results, settings=cls.settings)
        names = [f.name for f in fields(cls) if f.name not in (*cls.settings, "empty_value")]
        values = {name: [getattr(result, name) for result in listed] for name in names}
        return replace(
            listed[0],
            **{n: np.concatenate(v, axis=-1) if n in cls.joined else _total(v) for n, v in values.items()},
        )


def _total(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Summed):
        return type(first).pooled(values)
    if isinstance(first, dict):
        return {key: _total([value[key] for value in values]) for key in first}
    return sum(values)


def comparable(results: Iterable[_Result], *, settings: Sequence[str] = ()) -> list[_Result]:
    """List results that agree in the settings, the names of attributes.

    Raises
    ------
    InputError
        If there are none, or they differ in a setting.
    """
    listed = list(results)
    if not listed:
        raise InputError("no results came to put together: give those of at least one image")
    found = {name: {getattr(result, name) for result in listed} for name in settings}
    differing = [
        name
        if any(isinstance(value, tuple) for value in values)
        else f"{name} ({', '.join(sorted(map(str, values)))})"
        for name, values in found.items()
        if len(values) > 1
    ]
    if differing:
        raise InputError(
            f"the results differ in {' and '.join(differing)}: evaluate all images with the same settings"
        )
    return listed

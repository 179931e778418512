"""Results that can be put together over images: their counts add up where their settings are the same."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self, TypeVar

from autosam.errors import InputError

_Result = TypeVar("_Result")


@dataclass(frozen=True, eq=False)
class Summed:
    """Base of results that are counts and sums, from which the scores follow.

    Every field is a number or an array that adds up over images, but for the settings and ``empty_value``.
    """

    settings: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def pooled(cls, results: Iterable[Self]) -> Self:
        """Add up the counts of several images, so that every voxel and every object weighs the same.

        Raises
        ------
        InputError
            If there are no results, or they differ in a setting.
        """
        listed = comparable(results, settings=cls.settings)
        summed = [f.name for f in fields(cls) if f.name not in (*cls.settings, "empty_value")]
        return replace(listed[0], **{name: sum(getattr(r, name) for r in listed) for name in summed})


def comparable(results: Iterable[_Result], *, settings: Sequence[str] = ()) -> list[_Result]:
    """List results that can be put together.

    Parameters
    ----------
    results : iterable
        Of one kind.
    settings : sequence of str
        Attributes in which they must agree.

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

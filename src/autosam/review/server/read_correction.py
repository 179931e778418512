"""A correction as the page sends it."""

import math
from typing import Any, get_args

from autosam.errors import InputError
from autosam.review.corrections import ACTIONS, By, Correction


class RefusedError(InputError):
    """A correction is none, or does not fit: to send it again is of no use."""


def read_correction(sent: Any) -> Correction:
    """Read a correction that came as JSON; `correction_data` is its form.

    Raises
    ------
    RefusedError
        If it has another form.
    """
    try:
        action = next(name for name in ACTIONS if name == sent["action"])
        by = next((maker for maker in get_args(By) if maker == sent.get("by")), None)
        points = tuple((_number(row), _number(col)) for row, col in sent.get("points") or ())
        box = sent.get("box")
        first, second, third, last = box if box is not None else (0, 0, 0, 0)
        return Correction(
            _text(sent["image"]),
            action,
            tuple(_id(one) for one in sent.get("objects") or ()),
            points,
            tuple(_label(one) for one in sent.get("labels") or ()),
            None if box is None else (_number(first), _number(second), _number(third), _number(last)),
            _text(sent.get("mask") or ""),
            by=by,
            results=_text(sent.get("results") or ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise RefusedError("this is no correction; open the page again") from error


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def _id(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(value)
    return value


def _label(value: Any) -> int:
    if isinstance(value, bool) or value not in (0, 1):
        raise ValueError(value)
    return int(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value

"""Where the time of an image goes: seconds by stage."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import wraps
from threading import Lock
from types import MappingProxyType
from typing import Concatenate, Literal, ParamSpec, Self, TypeVar, get_args

Stage = Literal[
    "read",
    "view",
    "find_zoom",
    "predict",
    "propose",
    "encode",
    "decode",
    "merge",
    "measure",
    "overlay",
    "write",
]
STAGES: tuple[Stage, ...] = get_args(Stage)
"""All stages, in the order in which an image passes them."""

_Owner = TypeVar("_Owner", bound="Timed")
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class Timings:
    """Seconds by stage, added up; several threads may add to one.

    The clock's seconds are counted, not those of the processor. Work on a GPU counts where its results are waited
    for.

    Examples
    --------
    >>> timings = Timings()
    >>> with timings.stage("read"):
    ...     pass
    >>> list(timings.seconds)
    ['read']
    """

    def __init__(self) -> None:
        self._seconds: dict[Stage, float] = {}
        self._lock = Lock()

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds of the stages that were entered, in the order of `STAGES`."""
        with self._lock:
            found: dict[str, float] = {stage: self._seconds[stage] for stage in STAGES if stage in self._seconds}
        return MappingProxyType(found)

    def add(self, stage: Stage, seconds: float) -> None:
        """Add seconds to a stage."""
        with self._lock:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    @contextmanager
    def stage(self, stage: Stage, *, within: Stage | None = None) -> Iterator[None]:
        """Add the time of a ``with`` block to a stage, also where the block fails.

        Parameters
        ----------
        within : str, optional
            The stage that the block is part of. Its time does not count there, so that no second counts twice.
        """
        began = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - began
            self.add(stage, took)
            if within is not None:
                self.add(within, -took)


class Timed:
    """Something whose steps tell how long they take; see `timed`.

    Attributes
    ----------
    timings : Timings
        Seconds of each step so far.
    """

    def __init__(self) -> None:
        self.timings = Timings()

    def with_timings(self, timings: Timings) -> Self:
        """Return the same, but its steps add their seconds to `timings`."""
        other = copy(self)
        other.timings = timings
        return other


def timed(
    stage: Stage,
) -> Callable[[Callable[Concatenate[_Owner, _Given], _Result]], Callable[Concatenate[_Owner, _Given], _Result]]:
    """Let a method of a `Timed` add the time of each call to a stage."""

    def decorate(
        method: Callable[Concatenate[_Owner, _Given], _Result],
    ) -> Callable[Concatenate[_Owner, _Given], _Result]:
        @wraps(method)
        def call(self: _Owner, /, *args: _Given.args, **named: _Given.kwargs) -> _Result:
            with self.timings.stage(stage):
                return method(self, *args, **named)

        return call

    return decorate


def add_up(timings: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Add the seconds of several images, by stage and in the order of `STAGES`; empty without images.

    Examples
    --------
    >>> add_up([{"read": 1.0, "write": 0.5}, {"read": 2.0}])
    {'read': 3.0, 'write': 0.5}
    """
    total: dict[str, float] = {}
    for seconds in timings:
        for stage, took in seconds.items():
            total[stage] = total.get(stage, 0.0) + took
    # Another version of autosam may know other stages.
    order: tuple[str, ...] = (*STAGES, *sorted(total.keys() - set(STAGES)))
    return {stage: total[stage] for stage in order if stage in total}

"""Tasks one after the other: while one is worked on, the next is read and the last written, in threads."""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Generic, Protocol, TypeVar

from autosam.errors import AutosamError, InputError

Task = TypeVar("Task")
Read = TypeVar("Read")
Made = TypeVar("Made")
Answer = TypeVar("Answer")
Value = TypeVar("Value")
Given = TypeVar("Given", contravariant=True)
Told = TypeVar("Told", covariant=True)


class Steps(Protocol[Given, Read, Made, Told]):
    """The three steps of a task. An `InputError` of a step fails its task alone; other errors end the run."""

    def read(self, task: Given) -> Read:
        """Read what the task is about; in a thread, while another task is worked on."""

    def work(self, task: Given, read: Read, tick: Callable[[float], None]) -> Made:
        """Do the work, in the main thread; ``tick`` is told the share that is done, 0 to 1."""

    def write(self, task: Given, read: Read, made: Made) -> Told:
        """Write what was made; in a thread, while another task is worked on. The answer is small."""


Report = Callable[[Task, Answer | InputError, float], None]
"""Takes what became of a task: its answer, or why it failed, and the seconds that its own steps took."""


class Sign(Enum):
    """What can come in the place of a task."""

    NONE = "no task, but somebody may want to look"
    LATER = "no task yet"
    END = "no task any more"


class InThread(Generic[Value]):
    """A call in a thread of its own, whose value or error is asked for later.

    The thread does not keep the program from ending: reading from a dead file server would.
    """

    def __init__(self, call: Callable[[], Value]) -> None:
        self._call = call
        self._values: list[Value] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="autosam-step", daemon=True)
        self.seconds = 0.0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def begun(self) -> bool:
        """Whether it was started."""
        return self._thread.ident is not None

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it is over, if it was started."""
        if self.begun:
            self._thread.join(timeout)

    def value(self) -> Value:
        """Wait for the value, or raise what the call raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._values[0]

    def _run(self) -> None:
        began = time.perf_counter()
        try:
            self._values.append(self._call())
        except BaseException as error:
            self._error = error
        self.seconds = time.perf_counter() - began


READ_ON = 10.0
"""Seconds to wait at an interrupt for what is being read; nothing is lost with it."""


@dataclass(eq=False)
class _Reading(Generic[Task, Read]):
    task: Task
    thread: InThread[Read]


@dataclass(eq=False)
class _Writing(Generic[Task, Answer]):
    task: Task
    thread: InThread[Answer]
    seconds: float


class Overlap(Generic[Task, Read, Made, Answer]):
    """Runs tasks in this process; at most two beside the one in work are in memory.

    Parameters
    ----------
    steps : Steps
        What is done for each task.
    """

    def __init__(self, steps: Steps[Task, Read, Made, Answer]) -> None:
        self._steps = steps
        self._ahead: deque[_Reading[Task, Read]] = deque()
        self._behind: _Writing[Task, Answer] | None = None

    def __enter__(self) -> "Overlap[Task, Read, Made, Answer]":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left: `run` ends its threads."""

    def run(
        self,
        tasks: Iterator[Task | Sign],
        report: Report[Task, Answer],
        watch: Callable[[Task, float], None],
    ) -> Generator[None, None, None]:
        """Do tasks in their order; see `take`, which this calls with the next of ``tasks``."""
        return self.take(lambda _: next(tasks, Sign.END), report, watch)

    def take(
        self,
        take: Callable[[bool], Task | Sign],
        report: Report[Task, Answer],
        watch: Callable[[Task, float], None],
    ) -> Generator[None, None, None]:
        """Do tasks in the order in which they are taken.

        Parameters
        ----------
        take : callable
            Gives the next task; asked with True, it waits for one rather than say `Sign.LATER`.
        report : Report
            Told once for each task, in their order, in this thread. On an interrupt or an error too, for what was
            being written: it is written to its end.
        watch : callable
            Told the task in work and the share of it that is done, 0 as it begins.

        Yields
        ------
        None
            When the caller may look what has become of the tasks.
        """
        ended = False
        try:
            while True:
                while not ended and len(self._ahead) < 2:
                    task = take(not self._ahead and self._behind is None)
                    if task is Sign.NONE:
                        yield
                    elif task is Sign.LATER:
                        break
                    elif task is Sign.END:
                        ended = True
                    elif not isinstance(task, Sign):
                        self._read(task)
                if self._ahead:
                    self._work(report, watch)
                elif self._behind is not None:
                    self._settle(report)
                elif ended:
                    return
                yield
        finally:
            self._leave(report)

    def _read(self, task: Task) -> None:
        reading = _Reading(task, InThread(partial(self._steps.read, task)))
        self._ahead.append(reading)
        if len(self._ahead) == 1:
            reading.thread.start()

    def _work(self, report: Report[Task, Answer], watch: Callable[[Task, float], None]) -> None:
        """Work on the next task, see the last one written, and begin to write this one."""
        reading = self._ahead[0]
        reading.thread.wait()
        self._ahead.popleft()
        if self._ahead:
            # One after the other: two at once would only share the disk.
            self._ahead[0].thread.start()
        task, began = reading.task, time.perf_counter()
        try:
            read = reading.thread.value()
            watch(task, 0.0)
            made = self._steps.work(task, read, partial(watch, task))
        except InputError as error:
            self._settle(report)
            report(task, error, reading.thread.seconds + time.perf_counter() - began)
            return
        seconds = reading.thread.seconds + time.perf_counter() - began
        self._settle(report)
        self._behind = _Writing(task, InThread(partial(self._steps.write, task, read, made)), seconds)
        self._behind.thread.start()

    def _settle(self, report: Report[Task, Answer]) -> None:
        """Wait for what is being written, and report it."""
        if self._behind is None:
            return
        self._behind.thread.wait()
        behind, self._behind = self._behind, None
        answer: Answer | InputError
        try:
            answer = behind.thread.value()
        except InputError as error:
            answer = error
        report(behind.task, answer, behind.seconds + behind.thread.seconds)

    def _leave(self, report: Report[Task, Answer]) -> None:
        """End all threads, after an interrupt too."""
        for reading in self._ahead:
            reading.thread.wait(READ_ON)
        self._ahead.clear()
        if self._behind is not None and self._behind.thread.begun:
            # The first error is the one to tell; whatever could not be written is done again.
            with suppress(AutosamError):
                self._settle(report)
        self._behind = None

"""One of several processes that do tasks: what it gets from its parent, and what it tells it."""

import os
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from autosam.errors import AutosamError, AutosamWarning
from autosam.pipeline.read_ahead import Answer, Made, Overlap, Read, Sign, Steps, Task

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Variables that tell libraries their number of threads; read when they are loaded."""

Setup = Callable[[], Steps[Task, Read, Made, Answer]]
"""Makes the steps of a worker in its process: a function of a module, or a `functools.partial` of one."""


@contextmanager
def inherited(threads: int) -> Iterator[None]:
    """Let a process that is started here have its threads, and leave Ctrl-C to its parent.

    An interrupt waits until the process has all that it starts with; it would end with a traceback otherwise.
    """
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    with _interrupts_later():
        masked = None
        if hasattr(signal, "pthread_sigmask"):
            # The process inherits this.
            masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
            if masked is not None:
                signal.pthread_sigmask(signal.SIG_SETMASK, masked)


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Keep interrupts until the end of the block; a thread that does not block them can receive them, too."""
    if threading.current_thread() is not threading.main_thread():
        # Interrupts are for the main thread alone.
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # A signal that is ignored stays ignored, by the new process, too.
    replaced = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in replaced:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


class _Numbered:
    """The steps of tasks that come with their numbers."""

    def __init__(self, steps: Steps[Any, Any, Any, Any]) -> None:
        self._steps = steps

    def read(self, task: tuple[int, Any]) -> Any:
        return self._steps.read(task[1])

    def work(self, task: tuple[int, Any], read: Any, tick: Callable[[float], None]) -> Any:
        return self._steps.work(task[1], read, tick)

    def write(self, task: tuple[int, Any], read: Any, made: Any) -> Any:
        return self._steps.write(task[1], read, made)


class _Parent:
    """The other end of the connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # A step in a thread can warn while another task is reported.
        self._lock = threading.Lock()

    def tell(self, *message: object) -> None:
        try:
            with self._lock:
                self._connection.send(message)
        except OSError:
            # Nobody wants an answer any more.
            raise KeyboardInterrupt from None

    def take(self, waiting: bool) -> tuple[int, Any] | Sign:
        if not waiting and not self._connection.poll():
            return Sign.LATER
        try:
            task: tuple[int, Any] = self._connection.recv()
        except (EOFError, OSError):
            return Sign.END
        return task

    def show(self, message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        self.tell("warning", str(message), issubclass(category, AutosamWarning))


def work_for(connection: Connection, setup: Setup[Any, Any, Any, Any], threads: int) -> None:
    """Do what comes, in a process of its own, until it is told to end or its parent is gone."""
    # A terminal sends Ctrl-C to all processes, and the parent ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        # Blocked while it was started; see `inherited`.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    parent = _Parent(connection)
    warnings.showwarning = parent.show
    with connection, suppress(KeyboardInterrupt):
        try:
            import torch

            torch.set_num_threads(threads)
            steps = _Numbered(setup())
            parent.tell("ready")
            signal.signal(signal.SIGTERM, _interrupt)
            running = Overlap(steps).take(
                parent.take,
                lambda task, answer, seconds: parent.tell("done", task[0], answer, seconds),
                lambda task, share: parent.tell("at", task[0], share),
            )
            for _ in running:
                pass
        except AutosamError as error:
            parent.tell("failed", error)
        except KeyboardInterrupt:
            raise
        except BaseException:
            parent.tell("failed", RuntimeError(f"a worker failed:\n{traceback.format_exc()}"))


def _interrupt(*_: object) -> None:
    # Once: what is being written is written to its end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt

"""Ctrl-C while nothing has begun, when modules are imported and models loaded; and a cluster's signal to end."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

INTERRUPTED = 130
"""Exit status after Ctrl-C."""

WORKER_TERMINATED = "killed by signal: Terminated"
"""What torch says of a worker of a DataLoader that SIGTERM has ended."""


def leaving_at_once() -> AbstractContextManager[None]:
    """End the process on Ctrl-C with one line.

    An exception would get lost here: Python ignores those raised in some callbacks of its imports, and libraries
    take others for a failed import.
    """
    return _handling(signal.SIGINT, _leave)


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Take SIGTERM, which ends jobs of a cluster, for Ctrl-C: claims are given free and the record is written.

    The signal may reach torch's workers, too. That one of them died of it then means the same.
    """
    with _handling(signal.SIGTERM, _interrupt):
        try:
            yield
        except RuntimeError as error:
            # Torch raises a second error from the first where it waits for the worker.
            if WORKER_TERMINATED not in f"{error} {error.__cause__}":
                raise
            raise KeyboardInterrupt from error


@contextmanager
def _handling(number: int, handler: Callable[..., None]) -> Iterator[None]:
    # Python lets the main thread alone set handlers.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def _interrupt(*_: object) -> None:
    # Torch tells of its dead workers in the middle of whatever ends the run now.
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, lambda *_: None)
    raise KeyboardInterrupt


def _leave(*_: object) -> None:
    os.write(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2, b"autosam: interrupted\n")
    os._exit(INTERRUPTED)

"""Ctrl-C while nothing has begun, when modules are imported and models loaded; and a cluster's signal to end."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

INTERRUPTED = 130
"""Exit status after Ctrl-C."""


def leaving_at_once() -> AbstractContextManager[None]:
    """End the process on Ctrl-C with one line.

    An exception would get lost here: Python ignores those raised in some callbacks of its imports, and libraries
    take others for a failed import.
    """
    return _handling(signal.SIGINT, _leave)


def ending_in_order() -> AbstractContextManager[None]:
    """Take SIGTERM, which ends jobs of a cluster, for Ctrl-C: claims are given free and the record is written."""
    return _handling(signal.SIGTERM, _interrupt)


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
    raise KeyboardInterrupt


def _leave(*_: object) -> None:
    os.write(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2, b"autosam: interrupted\n")
    os._exit(INTERRUPTED)

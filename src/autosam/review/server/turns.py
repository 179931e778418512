"""Whose turn it is to ask SAM: what a person waits for comes first, and of what is only prepared, the newest."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Lets one thread at a time work: all that are wanted, and between them the newest that is spare."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._working = False
        self._wanted = 0
        self._newest = 0

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """Wait for the work that goes on, and for no spare work that has not begun."""
        with self._changed:
            self._wanted += 1
            self._changed.wait_for(lambda: not self._working)
            self._wanted -= 1
            self._working = True
        try:
            yield
        finally:
            self._end()

    @contextmanager
    def spare(self) -> Iterator[bool]:
        """Wait until nobody wants anything; gives False where newer spare work has come, which replaces it."""
        with self._changed:
            self._newest += 1
            own = self._newest
            self._changed.notify_all()
            self._changed.wait_for(lambda: own != self._newest or not (self._working or self._wanted))
            current = own == self._newest
            self._working |= current
        try:
            yield current
        finally:
            if current:
                self._end()

    def _end(self) -> None:
        with self._changed:
            self._working = False
            self._changed.notify_all()

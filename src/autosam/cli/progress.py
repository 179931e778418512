"""Progress of all commands: a bar on a terminal, plain lines now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from autosam.cli.console import console, news, shows_progress
from autosam.cli.words import duration

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar

PAUSE, STEP = 30.0, 0.1
"""Seconds and share of the whole between two lines at least."""
LONG_PAUSE = 300.0
"""Seconds after which a line comes however little was done."""


class Bar:
    """How far a command is; made by `progress`."""

    def __init__(self, doing: str, total: float, unit: str, bar: "RichBar") -> None:
        self._doing, self._total, self._unit, self._bar = doing, total, unit, bar
        self._task = bar.add_task(doing, total=total, count=self._count(0))
        self._done = 0.0
        self._began = self._told_at = time.monotonic()
        self._told = 0.0

    def update(self, done: float, what: str = "", *, total: float | None = None) -> None:
        """Tell how much is done, in units of the total, what is being done just now, and the total once known."""
        # What is searched in rounds has an end that nobody knows.
        self._done, self._total = done, max(total or self._total, done)
        doing = f"{self._doing}: {what}" if what else self._doing
        self._bar.update(self._task, completed=done, total=self._total, description=doing, count=self._count(done))
        now = time.monotonic()
        share, pause = done / max(self._total, 1), now - self._told_at
        if pause < PAUSE or (share - self._told < STEP - 1e-9 and pause < LONG_PAUSE):
            return
        self._told, self._told_at = share, now
        left = (now - self._began) * (1 - share) / share if share > 0 else 0.0
        about = f", about {duration(left)} left" if left > 0 else ""
        # A bar says the same on a terminal, but not in a log file.
        news(f"{doing}: {self._count(done)}{about}", shown=not shows_progress())

    def advance(self, what: str = "") -> None:
        """Tell that one more is done."""
        self.update(self._done + 1, what)

    def _count(self, done: float) -> str:
        return f"{int(done):,} of {int(self._total):,} {self._unit}"


@contextmanager
def progress(doing: str, total: float, unit: str = "images") -> Iterator[Bar]:
    """Show on stderr how far a command is; the bar is gone at the end.

    Parameters
    ----------
    doing : str
        Such as ``segmenting``.
    total : float
        How much there is to do, in units.
    unit : str
        What is counted, in the plural.
    """
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichBar

    columns = (
        SpinnerColumn("dots" if console.encoding.startswith("utf") else "line"),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}, time left"),
        TimeRemainingColumn(),
    )
    with RichBar(*columns, console=console, transient=True, disable=not shows_progress()) as bar:
        yield Bar(doing, total, unit, bar)

"""What the commands say: results to stdout, the rest to stderr, and everything to a log file if wanted."""

import codecs
import io
import os
import sys
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.table import Table

console = Console(stderr=True, highlight=False, soft_wrap=True)
"""Where progress is shown, so that stdout stays free for results."""


_LOOKALIKES = {
    "µ": "u",
    "μ": "u",
    "²": "2",
    "³": "3",
    "×": "x",
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "’": "'",
    "“": '"',
    "”": '"',
}
"""What terminals show that know ASCII only."""


class _Wanted:
    """What the user of this process wants to be told."""

    quiet = False
    verbose = False
    log: IO[str] | None = None
    then = ""


def write_any_text() -> None:
    """Let every terminal, pipe and file take every text: what it cannot show is written with other letters."""
    codecs.register_error("lookalike", _lookalike)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="lookalike")


def _lookalike(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding does not have; bytes of file names that are no UTF-8 are escaped."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    shown = (_LOOKALIKES.get(letter) or letter.encode("ascii", "backslashreplace").decode() for letter in text)
    return "".join(shown), error.end


def set_up(*, quiet: bool = False, verbose: bool = False, log: Path | None = None) -> None:
    """Follow the options ``--quiet``, ``--verbose`` and ``--log``.

    Raises
    ------
    OutputError
        If the log file cannot be opened.
    """
    from autosam.errors import OutputError

    if _Wanted.log is not None:
        _Wanted.log.close()
    _Wanted.quiet, _Wanted.verbose, _Wanted.log, _Wanted.then = quiet, verbose, None, ""
    if log is not None:
        try:
            if log.is_fifo():
                # A pipe that nobody reads would make the program wait forever.
                os.close(os.open(log, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0)))
            _Wanted.log = log.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
        except OSError as error:
            raise OutputError(f"--log {log} cannot be written: {error.strerror or error}") from error
        _write_log(f"autosam {' '.join(sys.argv[1:])}")


def result(*parts: "str | Table", fold: bool = False) -> None:
    """Print what the user asked for to stdout, even with ``--quiet``.

    Parameters
    ----------
    fold : bool
        On a terminal, fold long cells to its width. Otherwise a row is as wide as its cells: rich would cut
        numbers to fit, and the terminal can wrap lines itself.
    """
    width = None if fold and sys.stdout.isatty() else 1000
    for part in parts:
        if isinstance(part, str):
            _print(part)
        else:
            Console(width=width, highlight=False).print(part)
        _write_log(part)


def table(*titles: str, left: Container[str] = (), fold: str | None = None) -> "Table":
    """Make a table without lines.

    Parameters
    ----------
    *titles : str
        Of the columns. The first one, and those in `left`, hold text and are flush left, the others numbers.
    left : container of str
        Titles of more columns of text.
    fold : str, optional
        Title of the column whose cells may be broken into lines.
    """
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for number, title in enumerate(titles):
        text = number == 0 or title in left
        made.add_column(title, justify="left" if text else "right", no_wrap=title != fold)
    return made


def say(text: str) -> None:
    """Tell on stdout what was done, unless ``--quiet``."""
    if not _Wanted.quiet:
        _print(text)
    _write_log(text)


def news(text: str, *, shown: bool = True) -> None:
    """Tell on stderr what is going on, unless ``--quiet``; only in the log where it is not to be shown."""
    if shown and not _Wanted.quiet:
        console.print(text, markup=False)
    _write_log(text)


def note(text: str) -> None:
    """Give the user on stderr something to consider, unless ``--quiet``."""
    news(f"autosam: note: {text}")


def detail(text: str) -> None:
    """Tell on stderr what only ``--verbose`` wants to know."""
    if _Wanted.verbose:
        news(text)


def error(text: str) -> None:
    """Tell on stderr what went wrong."""
    console.print(f"autosam: {text}", markup=False)
    _write_log(f"autosam: {text}")


def shows_progress() -> bool:
    """Tell whether a person looks at a terminal and wants to see bars."""
    return console.is_terminal and not _Wanted.quiet


@contextmanager
def interruptible(then: str | Callable[[], str]) -> Iterator[None]:
    """Note how to go on after Ctrl-C, for `tell_interrupted`."""
    try:
        yield
    except KeyboardInterrupt:
        _Wanted.then = then if isinstance(then, str) else then()
        raise


def tell_interrupted() -> None:
    """Tell in one line that Ctrl-C came, and how to go on."""
    news(f"autosam: interrupted{'; ' if _Wanted.then else ''}{_Wanted.then}")


def _print(text: str) -> None:
    """Write a line to stdout, and go on in silence when nobody reads any more, as ``head`` does."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write_log(part: "str | Table") -> None:
    if _Wanted.log is None:
        return
    text = io.StringIO()
    Console(file=text, width=1000, highlight=False).print(part, markup=False, soft_wrap=isinstance(part, str))
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    try:
        _Wanted.log.writelines(f"{now} {line}\n" for line in text.getvalue().splitlines())
    except OSError as fault:
        name, _Wanted.log = _Wanted.log.name, None
        note(f"{name} cannot be written any more: {fault.strerror or fault}")

"""A page that is served until Ctrl-C."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from tempfile import mkstemp

from autosam.errors import OutputError


@contextmanager
def open_page(url: str) -> Iterator[None]:
    """Open a browser where there is a screen, and leave nothing behind when the block ends.

    The address can hold a secret, and other users of the machine see command lines. So the browser gets a file
    that only this user can read, and that leads to the address. Without a screen no browser is opened, for a text
    browser would take the terminal.

    Parameters
    ----------
    url : str
        The address of the page.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    if not _has_screen():
        yield
        return
    # Needed only here.
    import webbrowser

    with _private_file(_leading_to(url)) as file:
        webbrowser.open(file.as_uri())
        yield


def wait() -> None:
    """Wait for Ctrl-C, which is a `KeyboardInterrupt`."""
    threading.Event().wait()


@contextmanager
def _private_file(content: str) -> Iterator[Path]:
    """Give a file that its owner alone can read, and remove it at the end."""
    try:
        handle, name = mkstemp(prefix="autosam-", suffix=".html")
    except OSError as error:
        raise _unwritten(error) from error
    file = Path(name)
    try:
        try:
            with open(handle, "w", encoding="utf-8") as text:
                text.write(content)
        except OSError as error:
            raise _unwritten(error) from error
        yield file
    finally:
        with suppress(OSError):
            file.unlink()


def _unwritten(error: OSError) -> OutputError:
    return OutputError(
        f"no file can be written for the browser ({error.strerror or error}); make room in the folder for "
        "temporary files, or add --no-browser and open the address yourself"
    )


def _leading_to(url: str) -> str:
    address = escape(url)
    return (
        '<!DOCTYPE html>\n<meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0;url={address}">\n'
        f'<title>autosam</title>\n<p><a href="{address}">Open the page</a></p>\n'
    )


def _has_screen() -> bool:
    return not sys.platform.startswith("linux") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )

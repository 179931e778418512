"""A page that is served until Ctrl-C."""

import os
import sys
import threading


def open_page(url: str) -> None:
    """Open a browser where there is a screen; without one, a text browser would take the terminal."""
    if _has_screen():
        # Needed only here.
        import webbrowser

        webbrowser.open(url)


def wait() -> None:
    """Wait for Ctrl-C, which is a `KeyboardInterrupt`."""
    threading.Event().wait()


def _has_screen() -> bool:
    return not sys.platform.startswith("linux") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )

"""The command line: one file per command. Nothing here imports torch, numpy or scipy before a command runs."""

import atexit
import os
import signal
import sys
from typing import Any

from autosam.cli.interrupts import INTERRUPTED, leaving_at_once


def main() -> None:
    """Run the command that the user typed, and exit; Ctrl-C is one line from the first moment on."""
    # Threads that wait for each other sleep, so that they do not keep other processes from working. OpenMP reads
    # it once, as torch is imported; processes that a command starts inherit it.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        # Imports take a moment, in which Ctrl-C can come, too.
        with leaving_at_once():
            from autosam.cli.program import run
        status = run()
    except KeyboardInterrupt:
        sys.stderr.write("autosam: interrupted\n")
        status = INTERRUPTED
    # The answer is given. While the interpreter ends, Ctrl-C would kill it, and with it the exit status.
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    sys.exit(status)


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module 'autosam.cli' has no attribute {name!r}")
    from autosam.cli.program import app

    return app

"""Who holds a claim on an image, and whether that process has ended."""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass

HELD: set[str] = set()
"""Tokens of the claims of this process."""


@dataclass(frozen=True)
class Holder:
    """Who holds a claim.

    Attributes
    ----------
    process : int
        Its number on that host; 0 where the claim does not say it.
    """

    process: int
    host: str
    token: str

    def __str__(self) -> str:
        return f"process {self.process} on {self.host.partition(' ')[0]}" if self.process else "another process"

    @property
    def dead(self) -> bool:
        """Whether the process is known to have ended; False for those of other hosts."""
        if self.host != host() or not self.process:
            return False
        if self.process == os.getpid():
            # An earlier process had the same number.
            return self.token not in HELD
        if os.name == "nt":
            # There, signal 0 would end the process.
            return False
        try:
            os.kill(self.process, 0)
        except OSError as error:
            return isinstance(error, ProcessLookupError)
        return False


def host() -> str:
    """Name this host; processes of another container have numbers of their own."""
    space = ""
    with suppress(OSError, AttributeError):
        space = f" {os.readlink('/proc/self/ns/pid')}"
    return f"{socket.gethostname()}{space}"

"""Memory that the networks have freed goes back to the system before large arrays need it."""

import ctypes
import sys
from functools import cache

LARGE = 2**22
"""Pixels from which an image is worth it: 10 ms, and some of what was given back is soon taken again."""


def give_back(pixels: int) -> None:
    """Give freed memory back while an image of so many pixels is worked on, where the C library can.

    Networks free blocks that are each too small for glibc to return them, more than 100 MB altogether. They would
    stay beside the arrays of a large image. Without glibc nothing is done.
    """
    trim = _trim()
    if pixels >= LARGE and trim is not None:
        trim(0)


@cache
def _trim() -> "ctypes._NamedFuncPointer | None":
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None

"""Where the pixels of a volume lie, and the files that are open in a thread."""

import os
import threading
import weakref
from collections import OrderedDict
from typing import Any, Protocol

from numpy.typing import NDArray

from autosam.images.byte_cache import ByteCache

MOST_OPEN = 4
"""Volumes that a thread keeps open."""
CACHE_BYTES = 128 << 20
"""Of blocks of slices that were read together."""


class OpenVolume(Protocol):
    """A volume whose file is open."""

    def read(self, slices: slice, rows: slice, cols: slice) -> NDArray[Any]:
        """Read (D, H, W), or (D, H, W, 3) of colors, in native byte order; slices have both ends."""

    def close(self) -> None:
        """Close the file."""


class Storage(Protocol):
    """Says how to open a volume. It is hashable, and can be pickled and opened by another process."""

    def open(self) -> OpenVolume:
        """Open it; an `InputError` where that is impossible."""


class Handle:
    """An open volume, and blocks of it that were read last.

    Attributes
    ----------
    close : callable
        Closes the file, once; this also happens when the thread ends that opened it.
    """

    def __init__(self, volume: OpenVolume) -> None:
        self.volume = volume
        self.blocks = ByteCache(CACHE_BYTES)
        self.close = weakref.finalize(self, volume.close)


class _Handles(threading.local):
    """Each thread has files of its own: libraries keep a place in a file, which threads would share."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.kept: OrderedDict[tuple[Storage, str], Handle] = OrderedDict()


_handles = _Handles()


def handle_of(storage: Storage, fingerprint: str) -> Handle:
    """Give the open volume of a storage, and open it where it is not open; the last ``MOST_OPEN`` stay open."""
    if _handles.process != os.getpid():
        # After a fork, parent and child would share the place in a file.
        _handles.process = os.getpid()
        _handles.kept.clear()
    key = (storage, fingerprint)
    if key in _handles.kept:
        _handles.kept.move_to_end(key)
        return _handles.kept[key]
    handle = _handles.kept[key] = Handle(storage.open())
    while len(_handles.kept) > MOST_OPEN:
        _handles.kept.popitem(last=False)[1].close()
    return handle


def close_handle(storage: Storage, fingerprint: str) -> None:
    """Close a volume of this thread, if it is open."""
    handle = _handles.kept.pop((storage, fingerprint), None)
    if handle is not None:
        handle.close()


def close_volumes() -> None:
    """Close all volumes of this thread; the next read opens them again."""
    while _handles.kept:
        _handles.kept.popitem()[1].close()

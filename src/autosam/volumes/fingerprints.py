"""Cheap hashes of what a volume is."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_FILES = 200_000
"""Files of a store that are asked for size and time; of further ones only their folders."""
_LENGTH = 32


def hash_of(*facts: object) -> str:
    """Hash the texts of some values."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:_LENGTH]


def hash_files(paths: Iterable[Path], *facts: object) -> str:
    """Hash the names, sizes and times of files and of all files in folders, and some values.

    The folders that they lie in do not count, so that a copy which keeps times is the same. Of stores with more
    than ``MOST_FILES`` files, the times of the folders stand for the others.
    """
    found = hashlib.sha256(repr(facts).encode())
    for path in paths:
        found.update(repr(_state(path.name, path)).encode())
        if path.is_dir():
            for number, (name, inner) in enumerate(_inside(path)):
                if number < MOST_FILES or inner.is_dir():
                    found.update(repr(_state(name, inner)).encode())
    return found.hexdigest()[:_LENGTH]


def hash_array(array: NDArray[Any]) -> str:
    """Hash the numbers of an array, a part at a time."""
    found = hashlib.blake2b(repr((array.shape, array.dtype.str)).encode())
    for part in array if array.ndim > 2 else [array]:
        found.update(np.ascontiguousarray(part).data)
    return found.hexdigest()[:_LENGTH]


def _inside(folder: Path) -> Iterator[tuple[str, Path]]:
    for place, folders, files in os.walk(folder):
        folders.sort()
        inner = Path(place)
        yield from (((inner / name).relative_to(folder).as_posix(), inner / name) for name in sorted(files))
        yield from (((inner / name).relative_to(folder).as_posix(), inner / name) for name in folders)


def _state(name: str, path: Path) -> tuple[str, int, int]:
    stat = path.stat()
    # The size of a folder depends on the file system.
    return name, 0 if path.is_dir() else stat.st_size, stat.st_mtime_ns

"""The images of a file, listed once and not again for each of its pages."""

import stat
from functools import lru_cache
from pathlib import Path

from autosam.images.readers.registry import reader_of
from autosam.images.readers.stored import StoredImage


def list_images(path: Path, dataset: str | None, *, level: int = 0) -> tuple[StoredImage, ...]:
    """List the images of a file as its reader does; the last few files are remembered while they stay the same.

    Parameters and errors are those of `Reader.images`.
    """
    try:
        found = path.stat()
    except OSError:
        # A web address; or the reader says what is wrong.
        found = None
    if found is None or not stat.S_ISREG(found.st_mode):
        return reader_of(path).images(path, dataset, level=level)
    return _list_images(path, dataset, level, (found.st_mtime_ns, found.st_size, found.st_ino))


@lru_cache(maxsize=4)
def _list_images(
    path: Path, dataset: str | None, level: int, state: tuple[int, int, int]
) -> tuple[StoredImage, ...]:
    return reader_of(path).images(path, dataset, level=level)

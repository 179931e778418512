"""Whether an image is the one that results were made from: by its content, not by the place where it lies."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.images.formats import TIFF_SUFFIXES
from autosam.images.image_source import ImageSource
from autosam.images.multichannel import MultichannelImage

HEAD = 1 << 20
"""Bytes of a TIFF in which an OME-XML header is looked for, at its begin and at its end."""

_SET = re.compile(rb"FileName\s*=\s*[\"']([^\"']+)[\"']")


def origin_of(source: ImageSource | MultichannelImage) -> str:
    """Name an image with its whole path or URL, for the record; bytes that are no UTF-8 are escaped."""
    text = str(source.resolved())
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def content_of(channels: list[NDArray[Any]], pixel_size_nm: float | None) -> str:
    """Hash what a result depends on: types, shapes and values of pixels, and the pixel size."""
    digest = sha256(f"{pixel_size_nm}".encode())
    for pixels in channels:
        digest.update(f" {pixels.dtype.str} {pixels.shape} ".encode())
        digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


class Stamps:
    """Tells at once, without reading pixels, that no file of an image has changed; each file is asked once."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, ...]] = {}

    def of(self, source: ImageSource | MultichannelImage) -> str:
        """Give number and size of an image's files, and the newest times of content and of state, in ns.

        The time of state changes with every change of a file, and nobody can set it back. It is empty for what is
        no file.
        """
        try:
            each = [self._ask(one.path) for one in source.sources]
        except OSError:
            return ""
        number, size, content, state = zip(*each, strict=True)
        # Another channel or level of the same file is another image.
        part = "".join(
            f" c{one.channel} l{one.level}" for one in source.sources if one.channel is not None or one.level
        )
        return f"{sum(number)} {sum(size)} {max(content)} {max(state)}{part}"

    def _ask(self, path: Path) -> tuple[int, ...]:
        if path not in self._known:
            told = [os.stat(file) for file in _files(path)]
            self._known[path] = (
                len(told),
                sum(one.st_size for one in told),
                max(one.st_mtime_ns for one in told),
                max(one.st_ctime_ns for one in told),
            )
        return self._known[path]


def changed_after(source: ImageSource | MultichannelImage, result: Path) -> bool:
    """Tell whether an image's file was written after a result, for records that hold no hash."""
    try:
        made = result.stat().st_mtime
        return any(os.stat(file).st_mtime > made for one in source.sources for file in _files(one.path))
    except OSError:
        return True


def _files(path: Path) -> Iterator[Path]:
    """List the files that an image is read from: those of a folder, and all of an OME-TIFF set."""
    yield path
    if path.is_dir():
        for folder, _, names in os.walk(path):
            yield from (Path(folder) / name for name in names)
    elif path.suffix.lower() in TIFF_SUFFIXES:
        own = {path.name}
        for name in _named_in(path):
            if name not in own and (path.parent / name).is_file():
                own.add(name)
                yield path.parent / name


def _named_in(path: Path) -> list[str]:
    """List the files that the header of an OME-TIFF names."""
    with suppress(OSError), path.open("rb") as stream:
        head = stream.read(HEAD)
        stream.seek(max(stream.seek(0, os.SEEK_END) - HEAD, len(head)))
        text = head + stream.read(HEAD)
        if b"<OME" in text:
            return [os.fsdecode(name) for name in _SET.findall(text)]
    return []

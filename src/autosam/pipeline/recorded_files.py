"""Exports in the run record: which files are autosam's own, and may be replaced."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autosam.images import write_json
from autosam.images.folder_listing import RUN_RECORD
from autosam.pipeline.claims import locked
from autosam.pipeline.own_files import describe
from autosam.pipeline.record import EVERY
from autosam.report.exports.coco_json import is_ours

Noted = Mapping[str, Mapping[str, Any]]
"""Size and hash of files, by path below the folder of the record."""


def is_own(path: Path, folder: Path | None, noted: Noted) -> bool:
    """Tell whether a file is as autosam wrote it: by the record, or by what the file says of itself.

    Parameters
    ----------
    folder : Path or None
        Folder of the record; None where there is none.
    noted : mapping of str to mapping
        What the record says of the files of its image.
    """
    if is_ours(path):
        return True
    place, root = path.resolve(), None if folder is None else folder.resolve()
    if root is None or not place.is_relative_to(root):
        return False
    before = noted.get(place.relative_to(root).as_posix())
    return before is not None and describe(path)["sha256"] == before.get("sha256")


def note_files(folder: Path, written: Mapping[str, Sequence[Path]]) -> None:
    """Add files to those of their images in the run record of a folder.

    Files outside the folder are left out, and so are those of an image that the record does not name.

    Parameters
    ----------
    written : mapping of str to sequence of Path
        Files by the name of the image.
    """
    root = folder.resolve()
    # Before the lock, which others wait for: hashing large files takes long.
    noted = {
        name: {
            file.relative_to(root).as_posix(): describe(file)
            for file in (one.resolve() for one in files)
            if file.is_relative_to(root)
        }
        for name, files in written.items()
    }
    if not any(noted.values()):
        return
    path = folder / RUN_RECORD
    with locked(folder):
        record = json.loads(path.read_text(encoding="utf-8"))
        for name, files in noted.items():
            entry = record["images"].get(name)
            if entry is not None and files:
                # Records of autosam 0.2 name no files; whether those are as it wrote them is not known.
                entry.setdefault("files", {})
                entry["files"] |= files
        write_json(path, record)


class FileNotes:
    """Takes note of files in a run record, not of each one alone: a record can be large."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._new: dict[str, list[Path]] = {}
        self._written = time.monotonic()

    def add(self, name: str, files: list[Path]) -> None:
        """Keep the files of an image."""
        self._new[name] = files
        if time.monotonic() - self._written > EVERY:
            self.write()

    def write(self) -> None:
        """Write what is new."""
        if self._folder is not None:
            note_files(self._folder, self._new)
        self._new.clear()
        self._written = time.monotonic()

"""Where corrected results may go."""

import json
from pathlib import Path

from autosam.errors import InputError, OutputError
from autosam.images.folder_listing import RUN_RECORD

CORRECTIONS_SHA256 = "corrections_sha256"
"""The option in a run record that tells corrected results: a hash of their corrections."""


def check_place(results: Path, out: Path, *, overwrite: bool) -> None:
    """Refuse a folder of corrected results that is not free.

    Raises
    ------
    InputError
        If it is the folder of the results, or lies within it or around it.
    OutputError
        If it is there already and ``overwrite`` is off, something else than corrected results is there, or it is
        the current folder.
    """
    if not out.name:
        raise OutputError(f"--output {out} has no name of its own; give that of a new folder")
    place, source = out.resolve(), results.resolve()
    if place == source or source in place.parents or place in source.parents:
        raise InputError(
            f"--output {out} is the folder of results {results}, holds it or lies in it; choose another folder"
        )
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists():
        if not is_corrected(out):
            raise OutputError(f"{out} is there and holds no corrected results; choose another folder")
        if not overwrite:
            raise OutputError(f"{out} holds corrected results; choose another folder, or add --overwrite")


def is_corrected(folder: Path) -> bool:
    """Tell whether a folder holds results that `autosam apply` wrote."""
    try:
        record = json.loads((folder / RUN_RECORD).read_text(encoding="utf-8"))
        return CORRECTIONS_SHA256 in record["options"]
    except (OSError, ValueError, KeyError, TypeError):
        return False

"""What a folder of results holds: labels, and what the run record says of them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.config.old_names import RECORD_FIELDS, renamed
from autosam.errors import ConfigError, InputError, listed
from autosam.images import find_sources, read_labels, read_pixel_size
from autosam.images.folder_listing import RUN_RECORD
from autosam.images.formats import WRITTEN_SUFFIXES


@dataclass(frozen=True, eq=False)
class FoundLabels:
    """The labels of one image or volume, and what is known of them.

    Attributes
    ----------
    name : str
        That of the image; with the folder that it was found in, by slashes.
    read : callable
        Reads the labels, (H, W) or (Z, Y, X); an `InputError` if they cannot be read.
    file : Path or None
        Where they lie; None for labels in a store.
    image : str or None
        The image that they were made from, as the run record names it.
    options : mapping
        Options of the run that made them.
    pixel_size_nm : float or None
        Side of a pixel, where it is known.
    kind : str
        What the objects are called.
    table : Path or None
        Their table of instances.
    noted : mapping of str to mapping
        Size and hash of the files that the record names, by path below the folder.
    by_parts : bool
        They are of an image that was segmented by parts, and may be too large for memory.
    """

    name: str
    read: Callable[[], NDArray[np.integer[Any]]]
    file: Path | None = None
    image: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    pixel_size_nm: float | None = None
    kind: str = "object"
    table: Path | None = None
    noted: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    by_parts: bool = False


@dataclass(frozen=True)
class FoundResults:
    """The labels of a folder in the order of the record, and sentences on what is missing."""

    labels: tuple[FoundLabels, ...]
    notes: tuple[str, ...]


def open_results(folder: Path) -> FoundResults:
    """List the labels that the run record of a folder names.

    Raises
    ------
    ConfigError
        If the record is damaged.
    """
    path = folder / RUN_RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        runs = {str(record.get("run", 1)): record, **record.get("earlier_runs", {})}
        entries = {name: renamed(entry, RECORD_FIELDS) for name, entry in record["images"].items()}
        options = {number: dict(run.get("options") or {}) for number, run in runs.items()}
        kinds = {number: Path(str(run.get("model") or "object")).stem for number, run in runs.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"the run record {path} is damaged; give the label files themselves, or segment again"
        ) from error
    found: list[FoundLabels] = []
    failed: list[str] = []
    missing: list[str] = []
    last = str(record.get("run", 1))
    for name, entry in entries.items():
        start = folder / name
        file = _labels_of(start, entry)
        if "error" in entry or file is None:
            (failed if "error" in entry else missing).append(name)
            continue
        table = start.with_name(f"{start.name}_instances.csv")
        run = str(entry.get("run", last))
        found.append(
            FoundLabels(
                name,
                partial(read_labels, file),
                file,
                image=str(entry["input"]) if "input" in entry else None,
                options=options.get(run, {}),
                pixel_size_nm=entry.get("pixel_size_nm"),
                kind=kinds.get(run, "object"),
                table=table if table.is_file() else None,
                noted=entry.get("files") or {},
                by_parts=bool(entry.get("by_parts")),
            )
        )
    notes = []
    if failed:
        notes.append(f"{listed(failed, 3)} failed when the images were segmented, and are left out")
    if missing:
        notes.append(f"the labels of {listed(missing, 3)} are not there any more, and are left out")
    return FoundResults(tuple(found), tuple(notes))


def label_pixel_size(file: Path) -> float | None:
    """Read the pixel size that a label file carries; None where it says none or cannot be read as an image."""
    try:
        return read_pixel_size(find_sources([file])[0])
    except InputError:
        return None


def _labels_of(start: Path, entry: Mapping[str, Any]) -> Path | None:
    """Find the label file of an image: the one that the record names, or the newest."""
    beside = [start.with_name(f"{start.name}_labels{suffix}") for suffix in WRITTEN_SUFFIXES]
    noted = {Path(name).name for name in entry.get("files") or {}}
    there = [file for file in beside if file.exists()]
    return next((file for file in there if file.name in noted), None) or max(
        there, key=lambda file: file.stat().st_mtime, default=None
    )

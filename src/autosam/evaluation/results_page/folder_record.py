"""The run record of a folder of results, as the report needs it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from autosam.config.old_names import RECORD_FIELDS, renamed
from autosam.errors import ConfigError, InputError
from autosam.images.folder_listing import RUN_RECORD

_WANTED = "autosam report takes"
_FOLDER = "a folder that autosam segment wrote"


@dataclass(frozen=True)
class RunFacts:
    """One run: what made some of the images of a folder.

    Attributes
    ----------
    number : str
        By which the entries of its images name it.
    settings, options : mapping
        As the record has them; a record of another version may lack some or have others.
    """

    number: str
    autosam: str
    model: str
    model_sha256: str
    started: str
    settings: Mapping[str, Any]
    options: Mapping[str, Any]

    @property
    def model_name(self) -> str:
        """The model as a report names it: without its folder."""
        return PurePath(self.model).name


@dataclass(frozen=True)
class FolderRecord:
    """The runs of a folder that made any of its images, the last one first, and the entry of each image."""

    runs: tuple[RunFacts, ...]
    entries: Mapping[str, Mapping[str, Any]]

    def run_of(self, entry: Mapping[str, Any]) -> RunFacts:
        """Give the run that made an image."""
        return next((run for run in self.runs if run.number == str(entry.get("run"))), self.runs[0])

    def of_run(self, run: RunFacts) -> dict[str, Mapping[str, Any]]:
        """Give the entries of the images that a run made."""
        return {name: entry for name, entry in self.entries.items() if self.run_of(entry) is run}


def without_folders(text: str) -> str:
    """Leave the folders of absolute paths out of a text: a report is sent to others, who need not know them.

    Of a folder whose name has a space, what comes before the last space stays.

    Examples
    --------
    >>> without_folders("/home/me/a.tif cannot be read: no TIFF, nor is '/x/b.tif'; 3/4 of it")
    "a.tif cannot be read: no TIFF, nor is 'b.tif'; 3/4 of it"
    """
    return re.sub(r"(?<![\w.~)/])(?:[A-Za-z]:)?[\\/](?:[^\s\\/:;,'\"]+[\\/])+", "", text)


def read_record(folder: Path, *, wanted: str = _WANTED) -> FolderRecord:
    """Read the run record of a folder of results, of this version or another one.

    Parameters
    ----------
    wanted : str
        Begin of what a message says of the folder that was wanted.

    Raises
    ------
    InputError
        If it is no such folder, or holds the results of a volume, or no image is recorded yet.
    ConfigError
        If the record is damaged.
    """
    _check_folder(folder, f"{wanted} {_FOLDER}")
    path = folder / RUN_RECORD
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        last = str(found.get("run", 1))
        blocks = {last: found, **{str(number): block for number, block in found.get("earlier_runs", {}).items()}}
        entries = {name: {"run": last, **renamed(entry, RECORD_FIELDS)} for name, entry in found["images"].items()}
        used = {str(entry["run"]) for entry in entries.values()}
        runs = tuple(_run_of(number, block) for number, block in blocks.items() if number in used)
        for entry in entries.values():
            _check_entry(entry)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"the run record {path} is damaged or half written; repeat autosam segment with --overwrite"
        ) from error
    if not entries:
        raise InputError(f"{path} names no image yet; repeat autosam segment first")
    if not runs:
        raise ConfigError(f"the run record {path} does not say which run made its images; segment them again")
    return FolderRecord(runs, entries)


def _run_of(number: str, block: Mapping[str, Any]) -> RunFacts:
    return RunFacts(
        number=number,
        autosam=str(block.get("autosam", "")),
        model=str(block.get("model", "")),
        model_sha256=str(block.get("model_sha256", "")),
        started=str(block.get("started", "")),
        settings=dict(block["settings"]),
        options=dict(block.get("options") or {}),
    )


def _check_entry(entry: Mapping[str, Any]) -> None:
    """Refuse an entry whose numbers are none, with a `ValueError` or `TypeError`."""
    if "error" in entry:
        return
    for field in ("rows", "columns", "instances", "novelty", "seconds", "pixel_size_nm", "inside_px"):
        if entry.get(field) is not None:
            float(entry[field])
    if not isinstance(entry.get("warnings", []), list) or not isinstance(entry.get("files") or {}, dict):
        raise TypeError("warnings and files of an entry")


def _check_folder(folder: Path, wanted: str) -> None:
    if (folder / RUN_RECORD).is_file():
        return
    of_volume = sorted(folder.glob("*_run.json")) if folder.is_dir() else []
    beside = folder.with_name(f"{folder.name.partition('.')[0]}_run.json")
    if of_volume or (beside.is_file() and folder.exists()):
        raise InputError(
            f"{folder} holds the results of autosam volume, and {wanted}; look at NAME_sheet.png, or at the "
            "volume with autosam view"
        )
    if not folder.exists():
        raise InputError(f"{folder}: no such folder; {wanted}")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; {wanted}")
    raise InputError(f"{folder} holds no {RUN_RECORD}; {wanted}")

"""Lists that say what is compared: stems of files, or pairs of them."""

import csv
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from autosam.errors import InputError
from autosam.evaluation.find_labels import find_labels, find_one
from autosam.evaluation.label_sources import label_files
from autosam.evaluation.pairing import Pair, choose_masks
from autosam.images.csv_text import read_rows
from autosam.images.image_source import split_dataset
from autosam.images.label_names import without_suffix
from autosam.images.valid_masks import valid_beside

_COLUMNS = ("pred", "truth")


def read_stems(source: str) -> list[str]:
    """Read the stems to compare from a text file, one per line, or from ``FILE.json:dotted.key``.

    Blank lines and lines that begin with # are skipped; a known suffix is taken off.

    Raises
    ------
    InputError
        If the file cannot be read, or holds no such list or an empty one.
    """
    path, key = Path(source), ""
    if not path.is_file():
        before, _, key = source.rpartition(":")
        path = Path(before or source)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"list {source} cannot be read ({error}): give FILE or FILE.json:key") from error
    if path.suffix == ".json":
        stems = _stems_of_json(text, key, path)
    elif key:
        raise InputError(f"list {source} has the key {key!r}, but only .json files have keys: leave it out")
    else:
        # A spreadsheet's list may have quotes, and empty cells behind the first.
        lines = (line.strip().rstrip(",;").strip().strip('"') for line in text.splitlines())
        stems = [line for line in lines if line and not line.startswith("#")]
    if not stems:
        raise InputError(f"list {source} is empty: name at least one image")
    return [without_suffix(stem) for stem in stems]


def read_pairs(path: Path, *, valid: str | None = None) -> list[Pair]:
    """Read the pairs to compare from a CSV file with a heading.

    Parameters
    ----------
    path : Path
        Columns ``pred`` and ``truth``, one label file each (``file.h5:/dataset`` too), and ``name`` and ``valid``
        if wanted, the latter a mask of the pixels that count; other columns are not read. Relative paths start
        at the folder of the CSV file, so that a list and its files can be moved together. Without a name a pair
        is called by the stem of its prediction. Blank lines are skipped.
    valid : str, optional
        As of `choose_masks`, for pairs without a mask of their own.

    Returns
    -------
    list of Pair
        In the order of the file.

    Raises
    ------
    InputError
        If the file cannot be read or has no pairs; else one error that names every fault by its line: a cell
        without a path, a file that is not there or holds several images, a name that is taken or is no file name.
    """
    try:
        found = list(read_rows(path.read_text(encoding="utf-8-sig"), (*_COLUMNS, "name")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"list of pairs {path} cannot be read ({error}): give a CSV file in UTF-8") from error
    columns = found[0][1] if found else []
    lacking = [column for column in _COLUMNS if column not in columns]
    if lacking:
        there = ", ".join(columns) or "none"
        raise InputError(
            f"{path} has no column {' and '.join(lacking)} (its columns: {there}): begin it with pred,truth"
        )
    pairs: list[Pair] = []
    faults: list[str] = []
    lines: dict[str, int] = {}
    # Each row is a file of its own, and their masks lie in one folder: it is listed once.
    beside, files = cache(valid_beside), cache(label_files)
    for line, row in found[1:]:
        cells = dict.fromkeys(columns, "") | dict(zip(columns, row, strict=False))
        wrong = [fault for column in _COLUMNS if (fault := _fault(path.parent, cells[column], column))]
        paths = [str(path.parent / cells[column]) for column in _COLUMNS]
        if not wrong:
            name = cells.get("name") or next(iter(label_files(paths[0]).slices))
            if name != Path(name).name:
                wrong.append(f"the name {name!r} is no file name")
            elif name in lines:
                wrong.append(
                    f"the name {name} is that of line {lines[name]}; add a column name to tell them apart"
                )
            lines.setdefault(name, line)
            try:
                mask = str(path.parent / cells["valid"]) if cells.get("valid") else valid
                truth = choose_masks(find_labels(paths[1]), mask, beside=beside, files=files)
                masks = [*truth.valid.values(), None]
                pairs.append(Pair(name, find_one(paths[0]), find_one(paths[1]), masks[0]))
            except InputError as error:
                wrong.append(str(error))
        faults += [f"line {line}: {fault}" for fault in wrong]
    if faults:
        raise InputError(f"{len(faults)} fault{'s' * (len(faults) > 1)} in {path}: {'; '.join(faults)}")
    if not pairs:
        raise InputError(f"{path} lists no pairs: add a line PREDICTION,TRUTH for each")
    return pairs


def _fault(folder: Path, cell: str, column: str) -> str | None:
    if not cell:
        return f"no {column}"
    file, _ = split_dataset(str(folder / cell))
    if not file.exists():
        return f"no file {file}"
    if file.is_dir() and file.suffix.lower() != ".zarr":
        return f"{file} is a folder, not a label file"
    return None


def _stems_of_json(text: str, key: str, path: Path) -> list[str]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InputError(f"list {path} is not valid JSON ({error}): correct the file") from error
    found = document
    for part in filter(None, key.split(".")):
        found = found.get(part) if isinstance(found, dict) else None
    if not isinstance(found, list) or not all(isinstance(stem, str) for stem in found):
        known = ", ".join(_keys_of_lists(document)) or "none"
        raise InputError(f"list {path} has no list of stems at {key!r}: its keys of lists are {known}")
    return found


def _keys_of_lists(document: Any, prefix: str = "") -> Iterable[str]:
    if isinstance(document, list):
        yield prefix
    elif isinstance(document, dict):
        for key, value in document.items():
            yield from _keys_of_lists(value, f"{prefix}.{key}" if prefix else key)

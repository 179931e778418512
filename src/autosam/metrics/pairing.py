"""Which prediction file belongs to which truth file."""

import glob
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosam.errors import InputError
from autosam.images.read import LABEL_SUFFIXES
from autosam.images.source import split_dataset

# A stem goes without `.ome` too, so the longer endings come first.
_ENDINGS = (".ome.tif", ".ome.tiff", ".ome.zarr", *LABEL_SUFFIXES)


@dataclass(frozen=True)
class Pair:
    """A prediction and its truth.

    Attributes
    ----------
    name : str
        The stem that they share.
    pred, truth : str
        Paths; of HDF5 with ``:/dataset`` where it was given.
    """

    name: str
    pred: str
    truth: str


def pair_files(pred: str, truth: str, *, stems: Sequence[str] | None = None) -> list[Pair]:
    """Pair the label files of two places by stem.

    A place is a file, ``file.h5:/dataset``, a folder or a glob pattern. In the output folder of
    ``autosam segment`` only the ``NAME_labels.*`` files count, and ``NAME`` is their stem. Two single files
    are a pair whatever their names; one single file is compared with the file of its stem alone.

    Parameters
    ----------
    pred, truth : str
        The two places.
    stems : sequence of str, optional
        Compare these alone; by default all must have a partner.

    Returns
    -------
    list of Pair
        Sorted by name.

    Raises
    ------
    InputError
        If a place does not exist or has no label files, two files share a stem, or partners are missing:
        every missing one is named.
    """
    preds, truths = _label_files(pred), _label_files(truth)
    if stems is None:
        if len(preds) == len(truths) == 1 and _is_one_file(pred) and _is_one_file(truth):
            (name, pred_file), (truth_file,) = next(iter(preds.items())), truths.values()
            return [Pair(name, pred_file, truth_file)]
        lone = [files for place, files in ((pred, preds), (truth, truths)) if _is_one_file(place)]
        wanted = sorted(lone[0] if lone else preds.keys() | truths.keys())
    else:
        wanted = sorted(set(stems))
    faults = [
        f"{what} for {', '.join(missing)} in {place}"
        for what, place, files in (("no prediction", pred, preds), ("no truth", truth, truths))
        if (missing := [stem for stem in wanted if stem not in files])
    ]
    if faults:
        raise InputError(
            f"{'; '.join(faults)}: add the files, or give --list with the stems that are to be compared"
        )
    return [Pair(name, preds[name], truths[name]) for name in wanted]


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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"list {source} cannot be read ({error}): give FILE or FILE.json:key") from error
    if path.suffix == ".json":
        stems = _stems_of_json(text, key, path)
    elif key:
        raise InputError(f"list {source} has the key {key!r}, but only .json files have keys: leave it out")
    else:
        lines = (line.strip() for line in text.splitlines())
        stems = [line for line in lines if line and not line.startswith("#")]
    if not stems:
        raise InputError(f"list {source} is empty: name at least one image")
    return [_without_suffix(stem) for stem in stems]


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


def _label_files(place: str) -> dict[str, str]:
    path = Path(place)
    if _is_one_file(place):
        candidates = [place]
    elif path.is_dir():
        candidates = [str(file) for file in sorted(path.iterdir())]
    elif glob.has_magic(place):
        candidates = sorted(glob.glob(place, recursive=True))
    else:
        raise InputError(f"{place} does not exist: give a label file, a folder or a quoted pattern")
    files = candidates if _is_one_file(place) else [c for c in candidates if _is_label_file(c)]
    # The pictures beside the labels in an output folder are not labels.
    files = [f for f in files if _stem(f).endswith("_labels")] or files
    by_stem: dict[str, list[str]] = {}
    for file in files:
        by_stem.setdefault(_stem(file).removesuffix("_labels"), []).append(file)
    if not by_stem:
        raise InputError(f"{place} holds no label files: wanted names ending in {', '.join(LABEL_SUFFIXES)}")
    doubled = [" and ".join(same) for same in by_stem.values() if len(same) > 1]
    if doubled:
        raise InputError(f"files share a stem: {'; '.join(doubled)}: move one of each away or give a pattern")
    return {stem: same[0] for stem, same in by_stem.items()}


def _is_one_file(place: str) -> bool:
    path, _ = split_dataset(place)
    return path.is_file() or (path.is_dir() and path.suffix.lower() == ".zarr")


def _is_label_file(name: str) -> bool:
    hidden = Path(name).name.startswith(".")
    return not hidden and name.lower().endswith(LABEL_SUFFIXES) and _is_one_file(name)


def _stem(place: str) -> str:
    return _without_suffix(split_dataset(place)[0].name)


def _without_suffix(name: str) -> str:
    return next((name[: -len(s)] for s in _ENDINGS if name.lower().endswith(s)), name)

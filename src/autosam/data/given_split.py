"""Parts from a release or a paper: lists of names in a JSON file, as `autosam train` reads them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from autosam.data.manifest import SPLITS, Item, as_name
from autosam.data.refusal import refuse_faults
from autosam.data.split import Splits
from autosam.errors import InputError
from autosam.images import write_json
from autosam.images.read import read_json

# Lists of images that are kept out of every part.
GAP = "gap"
_KNOWN = ", ".join((*SPLITS, GAP))

Lists = dict[str, list[str]]


def read_lists(path: Path, source: str | None, *, default: str) -> tuple[str, Lists]:
    """Read the lists of one source from a JSON file ``{source: {part: [name, ...]}}``.

    Without a source, the only one in the file is taken, or `default`, the store's own. The result is the source
    and its lists: those of "train", "val", "test" and "gap" that there are. Other files are refused.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a split file; wanted {{source: {{train: [...], val: [...]}}}}.")
    name = source
    if name is None:
        name = next(iter(content)) if len(content) == 1 else default
    if name not in content:
        raise InputError(
            f"{path} has no source {name}; name one of {', '.join(content) or 'none'} as {path}:SOURCE."
        )
    lists = content[name]
    if not isinstance(lists, dict) or not all(
        isinstance(names, list) and all(isinstance(entry, str) for entry in names) for names in lists.values()
    ):
        raise InputError(f"{path}: {name} is not a set of lists of names; wanted {{train: [...], val: [...]}}.")
    unknown = sorted(set(lists) - {*SPLITS, GAP})
    if unknown:
        raise InputError(f"{path}: {name} has the unknown part {', '.join(unknown)}; wanted {_KNOWN}.")
    return name, lists


def write_lists(path: Path, source: str, lists: Lists) -> None:
    """Write the lists of one source, and keep those of other sources that the file has.

    Raises
    ------
    InputError
        If the file is there and holds something else.
    OutputError
        If it cannot be written.
    """
    content: object = read_json(path) if path.exists() else {}
    if not isinstance(content, dict):
        raise InputError(f"{path} exists and is not a split file; choose another name")
    write_json(path, content | {source: lists})


def given_splits(items: Sequence[Item], lists: Mapping[str, Sequence[str]], *, name: str) -> Splits:
    """Find the images that lists name.

    Each entry is an image's name, or the stem of the file that it came from. Where no image has that name, its
    last number is the z of a slice, if just one slice has it. The result has every image; None for those in no
    list or in the list "gap". `name` is that of the lists, for messages.

    Raises
    ------
    InputError
        Naming every entry that fits no image or several, and every image that is listed twice.

    Examples
    --------
    >>> slices = [Item(f"v_z000{z}", "", "v", z, (4, 4), "uint8", None) for z in range(3)]
    >>> given_splits(slices, {"train": ["0000"], "val": ["0002"]}, name="v")
    {'v_z0000': 'train', 'v_z0001': None, 'v_z0002': 'val'}
    """
    names = {item.name for item in items}
    by_z: dict[int, list[str]] = {}
    for item in items:
        if item.z is not None:
            by_z.setdefault(item.z, []).append(item.name)
    splits: Splits = dict.fromkeys(item.name for item in items)
    faults: list[str] = []
    times: Counter[str] = Counter()
    for part, entries in lists.items():
        for entry in entries:
            found = _find(entry, names, by_z)
            if len(found) != 1:
                fits = f"{len(found)} images: {', '.join(found[:3])}" if found else "no image"
                faults.append(f"{entry} of {part} fits {fits}")
                continue
            times[found[0]] += 1
            splits[found[0]] = None if part == GAP else part  # type: ignore[assignment]
    faults += [f"{image} is listed {count} times" for image, count in times.items() if count > 1]
    refuse_faults(faults, f"the lists of {name}")
    return splits


def _find(entry: str, names: set[str], by_z: Mapping[int, list[str]]) -> list[str]:
    for candidate in (entry, as_name(entry)):
        if candidate in names:
            return [candidate]
    digits = re.findall(r"\d+", entry)
    return by_z.get(int(digits[-1]), []) if digits else []

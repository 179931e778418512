"""Groups of images, from a table that the user gives."""

import csv
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from autosam.errors import InputError, listed
from autosam.images.csv_text import read_rows
from autosam.images.label_names import without_suffix

_COLUMNS = ("image", "group")


def read_groups(path: Path, names: Collection[str], *, failed: Collection[str] = ()) -> dict[str, str]:
    """Read which group each image is in.

    Parameters
    ----------
    path : Path
        CSV file with the columns ``image`` and ``group``; others are not read. An image is named as in the
        results, with its suffix or without, and without its folder where no other image has that name.
    names : collection of str
        Of the images that have results.
    failed : collection of str
        Of images without results, which may stand in the table.

    Returns
    -------
    dict of str to str
        Group by the name of the image, in the order of the file.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a column or any row; else one error that names images that are in the
        results under no name, rows without a group, and images in two groups.
    """
    try:
        rows = list(read_rows(path.read_text(encoding="utf-8-sig"), _COLUMNS))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"--groups {path} cannot be read ({error}); give a CSV file in UTF-8 with image,group"
        ) from error
    columns = rows[0][1] if rows else []
    lacking = [column for column in _COLUMNS if column not in columns]
    if lacking:
        raise InputError(
            f"--groups {path} has no column {' and '.join(lacking)} (its columns: "
            f"{', '.join(columns) or 'none'}); begin it with image,group"
        )
    known = _by_any_name({*names, *failed})
    groups: dict[str, str] = {}
    unknown: list[str] = []
    faults: list[str] = []
    for line, cells in rows[1:]:
        given = dict.fromkeys(_COLUMNS, "") | dict(zip(columns, cells, strict=False))
        image, group = given["image"], given["group"]
        name = known.get(image) or known.get(without_suffix(PurePosixPath(image).as_posix()))
        if not group:
            faults.append(f"line {line}: {image or 'a row'} has no group")
        elif name is None:
            unknown.append(image)
        elif groups.setdefault(name, group) != group:
            faults.append(f"line {line}: {image} is in {groups[name]} and in {group}")
    if unknown:
        faults.insert(0, f"no results of {listed(list(dict.fromkeys(unknown)))}")
    if faults:
        raise InputError(f"--groups {path}: {'; '.join(faults[:5])}; correct the table, or segment these images")
    groups = {name: group for name, group in groups.items() if name in names}
    if not groups:
        raise InputError(f"--groups {path} names no image that has results; add a row image,group for each")
    return groups


def _by_any_name(names: Collection[str]) -> Mapping[str, str]:
    """Index images by their names, and by those without a folder that only one has."""
    alone: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        alone[PurePosixPath(name).name].append(name)
    return {bare: of[0] for bare, of in alone.items() if len(of) == 1} | {name: name for name in names}

"""The file ``corrections.csv``: a prompt table with an action.

One row is one point, one box, one object or one mask; rows with the same ``action_id`` are one correction::

    image,object,row,col,label,row_min,col_min,row_max,col_max,action_id,action,by,mask,results
    a,3,,,,,,,,1,accept,model,,sha256:0f3a…
    a,5,,,,,,,,2,merge,hand,,sha256:0f3a…
    a,6,,,,,,,,2,merge,hand,,sha256:0f3a…
    a,,120.5,88,1,,,,,3,add,sam,,sha256:0f3a…
    a,,131,60,0,,,,,3,add,sam,,sha256:0f3a…

A file grows by whole corrections, and is replaced when the new one is whole. What would be lost is kept as a copy.
"""

import csv
import io
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from autosam.errors import InputError
from autosam.images.write import atomic_path, write_text
from autosam.pipeline.claims import locked
from autosam.prompts.table import BOX_COLUMNS, write_number
from autosam.prompts.table import COLUMNS as PROMPT_COLUMNS
from autosam.review.correction_rows import LONGEST_ID, Rows
from autosam.review.corrections import Correction, fault_in, standing

COLUMNS = (*PROMPT_COLUMNS, "action_id", "action", "by", "mask", "results")
CORRECTIONS = "*corrections*.csv"
"""The files of corrections of a folder."""
FURTHER = "further_corrections.csv"
"""Corrections of a folder whose ``corrections.csv`` was applied."""

_HEADER = ",".join(COLUMNS) + "\n"


def read_corrections(path: str | Path) -> list[Correction]:
    """Read the corrections that stand: without those that an ``undo`` has taken back.

    Parameters
    ----------
    path : str or Path
        A CSV file as the module describes it, in UTF-8. Semicolons or tabs between cells and decimal commas are
        understood, too. The columns of `Correction` that nobody used may be missing.

    Returns
    -------
    list of Correction
        In the order of each correction's first row; empty where the file has none.

    Raises
    ------
    InputError
        If the file cannot be read; or with all its faults and their line numbers.
    """
    return standing(_read(Path(path)))


def append_corrections(path: str | Path, corrections: Iterable[Correction]) -> list[Correction]:
    """Add corrections at the end of a file, which is made where there is none.

    The file is replaced when the new one is whole; processes that append at once wait for each other. A file that
    a spreadsheet has saved in a form of its own is brought to the form of `write_corrections`, and kept as a copy.

    Parameters
    ----------
    corrections : iterable of Correction
        One without an ``action_id`` gets the next number.

    Returns
    -------
    list of Correction
        The same with their ids.

    Raises
    ------
    InputError
        If the file is damaged; or a correction is unsound, has an id that the file has already, or takes back one
        that it has not. Nothing is written then.
    OutputError
        If the file cannot be written.
    """
    added = extend_corrections(path, lambda _: corrections)
    with locked(Path(path).parent):
        if not Path(path).exists():
            write_text(path, _HEADER)
    return added


def extend_corrections(
    path: str | Path, choose: Callable[[list[Correction]], Iterable[Correction]]
) -> list[Correction]:
    """Add corrections that are chosen by what stands in the file, as `append_corrections` adds them.

    No other program can add anything between the look at the file and the new rows.

    Parameters
    ----------
    choose : callable
        Gets the corrections that stand, as `read_corrections` gives them; without a file, none. Gives those to
        add. Nothing is written if it gives none or raises an error.

    Returns
    -------
    list of Correction
        Those that were added, with their ids.

    Raises
    ------
    InputError, OutputError
        As `append_corrections` does.
    """
    path = Path(path)
    with locked(path.parent):
        there = _read(path) if path.exists() else []
        added = _with_ids(list(choose(standing(there))), there)
        if added and path.exists() and not _is_own(path):
            _write(path, [*there, *added])
        elif added:
            text = path.read_text(encoding="utf-8") if path.exists() else _HEADER
            write_text(path, text + _rows_of(added))
    return added


def write_corrections(path: str | Path, corrections: Sequence[Correction]) -> Path | None:
    """Write corrections so that `read_corrections` gives them back.

    Returns
    -------
    Path or None
        The copy of what the file held before, ``NAME.1.csv`` or the next free number; None where nothing of it is
        lost.

    Raises
    ------
    InputError
        If a correction is unsound, or two have one id. Nothing is written then.
    OutputError
        If a file cannot be written.
    """
    path = Path(path)
    with locked(path.parent):
        return _write(path, _with_ids(list(corrections), []))


def keep_corrections(before: Path, folder: Path) -> None:
    """Copy the files of corrections of a folder into the one that takes its place.

    Those that were not applied yet are about the labels of before, so they get a number: ``NAME.1.csv``.
    """
    for path in sorted(before.glob(CORRECTIONS)):
        kept = folder / path.name
        shutil.copyfile(path, free_name(kept) if path.name == FURTHER else kept)


def _write(path: Path, corrections: Iterable[Correction]) -> Path | None:
    text, copy = corrections_text(corrections), None
    if path.exists():
        before = path.read_bytes()
        if not text.encode().startswith(before):
            copy = free_name(path)
            with atomic_path(copy) as temporary:
                temporary.write_bytes(before)
    write_text(path, text)
    return copy


def _read(path: Path) -> list[Correction]:
    """Read everything, also what was taken back, and what took it back."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(
            f"there is no file {path}; give the table of corrections that autosam review saves"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"corrections {path} cannot be read ({error}), wanted a CSV file in UTF-8") from error
    rows = Rows(COLUMNS)
    try:
        rows.read(text)
    except csv.Error as error:
        rows.faults.append((0, f"not a CSV file ({error})"))
    found = rows.corrections()
    if rows.faults:
        listed = "; ".join(f"line {line}: {fault}" if line else fault for line, fault in sorted(rows.faults))
        raise InputError(f"corrections {path} are not usable: {listed}: correct and run again")
    return found


def _with_ids(corrections: list[Correction], there: Sequence[Correction]) -> list[Correction]:
    """Give corrections their ids, and refuse those that cannot be written after others."""
    known = {one.action_id: one.action for one in there}
    numbers = [int(one) for one in known if _is_number(one)]
    numbers += [int(one.action_id) for one in corrections if _is_number(one.action_id)]
    last = max(numbers, default=0)
    added = []
    for one in corrections:
        if not one.action_id and one.action != "undo":
            last += 1
            one = replace(one, action_id=str(last))
        fault = fault_in(one)
        if one.action == "undo" and known.get(one.action_id, "undo") == "undo":
            fault = f"there is no action {one.action_id!r} to undo"
        elif one.action != "undo" and one.action_id in known:
            fault = f"there is an action {one.action_id!r} already"
        elif one.action != "undo" and not one.image:
            fault = "no image"
        if fault:
            raise InputError(f"correction {one.action_id or '?'} of {one.image or '?'}: {fault}")
        known[one.action_id] = one.action
        added.append(one)
    return added


def _is_number(action_id: str) -> bool:
    return action_id.isdecimal() and len(action_id) <= LONGEST_ID


def _is_own(path: Path) -> bool:
    """Tell whether more rows can follow a file as it is."""
    content = path.read_bytes()
    return content.startswith(_HEADER.encode()) and content.endswith(b"\n")


def corrections_text(corrections: Iterable[Correction]) -> str:
    """Write corrections as the text of a file; the same corrections always give the same text."""
    return _HEADER + _rows_of(corrections)


def _rows_of(corrections: Iterable[Correction]) -> str:
    lines = io.StringIO()
    table = csv.DictWriter(lines, COLUMNS, restval="", lineterminator="\n")
    for one in corrections:
        known = {"action_id": one.action_id, "action": one.action}
        if one.action != "undo":
            known |= {"image": one.image, "by": one.made_by, "results": one.results}
        table.writerows(known | cells for cells in _cells_of(one))
    return lines.getvalue()


def _cells_of(one: Correction) -> list[dict[str, str]]:
    """Give the cells in which the rows of a correction differ."""
    parts: list[dict[str, str]] = [
        {"row": write_number(row), "col": write_number(col), "label": str(label)}
        for (row, col), label in zip(one.points, one.point_labels, strict=True)
    ]
    if one.box is not None:
        parts.append(dict(zip(BOX_COLUMNS, map(write_number, one.box), strict=True)))
    if one.mask:
        parts.append({"mask": one.mask})
    objects = [{"object": str(number)} for number in one.objects]
    if len(objects) == 1:
        return [objects[0] | part for part in parts or [{}]]
    return objects or parts or [{}]


def free_name(path: Path) -> Path:
    """Give the first of ``NAME.1``, ``NAME.2`` and so on that is not taken."""
    number = 1
    while (copy := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    return copy

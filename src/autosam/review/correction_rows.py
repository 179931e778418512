"""From the rows of ``corrections.csv`` to corrections, with every fault and its line."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from autosam.images.csv_text import read_rows
from autosam.prompts.table import BOX_COLUMNS, POINT_COLUMNS, read_number
from autosam.review.corrections import ACTIONS, MAKERS, Correction, fault_in

_SAME = ("image", "action", "by", "results")
"""Cells that all rows of a correction have in common; later rows may leave them empty."""
LONGEST_ID = 18
"""Most digits of a number that stands for an object or an action."""


@dataclass
class _Rows:
    """One correction while its rows come in."""

    lines: list[int]
    cells: dict[str, str]
    objects: list[int] = field(default_factory=list)
    points: list[tuple[float, float]] = field(default_factory=list)
    point_labels: list[int] = field(default_factory=list)
    box: tuple[float, ...] | None = None
    mask: str = ""


@dataclass
class Rows:
    """The corrections of a table and its faults, each with its line (0: the whole file)."""

    columns: Sequence[str]
    faults: list[tuple[int, str]] = field(default_factory=list)
    _found: dict[str, _Rows] = field(default_factory=dict)
    _undone: dict[str, int] = field(default_factory=dict)

    def read(self, text: str) -> None:
        """Take every row, and go on after a fault."""
        rows = read_rows(text, self.columns, exact=("image",))
        _, header = next(rows, (1, []))
        faults = [f"unknown column {name!r}" for name in header if name not in self.columns]
        faults += [f"column {name} comes twice" for name in self.columns if header.count(name) > 1]
        faults += [f"column {name} is missing" for name in ("image", "action_id", "action") if name not in header]
        self.faults += [(1, fault) for fault in faults]
        if faults:
            return
        for line, cells in rows:
            if len(cells) > len(header):
                self.faults.append((line, f"{len(cells)} cells, wanted {len(header)}"))
            elif any(cells):
                row = dict.fromkeys(self.columns, "") | dict(zip(header, cells, strict=False))
                self._read_row(row, line)

    def corrections(self) -> list[Correction]:
        """Give the corrections in order of their first rows, what was taken back and its ``undo`` among them."""
        found = []
        for action_id, one in self._found.items():
            kept: dict[str, Any] = one.cells | {"by": one.cells["by"] or None}
            correction = Correction(
                **kept,
                objects=tuple(one.objects),
                points=tuple(one.points),
                point_labels=tuple(one.point_labels),
                box=None if one.box is None else (one.box[0], one.box[1], one.box[2], one.box[3]),
                mask=one.mask,
                action_id=action_id,
                line=one.lines[0],
            )
            found.append(correction)
            fault = fault_in(correction)
            # What a faulty row was to bring is missing, which is no second fault.
            if fault and not any(line in one.lines for line, _ in self.faults):
                self.faults.append((one.lines[0], fault))
        undone = [Correction("", "undo", action_id=key, line=line) for key, line in self._undone.items()]
        return sorted([*found, *undone], key=lambda one: one.line)

    def _read_row(self, row: dict[str, str], line: int) -> None:
        key, action = row["action_id"], row["action"]
        if not key:
            self.faults.append((line, "no action_id"))
        elif action == "undo":
            if key not in self._found or key in self._undone:
                self.faults.append((line, f"there is no action {key!r} to undo"))
            self._undone[key] = line
        elif key in self._undone:
            self.faults.append((line, f"the action {key!r} was taken back above; give another id"))
        elif key in self._found:
            self._found[key].lines.append(line)
            self._check_same(self._found[key], row, line)
            self._add(self._found[key], row, line)
        elif fault := _fault_of_first(row):
            self.faults.append((line, fault))
        else:
            self._found[key] = _Rows([line], {name: row[name] for name in _SAME})
            self._add(self._found[key], row, line)

    def _check_same(self, one: _Rows, row: dict[str, str], line: int) -> None:
        for name in _SAME:
            if row[name] and row[name].strip() != one.cells[name].strip():
                told = f"{name} {row[name]!r} here and {one.cells[name]!r} in line {one.lines[0]}"
                self.faults.append((line, f"action {row['action_id']!r} has {told}"))

    def _add(self, one: _Rows, row: dict[str, str], line: int) -> None:
        """Take in what a row says of its object, and its point, box and mask."""
        number = row["object"]
        if number and not (number.isdecimal() and len(number) <= LONGEST_ID and int(number) > 0):
            self.faults.append((line, f"object is {number!r}, wanted an id: 1, 2, …"))
        elif number and int(number) not in one.objects:
            one.objects.append(int(number))
        if row["row"] and row["col"] and not row["label"]:
            row = row | {"label": "1"}
        point, box = self._numbers(row, POINT_COLUMNS, line), self._numbers(row, BOX_COLUMNS, line)
        if point is not None and point[2] not in (0, 1):
            self.faults.append((line, f"label is {row['label']!r}, wanted 0 or 1"))
        elif point is not None:
            one.points.append((point[0], point[1]))
            one.point_labels.append(int(point[2]))
        if box is not None:
            if one.box is not None:
                self.faults.append((line, f"a second box of action {row['action_id']!r}"))
            one.box = box
        if row["mask"]:
            if one.mask:
                self.faults.append((line, f"a second mask of action {row['action_id']!r}"))
            one.mask = row["mask"]

    def _numbers(self, row: dict[str, str], names: Sequence[str], line: int) -> tuple[float, ...] | None:
        """Read one group of cells; None where it is empty or faulty."""
        if not any(row[name] for name in names):
            return None
        numbers = tuple(read_number(row[name]) for name in names)
        wrong = [name for name, number in zip(names, numbers, strict=True) if not math.isfinite(number)]
        self.faults += [(line, f"{name} is {row[name]!r}, wanted a number") for name in wrong]
        return None if wrong else numbers


def _fault_of_first(row: dict[str, str]) -> str | None:
    """Say what the first row of a correction lacks."""
    if not row["action"]:
        return "no action"
    if row["action"] not in ACTIONS:
        return f"action is {row['action']!r}, wanted {', '.join(ACTIONS)}"
    if not row["image"]:
        return "no image"
    if row["by"] and row["by"] not in MAKERS:
        return f"by is {row['by']!r}, wanted {', '.join(MAKERS)}"
    return None

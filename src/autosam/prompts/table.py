"""User prompts in a CSV file.

One row is one point, one box or both; rows with the same ``object`` make one prompt::

    image,object,row,col,label,row_min,col_min,row_max,col_max
    slice_01.png,1,120.5,88,1,,,,
    slice_01.png,1,131,60,0,,,,
    slice_01.png,2,,,,10,200,49,251
    slice_02.png,,,,,,,,

``row,col`` are whole-image pixels, integers being pixel centers; ``label`` is 1 on the object and 0 beside
it. The last row and column of a box belong to it. Either of the two groups of columns may be missing. Without
the column ``image`` the prompts are those of any image; with it, one file serves a folder (``slice_01`` also
names ``slice_01.png``), and a row that holds nothing but an image says that no object is there.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from autosam.errors import InputError
from autosam.images.csv_text import read_rows
from autosam.images.write import write_text
from autosam.prompts.prompt import Prompt

POINT_COLUMNS = ("row", "col", "label")
BOX_COLUMNS = ("row_min", "col_min", "row_max", "col_max")
COLUMNS = ("image", "object", *POINT_COLUMNS, *BOX_COLUMNS)


@dataclass
class _Object:
    """One object while its rows come in, from its first line on."""

    line: int
    points: list[tuple[float, ...]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    box: tuple[float, ...] | None = None

    def prompt(self) -> Prompt:
        return Prompt(
            points=np.array(self.points, dtype=np.float64).reshape(-1, 2),
            point_labels=np.array(self.labels, dtype=np.int64),
            box=None if self.box is None else np.array(self.box, dtype=np.float64),
        )


def read_prompts(
    path: str | Path,
    *,
    image: str | None = None,
    shape: tuple[int, int] | None = None,
    required: bool = True,
) -> list[Prompt]:
    """Read the prompts of one image.

    Parameters
    ----------
    path : str or Path
        A CSV file as the module describes it, in UTF-8. Semicolons or tabs between cells and decimal commas are
        understood, too.
    image : str or None
        File name of the image; needed if the file has a column ``image``.
    shape : tuple of int or None
        Height and width of the image; its prompts must lie inside it.
    required : bool
        Whether the file must name the image.

    Returns
    -------
    list of Prompt
        In the order of each object's first row; empty where the file names no object for the image.

    Raises
    ------
    InputError
        If the file cannot be read or does not name the image; or with all its faults and their line numbers.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"prompts {path} cannot be read ({error}), wanted a CSV file in UTF-8") from error
    table = _Table(shape=shape, image=image)
    try:
        table.read(text)
    except csv.Error as error:
        table.faults.append((0, f"not a CSV file ({error})"))
    if table.faults:
        listed = "; ".join(f"line {line}: {fault}" if line else fault for line, fault in sorted(table.faults))
        raise InputError(f"prompts {path} are not usable: {listed}: correct and run again")
    wanted = [objects for name, objects in table.by_image.items() if table.is_wanted(name)]
    if required and table.by_image and not wanted:
        named = ", ".join(sorted(table.by_image)[:5]) + (", …" if len(table.by_image) > 5 else "")
        raise InputError(
            f"prompts {path} have no row for image {image!r}, only for {named}: "
            "add a row for it (one with the image alone where it has no objects)"
        )
    return [item.prompt() for objects in wanted for item in objects.values()]


def write_prompts(path: str | Path, prompts: Sequence[Prompt] | Mapping[str, Sequence[Prompt]]) -> None:
    """Write prompts so that :func:`read_prompts` gives the same points and boxes back.

    Mask prompts, foreground probabilities and region ids have no column and are left out.

    Parameters
    ----------
    path : str or Path
        The CSV file; replaced when the new one is whole.
    prompts : sequence of Prompt, or mapping of image name to such a sequence
        The prompts of one image, or of several; objects are numbered from 1 in each.

    Raises
    ------
    InputError
        If a prompt has neither a positive point nor a box.
    OutputError
        If the file cannot be written.
    """
    by_image = prompts if isinstance(prompts, Mapping) else {"": prompts}
    columns = COLUMNS if isinstance(prompts, Mapping) else COLUMNS[1:]
    lines = io.StringIO()
    table = csv.DictWriter(lines, columns, restval="", lineterminator="\n", extrasaction="ignore")
    table.writeheader()
    for image, own in by_image.items():
        if image and not own:
            table.writerow({"image": image})
        for number, prompt in enumerate(own, start=1):
            if prompt.box is None and not np.any(prompt.point_labels == 1):
                raise InputError(
                    f"prompt {number} has neither a positive point nor a box, a CSV holds no mask: add one"
                )
            name = {"image": image, "object": str(number)}
            for (row, col), label in zip(prompt.points, prompt.point_labels, strict=True):
                table.writerow(
                    name | {"row": write_number(row), "col": write_number(col), "label": str(int(label))}
                )
            if prompt.box is not None:
                table.writerow(name | dict(zip(BOX_COLUMNS, map(write_number, prompt.box), strict=True)))
    write_text(path, lines.getvalue())


@dataclass
class _Table:
    """The objects of every image and the faults, each with its line (0: the whole file)."""

    image: str | None
    shape: tuple[int, int] | None
    by_image: dict[str, dict[str, _Object]] = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)

    def is_wanted(self, name: str) -> bool:
        """Whether rows of this name belong to the image; without a column of images all do."""
        if name == "" or self.image is None:
            return name == ""
        return name in (self.image, Path(self.image).with_suffix("").as_posix())

    def read(self, text: str) -> None:
        """Take every row, and go on after a fault."""
        rows = read_rows(text, COLUMNS)
        _, header = next(rows, (1, []))
        self._check_header(header)
        if self.faults:
            return
        for line, cells in rows:
            if any(cells) and len(cells) > len(header):
                self.faults.append((line, f"{len(cells)} cells, wanted {len(header)}"))
            elif any(cells):
                row = dict.fromkeys(COLUMNS, "") | dict(zip(header, cells, strict=False))
                self._read_row(row, line, named="image" in header)
        for objects in self.by_image.values():
            for name, item in objects.items():
                if item.box is None and 1 not in item.labels and item.labels:
                    self.faults.append((item.line, f"object {name!r} has only negatives and no box"))

    def _check_header(self, header: list[str]) -> None:
        faults = [f"unknown column {name!r}" for name in header if name not in COLUMNS]
        faults += [f"column {name} comes twice" for name in COLUMNS if header.count(name) > 1]
        if "object" not in header:
            faults.append("column object is missing")
        neither = set(header).isdisjoint(POINT_COLUMNS + BOX_COLUMNS)
        for group in (POINT_COLUMNS, BOX_COLUMNS):
            missing = [name for name in group if name not in header]
            if missing and (len(missing) < len(group) or neither):
                faults.append(f"column {', '.join(missing)} is missing")
        if "image" in header and self.image is None:
            faults.append("column image is there and no image was asked for (say which)")
        self.faults += [(1, fault) for fault in faults]

    def _read_row(self, row: dict[str, str], line: int, *, named: bool) -> None:
        if named and not row["image"]:
            self.faults.append((line, "no image"))
            return
        objects = self.by_image.setdefault(row["image"], {})
        if not any(row[name] for name in COLUMNS[1:]):
            return
        if not row["object"]:
            self.faults.append((line, "no object"))
            return
        if not any(row[name] for name in POINT_COLUMNS + BOX_COLUMNS):
            self.faults.append((line, f"object {row['object']!r} has neither a point nor a box here"))
            return
        item = objects.setdefault(row["object"], _Object(line))
        point, box = self._numbers(row, POINT_COLUMNS, line), self._numbers(row, BOX_COLUMNS, line)
        if point is not None and point[2] not in (0, 1):
            self.faults.append((line, f"label is {row['label']!r}, wanted 0 or 1"))
        elif point is not None:
            item.points.append(point[:2])
            item.labels.append(int(point[2]))
            self._check_inside("point", point[:2], row["image"], line)
        if box is not None:
            if item.box is not None:
                self.faults.append((line, f"a second box of object {row['object']!r}"))
            if box[2] < box[0] or box[3] < box[1]:
                self.faults.append((line, "the box ends before it begins"))
            item.box = box
            self._check_inside("box", box, row["image"], line)

    def _numbers(self, row: dict[str, str], names: Sequence[str], line: int) -> tuple[float, ...] | None:
        """Read one group of cells; None where it is empty or faulty."""
        if not any(row[name] for name in names):
            return None
        numbers = tuple(read_number(row[name]) for name in names)
        wrong = [name for name, number in zip(names, numbers, strict=True) if not math.isfinite(number)]
        self.faults += [(line, f"{name} is {row[name]!r}, wanted a number") for name in wrong]
        return None if wrong else numbers

    def _check_inside(self, what: str, numbers: tuple[float, ...], image: str, line: int) -> None:
        """Pixel centers are integers, so that the image ends half a pixel after its last row."""
        if self.shape is not None and self.is_wanted(image):
            places = np.reshape(numbers, (-1, 2))
            if (places < -0.5).any() or (places > np.array(self.shape) - 0.5).any():
                height, width = self.shape
                self.faults.append((line, f"the {what} lies outside the image of {height} × {width}"))


def read_number(text: str) -> float:
    """Read a number; NaN for any other text."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def write_number(value: float) -> str:
    """Write a coordinate so that it reads back as the same number."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))

"""The table of instances, NAME_instances.csv: a row for each, columns named as scikit-image names them."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.csv_text import read_rows
from autosam.images.write import write_text

OLD_COLUMNS = {
    "id": "label",
    "area_px": "area",
    "perimeter_px": "perimeter",
    "centroid_row": "centroid-0",
    "centroid_col": "centroid-1",
    "mean_intensity": "intensity_mean",
}
"""Columns of tables that autosam 0.2 wrote, and their names now."""


@dataclass(frozen=True, eq=False)
class InstanceTable:
    """Measurements of instances.

    Attributes
    ----------
    columns : mapping of str to ndarray, shape (n,)
        In the order of the file. Integers, or floats of which NaN is unknown.
    """

    columns: Mapping[str, NDArray[Any]]

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Give one column."""
        return self.columns[name]

    def __len__(self) -> int:
        return len(self.columns["label"])


def write_table(path: str | Path, table: InstanceTable) -> None:
    """Write measurements as CSV: a header, then a line for each; an unknown value is an empty cell.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    text = io.StringIO()
    text.write(",".join(table.columns) + "\n")
    cells = [as_cells(values) for values in table.columns.values()]
    text.writelines(",".join(row) + "\n" for row in zip(*cells, strict=True))
    write_text(path, text.getvalue())


def as_cells(values: NDArray[Any]) -> list[str]:
    """Write numbers as the table has them, an unknown one as an empty text."""
    if values.dtype.kind in "iu":
        return list(map(str, values.tolist()))
    # Nine digits tell float32 values apart and hide rounding noise of float64.
    return ["" if value != value else f"{value:.9g}" for value in values.tolist()]


def read_table(path: str | Path) -> InstanceTable:
    """Read a table of instances, also one with the column names of autosam 0.2.

    All columns come as floats but ``label``, which is an integer. Columns that hold no numbers are left out.

    Raises
    ------
    InputError
        If the file cannot be read, or has no column ``label`` of integers.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        header, *rows = (cells for _, cells in read_rows(text, ("label", *OLD_COLUMNS, *OLD_COLUMNS.values())))
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table of instances: {error}.") from error
    if any(len(row) != len(header) for row in rows):
        raise InputError(f"{path} has a row that is shorter or longer than its header; it is damaged.")
    columns: dict[str, NDArray[Any]] = {}
    for name, cells in zip(header, zip(*rows, strict=True) if rows else [()] * len(header), strict=True):
        name = OLD_COLUMNS.get(name, name)
        try:
            columns[name] = (
                np.array([int(cell) for cell in cells], np.int64)
                if name == "label"
                else np.array([float(cell) if cell else np.nan for cell in cells], np.float64)
            )
        except ValueError as error:
            if name == "label":
                raise InputError(f"{path}: its ids are no whole numbers ({error}).") from error
    if "label" not in columns:
        raise InputError(f"{path} has no column 'label'; wanted a table that autosam wrote.")
    return InstanceTable(columns)

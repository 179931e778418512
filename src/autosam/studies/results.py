"""The table of a sweep: one CSV, in which finished combinations are found again by their settings."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from autosam.config import different_settings, make_config
from autosam.errors import AutosamError, ConfigError, InputError
from autosam.images import write_text
from autosam.studies.scores import COLUMNS
from autosam.studies.settings import Setup

TABLE = "results.csv"

Row = dict[str, str]
"""A finished combination: what was set, scores, times, and what they are of; undefined scores are empty."""

_NUMBERS = (*COLUMNS, "images_scored", "seconds_per_image")
_SAME = ("settings", "model_sha256", "data_sha256")
"""Rows with equal values of these columns are of the same settings, model and images."""


def read_results(path: Path) -> list[Row]:
    """Read the rows of a table; none if there is no file.

    Raises
    ------
    InputError
        If it is not a table of `autosam sweep`.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, restkey="", strict=True))
        for row in rows:
            settings = json.loads(row["settings"])
            if not isinstance(settings, dict) or "" in row or None in row.values():
                raise ValueError("no settings, or a row that is longer or shorter than the header")
            # A setting that a later autosam has and this one did not know counts as its default.
            row["settings"] = make_config(settings).model_dump_json()
            for column in _NUMBERS:
                float(row[column] or "nan")
            [row[column] for column in ("name", *_SAME)]
    except (OSError, ValueError, LookupError, TypeError, csv.Error, AutosamError) as error:
        raise InputError(f"{path} is not a table of autosam sweep; move it away to score anew") from error
    return rows


def find_row(
    rows: Sequence[Row], setup: Setup, *, path: Path, model_sha256: str, data_sha256: Callable[[], str]
) -> Row | None:
    """Return the row with these settings, model and images, whatever its name; None if there is none.

    Parameters
    ----------
    rows : sequence of Row
        Those of the table at ``path``.
    data_sha256 : callable
        Called only where settings and model are the same.

    Raises
    ------
    ConfigError
        If there is another row of this name.
    """
    settings = setup.config.model_dump_json()
    for row in rows:
        if (row["settings"], row["model_sha256"]) == (settings, model_sha256) and (
            row["data_sha256"] == data_sha256()
        ):
            return row
    for row in rows:
        if row["name"] == setup.name:
            changed = different_settings(json.loads(row["settings"]), setup.config.model_dump(mode="json"))
            changed += [] if row["model_sha256"] == model_sha256 else ["the model"]
            raise ConfigError(
                f"{path} has a row {setup.name} of other {', '.join(changed) or 'images or labels'}; choose "
                "another folder with -o, or move that file away"
            )
    return None


def write_results(path: Path, rows: Sequence[Row]) -> None:
    """Write rows to a table, whole or not at all; what else it holds already comes after them.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    new = {tuple(row[column] for column in _SAME) for row in rows}
    others = [row for row in read_results(path) if tuple(row[column] for column in _SAME) not in new]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in (*rows, *others) for key in row)), restval="")
    writer.writeheader()
    writer.writerows([*rows, *others])
    write_text(path, text.getvalue())

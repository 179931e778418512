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
            [float(row[column] or "nan") for column in _NUMBERS]
            [row["name"], _same(row)]
    except (OSError, ValueError, LookupError, TypeError, csv.Error, AutosamError) as error:
        raise InputError(f"{path} is not a table of autosam sweep; move it away to score anew") from error
    return rows


def find_row(
    rows: Sequence[Row], setup: Setup, *, path: Path, model_sha256: str, data_sha256: Callable[[], str]
) -> Row | None:
    """Return the row of a table with these settings, model and images, whatever its name; None without one.

    The hash of the images is asked for only where settings and model are the same.

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
    new = {_same(row) for row in rows}
    rows = [*rows, *(row for row in read_results(path) if _same(row) not in new)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), restval="")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _same(row: Row) -> tuple[str, str, str]:
    """Return what two rows of the same settings, model and images share."""
    return row["settings"], row["model_sha256"], row["data_sha256"]

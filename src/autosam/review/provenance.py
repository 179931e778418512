"""``provenance.csv``: who made each object of corrected results, and what became of those that are gone."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from autosam.errors import InputError
from autosam.images import write_text
from autosam.images.csv_text import read_rows
from autosam.review.corrected_labels import ObjectOrigin
from autosam.review.corrections import MAKERS

NAME = "provenance.csv"
COLUMNS = ("image", "label", "by", "action", "action_id", "before")


def write_provenance(folder: Path, origins: Mapping[str, Sequence[ObjectOrigin]]) -> None:
    """Write a row for each object of each image; errors are those of `write_text`."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for name, own in origins.items():
        for one in own:
            before = " ".join(map(str, one.before))
            table.writerow([name, one.label or "", one.by, one.action, one.action_id, before])
    write_text(folder / NAME, text.getvalue())


def read_provenance(folder: Path) -> dict[str, dict[int, ObjectOrigin]]:
    """Read the origins of the objects of corrected results, by image and id; empty for results of a model alone.

    Objects that are gone are left out.

    Raises
    ------
    InputError
        If the table is damaged.
    """
    path = folder / NAME
    found: dict[str, dict[int, ObjectOrigin]] = {}
    if not path.exists():
        return found
    try:
        rows = [cells for _, cells in read_rows(path.read_text(encoding="utf-8-sig"), COLUMNS, exact=("image",))]
        for cells in rows[1:]:
            row = dict(zip(rows[0], cells, strict=True))
            by = next(maker for maker in MAKERS if maker == row["by"])
            if row["label"]:
                label, before = int(row["label"]), tuple(map(int, row["before"].split()))
                origin = ObjectOrigin(label, by, row["action"], row["action_id"], before)
                found.setdefault(row["image"], {})[label] = origin
    except (OSError, ValueError, KeyError, StopIteration, csv.Error) as error:
        raise InputError(f"{path} is damaged; apply the corrections again, or take the file away") from error
    return found

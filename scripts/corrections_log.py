"""The table of the study: one row for each point, so that a run goes on where it stopped."""

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from autosam.errors import InputError
from autosam.images.write import ensure_folder, write_text
from autosam.pipeline.claims import locked

ADAPT, PEER = "adapt", "peer"
NONE, ALL = "none", "all"
"""Orders without corrections: the model as it is, and all labels of the images."""


@dataclass(frozen=True)
class Key:
    """What makes a point.

    Attributes
    ----------
    case, model, model_hash : str
        The source, and the model that was corrected.
    learner : {"adapt", "peer"}
        What learns from the corrections.
    order : {"none", "doubt", "random", "whole", "all"}
    corrections : int
        How many there are; fewer than asked for where no more could be given. 0 for ``none`` and ``all``.
    steps, seed : int
    settings : str
        What was set for the training.
    """

    case: str
    model: str
    model_hash: str
    learner: str
    order: str
    corrections: int
    steps: int
    seed: int
    settings: str


@dataclass(frozen=True)
class Effort:
    """What annotation costs.

    Attributes
    ----------
    quick : int
        Corrections that draw nothing: accept, delete, merge, split and reviewed.
    by_sam, by_hand : int
        Objects that SAM draws from clicks, and those that a hand draws.
    clicks : int
        Clicks, keys, and corners of outlines by hand.
    """

    quick: int = 0
    by_sam: int = 0
    by_hand: int = 0
    clicks: int = 0

    @property
    def number(self) -> int:
        """Corrections in all."""
        return self.quick + self.by_sam + self.by_hand


@dataclass(frozen=True)
class Row:
    """A point.

    Attributes
    ----------
    key : Key
    actions : str
        How many of each, as ``accept 3, add 2``.
    effort : Effort
        Of the corrections.
    objects : int
        Labeled objects that were learnt from, or validated on.
    kept : str
        What became of the weights: ``generator 1`` for a share of 1 of new ones in the generator; ``thresholds``
        for the old ones, with fitted thresholds in brackets; ``refused`` for too few labels; ``none`` and ``peer``
        where nothing is adapted.
    cpu_s : float
        CPU seconds of learning.
    scores : tuple of float
        AP@.5 with the limits of its interval, and mean AP with those.
    true_objects : int
        In the images that are scored.
    left : str
        What is still to be corrected in these, as `actions`.
    """

    key: Key
    actions: str
    effort: Effort
    objects: int
    kept: str
    cpu_s: float
    scores: tuple[float, ...]
    true_objects: int
    left: str


SCORES = ("ap50", "ap50_low", "ap50_high", "mean_ap", "mean_ap_low", "mean_ap_high")
COLUMNS = (
    *(field.name for field in fields(Key)),
    "actions",
    *(field.name for field in fields(Effort)),
    *("objects", "kept", "cpu_s"),
    *SCORES,
    *("true_objects", "left"),
)


def read_rows(path: Path) -> list[Row]:
    """Read a table; there may be none yet.

    Raises
    ------
    InputError
        If it is no table of this study.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_row(cells) for cells in csv.DictReader(file, strict=True)]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path} is no table of this study ({error!r}); name another file") from error


def add_row(path: Path, row: Row) -> None:
    """Add a point; one of the same key makes way."""
    ensure_folder(path.parent)
    with locked(path.parent):
        rows = [one for one in read_rows(path) if one.key != row.key]
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_cells(one) for one in [*rows, row])
        write_text(path, text.getvalue())


def counted(text: str) -> dict[str, int]:
    """Read how many there are of each action.

    Examples
    --------
    >>> counted("accept 3, add 2")
    {'accept': 3, 'add': 2}
    """
    parts = [part.rsplit(" ", 1) for part in text.split(", ") if part]
    return {name: int(number) for name, number in parts}


def told(counts: dict[str, int]) -> str:
    """Write how many there are of each action, as `counted` reads it."""
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items()) if number)


def _cells(row: Row) -> list[object]:
    scores = [f"{value:.4f}" for value in row.scores]
    learnt = [*astuple(row.effort), row.objects, row.kept, f"{row.cpu_s:.1f}"]
    return [*astuple(row.key), row.actions, *learnt, *scores, row.true_objects, row.left]


def _row(cells: dict[str, str]) -> Row:
    numbers = {"corrections", "steps", "seed"}
    key = Key(**{f.name: int(cells[f.name]) if f.name in numbers else cells[f.name] for f in fields(Key)})
    effort = Effort(*(int(cells[field.name]) for field in fields(Effort)))
    scores = tuple(float(cells[name]) for name in SCORES)
    learnt = int(cells["objects"]), cells["kept"], float(cells["cpu_s"])
    return Row(key, cells["actions"], effort, *learnt, scores, int(cells["true_objects"]), cells["left"])

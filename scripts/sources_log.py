"""The log of the study: one row of counts for every run, setting and image, from which all scores follow."""

import csv
import fcntl
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from autosam.errors import InputError
from autosam.images import atomic_path, ensure_folder
from autosam.metrics import AveragePrecision

VERSION = "1"
THRESHOLDS = tuple(range(50, 100, 5))
"""IoU thresholds of the counts, in hundredths."""


@dataclass(frozen=True)
class Row:
    """Counts of one image.

    Attributes
    ----------
    recipe, without : str
        The run: its recipe, and the sources that it lacks, joined by ``+``; ``none`` for a run with all.
    setting : str
        What was set over the model's own settings; empty for nothing.
    place : str
        ``abroad`` for an image of a source that the run lacks, or ``home``.
    source, image : str
    objects, predicted : int
        True and predicted objects.
    tp : tuple of int
        Pairs that match at each of the `THRESHOLDS`: of the others, true objects are missed and predicted ones
        are false.
    settings, model : str
        Hashes of the settings and of the model file.
    date : str
        When it was scored.
    train_cpu_s : float
        CPU seconds that training took; NaN where that is not known.
    """

    recipe: str
    without: str
    setting: str
    place: str
    source: str
    image: str
    objects: int
    predicted: int
    tp: tuple[int, ...]
    settings: str
    model: str
    date: str
    train_cpu_s: float

    @property
    def scoring(self) -> tuple[str, str, str]:
        """What is scored anew as a whole: recipe, run and setting."""
        return self.recipe, self.without, self.setting


_TP = [f"tp{threshold}" for threshold in THRESHOLDS]
_NAMES = [field.name for field in fields(Row)]
_BEFORE, _AFTER = _NAMES[: _NAMES.index("tp")], _NAMES[_NAMES.index("tp") + 1 :]
COLUMNS = ("version", *_BEFORE, *_TP, *_AFTER)


def count_matches(result: AveragePrecision) -> tuple[int, int, tuple[int, ...]]:
    """Return true objects, predicted objects, and the pairs that match at each threshold."""
    tp = tuple(int(count) for count in result.tp)
    return tp[0] + int(result.fn[0]), tp[0] + int(result.fp[0]), tp


def read_log(path: Path) -> list[Row]:
    """Read a log.

    Raises
    ------
    InputError
        If it is missing, is none, or is of another version.
    """
    if not path.is_file():
        raise InputError(f"no log {path}; make one with: study_sources.py score ... --log {path}")
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines(), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a log of this study: {error}") from error
    if not lines or lines[0][:1] != [COLUMNS[0]]:
        raise InputError(f"{path} is no log of this study: its first column is not {COLUMNS[0]}")
    if tuple(lines[0]) != COLUMNS or any(line[:1] != [VERSION] for line in lines[1:]):
        raise InputError(f"{path} is a log of another version, and {VERSION} is wanted; start another file")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            rows.append(_row_of(line))
        except (ValueError, IndexError) as error:
            raise InputError(f"{path}, line {number} is no row of this log; remove it ({error})") from error
    return rows


def replace_rows(path: Path, rows: Sequence[Row]) -> None:
    """Append rows to a log; those of the same recipe, run and setting make way.

    The file is replaced as a whole, and processes that write at the same time wait for each other.
    """
    ensure_folder(path.parent)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        new = {row.scoring for row in rows}
        kept = [row for row in read_log(path) if row.scoring not in new] if path.exists() else []
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_cells(row) for row in [*kept, *rows])
        with atomic_path(path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")


def scored(path: Path) -> set[tuple[str, ...]]:
    """List what is scored already: recipe, run, setting, and the hashes of settings and model."""
    if not path.exists():
        return set()
    return {(*row.scoring, row.settings, row.model) for row in read_log(path)}


def cpu_seconds(run: Path) -> float:
    """Add up the CPU seconds of a training run's log; NaN where there is none."""
    with suppress(OSError, ValueError, KeyError), (run / "log.csv").open(newline="", encoding="utf-8") as file:
        return round(sum(float(row["cpu_s"]) for row in csv.DictReader(file)), 1)
    return float("nan")


def _cells(row: Row) -> list[object]:
    values = dict(zip(_NAMES, astuple(row), strict=True))
    return [VERSION, *(values[name] for name in _BEFORE), *row.tp, *(values[name] for name in _AFTER)]


def _row_of(line: list[str]) -> Row:
    if len(line) != len(COLUMNS):
        raise ValueError(f"{len(line)} cells came, and {len(COLUMNS)} are wanted")
    cell = dict(zip(COLUMNS, line, strict=True))
    tp = tuple(int(cell[name]) for name in _TP)
    objects, predicted = int(cell["objects"]), int(cell["predicted"])
    if not 0 <= max(tp) <= min(objects, predicted) or cell["place"] not in ("home", "abroad"):
        raise ValueError("its counts or its place cannot be")
    recipe, without, setting, place, source, image = line[1:7]
    counts = objects, predicted, tp
    train_cpu_s = float(cell["train_cpu_s"])
    return Row(
        recipe,
        without,
        setting,
        place,
        source,
        image,
        *counts,
        cell["settings"],
        cell["model"],
        cell["date"],
        train_cpu_s,
    )

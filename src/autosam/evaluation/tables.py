"""The results of an evaluation as rows, CSV and JSON."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path
from typing import Any

from autosam import __version__
from autosam.images import ensure_folder, write_json, write_text
from autosam.metrics.all_scores import Scores
from autosam.metrics.bootstrap import Interval, bootstrap_intervals, bootstrap_means
from autosam.metrics.evaluate import pool


@dataclass(frozen=True, eq=False)
class Summary:
    """Scores of several images, their pool and their mean.

    Attributes
    ----------
    rows : list of dict
        Scores by column, one row per image.
    pool : Scores
        The pooled scores.
    pooled, mean : dict of str to Interval
        Pooled scores and means over images by column, with their bootstrap limits; NaN where there are none.
    """

    names: list[str]
    rows: list[dict[str, float]]
    pool: Scores
    pooled: dict[str, Interval]
    mean: dict[str, Interval]

    @property
    def has_intervals(self) -> bool:
        """Whether any score has limits."""
        return any(not isnan(i.low) for i in self.pooled.values())


def summarize(names: Sequence[str], scores: Sequence[Scores], *, resamples: int, seed: int) -> Summary:
    """Pool and average scores, with bootstrap limits of 95 % where ``resamples`` is above 0.

    Raises
    ------
    InputError
        If there are no scores, or they follow different settings.
    """
    rows = [s.row() for s in scores]
    return Summary(
        names=list(names),
        rows=rows,
        pool=pool(scores),
        pooled=bootstrap_intervals(scores, resamples=resamples, seed=seed),
        mean=bootstrap_means(rows, resamples=resamples, seed=seed),
    )


def write_results(
    folder: Path,
    about: Mapping[str, Any],
    summaries: Mapping[str, Summary],
    differences: Mapping[str, Mapping[str, Interval]],
) -> tuple[Path, Path]:
    """Write ``evaluation.csv`` and ``.json`` of one prediction, or ``comparison.csv`` and ``.json`` of several.

    Parameters
    ----------
    folder : Path
        Made where it does not exist.
    about : mapping
        What the JSON file says first: title, settings, notes and definitions.
    summaries : mapping of str to Summary
        By prediction.
    differences : mapping of str to mapping of str to Interval
        From the first prediction, by prediction and column; empty for one prediction.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    first, summary = next(iter(summaries.items()))
    document: dict[str, Any] = {"autosam": __version__, **about}
    columns = list(summary.rows[0])
    if differences:
        name, columns = "comparison", ["prediction", "kind", "image", *columns]
        rows = [[pred, *row] for pred, found in summaries.items() for row in _rows(found)]
        for pred, intervals in differences.items():
            rows += [
                [pred, *row] for row in _interval_rows("difference", f"minus {first}", intervals, limits=True)
            ]
        document["predictions"] = {pred: _document(found) for pred, found in summaries.items()}
        document["differences_from"] = first
        document["differences"] = {
            pred: {column: asdict(interval) for column, interval in intervals.items()}
            for pred, intervals in differences.items()
        }
    else:
        name, columns, rows = "evaluation", ["kind", "image", *columns], _rows(summary)
        document |= _document(summary)
    table, record = folder / f"{name}.csv", folder / f"{name}.json"
    ensure_folder(folder)
    write_text(table, csv_text(columns, rows))
    write_json(record, null_for_nan(document))
    return table, record


def _rows(summary: Summary) -> list[list[str]]:
    """Return the rows of the CSV file, kind and image first."""
    rows = [
        ["image", name, *map(format_number, row.values())]
        for name, row in zip(summary.names, summary.rows, strict=True)
    ]
    images = count_of(len(summary.names))
    for kind, intervals in (("pooled", summary.pooled), ("mean", summary.mean)):
        rows += _interval_rows(kind, images, intervals, limits=summary.has_intervals)
    return rows


def _interval_rows(kind: str, images: str, intervals: Mapping[str, Interval], *, limits: bool) -> list[list[str]]:
    rows = [[kind, images, *(format_number(i.value) for i in intervals.values())]]
    if limits:
        rows.append([f"{kind}_low", images, *(format_number(i.low) for i in intervals.values())])
        rows.append([f"{kind}_high", images, *(format_number(i.high) for i in intervals.values())])
    return rows


def _document(summary: Summary) -> dict[str, Any]:
    """Return the results for JSON; NaN still in them (`null_for_nan`)."""
    found: dict[str, Any] = {
        "images": [{"image": name, **row} for name, row in zip(summary.names, summary.rows, strict=True)],
        "pooled": {
            **{c: i.value for c, i in summary.pooled.items()},
            "thresholds": summary.pool.per_threshold(),
        },
        "mean": {c: i.value for c, i in summary.mean.items()},
    }
    if summary.has_intervals:
        found["intervals"] = {
            kind: {c: [i.low, i.high] for c, i in row.items()}
            for kind, row in (("pooled", summary.pooled), ("mean", summary.mean))
        }
    return found


def csv_text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a CSV file as text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def null_for_nan(value: Any) -> Any:
    """Replace NaN, which JSON does not know, by None."""
    if isinstance(value, dict):
        return {key: null_for_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [null_for_nan(item) for item in value]
    return None if isinstance(value, float) and isnan(value) else value


def format_number(value: float) -> str:
    """Write a number: whole ones exactly, others in at least six digits, NaN as an empty cell.

    Examples
    --------
    >>> format_number(1234567), format_number(1 / 3), format_number(1234567.25)
    ('1234567', '0.333333', '1234567.25')
    """
    if isnan(value):
        return ""
    if float(value).is_integer():
        return str(int(value))
    return f"{value:.2f}" if abs(value) >= 100_000 else f"{value:.6g}"


def count_of(images: int) -> str:
    """Write "1 image" or "n images"."""
    return f"{images} image{'s' if images != 1 else ''}"

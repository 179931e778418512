"""The results of an evaluation as tables for the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from rich.table import Table
from rich.text import Text

from autosam.cli.console import result, table
from autosam.cli.words import count
from autosam.evaluation.tables import Summary
from autosam.metrics.all_scores import Protocol
from autosam.metrics.average_precision import AveragePrecisionConvention
from autosam.metrics.bootstrap import Interval
from autosam.metrics.precision_counts import ThresholdScores

_PRINTED = {
    "objects": "objects",
    "predicted": "predicted",
    "ap50": "AP@.5",
    "ap75": "AP@.75",
    "mean_ap": "mean AP",
    "rand_error": "A-Rand",
    "dice": "Dice",
    "iou": "IoU",
}
_PRINTED_MORE = {
    "voi_split": "VOI split",
    "voi_merge": "merge",
    "cremi": "CREMI",
    "pq": "PQ",
    "aji": "AJI",
    "aji_plus": "AJI+",
}
_PRINTED_OF_VOLUMES = ("voi_split", "voi_merge")
_COUNTS = ("objects", "predicted")
_RAND_NAMES = {
    "snemi3d": "as SNEMI3D",
    "skimage": "as scikit-image",
    "foreground": "missed voxels one segment",
    "singletons": "missed voxels a segment each",
}


@dataclass(frozen=True)
class ShownScores:
    """What is shown.

    Attributes
    ----------
    dsb, wide : bool
        Show AP by convention dsb, and CREMI, PQ and AJI.
    volumes : bool
        The labels are volumes.
    resamples : int
        Of the bootstrap, for the legend.
    """

    dsb: bool
    wide: bool
    volumes: bool
    resamples: int


def print_results(
    header: str,
    notes: Sequence[str],
    summaries: dict[str, Summary],
    differences: dict[str, dict[str, Interval]],
    protocol: Protocol,
    shown: ShownScores,
) -> None:
    """Print the scores with a legend: of one prediction image by image, of several pooled, and by size.

    `differences` are those of the other predictions from the first one, by prediction and column.
    """
    columns = _columns(protocol, shown)
    first = next(iter(summaries.values()))
    what = "volume" if shown.volumes else "image"
    rows = _comparison(columns, summaries, differences) if differences else _images(columns, first, what)
    legend = _legend(protocol, shown.dsb, shown.resamples if first.has_intervals else 0)
    sizes: list[str | Table] = ["", _by_size(summaries, protocol, shown.dsb)] if protocol.size_bounds else []
    result(header, *(f"note: {note}" for note in notes), rows, *sizes, legend)


def _columns(protocol: Protocol, shown: ShownScores) -> dict[str, str]:
    columns = {c: t for c, t in _PRINTED.items() if shown.dsb or c not in ("ap50", "ap75", "mean_ap")}
    # Those of volumes are shown by size.
    for ranked in () if shown.volumes and protocol.size_bounds else protocol.ranked:
        columns |= {
            f"{ranked}_ap50": f"{ranked} AP@.5",
            f"{ranked}_ap75": f"{ranked} AP@.75",
            f"{ranked}_mean_ap": f"{ranked} mean AP",
        }
    return columns | {
        c: t for c, t in _PRINTED_MORE.items() if shown.wide or (shown.volumes and c in _PRINTED_OF_VOLUMES)
    }


def _by_size(summaries: dict[str, Summary], protocol: Protocol, dsb: bool) -> Table:
    """Show the pooled scores of objects by their size."""
    conventions: list[AveragePrecisionConvention] = [*(("dsb",) if dsb else ()), *protocol.ranked]
    titles = ["AP@.5", "AP@.75", "mean AP"]
    counts = ["precision@.5", "recall@.5", "F1@.5", "precision@.75", "recall@.75", "F1@.75"]
    rows = table(
        "voxels",
        "objects",
        *(title if name == "dsb" else f"{name} {title}" for name in conventions for title in titles),
        *counts,
    )
    for place, summary in summaries.items():
        pool = summary.pool
        if len(summaries) > 1:
            rows.add_row(Text(place), style="bold")
        for ending, (least, most) in {"": (0.0, inf), **protocol.size_classes("dsb")}.items():
            ap = pool.by_size[f"dsb_{ending}"] if ending else pool.ap
            cells = [str(int(ap.tp[0] + ap.fn[0]))]
            for name in conventions:
                ranked = "_".join(filter(None, (name, ending)))
                found: ThresholdScores = ap if name == "dsb" else pool.ranked[ranked]
                cells += [_cell(value, False) for value in (found.at(0.5), found.at(0.75), found.mean)]
            for threshold in (0.5, 0.75):
                at = ap.position(threshold)
                cells += [_cell(float(values[at]), False) for values in (ap.precision, ap.recall, ap.f1)]
            between = f"{least}-{most}" if least > 1 and most < inf else ending
            rows.add_row(Text(between.replace("upto", "≤ ").replace("above", "> ") or "all"), *cells)
    return rows


def _images(columns: dict[str, str], summary: Summary, what: str) -> Table:
    rows = table(what, *columns.values())
    last = len(summary.names) - 1
    for number, (name, row) in enumerate(zip(summary.names, summary.rows, strict=True)):
        cells = [_cell(row[c], c in _COUNTS) for c in columns]
        rows.add_row(Text(name), *cells, end_section=number == last)
    # The pool of one volume is the volume.
    together_of = {"pooled": summary.pooled, "mean": summary.mean} if last or what == "image" else {}
    for kind, together in together_of.items():
        cells = [_cell(together[c].value, kind == "pooled" and c in _COUNTS) for c in columns]
        rows.add_row(Text(f"{kind} ({count(last + 1, what)})"), *cells, style="bold")
        if summary.has_intervals:
            rows.add_row(Text("  95 % interval"), *(_limits(together[c], c) for c in columns), style="dim")
    return rows


def _comparison(
    columns: dict[str, str], summaries: dict[str, Summary], differences: dict[str, dict[str, Interval]]
) -> Table:
    rows = table("pooled", *columns.values())
    for number, (place, summary) in enumerate(summaries.items(), 1):
        rows.add_row(Text(place), *(_cell(summary.pooled[c].value, c in _COUNTS) for c in columns), style="bold")
        if summary.has_intervals:
            limits = [_limits(summary.pooled[c], c) for c in columns]
            rows.add_row(Text("  95 % interval"), *limits, style="dim", end_section=number == len(summaries))
    first = next(iter(summaries))
    for place, row in differences.items():
        cells = [f"{row[c].value:+.0f}" if c in _COUNTS else _cell(row[c].value, False, "+") for c in columns]
        rows.add_row(Text(f"{place} − {first}"), *cells, style="bold")
        if any(i.low == i.low for i in row.values()):
            rows.add_row(Text("  95 % interval"), *(_limits(row[c], c, "+") for c in columns), style="dim")
    return rows


def _legend(protocol: Protocol, dsb: bool, resamples: int) -> str:
    parts = []
    if dsb:
        parts.append(f"AP: TP / (TP + FP + FN){' at IoU > t' if protocol.strict else ''}")
    parts += [f"{name} AP: area under the precision-recall curve" for name in protocol.ranked]
    parts += ["mean AP: IoU .50 to .95", f"A-Rand: adapted Rand error, {_RAND_NAMES[protocol.rand]}"]
    if resamples:
        parts.append(f"intervals: {resamples} bootstrap resamples of the images")
    return "; ".join(parts) + "."


def _cell(value: float, whole: bool, sign: str = "") -> str:
    if value != value:  # undefined
        return "–"
    return f"{value:{sign}.0f}" if whole else f"{value:{sign}.3f}"


def _limits(interval: Interval, column: str, sign: str = "") -> str:
    if column in _COUNTS or interval.low != interval.low:
        return ""
    return f"{interval.low:{sign}.3f}…{interval.high:{sign}.3f}"

"""The results of an evaluation as tables for the terminal."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from autosam.cli.console import result, table
from autosam.cli.words import count
from autosam.evaluation.tables import Summary
from autosam.metrics.all_scores import Protocol
from autosam.metrics.average_precision import AveragePrecisionConvention
from autosam.metrics.bootstrap import Interval

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
_COUNTS = ("objects", "predicted")
_RAND_NAMES = {
    "snemi3d": "as SNEMI3D",
    "skimage": "as scikit-image",
    "foreground": "missed voxels one segment",
    "singletons": "missed voxels a segment each",
}


def print_results(
    header: str,
    notes: Sequence[str],
    summaries: dict[str, Summary],
    differences: dict[str, dict[str, Interval]],
    protocol: Protocol,
    *,
    dsb: bool,
    wide: bool,
    resamples: int,
) -> None:
    """Print the scores with a legend: of one prediction image by image, of several pooled.

    `differences` are those of the other predictions from the first one, by prediction and column. `dsb` and `wide`
    show the columns of AP by convention dsb, and of VOI, CREMI, PQ and AJI. `resamples` is for the legend.
    """
    columns = _columns(protocol, dsb, wide)
    first = next(iter(summaries.values()))
    rows = _comparison(columns, summaries, differences) if differences else _images(columns, first)
    legend = _legend(protocol, dsb, resamples if first.has_intervals else 0)
    result(header, *(f"note: {note}" for note in notes), rows, legend)


def _columns(protocol: Protocol, dsb: bool, wide: bool) -> dict[str, str]:
    columns = {c: t for c, t in _PRINTED.items() if dsb or c not in ("ap50", "ap75", "mean_ap")}
    for ranked in protocol.ranked:
        columns |= {
            f"{ranked}_ap50": f"{ranked} AP@.5",
            f"{ranked}_ap75": f"{ranked} AP@.75",
            f"{ranked}_mean_ap": f"{ranked} mean AP",
        }
    conventions: list[AveragePrecisionConvention] = [*(("dsb",) if dsb else ()), *protocol.ranked]
    for convention in conventions:
        for name in protocol.size_classes(convention):
            title = name.replace("upto", "≤ ").replace("above", "> ")
            columns[f"{convention}_{name}_ap50"] = f"{convention} AP@.5 {title}"
    return columns | (_PRINTED_MORE if wide else {})


def _images(columns: dict[str, str], summary: Summary) -> Table:
    rows = table("image", *columns.values())
    last = len(summary.names) - 1
    for number, (name, row) in enumerate(zip(summary.names, summary.rows, strict=True)):
        cells = [_cell(row[c], c in _COUNTS) for c in columns]
        rows.add_row(Text(name), *cells, end_section=number == last)
    for kind, together in (("pooled", summary.pooled), ("mean", summary.mean)):
        cells = [_cell(together[c].value, kind == "pooled" and c in _COUNTS) for c in columns]
        rows.add_row(Text(f"{kind} ({count(last + 1, 'image')})"), *cells, style="bold")
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

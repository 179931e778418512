"""The overview of a report: what to look at first, the summary, the table of images, and the distributions."""

import re
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.evaluation.results_page.folder_record import FolderRecord, without_folders
from autosam.evaluation.results_page.shown_image import ShownImage
from autosam.report.page_content import Cell, Chart, Column, Fact, Notice, Table, as_sentence
from autosam.report.svg_charts import histogram, number

UNLIKE = "unlike the training images"
EMPTY = "nothing found"

_WIDE = 20
"""Times that the largest size is the smallest, from which sizes are shown on a logarithmic axis."""


def doubts_of(image: ShownImage) -> tuple[str, ...]:
    """Say in short what is doubtful about an image."""
    warnings = [without_folders(str(text)) for text in image.entry.get("warnings", ())]
    found = [UNLIKE] if image.entry.get("out_of_distribution") else []
    if not len(image.areas):
        found.append(EMPTY)
    return tuple(dict.fromkeys([*found, *warnings]))


def notices_of(
    record: FolderRecord, images: Sequence[ShownImage], lost: Mapping[str, str], *, busy: str | None
) -> list[Notice]:
    """List what to look at first: failures, then doubts, then what is only to be known.

    Parameters
    ----------
    lost : mapping of str to str
        Why the labels of an image are not there, by its name.
    busy : str or None
        Another process that works in the folder.
    """
    notices = []
    for name, entry in record.entries.items():
        if "error" in entry:
            notices.append(Notice("error", _reason_of(entry), (name,)))
    notices += [Notice("error", f"The labels are not shown: {reason}", (name,)) for name, reason in lost.items()]
    doubtful: dict[str, list[str]] = {}
    for image in images:
        for doubt in doubts_of(image):
            doubtful.setdefault(doubt, []).append(image.name)
    for doubt, names in doubtful.items():
        notices.append(Notice("warning", as_sentence(f"{_images(len(names))}: {doubt}"), tuple(names)))
    notices += _of_runs(record)
    if busy is not None:
        text = f"{busy[0].upper()}{busy[1:]} works in this folder now. The report shows what was done before."
        notices.append(Notice("warning", text))
    gone: dict[str, list[str]] = {}
    for image in images:
        if image.missing:
            gone.setdefault(image.missing, []).append(image.name)
    for reason, names in gone.items():
        notices.append(
            Notice("note", f"The image itself is not shown: {reason}. {_instead(names, images)}", tuple(names))
        )
    changed = tuple(image.name for image in images if image.changed)
    if changed:
        text = "The labels were changed after autosam wrote them. They are shown and measured as they are now."
        notices.append(Notice("note", text, changed))
    return notices


def summary_of(record: FolderRecord, images: Sequence[ShownImage], lost: Mapping[str, str]) -> tuple[Fact, ...]:
    """Give the numbers that a reader asks for first."""
    failed = sum("error" in entry for entry in record.entries.values()) + len(lost)
    count = sum(len(image.areas) for image in images)
    per_image = [len(image.areas) for image in images]
    facts = [Fact("images", f"{len(images):,}", f"and {failed:,} failed or lost" if failed else "none failed")]
    middle = f"median {number(float(np.median(per_image)))} an image" if images else ""
    facts.append(Fact("objects", f"{count:,}", middle))
    known = bool(images) and all(image.um == image.um for image in images)
    pixels = sum(image.pixels for image in images)
    if pixels:
        facts.append(
            Fact("density", f"{number(count / pixels * 1e6)}", "objects per megapixel, all images together")
        )
    if known and pixels:
        mm2 = sum(image.pixels * image.um**2 for image in images) * 1e-6
        facts.append(Fact("density by area", number(count / mm2), f"objects per mm², in {number(mm2)} mm²"))
    areas = _joined(image.areas for image in images)
    if len(areas):
        facts.append(Fact("median size", f"{number(float(np.median(areas)))} px", _quartiles(areas, "px")))
    if known and len(areas):
        sizes = _joined(image.areas * image.um**2 for image in images)
        facts.append(Fact("median size", f"{number(float(np.median(sizes)))} µm²", _quartiles(sizes, "µm²")))
    scores = np.array([score for image in images for score in image.scores.values()])
    if len(scores):
        facts.append(
            Fact("median score", f"{np.median(scores):.2f}", "0 to 1, how sure the model is of an object")
        )
    novelty = [float(image.entry["novelty"]) for image in images if image.entry.get("novelty") is not None]
    if novelty:
        unlike = sum(bool(image.entry.get("out_of_distribution")) for image in images)
        about = f"highest {max(novelty):.2f}; {_images(unlike)} unlike the training images (above 1)"
        facts.append(Fact("median novelty", f"{np.median(novelty):.2f}", about))
    seconds = [float(image.entry["seconds"]) for image in images if image.entry.get("seconds") is not None]
    if seconds:
        facts.append(Fact("time", _time(sum(seconds)), f"{_time(float(np.mean(seconds)))} an image"))
    return tuple(facts)


def table_of(
    record: FolderRecord,
    images: Sequence[ShownImage],
    lost: Mapping[str, str],
    *,
    groups: Mapping[str, str],
    scores: Mapping[str, Mapping[str, float]],
) -> Table:
    """Make the table of images, sorted by name; failed ones have their reason."""
    known = any(image.um == image.um for image in images)
    columns = [Column("image", numeric=False)]
    columns += [Column("group", numeric=False)] if groups else []
    columns += [Column("objects"), Column("per Mpx", about="Objects per megapixel")]
    columns += [Column("per mm²", about="Objects per mm²")] if known else []
    columns.append(Column("median px", about="Median size in pixels"))
    columns += [Column("median µm²", about="Median size in µm²")] if known else []
    columns += [
        Column("in objects", about="Share of the image that is in objects"),
        Column("score", about="Median score of the objects"),
        Column("novelty", about="Above 1, the image is unlike the training images"),
        Column("time", about="Seconds for reading, segmenting and writing"),
    ]
    columns += (
        [Column("AP@.5"), Column("mean AP", about="Mean of AP over IoU thresholds .50 to .95")] if scores else []
    )
    columns.append(Column("to check", numeric=False))
    by_name = {image.name: image for image in images}
    rows = []
    for name in sorted(record.entries, key=_natural):
        image = by_name.get(name)
        if image is None:
            reason = lost.get(name) or _reason_of(record.entries[name])
            middle = [Cell("–") for _ in columns[1 + bool(groups) : -1]]
            group = [Cell(groups.get(name, "–"))] if groups else []
            rows.append((Cell(name), *group, *middle, Cell(f"failed: {reason}")))
        else:
            rows.append(_row(image, groups, scores, known=known))
    return Table(f"{len(rows)} images. A click on a heading sorts.", tuple(columns), tuple(rows))


def charts_of(images: Sequence[ShownImage]) -> tuple[Chart, ...]:
    """Draw how sizes and scores are distributed over all objects; none without objects."""
    areas = _joined(image.areas for image in images)
    if not len(areas):
        return ()
    known = all(image.um == image.um for image in images if len(image.areas))
    sizes = _joined(image.areas * image.um**2 for image in images) if known else areas
    log = bool(sizes.max() >= _WIDE * sizes.min())
    charts = [Chart("Size of objects", histogram(sizes, label=f"size ({'µm²' if known else 'px'})", log=log))]
    scores = np.array([score for image in images for score in image.scores.values()], np.float64)
    if len(scores):
        charts.append(Chart("Score of objects", histogram(scores, label="score", limits=(0.0, 1.0))))
    return tuple(charts)


def _of_runs(record: FolderRecord) -> list[Notice]:
    notices = []
    if len(record.runs) > 1:
        runs = f"{len(record.runs)} runs of different models, settings or versions"
        text = f"The images come from {runs}. Compare them with care."
        notices.append(Notice("warning", text))
    for run in record.runs:
        names = tuple(record.of_run(run))
        if run.options.get("oracle_mask_sha256"):
            text = "The truth chose among the masks (--oracle-mask): this is an upper bound, not a result."
            notices.append(Notice("warning", text, names))
        if run.options.get("prompts_sha256"):
            notices.append(Notice("note", "A person gave prompts for objects of these images (--prompts).", names))
    return notices


def _row(
    image: ShownImage, groups: Mapping[str, str], scores: Mapping[str, Mapping[str, float]], *, known: bool
) -> tuple[Cell, ...]:
    count, pixels = len(image.areas), image.pixels
    median = float(np.median(image.areas)) if count else float("nan")
    found = np.array(list(image.scores.values()))
    entry = image.entry
    values = [
        count / pixels * 1e6 if pixels else float("nan"),
        *([count / (pixels * image.um**2 * 1e-6) if pixels else float("nan")] if known else []),
        median,
        *([median * image.um**2] if known else []),
        float(image.areas.sum()) / pixels if pixels else float("nan"),
        float(np.median(found)) if len(found) else float("nan"),
        *(float("nan") if entry.get(key) is None else float(entry[key]) for key in ("novelty", "seconds")),
    ]
    found_scores = [scores.get(image.name, {}).get(key, float("nan")) for key in ("ap50", "mean_ap")]
    return (
        Cell(image.name),
        *([Cell(groups.get(image.name, "–"))] if groups else []),
        Cell(f"{count:,}", count),
        *(Cell(number(value), value if isfinite(value) else None) for value in values),
        *(Cell(f"{v:.3f}", v) if isfinite(v) else Cell("–") for v in (found_scores if scores else ())),
        Cell("; ".join(doubts_of(image))),
    )


def _reason_of(entry: Mapping[str, Any]) -> str:
    """Say in one line why an image failed."""
    return without_folders(" ".join(str(entry.get("error", "")).split()))


def _instead(names: Sequence[str], images: Sequence[ShownImage]) -> str:
    drawn = {image.drawn for image in images if image.name in names}
    if drawn == {True}:
        return "Its overlay is shown instead, with the outlines drawn in."
    return "The outlines are shown alone." if drawn == {False} else "Overlays or outlines alone are shown instead."


def _joined(parts: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate([np.empty(0), *parts])


def _quartiles(values: NDArray[np.float64], unit: str) -> str:
    low, high = np.quantile(values, [0.25, 0.75]).tolist()
    return f"quartiles {number(low)} and {number(high)} {unit}"


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def _time(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sort numbers in names by value, as the page's own sorting does."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name.casefold())]

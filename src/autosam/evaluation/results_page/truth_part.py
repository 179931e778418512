"""The comparison with a truth: scores, what became of the objects, and the worst of them as crops."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.valid_pixels import split_ignored
from autosam.errors import InputError, listed
from autosam.evaluation.find_labels import find_labels
from autosam.evaluation.open_pair import ObjectRules, open_pair
from autosam.evaluation.pairing import Pair, choose_masks, pair_labels
from autosam.evaluation.results_page.shown_image import ShownImage
from autosam.evaluation.results_page.worst_objects import WorstObjects
from autosam.evaluation.scoring import IN_MEMORY_VOXELS, FileScores, score_predictions
from autosam.evaluation.tables import Summary, summarize
from autosam.metrics.all_scores import Protocol
from autosam.metrics.bootstrap import Interval
from autosam.metrics.ignored import clear_ignored
from autosam.pipeline.results_folder import FoundLabels
from autosam.report.page_content import Cell, Chart, Column, Fact, Table, TruthPart, as_sentence
from autosam.report.svg_charts import curve, number

RESAMPLES = 1000
"""Of the bootstrap over images."""

_SHOWN = {
    "ap50": "AP@.5",
    "ap75": "AP@.75",
    "mean_ap": "mean AP (.5 to .95)",
    "precision50": "precision at IoU ≥ .5",
    "recall50": "recall at IoU ≥ .5",
    "f1_50": "F1 at IoU ≥ .5",
    "matched_iou50": "mean IoU of matches",
    "pq": "panoptic quality",
    "dice": "Dice of the foreground",
    "iou": "IoU of the foreground",
    "rand_error": "adapted Rand error",
}


@dataclass(frozen=True, eq=False)
class OpenTruth:
    """The true labels of images, paired, with their scores.

    Attributes
    ----------
    pairs : mapping of str to Pair
        By the name of the image in the results.
    rows : mapping of str to mapping
        Scores of each image by column.
    """

    pairs: Mapping[str, Pair]
    rows: Mapping[str, Mapping[str, float]]
    summary: Summary
    rules: ObjectRules
    notes: tuple[str, ...]
    worst: WorstObjects = field(default_factory=WorstObjects)

    def beside(self, image: ShownImage) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]] | None:
        """Give the objects of an image and the true ones, those that count; None without a truth or labels."""
        if image.name not in self.pairs or image.labels is None:
            return None
        with open_pair(self.pairs[image.name], self.rules, in_memory=IN_MEMORY_VOXELS) as opened:
            mask = None if opened.valid is None else opened.valid.read_mask((slice(None), slice(None)))
            truth, counted = split_ignored(opened.truth.whole(ignore=opened.ignore), mask, ignore=opened.ignore)
        return clear_ignored(image.labels, truth, valid=counted)


def open_truth(given: str, folder: Path, found: Sequence[FoundLabels], *, components: int | None) -> OpenTruth:
    """Pair the results of a folder with a truth by name, and score them as `autosam evaluate` does.

    A truth may hold more images than the results. Images without a truth are noted.

    Parameters
    ----------
    given : str
        As of `find_labels`.
    components : int, optional
        The truth is semantic: its connected components of at least so many pixels are the objects.

    Raises
    ------
    InputError
        If the truth cannot be read or holds nothing of these images, or sizes differ.
    """
    truth = choose_masks(find_labels(given), None)
    pairs, _ = pair_labels(find_labels(str(folder)), truth)
    by_file = {str(labels.file.resolve()): labels.name for labels in found if labels.file is not None}
    named: dict[str, Pair] = {}
    for pair in pairs:
        name = by_file.get(str(Path(pair.pred).resolve())) if isinstance(pair.pred, str) else None
        if name is not None:
            named[name] = pair
    if not named:
        raise InputError(
            f"--labels {given} holds no truth of the images in {folder}; wanted labels of the same names, such as "
            f"{found[0].name}.tif"
        )
    scored = _scored(list(named.values()), ObjectRules(components))
    summary = summarize(list(named), scored.scores, resamples=RESAMPLES, seed=0)
    without = [labels.name for labels in found if labels.name not in named]
    notes = [*truth.notes, *scored.notes]
    if without:
        have, are = ("image has", "is") if len(without) == 1 else ("images have", "are")
        notes.append(f"{len(without)} {have} no truth, and {are} not scored: {listed(without)}.")
    if components is not None:
        notes.append(
            f"The true objects are the connected components, of {components} px or more, of a semantic mask."
        )
    rows = dict(zip(named, summary.rows, strict=True))
    return OpenTruth(named, rows, summary, ObjectRules(components), tuple(map(as_sentence, notes)))


def truth_part(truth: OpenTruth) -> TruthPart:
    """Lay out the scores, after all images were given to ``truth.worst``."""
    pooled, mean, images = truth.summary.pooled, truth.summary.mean, len(truth.pairs)
    facts = tuple(
        Fact(_SHOWN[name], _score(pooled[name].value), _limits(pooled[name])) for name in list(_SHOWN)[:3]
    )
    facts += (Fact("images with truth", str(images), f"{number(pooled['objects'].value)} true objects"),)
    scores = Table(
        "Scores with 95 % bootstrap intervals over images",
        (
            Column("score", numeric=False),
            Column("pooled", about="Counts of all images added up"),
            Column("95 % interval"),
            Column("mean over images"),
            Column("95 % interval"),
        ),
        tuple(
            (Cell(title), *map(Cell, (*_with_limits(pooled[name]), *_with_limits(mean[name]))))
            for name, title in _SHOWN.items()
        ),
    )
    ap = truth.summary.pool.ap
    thresholds = [float(value) for value in ap.thresholds]
    drawn = curve(thresholds, ap.accuracy.tolist(), label="IoU threshold", up_label="AP, pooled")
    notes = (
        "AP is TP / (TP + FP + FN) with one-to-one matches. Merged and split objects have no match of IoU ≥ .5. "
        "autosam evaluate RESULTS TRUTH --diagnose says which step lost them.",
        *(("A single image has no interval.",) if images == 1 else ()),
        *truth.notes,
    )
    charts = (Chart("Average precision by IoU threshold", drawn),)
    return TruthPart(facts, scores, _kinds(pooled), charts, tuple(truth.worst.crops()), notes)


def _scored(pairs: list[Pair], rules: ObjectRules) -> FileScores:
    return score_predictions({"results": pairs}, protocol=Protocol(), truth_size=rules.truth_size)["results"]


def _kinds(pooled: Mapping[str, Interval]) -> tuple[Fact, ...]:
    """Count what became of the true objects, and the spurious ones."""
    total, predicted = pooled["objects"].value, pooled["predicted"].value
    counts = {
        "found": pooled["tp50"].value,
        **{name: pooled[name].value for name in ("missed", "merged", "split")},
    }
    kinds = [
        Fact(name, number(count), f"{_share(count, total)} of the true objects") for name, count in counts.items()
    ]
    spurious = pooled["spurious"].value
    return (*kinds, Fact("spurious", number(spurious), f"{_share(spurious, predicted)} of the objects found"))


def _share(count: float, of: float) -> str:
    return f"{100 * count / of:.1f} %" if of else "–"


def _score(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"


def _limits(interval: Interval) -> str:
    return "" if interval.low != interval.low else f"{interval.low:.3f} to {interval.high:.3f}"


def _with_limits(interval: Interval) -> tuple[str, str]:
    return _score(interval.value), _limits(interval) or "–"

"""Scores of pairs of labels."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autosam.data.sources.losses import total_losses
from autosam.data.valid_pixels import split_ignored
from autosam.errors import InputError
from autosam.evaluation.label_refs import LabelRef, LazyLabels
from autosam.evaluation.open_pair import ObjectRules, open_pair
from autosam.evaluation.pairing import Pair
from autosam.evaluation.volumes import contingency_of_volumes
from autosam.images.image_source import split_dataset
from autosam.images.label_names import without_suffix
from autosam.metrics.all_scores import Protocol, Scores
from autosam.metrics.contingency import ContingencyTable, contingency_table
from autosam.metrics.evaluate import evaluate_pair
from autosam.metrics.matching import best_ious
from autosam.metrics.semantic import looks_semantic

Ranking = Literal["auto", "table", "size"]

# Larger pairs are read block by block.
IN_MEMORY_VOXELS = 1 << 26


@dataclass(frozen=True, eq=False)
class FileScores:
    """Scores of the pairs of one prediction.

    Attributes
    ----------
    scores : list of Scores
        One per pair, in their order.
    sizes : ndarray of int64, shape (T,)
        Voxels of all true objects, pair after pair.
    ious : ndarray of float64, shape (T,)
        The highest IoU of each with any prediction, 0 to 1.
    notes : list of str
        What a reader of the scores should know.
    """

    scores: list[Scores]
    sizes: NDArray[np.int64]
    ious: NDArray[np.float64]
    notes: list[str]


def score_predictions(
    pairs: Mapping[str, Sequence[Pair]],
    *,
    protocol: Protocol,
    truth_size: int | None = None,
    pred_size: int | None = None,
    ignore: int | None = None,
    ranking: Ranking = "auto",
    progress: Callable[[float, int], None] | None = None,
) -> dict[str, FileScores]:
    """Score every pair of every prediction; volumes of more than 2^26 voxels are read block by block.

    Parameters
    ----------
    pairs : mapping of str to sequence of Pair
        By the name of the prediction.
    truth_size, pred_size : int, optional
        Make instances of a semantic truth or prediction: its connected components of at least so many voxels.
    ignore : int, optional
        Number in the truth of pixels that do not count, such as 255 or -1.
    ranking : {"auto", "table", "size"}
        What ranks predictions where the protocol asks for it: the scores in ``NAME_instances.csv`` or
        ``NAME_objects.csv`` beside the labels, the number of voxels, or the table where every prediction has one.
    progress : callable, optional
        Called with the pairs of all predictions that are done, in parts of one, and their number.

    Raises
    ------
    InputError
        One error that names every pair of every prediction that cannot be compared, and why.
    """
    total = sum(len(listed) for listed in pairs.values())
    before = 0

    def show(done: float) -> None:
        if progress is not None:
            progress(before + done, total)

    found: dict[str, FileScores] = {}
    faults = []
    for name, listed in pairs.items():
        try:
            found[name] = _score_pairs(listed, protocol, ObjectRules(truth_size, pred_size, ignore), ranking, show)
        except InputError as error:
            faults.append(f"{name}: {error}" if len(pairs) > 1 else str(error))
        before += len(listed)
    if faults:
        raise InputError("; ".join(faults))
    return found


def _score_pairs(
    pairs: Sequence[Pair],
    protocol: Protocol,
    rules: ObjectRules,
    ranking: Ranking,
    show: Callable[[float], None],
) -> FileScores:
    tables, notes = _choose_ranking(pairs, protocol, ranking)
    scores: list[Scores] = []
    faults, sizes, ious = [], [np.empty(0, np.int64)], [np.empty(0)]
    semantic = np.zeros(2, np.int64)
    unscored: list[str] = []
    for number, (pair, instances) in enumerate(zip(pairs, tables, strict=True)):
        try:
            table, masks = _table_of(pair, rules, number, show)
            confidence = read_scores(instances) if instances is not None else None
            scores.append(evaluate_pair(table=table, protocol=protocol, scores=confidence))
        except InputError as error:
            faults.append(f"{pair.name}: {error}")
            continue
        sizes.append(table.truth_sizes)
        ious.append(best_ious(table))
        semantic += masks
        if not table.n_voxels:
            unscored.append(pair.name)
        show(number + 1)
    if faults:
        raise InputError(f"{len(faults)} of {len(pairs)} images cannot be compared: {'; '.join(faults)}")
    notes += [
        f"{count} {side} file(s) hold one id alone, or few ids in many pieces each, like a semantic mask; "
        f"{option} makes instances of it"
        for count, side, option in zip(
            semantic, ("truth", "prediction"), ("--components", "--pred-components"), strict=True
        )
        if count
    ]
    notes += _said_of_ignored(pairs, rules.ignore, unscored)
    notes += _said_of_losses(pairs)
    return FileScores(scores, np.concatenate(sizes), np.concatenate(ious), notes)


def _said_of_losses(pairs: Sequence[Pair]) -> list[str]:
    """Say what became of the objects of COCO files and other outlines."""
    sides = {"truth": [pair.truth for pair in pairs], "predictions": [pair.pred for pair in pairs]}
    losses = {
        side: total_losses(ref.losses for ref in refs if isinstance(ref, LazyLabels) and ref.losses is not None)
        for side, refs in sides.items()
    }
    return [f"{side}: {note}" for side, total in losses.items() for note in total.notes()]


def _said_of_ignored(pairs: Sequence[Pair], ignore: int | None, unscored: Sequence[str]) -> list[str]:
    notes = []
    folders = {str(Path(pair.valid).parent) for pair in pairs if isinstance(pair.valid, str)}
    masked = sum(pair.valid is not None for pair in pairs)
    if masked:
        place = f" in {', '.join(sorted(folders))}" if folders else ""
        notes.append(f"{masked} truth(s) count only where their masks of valid pixels{place} say so")
    if ignore is not None:
        notes.append(f"pixels with the number {ignore} in the truth do not count")
    if unscored:
        notes.append(f"no pixel counts in {len(unscored)} image(s), which have no score: {', '.join(unscored)}")
    return notes


def instances_table(pred: LabelRef) -> Path | None:
    """Find the table of instances that a run puts beside its labels; None if it is not there."""
    if not isinstance(pred, str):
        return None
    path = split_dataset(pred)[0]
    stem = without_suffix(path.name)
    tables = (f"{stem.removesuffix('_labels')}_instances.csv", f"{stem}_objects.csv")
    return next((table for name in tables if (table := path.with_name(name)).is_file()), None)


def read_scores(path: Path) -> dict[int, float]:
    """Read the columns ``label``, ``id`` in older tables, and ``score`` of a table of instances.

    Raises
    ------
    InputError
        If the file cannot be read, or lacks one of the columns or a number in them.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            ids = "id" if "id" in (rows.fieldnames or ()) else "label"
            return {int(row[ids]): float(row["score"]) for row in rows}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): rank by --scores size instead") from error
    except KeyError as error:
        raise InputError(f"{path} has no column {error}: wanted columns label and score") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} has a row without label or score ({error}): wanted numbers in both") from error


def _choose_ranking(
    pairs: Sequence[Pair], protocol: Protocol, ranking: Ranking
) -> tuple[list[Path | None], list[str]]:
    """Return the table that ranks the predictions of each pair, None for their size, and a note that says so."""
    by_size: list[Path | None] = [None] * len(pairs)
    if not protocol.ranked:
        return by_size, []
    tables = [instances_table(pair.pred) for pair in pairs]
    lacking = [pair.name for pair, table in zip(pairs, tables, strict=True) if table is None]
    if ranking == "table" and lacking:
        raise InputError(
            f"no table of scores NAME_instances.csv beside the labels of {', '.join(lacking)} (of volumes "
            "NAME_objects.csv): add them, or rank by --scores size"
        )
    if ranking == "size" or lacking:
        return by_size, ["predictions are ranked by their number of voxels"]
    return tables, ["predictions are ranked by the scores in their tables of instances"]


def _table_of(
    pair: Pair, rules: ObjectRules, number: int, show: Callable[[float], None]
) -> tuple[ContingencyTable, tuple[bool, bool]]:
    """Return the table of a pair, and whether truth and prediction look like semantic masks."""
    with open_pair(pair, rules, in_memory=IN_MEMORY_VOXELS) as opened:
        pred, truth, valid = opened.pred, opened.truth, opened.valid
        if prod(truth.shape) > IN_MEMORY_VOXELS:
            table = contingency_of_volumes(
                pred, truth, valid=valid, ignore=opened.ignore, progress=lambda done, of: show(number + done / of)
            )
            return table, (table.truth_ids.tolist() == [255], table.pred_ids.tolist() == [255])
        everything = tuple(slice(0, n) for n in truth.shape)
        mask = None if valid is None else valid.read_mask(everything)
        true, counted = split_ignored(truth.whole(ignore=opened.ignore), mask, ignore=opened.ignore)
        predicted = pred.whole()
        masks = (
            rules.truth_size is None and looks_semantic(true),
            rules.pred_size is None and looks_semantic(predicted),
        )
        return contingency_table(predicted, true, valid=counted), masks

"""The figures of an evaluation: error maps of its images, and curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from autosam.evaluation.pairing import Pair
from autosam.evaluation.scoring import FileScores
from autosam.evaluation.tables import Summary
from autosam.evaluation.volumes import as_instances, as_truth, open_labels
from autosam.images import ensure_folder
from autosam.metrics import clear_ignored
from autosam.report.figures import ap_curves, error_map, save_figure, size_and_iou


def draw_scores(
    folder: Path,
    pairs: Mapping[str, Sequence[Pair]],
    scored: Mapping[str, FileScores],
    summaries: Mapping[str, Summary],
    truth_size: int | None,
    pred_size: int | None,
    ignore: int | None,
) -> None:
    """Draw an error map of every image, and curves of every prediction.

    Parameters
    ----------
    folder : Path
        Made where it does not exist; of several predictions each has a folder of its own inside.
    pairs, scored, summaries : mapping
        Labels and results by prediction.
    truth_size, pred_size, ignore : int, optional
        As in `score_predictions`.

    Raises
    ------
    InputError
        If labels cannot be read again.
    OutputError
        If a figure cannot be written.
    """
    for number, (pred_name, listed) in enumerate(pairs.items(), 1):
        inner = folder if len(pairs) == 1 else folder / f"{number}_{Path(pred_name).stem}"
        ensure_folder(inner / "errors")
        for pair in listed:
            pred, truth, where = _middle_slice(pair, truth_size, pred_size, ignore)
            file = inner / "errors" / f"{pair.name}.png"
            ensure_folder(file.parent)
            save_figure(file, error_map(pred, truth, title=f"{pair.name}{where}"))
        save_figure(inner / "size_iou.png", size_and_iou(scored[pred_name].sizes, scored[pred_name].ious))
    short = {name: Path(name).name for name in summaries}
    unique = len(set(short.values())) == len(short)
    pools = {short[name] if unique else name: summary.pool for name, summary in summaries.items()}
    save_figure(folder / "ap_threshold.png", ap_curves(pools))


def _middle_slice(
    pair: Pair, truth_size: int | None, pred_size: int | None, ignore: int | None
) -> tuple[NDArray[Any], NDArray[Any], str]:
    """Read a pair again, of a volume the slice in the middle and its components, and say which slice it is.

    What does not count is background.
    """
    with open_labels(pair.pred) as pred, open_labels(pair.truth, ignore=ignore) as truth:
        *depth, height, width = truth.shape
        middle = depth[0] // 2 if depth else 0
        region = (*(slice(middle, middle + 1) for _ in depth), slice(0, height), slice(0, width))
        predicted, true = pred.read(region), truth.read(region, ignore=ignore)
    mask = None
    if pair.valid is not None:
        with open_labels(pair.valid) as valid:
            mask = valid.read_mask(region).reshape(height, width)
    true, counted = as_truth(true.reshape(height, width), mask, min_size=truth_size, ignore=ignore)
    cleared = clear_ignored(as_instances(predicted.reshape(height, width), pred_size), true, valid=counted)
    where = f", slice {middle} of {depth[0]}" if depth else ""
    return *cleared, where

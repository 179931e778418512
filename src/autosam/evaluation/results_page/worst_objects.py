"""The objects that went most wrong, as crops with the outlines of truth and result."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.evaluation.results_page.shown_image import ShownImage
from autosam.metrics import ErrorKind, best_ious, classify_errors, contingency_table
from autosam.report.page_content import Crop
from autosam.report.page_pictures import fit_picture
from autosam.report.svg_charts import number

PER_KIND = 6
"""Crops of each kind."""
LOOSE = 0.75
"""IoU below which a match counts as one with a loose outline."""

_KINDS = ("missed", "merged", "split", "spurious", "loose")
_AROUND = 0.6
_LEAST = 20
_BYTES = 40_000


class WorstObjects:
    """Collects crops image by image, so that no more than a few of each kind are held.

    Missed, merged and split objects are the largest of their kind, spurious ones those of the highest score, and
    loose ones the matches of the lowest IoU below ``LOOSE``.
    """

    def __init__(self) -> None:
        self._kept: dict[str, list[tuple[float, Crop]]] = {kind: [] for kind in _KINDS}

    def add(self, image: ShownImage, labels: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]]) -> None:
        """Take the objects of one image, (H, W), and the true ones into account."""
        table = contingency_table(labels, truth)
        kinds, ious = classify_errors(table), best_ious(table)
        sizes = table.truth_sizes.astype(np.float64)
        cuts = _Cuts(image, labels, truth)
        for kind in (ErrorKind.MISSED, ErrorKind.MERGED, ErrorKind.SPLIT):
            members = np.flatnonzero(kinds.truth == kind)
            self._keep(kind.name.lower(), cuts, table.truth_ids[members], sizes[members], ious[members])
        loose = np.flatnonzero((kinds.truth == ErrorKind.HIT) & (ious < LOOSE))
        self._keep("loose", cuts, table.truth_ids[loose], 1 - ious[loose], ious[loose])
        spurious = table.pred_ids[kinds.pred == ErrorKind.SPURIOUS]
        scores = np.array([image.scores.get(int(own), 0.0) for own in spurious])
        self._keep("spurious", cuts, spurious, scores, None)

    def crops(self) -> list[Crop]:
        """Give what was kept, kind by kind, the worst first; equals in the order of the images."""
        return [crop for kept in self._kept.values() for _, crop in kept]

    def _keep(
        self,
        kind: str,
        cuts: "_Cuts",
        ids: NDArray[np.uint64],
        weights: NDArray[np.float64],
        ious: NDArray[np.float64] | None,
    ) -> None:
        """Keep the objects of the highest weight; without IoUs, they are objects of the result."""
        kept = self._kept[kind]
        for at in np.argsort(-weights, kind="stable")[:PER_KIND].tolist():
            if len(kept) == PER_KIND and weights[at] <= kept[-1][0]:
                break
            iou = None if ious is None else float(ious[at])
            kept.append((float(weights[at]), cuts.crop(kind, int(ids[at]), iou)))
            kept.sort(key=lambda entry: -entry[0])
            del kept[PER_KIND:]


class _Cuts:
    """Cuts objects out of one image."""

    def __init__(
        self, image: ShownImage, labels: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]]
    ) -> None:
        self._image, self._labels, self._truth = image, labels, truth
        fits = image.picture is not None and image.picture.shape[:2] == labels.shape
        self._picture = image.picture if fits else None

    def crop(self, kind: str, own: int, iou: float | None) -> Crop:
        """Cut an object out with its surroundings, a square where the image allows."""
        inside = (self._labels if iou is None else self._truth) == own
        area, score = int(inside.sum()), self._image.scores.get(own)
        spans = [np.flatnonzero(inside.any(axis=1 - axis)) for axis in (0, 1)]
        side = max(int(span[-1] - span[0]) + 1 for span in spans)
        side += 2 * max(_LEAST, round(_AROUND * side))
        window = tuple(
            _around(int(span[0] + span[-1]) // 2, min(side, length), length)
            for span, length in zip(spans, inside.shape, strict=True)
        )
        lines = [f"{'object' if iou is None else 'true object'} {own}, {area:,} px"]
        if iou is not None:
            lines.append(f"best IoU {iou:.2f}")
        elif score is not None:
            lines.append(f"score {number(score)}")
        layers = {"objects": self._labels[window], "truth": self._truth[window]}
        shown = None if self._picture is None else np.ascontiguousarray(self._picture[window])
        return Crop(kind, self._image.name, tuple(lines), fit_picture(shown, layers, most=_BYTES))


def _around(middle: int, side: int, length: int) -> slice:
    start = min(max(0, middle - side // 2), length - side)
    return slice(start, start + side)

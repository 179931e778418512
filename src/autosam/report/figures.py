"""Figures of an evaluation: error maps, AP against the threshold, size against IoU. Needs matplotlib."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images import atomic_path
from autosam.metrics import ErrorKind, Scores, classify_errors, contingency_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colors, which color-blind readers tell apart.
COLORS: dict[ErrorKind, tuple[int, int, int]] = {
    ErrorKind.HIT: (0, 158, 115),
    ErrorKind.MISSED: (0, 114, 178),
    ErrorKind.SPURIOUS: (213, 94, 0),
    ErrorKind.SPLIT: (240, 228, 66),
    ErrorKind.MERGED: (204, 121, 167),
}


def draw_errors(pred: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.uint8]:
    """Color every object of two label images (H, W) by what became of it (`classify_errors`, IoU >= 1/2).

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        Black background; hit green, missed blue, spurious orange, split yellow, merged pink. A pixel that only
        one of the two sides calls an object has the color of that object at half brightness where it is a
        hit. Where two objects lie over each other, the one that is no hit is shown, the prediction first. True
        objects that touch are parted by a black line.

    Raises
    ------
    InputError
        If the labels do not fit or are no images.
    """
    if pred.ndim != 2:
        raise InputError(f"labels of shape {pred.shape} came: error maps are drawn of images (H, W)")
    table = contingency_table(pred, truth)
    kinds = classify_errors(table)
    pred_kind, truth_kind = _paint(pred, table.pred_ids, kinds.pred), _paint(truth, table.truth_ids, kinds.truth)
    shown = np.where(pred_kind > ErrorKind.HIT, pred_kind, np.where(truth_kind >= 0, truth_kind, pred_kind))
    colors = np.array([COLORS[kind] for kind in ErrorKind] + [(0, 0, 0)], np.uint8)
    picture = colors[shown]  # -1, the background, is the last color
    rim = (shown == ErrorKind.HIT) & ((pred_kind < 0) | (truth_kind < 0))
    picture[rim] //= 2
    for before, after in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        picture[after][(truth[after] != truth[before]) & (truth[after] != 0) & (truth[before] != 0)] = 0
    return picture


def error_map(pred: NDArray[Any], truth: NDArray[Any], *, title: str) -> "Figure":
    """Draw the error map of one image with its legend and counts; parameters and errors of `draw_errors`."""
    from matplotlib.patches import Patch

    picture = draw_errors(pred, truth)
    kinds = classify_errors(contingency_table(pred, truth))
    height, width = picture.shape[:2]
    figure, axes = new_figure(8, 8 * height / max(width, 1) + 1)
    axes.imshow(picture, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title)
    patches = [
        Patch(
            color="#{:02x}{:02x}{:02x}".format(*COLORS[kind]), label=f"{kind.name.lower()} ({kinds.count(kind)})"
        )
        for kind in ErrorKind
    ]
    axes.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=5, frameon=False)
    return figure


def ap_curves(results: Mapping[str, Scores]) -> "Figure":
    """Draw average precision against the IoU threshold, one line per entry and convention."""
    figure, axes = new_figure(6, 4.5)
    for name, scores in results.items():
        thresholds = [float(t) for t in scores.ap.thresholds]
        axes.plot(thresholds, scores.ap.accuracy, marker="o", label=f"{name} (dsb)")
        for convention, ranked in scores.ranked.items():
            axes.plot(thresholds, ranked.accuracy, marker=".", linestyle="--", label=f"{name} ({convention})")
    axes.set(xlabel="IoU threshold", ylabel="average precision", ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def size_and_iou(sizes: NDArray[np.int64], ious: NDArray[np.float64]) -> "Figure":
    """Draw the best IoU of each true object against its size, with the median of each of up to ten size bins.

    Sizes are above 0, shape (T,); the IoUs are those of `autosam.metrics.best_ious`.
    """
    figure, axes = new_figure(6, 4.5)
    if len(sizes):
        axes.set_xscale("log")
        axes.scatter(sizes, ious, s=8, alpha=0.4, linewidths=0)
        parts = np.array_split(np.argsort(sizes, kind="stable"), min(10, len(sizes)))
        middle = [np.median(sizes[part]) for part in parts]
        axes.plot(middle, [np.median(ious[part]) for part in parts], color="black", marker="o", label="median")
        axes.legend(frameon=False)
    axes.axhline(0.5, color="gray", linewidth=0.8)
    axes.set(xlabel="size of the true object (pixels)", ylabel="best IoU", ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    return figure


def save_figure(path: Path, figure: "Figure") -> None:
    """Write a figure as PNG, whole or not at all; the same figure gives the same bytes.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=150, bbox_inches="tight", metadata={"Software": None})
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def new_figure(width: float, height: float) -> "tuple[Figure, Any]":
    """Make a figure of so many inches, and its axes."""
    # Not pyplot: its state is global, and it may look for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _paint(labels: NDArray[Any], ids: NDArray[np.uint64], kinds: NDArray[np.int8]) -> NDArray[np.int8]:
    """Replace every id by its kind and the background by -1."""
    painted = np.full(labels.shape, -1, np.int8)
    inside = labels != 0
    painted[inside] = kinds[np.searchsorted(ids, labels[inside].astype(np.uint64))]
    return painted

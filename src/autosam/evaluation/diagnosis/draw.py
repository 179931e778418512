"""The figure of a diagnosis: a bar of stages for each group of images, and the largest lost objects below."""

from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from autosam.evaluation.diagnosis.examples import PER_STAGE, Example
from autosam.evaluation.diagnosis.stages import Stage
from autosam.report.contact_sheet import Panel, contact_sheet
from autosam.report.figures import new_figure
from autosam.report.overlay import find_outlines

# Okabe and Ito's colors, which color-blind readers tell apart.
COLORS: dict[Stage, str] = {
    Stage.FOUND: "#009e73",
    Stage.DETECTION: "#0072b2",
    Stage.PROMPT: "#f0e442",
    Stage.MASK: "#d55e00",
    Stage.MERGE: "#cc79a7",
}
# Outlines of an example; bright on dark and on light ground.
TRUTH = (60, 230, 90)
REGION = (70, 170, 255)
MASK = (255, 235, 60)
RESULT = (255, 80, 200)

SIDE = 150
"""Longest side of each of an example's two pictures, in pixels."""

_GAP = 4
_DPI = 100


def draw_diagnosis(groups: Mapping[str, Mapping[Stage, int]], examples: Sequence[Example]) -> NDArray[np.uint8]:
    """Draw bars above a contact sheet.

    Parameters
    ----------
    groups : mapping of str to mapping of Stage to int
        True objects by stage, for each bar.
    examples : sequence of Example
        Lost objects.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        Bars as shares of the true objects with counts in them. Below, one row of the sheet for each stage that
        lost something, each example twice: with the true outline in green, and with the generator's regions in
        blue, the best mask in yellow and the result in pink.
    """
    panels = {
        stage: [Panel(draw_example(example), example.lines) for example in examples if example.stage is stage]
        for stage in Stage
    }
    sheets = [
        contact_sheet(listed, columns=PER_STAGE, side=2 * SIDE + _GAP) for listed in panels.values() if listed
    ]
    width = max((sheet.shape[1] for sheet in sheets), default=0)
    bars = _draw_bars(groups, width=max(width, 900), sheet=bool(sheets))
    return _stacked([bars, *sheets])


def draw_example(example: Example) -> NDArray[np.uint8]:
    """Draw an example twice, side by side: with the true outline, and with what the stages made of it.

    The longest side of each of the two pictures is ``SIDE``.
    """
    picture, truth, mask, regions, labels = (
        _resized(values)
        for values in (example.picture, example.truth, example.mask, example.regions, example.labels)
    )
    left, right = picture.copy(), picture.copy()
    left[find_outlines(truth)] = TRUTH
    for outline, color in ((regions, REGION), (labels, RESULT), (mask, MASK)):
        right[find_outlines(outline)] = color
    gap = np.full((picture.shape[0], _GAP, 3), 24, dtype=np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def _resized(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Take the nearest pixels, so that labels stay labels."""
    rows, columns = values.shape[:2]
    scale = SIDE / max(rows, columns)
    index = [
        ((np.arange(max(1, round(length * scale))) + 0.5) / scale).astype(np.intp).clip(max=length - 1)
        for length in (rows, columns)
    ]
    return values[np.ix_(*index)]


def _draw_bars(groups: Mapping[str, Mapping[Stage, int]], *, width: int, sheet: bool) -> NDArray[np.uint8]:
    figure, axes = new_figure(width / _DPI, 1.5 + 0.32 * len(groups))
    totals = [sum(counts.values()) for counts in groups.values()]
    starts = np.zeros(len(groups))
    for stage in Stage:
        counts = np.array([counts[stage] for counts in groups.values()])
        shares = counts / np.maximum(totals, 1)
        bars = axes.barh(range(len(groups)), shares, left=starts, color=COLORS[stage], label=stage.value)
        # A narrow part has no room for its number.
        shown = [str(count) if part >= 0.025 else "" for count, part in zip(counts, shares, strict=True)]
        axes.bar_label(bars, shown, label_type="center", fontsize=9)
        starts += shares
    names = [f"{name} ({total})" for name, total in zip(groups, totals, strict=True)]
    axes.set_yticks(range(len(groups)), names)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="share of the true objects")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(Stage), frameon=False)
    if sheet:
        figure.supxlabel(
            "Below, the largest lost objects. Left: truth (green). Right: regions (blue), best mask (yellow), "
            "result (pink).",
            fontsize=9,
        )
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return np.asarray(PIL.Image.open(buffer).convert("RGB"))


def _stacked(parts: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Put pictures under each other, each filled up to the widest with the color of its last column."""
    width = max(part.shape[1] for part in parts)
    return np.concatenate(
        [np.pad(part, ((0, 0), (0, width - part.shape[1]), (0, 0)), mode="edge") for part in parts]
    )

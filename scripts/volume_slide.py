"""A synthetic slide of stained nuclei, drawn tile by tile, and what ``autosam volume`` counts on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from volume_runs import finest_level, run, volume_command

from autosam.metrics import match_objects
from autosam.metrics.contingency import Contingency

PINK = np.array([235.0, 190.0, 215.0])
PURPLE = np.array([95.0, 60.0, 140.0])
BLOCK = 2000
"""Side of the squares in which a slide is drawn and looked at."""
PART = 0.1
"""A nucleus of which two instances hold at least this share each is cut, or there twice."""


@dataclass(frozen=True)
class Slide:
    """Nuclei, one in each cell of a grid, so that none touch."""

    side: int
    count: int
    seed: int = 0

    @property
    def pitch(self) -> float:
        """Pixels between the middles of two cells."""
        return self.side / int(np.ceil(np.sqrt(self.count)))

    @cached_property
    def nuclei(self) -> NDArray[np.float64]:
        """Row, column, two radii and angle of each; shape (count, 5)."""
        rng = np.random.default_rng(self.seed)
        across = int(np.ceil(np.sqrt(self.count)))
        cells = np.sort(rng.permutation(across * across)[: self.count])
        middles = (np.stack([cells // across, cells % across], axis=1) + 0.5) * self.pitch
        middles += rng.uniform(-0.12, 0.12, middles.shape) * self.pitch
        radii = rng.uniform(0.15, 0.26, (self.count, 2)) * self.pitch
        return np.column_stack([middles, radii, rng.uniform(0, np.pi, self.count)])

    def blocks(self) -> Iterator[tuple[int, int, int, int]]:
        """Give top, left, height and width of the squares that are drawn at a time."""
        for top in range(0, self.side, BLOCK):
            for left in range(0, self.side, BLOCK):
                yield top, left, min(BLOCK, self.side - top), min(BLOCK, self.side - left)

    def labels(self, top: int, left: int, height: int, width: int) -> NDArray[np.int32]:
        """Draw a part: the number of each nucleus, from 1."""
        labels = np.zeros((height, width), np.int32)
        away = np.abs(self.nuclei[:, :2] - [top + height / 2, left + width / 2])
        for number in np.flatnonzero((away < [height / 2 + self.pitch, width / 2 + self.pitch]).all(axis=1)):
            row, column, major, minor, angle = self.nuclei[number]
            reach = int(np.ceil(max(major, minor)))
            rows = np.arange(max(int(row) - reach, top), min(int(row) + reach + 2, top + height))
            columns = np.arange(max(int(column) - reach, left), min(int(column) + reach + 2, left + width))
            if not len(rows) or not len(columns):
                continue
            y, x = rows[:, None] - row, columns[None] - column
            along, across = y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)
            part = labels[rows[0] - top : rows[-1] - top + 1, columns[0] - left : columns[-1] - left + 1]
            part[(along / major) ** 2 + (across / minor) ** 2 <= 1] = number + 1
        return labels

    def write(self, path: Path) -> None:
        """Write the slide as a Zarr array of one slice, (1, side, side, 3), square by square."""
        chunk = min(1000, self.side)
        array = zarr.create_array(
            path, shape=(1, self.side, self.side, 3), chunks=(1, chunk, chunk, 3), dtype="uint8", overwrite=True
        )
        for top, left, height, width in self.blocks():
            labels = self.labels(top, left, height, width)
            grain = np.random.default_rng([self.seed, top, left]).normal(0, 6, (height, width, 1))
            image = np.where(labels[..., None] > 0, PURPLE, PINK) + grain
            array[0, top : top + height, left : left + width] = np.clip(image, 0, 255).astype(np.uint8)


def slide(work: Path, *, side: int, count: int, model: str, sets: Sequence[str], workers: int) -> dict[str, Any]:
    """Count the nuclei of a slide, and those of a small one of the same density that is one window."""
    large = Slide(side, count)
    across = min(32, int(np.ceil(np.sqrt(count))))
    small = Slide(round(across * large.pitch), across * across, seed=1)
    rows = {}
    for name, drawn in {"one window": small, "slide": large}.items():
        given, out = work / f"{name.replace(' ', '_')}_raw.zarr", work / f"{name.replace(' ', '_')}.zarr"
        drawn.write(given)
        measured = run([*volume_command(given, out, model=model, sets=sets, workers=workers), "--overwrite"])
        rows[name] = {
            "side": drawn.side,
            "drawn": drawn.count,
            **_count(drawn, out),
            "seconds": round(measured.seconds, 1),
            "cpu_seconds": round(measured.cpu_seconds, 1),
            "peak_gb": round(measured.peak_gb, 3),
        }
        print(name, rows[name], flush=True)
    rate = rows["one window"]["counted"] / small.count
    return {
        **rows,
        "expected_by_one_window": round(rate * count),
        "difference": rows["slide"]["counted"] - rate * count,
    }


def _count(drawn: Slide, out: Path) -> dict[str, int]:
    """Compare what was drawn with what was found, square by square."""
    found = finest_level(out)
    contingency = Contingency()
    for top, left, height, width in drawn.blocks():
        part = np.asarray(found[0, top : top + height, left : left + width])
        contingency.update(part, drawn.labels(top, left, height, width))
    table = contingency.table()
    share = table.overlap / table.truth_sizes[table.truth_index]
    parts = np.bincount(table.truth_index[share >= PART], minlength=len(table.truth_ids))
    held = np.bincount(table.pred_index[share > 0.5], minlength=len(table.pred_ids))
    return {
        "counted": len(table.pred_ids),
        "found": len(match_objects(table, 0.5).iou),
        "in_two_or_more_parts": int((parts > 1).sum()),
        "merged": int((held > 1).sum()),
        "on_nothing": int((2 * table.pred_spurious > table.pred_sizes).sum()),
    }

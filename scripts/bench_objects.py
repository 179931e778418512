"""What does each step after SAM cost, for many objects in a large image? Seconds and peak memory.

Masks are made up: ellipses with scores, one in each cell of a grid, that reach a little into the cells beside it.
They are merged, measured, drawn over the image, and written, as the last steps of `autosam segment` do it.

    python scripts/bench_objects.py                                          # 4096 × 4096, 1,000 objects
    python scripts/bench_objects.py --side 20000 --objects 300000 --json objects.json

Seconds are those of the processor. A peak is the highest resident set within a step, beyond that at the start; on
systems other than Linux it is the highest so far.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from autosam.config import MergeConfig
from autosam.images import write_labels, write_png
from autosam.instances import MaskCrop, measure_instances, write_table
from autosam.pipeline.merging import merge_answers
from autosam.prompts import Prompt
from autosam.report import draw_overlay

SCALE = 1e6 / (1 if sys.platform == "darwin" else 1024)
"""Units of ru_maxrss in a megabyte."""

Result = TypeVar("Result")


def make_masks(side: int, count: int, *, seed: int = 0) -> list[MaskCrop]:
    """Make ellipses, (row, col) by row, that reach a little into the cells beside their own."""
    rng = np.random.default_rng(seed)
    cells = int(np.ceil(np.sqrt(count)))
    pitch = side // cells
    box = min(pitch + 2, side)
    rows, cols = np.mgrid[:box, :box] - (box - 1) / 2
    shapes = [
        (rows / (tall * box)) ** 2 + (cols / (wide * box)) ** 2 <= 1
        for tall, wide in rng.uniform(0.3, 0.5, (50, 2))
    ]
    masks = []
    for index, cell in enumerate(np.sort(rng.permutation(cells * cells)[:count]).tolist()):
        row, col = (min(place * pitch, side - box) for place in divmod(cell, cells))
        masks.append(MaskCrop(row, col, shapes[int(rng.integers(50))], float(rng.uniform(0.5, 1)), index))
    return masks


class Steps:
    """Seconds and megabytes of one step after the other."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._start = _resident()

    def run(self, name: str, do: Callable[[], Result]) -> Result:
        """Do one step and note what it took."""
        _forget_peak()
        started = time.process_time()
        result = do()
        seconds = time.process_time() - started
        self.rows.append({"step": name, "seconds": round(seconds, 2), "peak_mb": round(_peak() - self._start)})
        print(f"{name:<10}{seconds:9.2f} s   peak +{self.rows[-1]['peak_mb']} MB", flush=True)
        return result


def _status(name: str) -> float | None:
    """Give a size of this process in megabytes (10^6 bytes) as Linux tells it."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(name)), None)


def _peak() -> float:
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / SCALE


def _resident() -> float:
    return _status("VmRSS") or _peak()


def _forget_peak() -> None:
    """Begin a new peak, where the system can."""
    place = Path("/proc/self/clear_refs")
    if place.exists():
        place.write_text("5")


def measure(side: int, objects: int, folder: Path) -> list[dict[str, Any]]:
    """Take the steps one by one and give a row for each."""
    steps = Steps()
    image: NDArray[np.uint8] = np.random.default_rng(1).integers(0, 255, (side, side), dtype=np.uint8)
    masks = steps.run("masks", lambda: make_masks(side, objects))
    prompts = [Prompt(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), box=np.zeros(4)) for _ in masks]
    merged = steps.run(
        "merge", lambda: merge_answers(masks, prompts, (side, side), MergeConfig(), by_hand=len(masks))
    )
    # `Segmenter.segment` has forgotten them by now.
    masks.clear()
    table = steps.run("measure", lambda: measure_instances(merged.labels, image, merged.scores))
    steps.run("table", lambda: write_table(folder / "table.csv", table))
    shown = np.broadcast_to(image[..., None], (side, side, 3))
    picture = steps.run("overlay", lambda: draw_overlay(shown, merged.labels))
    steps.run("png", lambda: write_png(folder / "overlay.png", picture))
    steps.run("labels", lambda: write_labels(folder / "labels.tif", merged.labels))
    return steps.rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=4096, help="of the image, in pixels (default: 4096)")
    parser.add_argument("--objects", type=int, default=1000, help="in the image (default: 1000)")
    parser.add_argument("--json", type=Path, help="write the table to this file, too")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(options.side, options.objects, Path(folder))
    total, peak = sum(row["seconds"] for row in rows), max(row["peak_mb"] for row in rows)
    print(f"{'all':<10}{total:9.2f} s   peak +{peak} MB")
    if options.json is not None:
        found = {"side": options.side, "objects": options.objects, "seconds": round(total, 2), "peak_mb": peak}
        options.json.write_text(json.dumps({**found, "steps": rows}, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

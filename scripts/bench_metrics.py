"""How long do the metrics take, and how much memory? No assertion: figures for a reader.

Measured are all metrics of a 1024 × 1024 pair with 2,000 touching objects and of a 4096 × 4096 pair with 30,000,
the bootstrap of 100 images, and a pair of volumes on disk, read block by block. The volumes are HDF5 files of
side³ voxels with touching objects, chunked and compressed (lzf), evaluated in a process of its own, because the
peak is the highest resident set of a process's whole life.

Seconds are those of the processor (one core): what the clock shows on a machine that does nothing else.

    python scripts/bench_metrics.py
    python scripts/bench_metrics.py --side 1000 --json metrics.json
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCALE = 1e9 / (1 if sys.platform == "darwin" else 1024)
"""Units of ru_maxrss in a gigabyte: bytes on macOS, KiB elsewhere."""


def grid_pair(side: int, pitch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Squares that touch, and the same moved by a few pixels."""
    rows, cols = np.mgrid[:side, :side] // pitch
    truth = rows * (side // pitch + 1) + cols + 1
    return np.roll(truth, (3, 2), (0, 1)), truth


def all_metrics(side: int, pitch: int) -> dict[str, Any]:
    from autosam.metrics import Protocol, contingency_table, evaluate_pair

    pred, truth = grid_pair(side, pitch)
    protocol = Protocol(ranked=("coco", "mitoem2020"), size_bounds=(200, 400))
    best, alone = np.inf, np.inf
    for _ in range(3):
        started = time.process_time()
        contingency_table(pred, truth)
        alone = min(alone, time.process_time() - started)
        started = time.process_time()
        scores = evaluate_pair(pred, truth, protocol=protocol)
        scores.row()
        best = min(best, time.process_time() - started)
    tracemalloc.start()
    evaluate_pair(pred, truth, protocol=protocol).row()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "shape": [side, side],
        "objects": scores.objects,
        "seconds_table": round(alone, 3),
        "seconds_all": round(best, 3),
        "peak_mb": round(peak / 1e6, 1),
    }


def bootstrap(images: int, resamples: int) -> dict[str, Any]:
    from autosam.metrics import Protocol, bootstrap_intervals, evaluate_pair

    found = {}
    for name, protocol in (("dsb", Protocol()), ("dsb_coco", Protocol(ranked=("coco",)))):
        scores = [evaluate_pair(*grid_pair(256, 20 + k % 7), protocol=protocol) for k in range(images)]
        started = time.process_time()
        bootstrap_intervals(scores, resamples=resamples)
        found[f"seconds_{name}"] = round(time.process_time() - started, 2)
    return {"images": images, "resamples": resamples, **found}


def write_volumes(folder: Path, side: int) -> None:
    import h5py

    plane = np.mgrid[:side, :side] // 40
    layer = (plane[0] * (side // 40 + 1) + plane[1] + 1).astype(np.uint32)
    per_layer = np.uint32(layer.max())
    chunk = (16, min(side, 256), min(side, 256))
    for name, shift in (("truth", 0), ("pred", 3)):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            labels = file.create_dataset("labels", (side,) * 3, np.uint32, chunks=chunk, compression="lzf")
            moved = np.roll(layer, shift, (0, 1))
            for start in range(0, side, 16):
                depth = min(16, side - start)
                z = (np.arange(start, start + depth, dtype=np.uint32) + np.uint32(shift)) // np.uint32(40)
                labels[start : start + depth] = moved + (z * per_layer)[:, None, None]


def blockwise(folder: Path) -> dict[str, Any]:
    from autosam.evaluation.volumes import contingency_of_volumes, open_labels
    from autosam.metrics import evaluate_pair

    baseline = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / SCALE
    started, clock = time.process_time(), time.perf_counter()
    with open_labels(folder / "pred.h5") as pred, open_labels(folder / "truth.h5") as truth:
        table = contingency_of_volumes(pred, truth)
        shape = truth.shape
    seconds_table = time.process_time() - started
    scores = evaluate_pair(table=table)
    row = scores.row()
    return {
        "shape": list(shape),
        "voxels": table.n_voxels,
        "objects": scores.objects,
        "ap50": row["ap50"],
        "seconds_table": round(seconds_table, 1),
        "seconds_all": round(time.process_time() - started, 1),
        "seconds_on_the_clock": round(time.perf_counter() - clock, 1),
        "baseline_gb": round(baseline, 3),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / SCALE, 3),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=256, help="of the volumes, in voxels (default: 256; 0: none)")
    parser.add_argument("--volume-only", action="store_true", help="leave out the images and the bootstrap")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args(arguments)
    figures: dict[str, Any] = {}
    if not options.volume_only:
        figures["image_2000"] = all_metrics(1024, 23)
        figures["image_30000"] = all_metrics(4096, 23)
        figures["bootstrap"] = bootstrap(100, 1000)
    if options.side:
        with tempfile.TemporaryDirectory() as name:
            write_volumes(Path(name), options.side)
            # Spawned, not forked: a fork would begin with its parent's memory.
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                figures["volume"] = pool.apply(blockwise, (Path(name),))
    for title, found in figures.items():
        print(title, " ".join(f"{key}={value}" for key, value in found.items()), sep=": ")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Time the table and the exports of an image with many objects.

python scripts/bench_exports.py [--objects 300000] [--ragged] [--only geojson coco ...]
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from autosam.instances import measure_instances
from autosam.report.exports import FORMATS, ExportFormat, ExportItem, ExportPlane


def many_objects(count: int, *, ragged: bool) -> np.ndarray:
    """Make discs of about 170 pixels on a grid of 18 pixels, with lobes, or ragged with loose pixels and holes."""
    across = int(np.ceil(np.sqrt(count)))
    rng = np.random.default_rng(0)
    row, col = np.mgrid[-9:9, -9:9] + 0.5
    angle, distance = np.arctan2(row, col), np.hypot(row, col)
    labels = np.zeros((18 * across, 18 * across), np.int32)
    for number in range(count):
        top, left = 18 * (number // across), 18 * (number % across)
        radius = rng.uniform(6, 8) + np.cos(rng.integers(2, 6) * angle + rng.uniform(0, 6))
        if ragged:
            radius += rng.uniform(-1, 1, (18, 18))
        labels[top : top + 18, left : left + 18][distance < radius] = number + 1
    return labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=300_000)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--ragged", action="store_true")
    options = parser.parse_args()
    labels = many_objects(options.objects, ragged=options.ragged)
    image = np.random.default_rng(1).integers(0, 255, labels.shape, dtype=np.uint8)
    print(f"{options.objects:,} objects in {labels.shape[0]:,} × {labels.shape[1]:,} pixels")
    began, cpu = time.perf_counter(), time.process_time()
    table = measure_instances(labels, image, np.ones(options.objects), pixel_size_nm=500)
    print(f"measuring: {time.perf_counter() - began:.1f} s ({time.process_time() - cpu:.1f} s of one core)")
    item = ExportItem("bench", (ExportPlane(labels, table, image),), pixel_size_nm=500)
    for known in FORMATS:
        if options.only and known.name not in options.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / (known.ending if isinstance(known, ExportFormat) else known.file)
            began, cpu = time.perf_counter(), time.process_time()
            if isinstance(known, ExportFormat):
                known.write(path, item)
            else:
                known.write(path, [item])
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
            print(f"{known.name}: {seconds:.1f} s ({cpu:.1f} s of one core), {size / 1e6:.0f} MB")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")


if __name__ == "__main__":
    main()

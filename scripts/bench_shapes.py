"""Seconds a megapixel of a bundled model for images of many shapes: none should be several times another's.

    python scripts/bench_shapes.py [--model nuclei] [--set decode.sam=false ...]

Images are cut from an example that is mirrored as often as needed. Seconds are those of the processor, the least
of three. A fixed part does not shrink with the image, so one of less than 256 × 256 pixels counts as that many.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autosam import Segmenter, read_image

ROOT = Path(__file__).parents[1]

EXAMPLES = {"nuclei": "nuclei/dsb2018_5f9d29d6388c.png", "mito": "vnc_12.png"}

SHAPES = ((16, 16), (1, 4000), (4000, 16), (256, 256), (360, 360), (520, 696), (1000, 1000))

LEAST = 256**2
"""Pixels that an image counts for at least."""

TIMES = 3


def cut(image: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Give the upper left part of an image that is mirrored as often as needed."""
    missing = [max(0, wanted - there) for wanted, there in zip(shape, image.shape, strict=False)]
    padded = np.pad(image, [(0, missing[0]), (0, missing[1]), *[(0, 0)] * (image.ndim - 2)], mode="symmetric")
    return padded[: shape[0], : shape[1]]


def seconds(segmenter: Segmenter, image: NDArray[np.uint8]) -> float:
    """Measure one image."""
    took = []
    for _ in range(TIMES):
        before = time.process_time()
        segmenter.segment(image)
        took.append(time.process_time() - before)
    return min(took)


def main() -> None:
    """Print a line for each shape, and how far apart they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(EXAMPLES), default="nuclei")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    given = parser.parse_args()
    segmenter = Segmenter.from_model(given.model, overrides=given.overrides)
    example = read_image(ROOT / "examples" / EXAMPLES[given.model])
    segmenter.segment(cut(example, (64, 64)))
    rates = []
    for shape in SHAPES:
        took = seconds(segmenter, cut(example, shape))
        rates.append(took / max(LEAST, shape[0] * shape[1]) * 1e6)
        print(f"{shape[0]:5d} × {shape[1]:4d}  {took:7.3f} s  {rates[-1]:6.2f} s/MP")
    print(f"largest over smallest: {max(rates) / min(rates):.1f}")


if __name__ == "__main__":
    main()

"""How long does a bundled model take for an image? Seconds of `Segmenter.segment`, in this process alone.

It counts what happens between reading an image and writing its labels. Each image is segmented once before the
clock runs. As the command line does, this sets ``OMP_WAIT_POLICY=passive``, unless it is set already.

    python scripts/bench_segment.py examples/vnc_12.png --model mito --threads 2
    python scripts/bench_segment.py IMAGE... --model nuclei --set decode.precision=float32 --json seconds.json
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench_timing import seconds_of, write_json
from numpy.typing import NDArray


def read(path: Path) -> NDArray[Any]:
    """Read an image file, or an array that numpy wrote."""
    from autosam import read_image

    return np.load(path) if path.suffix == ".npy" else read_image(path)


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Segment each image; seconds of every repetition, objects and megapixels."""
    import torch

    from autosam import Segmenter

    torch.set_num_threads(options.threads)
    segmenter = Segmenter.from_model(options.model, overrides=options.set, device=options.device)
    figures = []
    for path in options.images:
        image, objects = read(path), 0

        def segment(image: NDArray[Any] = image) -> None:
            nonlocal objects
            objects = int(segmenter.segment(image).labels.max())

        seconds = seconds_of(segment, options.repeats)
        megapixels = image.shape[0] * image.shape[1] / 1e6
        figures.append({"image": path.name, "megapixels": megapixels, "objects": objects, "runs": seconds})
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image files, or arrays (.npy)")
    parser.add_argument("--model", default="mito", help="name of a bundled model, or a file (default: mito)")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="a setting")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda, ... (default: cpu)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    parser.add_argument("--repeats", type=int, default=5, help="after the warm-up (default: 5)")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args(arguments)

    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    figures = measure(options)
    print(f"{'least s':>9}{'s/MP':>9}{'objects':>9}  image")
    for row in figures:
        seconds = min(row["runs"])
        print(f"{seconds:>9.3f}{seconds / row['megapixels']:>9.2f}{row['objects']:>9}  {row['image']}")
    if options.json is not None:
        write_json(options.json, {"images": figures})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

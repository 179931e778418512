"""How many images of a folder are segmented in a minute?

The folder holds copies of one image, each with other noise in its lowest bit, so that no two are the same. It is
segmented in one process without overlap (read, segment, write), in one process that reads ahead and writes behind,
and with ``--workers``, as `autosam segment` does it. The first two load the model once, before the clock starts;
workers load it in that time, so their figure also comes without their start. The labels of all three are compared.

    python scripts/bench_folder.py --image IMAGE.png --model nuclei --copies 20
    python scripts/bench_folder.py --synthetic 512 --workers 2 --json folder.json
"""

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class OneByOne:
    """The steps of a task one after the other, as before they overlapped."""

    def __init__(self, steps: Any) -> None:
        self._steps = steps

    def __enter__(self) -> "OneByOne":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, tasks: Iterator[Any], report: Any, watch: Any) -> Generator[None, None, None]:
        """Do tasks in their order; see `Overlap.run`."""
        from autosam.pipeline.read_ahead import Sign

        for task in tasks:
            if not isinstance(task, Sign):
                began = time.perf_counter()
                read = self._steps.read(task)
                made = self._steps.work(task, read, lambda _: None)
                report(task, self._steps.write(task, read, made), time.perf_counter() - began)
            yield


def make_folder(folder: Path, image: NDArray[Any], copies: int) -> None:
    """Write copies of an image with noise in the lowest bit."""
    import tifffile

    rng = np.random.default_rng(0)
    color = image.ndim == 3
    for number in range(copies):
        noisy = image ^ rng.integers(0, 2, image.shape).astype(image.dtype)
        tifffile.imwrite(folder / f"{number:04d}.tif", noisy, photometric="rgb" if color else "minisblack")


def draw_spots(side: int) -> NDArray[np.uint8]:
    """Draw bright discs on a dark noisy ground."""
    rows, cols = np.mgrid[:side, :side] % 32 - 16
    ground = np.random.default_rng(1).integers(20, 60, (side, side), dtype=np.uint8)
    return np.where(rows**2 + cols**2 < 100, np.uint8(200), ground)


def measure(begin: Callable[[], Generator[Any, None, None]], images: int) -> dict[str, float]:
    """Segment a folder; gives the clock's seconds, those of all processors, and images a minute."""

    def used() -> float:
        both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in both)

    began, cpu, first = time.perf_counter(), used(), None
    done = 0
    with closing(begin()) as outcomes:
        for outcome in outcomes:
            assert outcome.state == "done", outcome
            first = first or time.perf_counter()
            done += 1
    assert done == images
    seconds = time.perf_counter() - began
    after_first = time.perf_counter() - (first or began)
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(used() - cpu, 2),
        "images_a_minute": round(60 * images / seconds, 2),
        "images_a_minute_after_the_first": round(60 * (images - 1) / after_first, 2) if images > 1 else 0.0,
    }


def labels_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*_labels.tif"))]


def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure the three ways."""
    import torch

    from autosam import __version__
    from autosam.images import find_sources, read_image
    from autosam.pipeline.batch import Made, run_batch, segment_batch
    from autosam.pipeline.batch_workers import ModelChoice, segment_with_workers
    from autosam.pipeline.image_steps import ImageSteps
    from autosam.pipeline.outputs import PLAIN
    from autosam.pipeline.run_options import recorded_options

    (folder / "in").mkdir()
    image = draw_spots(options.synthetic) if options.image is None else read_image(options.image)
    make_folder(folder / "in", image, options.copies)
    sources = find_sources([folder / "in"])
    choice = ModelChoice(options.model, overrides=tuple(options.set))
    segmenter = choice.load(options.device)
    torch.set_num_threads(options.threads)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    # What is made on first use is not the folder's.
    segmenter.segment(image)
    plain = OneByOne(ImageSteps(segmenter, folder / "plain", PLAIN))
    made = Made(segmenter.config, segmenter.name, "", recorded_options(PLAIN, None, None, None))
    ways: dict[str, Callable[[], Any]] = {
        "plain": partial(run_batch, sources, folder / "plain", PLAIN, made, plain, lambda *_: None),
        "overlap": partial(segment_batch, sources, segmenter, folder / "overlap"),
        f"workers_{options.workers}": partial(
            segment_with_workers,
            sources,
            choice,
            folder / f"workers_{options.workers}",
            devices=[options.device] * options.workers,
        ),
    }
    found = {name: measure(way, options.copies) for name, way in ways.items()}
    return {
        "image": f"{image.dtype} {' × '.join(map(str, image.shape))}",
        "copies": options.copies,
        "model": str(options.model),
        "set": list(options.set),
        "device": options.device,
        "threads": options.threads,
        "workers": options.workers,
        "same_labels": len({tuple(labels_in(folder / name)) for name in ways}) == 1,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "versions": {"autosam": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "cores": os.cpu_count(),
        "ways": found,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--image", type=Path, help="the image that is copied")
    which.add_argument("--synthetic", type=int, default=512, metavar="SIDE", help="discs (default: 512)")
    parser.add_argument("--copies", type=int, default=20, help="number of images (default: 20)")
    parser.add_argument("--model", default="nuclei", help="bundled model or model file (default: nuclei)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of torch in each process (default: 1)")
    parser.add_argument("--workers", type=int, default=2, help="number of processes (default: 2)")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        figures = run(options, Path(folder))
    for name, value in figures.items():
        print(f"{name:<14}{value}")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if not figures["same_labels"]:
        print("THE LABELS DIFFER", file=sys.stderr)
    return 0 if figures["same_labels"] else 1


if __name__ == "__main__":
    raise SystemExit(main())

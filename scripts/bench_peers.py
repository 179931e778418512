"""How long do other programs take? The networks of StarDist and of Cellpose-SAM, with random weights, on the CPU.

It runs in an environment of its own, because autosam depends on neither, and prints JSON:

    python -m venv peers
    peers/bin/pip install stardist tensorflow-cpu cellpose
    peers/bin/python scripts/bench_peers.py --threads 2

(stardist 0.9.2 works with tensorflow 2.21 and the keras 3 that comes with it; cellpose 4.2 brings segment_anything
and torch.) Nothing is downloaded. The time does not depend on the weights, but for what follows the network.

* ``stardist SIDE network``: `keras_model.predict` of `StarDist2D(Config2D(n_rays=32, grid=(2, 2)))`.
* ``stardist SIDE whole``: `predict_instances`, in which the network does its work, and then the true maps of the
  drawn nuclei take the place of its own. So non-maximum suppression and painting see as many objects as there are.
* ``cellpose tile``: one pass of `cellpose.vit.CPSAM` for one tile of 256 × 256.

Each is the least of the repetitions, after one that is not counted.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from bench_images import nuclei
from bench_timing import least, versions, write_json
from numpy.typing import NDArray

PITCH = 32
"""Side of the square that each nucleus has: 64 nuclei in 256 × 256 pixels, 1,024 in 1024 × 1024."""
PACKAGES = ("stardist", "csbdeep", "tensorflow-cpu", "tensorflow", "keras", "cellpose", "torch", "numpy")


def true_maps(model: Any, labels: NDArray[np.int32]) -> list[NDArray[np.float32]]:
    """Give probabilities and distances as a perfect network of this configuration would, with a batch axis."""
    from stardist.geometry import star_dist
    from stardist.utils import edt_prob

    grid = model.config.grid
    probabilities = edt_prob(labels)[:: grid[0], :: grid[1]].astype(np.float32)
    distances = star_dist(labels, model.config.n_rays, grid=grid).astype(np.float32)
    return [probabilities[None, ..., None], distances[None]]


def stardist(sides: Sequence[int], threads: int, repeats: int) -> dict[str, float]:
    """Time the network alone, and the whole way from a normalized image to labels."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from stardist.models import Config2D, StarDist2D

    model = StarDist2D(Config2D(n_rays=32, grid=(2, 2)), name=None, basedir=None)
    predict: Callable[..., Any] = model.keras_model.predict
    seconds = {}
    for side in sides:
        drawn, labels = nuclei(side, (side // PITCH) ** 2)
        image = (drawn / np.float32(255)).astype(np.float32)
        maps = true_maps(model, labels)
        found: list[int] = []

        def answer(*given: Any, maps: Any = maps, **named: Any) -> Any:
            predict(*given, **named)
            return maps

        def network(batch: Any = image[None, ..., None]) -> None:
            predict(batch, verbose=0)

        def whole(image: Any = image, found: list[int] = found) -> None:
            found.append(int(model.predict_instances(image)[0].max()))

        seconds[f"stardist {side} network"] = least(network, repeats)
        model.keras_model.predict = answer
        seconds[f"stardist {side} whole"] = least(whole, repeats)
        model.keras_model.predict = predict
        if found[-1] != labels.max():
            raise SystemExit(f"StarDist painted {found[-1]} of {labels.max()} nuclei: its package has changed")
    return seconds


def cellpose(threads: int, repeats: int) -> dict[str, float]:
    """Time one pass for one tile."""
    logging.disable(logging.WARNING)  # about a network that is not asked for
    import torch
    from cellpose.vit import CPSAM

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network, tile = CPSAM().eval(), torch.rand(1, 3, 256, 256)
    with torch.inference_mode():
        return {"cellpose tile": least(lambda: network(tile), repeats)}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    both = ("stardist", "cellpose")
    parser.add_argument("--only", nargs="+", choices=both, default=both, help="one of them alone")
    parser.add_argument(
        "--sides", nargs="+", type=int, default=(256, 1024), help="of StarDist's images, in pixels"
    )
    parser.add_argument("--threads", type=int, default=2, help="of each network (default: 2)")
    parser.add_argument("--repeats", type=int, default=5, help="after the warm-up (default: 5)")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args(arguments)

    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    seconds: dict[str, float] = {}
    if "stardist" in options.only:
        with redirect_stdout(sys.stderr):  # it prints its thresholds
            seconds |= stardist(options.sides, options.threads, options.repeats)
    if "cellpose" in options.only:
        seconds |= cellpose(options.threads, options.repeats)
    record = {"versions": versions(PACKAGES), "threads": options.threads, "repeats": options.repeats}
    record["seconds"] = seconds
    print(json.dumps(record, indent=2))
    if options.json is not None:
        write_json(options.json, record)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

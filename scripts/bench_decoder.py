"""SAM's decoder: autosam's beside `SamPredictor.predict_torch`, with the same weights, image and boxes.

A ViT-B of random weights has encoded a 1024 × 1024 image; N boxes are decoded, each to a mask of the image's size.

* ``SamPredictor``: `predict_torch` in batches of 64, single masks.
* ``whole``: autosam with ``decode.window=null``, which gives the same masks.
* ``window N``: with the image tokens around the box alone. Masks of random weights fill the image, where those of
  trained ones end with the object, so that no prompt is asked again in a wider window here.

Seconds are the least of the repeats; the package's runs after autosam's, once by default, since it takes a minute.

    python scripts/bench_decoder.py --threads 2 --json decoder.json
    python scripts/bench_decoder.py --precision bfloat16
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from bench_timing import least, versions, write_json
from numpy.typing import NDArray

WANTED = 8.0
"""How many times faster than the package some window has to be."""

SIDE = 1024
BATCH = 64


def draw_boxes(count: int, *, seed: int = 0) -> NDArray[np.float64]:
    """Draw boxes of 20 to 100 pixels: first row, first column, last row, last column."""
    rng = np.random.default_rng(seed)
    sides = rng.integers(20, 101, (count, 2))
    first = rng.integers(0, SIDE - sides + 1)
    return np.concatenate([first, first + sides - 1], axis=1).astype(np.float64)


def prepare(options: argparse.Namespace) -> tuple[Mapping[str, Callable[[], None]], Callable[[], None]]:
    """Encode the image once; give autosam's ways to decode all boxes, by name, and the package's."""
    import torch
    from segment_anything import SamPredictor

    from autosam.images import Window
    from autosam.models.precision import autocast, choose_device
    from autosam.models.sam import decode_prompts
    from autosam.models.sam.decode_prompts import decode
    from autosam.models.sam.interface import Embedding
    from autosam.models.sam.postprocess import postprocess_masks
    from autosam.models.variants import build_sam
    from autosam.prompts import Prompt

    patch.object(
        decode_prompts, "reaches_inner_border", lambda above, *_: np.zeros(len(above), dtype=bool)
    ).start()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = choose_device(options.device)
    sam = build_sam(options.variant, image_size=SIDE).to(device).eval()
    image = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    embedding = Embedding(predictor.get_image_embedding(), (SIDE, SIDE), (SIDE, SIDE))
    boxes = draw_boxes(options.prompts)
    prompts = [Prompt(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), box=box) for box in boxes]
    boxes_xy = torch.from_numpy(boxes[:, [1, 0, 3, 2]].astype(np.float32)).to(device)

    def ours(window: int | None) -> None:
        with torch.no_grad(), autocast(device, options.precision):
            for (batch,) in decode(sam, [embedding], prompts, batch_size=BATCH, window=window):
                none = [None] * len(batch.indices)
                where = Window(0, 0, SIDE, SIDE)
                postprocess_masks(sam, batch, embedding, where, (SIDE, SIDE), generator_logits=none, fusion=0.0)

    def theirs() -> None:
        with autocast(device, options.precision):
            for start in range(0, len(boxes_xy), BATCH):
                part = boxes_xy[start : start + BATCH]
                predictor.predict_torch(None, None, boxes=part, multimask_output=False)
        if device.type == "cuda":
            torch.cuda.synchronize()

    ways = {"whole": partial(ours, None)}
    ways |= {f"window {window}": partial(ours, window) for window in options.windows}
    return ways, theirs


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=500, help="boxes (default: 500)")
    parser.add_argument("--windows", type=int, nargs="*", default=[20, 16, 12], help="sides (default: 20 16 12)")
    parser.add_argument("--variant", default="vit_b", help="vit_b, vit_l, vit_h or tiny (default: vit_b)")
    parser.add_argument("--precision", default="float32", help="float32 or bfloat16 (default: float32)")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda, ... (default: cpu)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    parser.add_argument("--repeats", type=int, default=3, help="of autosam's (default: 3)")
    parser.add_argument("--package-repeats", type=int, default=1, help="of the package's (default: 1)")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args(arguments)

    ways, theirs = prepare(options)
    seconds = {name: least(way, options.repeats) for name, way in ways.items()}
    slow = least(theirs, options.package_repeats, warm_up=False)
    rows: dict[str, dict[str, Any]] = {
        name: {"seconds": taken, "times_faster": slow / taken, "ms_per_prompt": taken / options.prompts * 1e3}
        for name, taken in {"SamPredictor": slow, **seconds}.items()
    }
    print(f"{options.prompts} boxes, {options.variant}, {options.precision}, {options.threads} threads")
    print(f"{'':<16}{'seconds':>9}{'faster':>9}{'ms a prompt':>13}")
    for name, row in rows.items():
        print(f"{name:<16}{row['seconds']:>9.2f}{row['times_faster']:>8.1f}×{row['ms_per_prompt']:>13.2f}")
    if options.json is not None:
        settings = {name: str(value) for name, value in vars(options).items()}
        used = versions(("autosam", "torch", "segment-anything"))
        write_json(options.json, settings | {"versions": used, "figures": rows})
    fast = max(row["times_faster"] for row in rows.values()) >= WANTED
    print(f"at least {WANTED:g} × faster with a window: {'yes' if fast else 'NO'}")
    return 0 if fast else 1


if __name__ == "__main__":
    sys.exit(main())

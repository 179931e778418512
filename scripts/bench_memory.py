"""How much memory does a large image take? Peak of the resident set beyond the loaded model.

The image is 4096 × 4096 with 1,000 bright ellipses. It is segmented in a process of its own, because the peak
is the highest resident set of a process's whole life (``ru_maxrss``). The baseline is the resident set after the
model was loaded and a small image was segmented, which brings in every library. The image is made after that, so
it counts as part of the figure.

With ``--model FILE`` a trained model finds what it finds. With ``--synthetic`` both networks have random weights
and do all of their work, but their answers are replaced by known ones, so that exactly the drawn objects are
prompted and decoded: the generator's by a threshold on the intensity, and SAM's by the prompt's own mask.

    python scripts/bench_memory.py --synthetic
    python scripts/bench_memory.py --model mito --json memory.json
"""

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

BOUND_GB = 0.3
SCALE = 1e9 / (1 if sys.platform == "darwin" else 1024)
"""Units of ru_maxrss in a gigabyte: bytes on macOS, KiB elsewhere."""


def peak_gb() -> float:
    """Highest resident set of this process so far, in GB (10^9 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / SCALE


def resident_gb() -> float:
    """Resident set of this process now, in GB; its peak where the system does not tell."""
    table = Path("/proc/self/statm")
    return int(table.read_text().split()[1]) * resource.getpagesize() / 1e9 if table.exists() else peak_gb()


def draw_objects(side: int, count: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Draw bright ellipses on a dark noisy ground, one in each cell of a grid, so that none touch."""
    rng = np.random.default_rng(seed)
    image = rng.integers(20, 60, (side, side), dtype=np.uint8)
    cells = int(np.ceil(np.sqrt(count)))
    pitch = side // cells
    rows, cols = np.mgrid[:pitch, :pitch]
    for cell in rng.permutation(cells * cells)[:count]:
        radii = rng.uniform(0.15, 0.42, 2) * pitch
        middle = (pitch - 1) / 2 + rng.uniform(-0.04, 0.04, 2) * pitch
        inside = ((rows - middle[0]) / radii[0]) ** 2 + ((cols - middle[1]) / radii[1]) ** 2 <= 1
        top, left = cell // cells * pitch, cell % cells * pitch
        image[top : top + pitch, left : left + pitch][inside] = 200
    return image


def synthetic_segmenter(device: str) -> Any:
    """Build both networks with random weights and give them known answers."""
    import torch
    from torch import Tensor, nn

    from autosam import Segmenter
    from autosam.config import make_config
    from autosam.models.generator.unet import Generator
    from autosam.models.networks import Networks, build_networks
    from autosam.models.precision import choose_device
    from autosam.models.sam import masks
    from autosam.models.sam.decode_prompts import decode
    from autosam.models.sam.interface import Decoded, Embedding, render_mask_prompt
    from autosam.prompts import Prompt

    class Thresholding(Generator):
        """A UNet whose work is done and whose answer is the intensity, cut at one half."""

        def forward(self, image: Tensor) -> Tensor:
            logits = super().forward(image)
            foreground = (image[:, :1] - 0.5) * 40
            return 0 * logits + torch.cat([foreground, torch.full_like(foreground, -8)], dim=1)

    def answer(
        sam: nn.Module,
        embeddings: Sequence[Embedding],
        prompts: Sequence[Prompt],
        **settings: Any,
    ) -> Iterator[list[Decoded]]:
        for (batch,) in decode(sam, embeddings, prompts, **settings):
            shown = [prompts[int(index)].mask for index in batch.indices]
            drawn = torch.cat([render_mask_prompt(sam, mask, embeddings[0]) for mask in shown if mask is not None])
            logits = 0 * batch.logits + drawn.to(batch.logits)
            yield [replace(batch, logits=logits, iou=torch.ones_like(batch.iou))]

    config = make_config({"model": {"sam": {"variant": "tiny", "encoder": "full"}}})
    built = build_networks(config.model)
    settings = config.model.generator
    generator = Thresholding(
        encoder=settings.encoder,
        channels=settings.channels,
        depth=settings.depth,
        decoder_channels=settings.decoder_channels,
    )
    patch.object(masks, "decode", answer).start()
    target = choose_device(device)
    return Segmenter(Networks(built.sam.to(target).eval(), generator.to(target).eval()), config)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Segment the image in this process, which should be a fresh one."""
    import torch

    from autosam import Segmenter

    torch.set_num_threads(options.threads)
    if options.synthetic:
        segmenter = synthetic_segmenter(options.device)
    else:
        segmenter = Segmenter.from_model(options.model, device=options.device)
    segmenter.segment(draw_objects(128, 4))
    baseline = resident_gb()
    image: NDArray[Any] = draw_objects(options.side, options.objects)
    if options.kind == "float":
        image = image / np.float32(255)
    elif options.kind == "rgb":
        image = np.stack([image] * 3, axis=2)

    def show(done: int, total: int) -> None:
        if options.verbose:
            print(f"window {done} of {total}, peak +{peak_gb() - baseline:.3f} GB", file=sys.stderr, flush=True)

    started = time.perf_counter()
    # As `autosam segment` does it.
    result = segmenter.segment(image, keep_maps=False, progress=show)
    return {
        "image": f"{image.dtype} {' × '.join(str(length) for length in image.shape)}",
        "drawn": options.objects,
        "prompts": len(result.prompts),
        "instances": int(result.labels.max()),
        "model": "synthetic" if options.synthetic else str(options.model),
        "device": options.device,
        "seconds": round(time.perf_counter() - started, 1),
        "baseline_gb": round(baseline, 3),
        "beyond_model_gb": round(peak_gb() - baseline, 3),
        "bound_gb": BOUND_GB,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", default="mito", help="name of a bundled model, or a file (default: mito)")
    which.add_argument("--synthetic", action="store_true", help="random weights, known answers")
    parser.add_argument("--side", type=int, default=4096, help="of the image, in pixels (default: 4096)")
    parser.add_argument("--objects", type=int, default=1000, help="drawn into the image (default: 1000)")
    parser.add_argument("--kind", choices=("gray", "float", "rgb"), default="gray", help="8-bit gray by default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--verbose", action="store_true", help="show the peak after every window")
    options = parser.parse_args(arguments)

    # Spawned, not forked: a fork would begin with its parent's memory.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        figures = pool.apply(measure, (options,))
    for name, value in figures.items():
        print(f"{name:<16}{value}")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    held = figures["beyond_model_gb"] <= BOUND_GB
    print("within the bound" if held else "ABOVE THE BOUND")
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())

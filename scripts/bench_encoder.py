"""SAM's encoder, and all that comes after it, beside segment_anything's own encoder with the same weights.

An image that fills SAM's input once (1024 × 1024 for a ViT-B) and 20 boxes, random weights:

* ``package's encoder``: `ImageEncoderViT.forward` of segment_anything.
* ``encoder``: autosam's, which gives the same features.
* ``image``: autosam's way from pixels to labels, with the encoder, the boxes' masks, postprocessing and merging.

Seconds are the least of the repeats.

    python scripts/bench_encoder.py --threads 2 --json encoder.json
    python scripts/bench_encoder.py --variant tiny --precision float32
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from bench_timing import least, machine, versions, write_json
from numpy.typing import NDArray

WANTED = 1.15
"""Most times as long as the package's encoder alone that a whole image may take."""


def draw_boxes(count: int, side: int, *, seed: int = 0) -> NDArray[np.float64]:
    """Draw boxes of 40 to 120 pixels: first row, first column, last row, last column."""
    rng = np.random.default_rng(seed)
    sides = rng.integers(40, 121, (count, 2))
    first = rng.integers(0, side - sides + 1)
    return np.concatenate([first, first + sides - 1], axis=1).astype(np.float64)


def prepare(options: argparse.Namespace) -> dict[str, Callable[[], object]]:
    """Build the networks; give what is timed, by name."""
    import torch
    from segment_anything.modeling.image_encoder import Attention

    from autosam.config import Config
    from autosam.instances import merge_masks
    from autosam.models.precision import autocast, choose_device
    from autosam.models.sam.interface import preprocess
    from autosam.models.sam.masks import decode_masks
    from autosam.models.variants import build_sam, image_size
    from autosam.prompts import Prompt

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = choose_device(options.device)
    sam, package = (build_sam(options.variant).to(device).eval() for _ in range(2))
    for block in package.image_encoder.blocks:
        shape = [(len(block.attn.rel_pos_h) + 1) // 2, (len(block.attn.rel_pos_w) + 1) // 2]
        heads, width = block.attn.num_heads, block.norm1.weight.numel()
        block.attn = Attention(width, heads, use_rel_pos=True, input_size=tuple(shape)).to(device)
    package.load_state_dict(sam.state_dict())
    side = image_size(sam)
    image = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].to(device, torch.float32)
    boxes, none = draw_boxes(options.prompts, side), (np.zeros((0, 2)), np.zeros(0, dtype=np.int64))
    prompts = [Prompt(*none, box=box) for box in boxes]
    config = Config()
    decoding = config.decode.model_copy(update={"precision": options.precision})
    merging, overlap = config.merge, config.tiles.overlap

    @torch.no_grad()
    def encode(network: torch.nn.Module) -> None:
        with autocast(device, options.precision):
            network(preprocess(sam, pixels))
        if device.type == "cuda":
            torch.cuda.synchronize()

    def whole() -> None:
        masks = decode_masks(
            sam, image, prompts, tile_size=side, overlap=overlap, settings=decoding, combine="avg"
        )
        merge_masks(
            masks,
            (side, side),
            iou_threshold=merging.iou,
            ios_threshold=merging.overlap,
            min_size=merging.min_size,
            fill_holes=merging.fill_holes,
        )

    return {
        "image": whole,
        "encoder": lambda: encode(sam.image_encoder),
        "package's encoder": lambda: encode(package.image_encoder),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=20, help="boxes (default: 20)")
    parser.add_argument("--variant", default="vit_b", help="vit_b, vit_l, vit_h or tiny (default: vit_b)")
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16 (default: auto)")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda, ... (default: cpu)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    parser.add_argument("--repeats", type=int, default=3, help="of each (default: 3)")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args(arguments)

    seconds = {name: least(call, options.repeats) for name, call in prepare(options).items()}
    alone = seconds["package's encoder"]
    print(f"{options.variant}, {options.prompts} boxes, {options.precision}, {options.threads} threads")
    for name, taken in seconds.items():
        print(f"{name:<20}{taken:>8.3f} s{taken / alone:>8.3f} of the package's encoder")
    if options.json is not None:
        record = {
            "settings": {name: str(value) for name, value in vars(options).items()},
            "machine": machine(options.threads),
            "versions": versions(("autosam", "torch", "segment-anything")),
            "seconds": seconds,
            "image_over_package_encoder": seconds["image"] / alone,
            "image_over_encoder": seconds["image"] / seconds["encoder"],
            "encoder_over_package_encoder": seconds["encoder"] / alone,
        }
        write_json(options.json, record)
    enough = seconds["image"] <= WANTED * alone
    print(f"an image takes at most {WANTED:g} × the package's encoder: {'yes' if enough else 'NO'}")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())

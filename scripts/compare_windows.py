"""What does `decode.window` change on your images? SAM's masks with and without it, for the same prompts.

    python scripts/compare_windows.py MODEL IMAGES... [--windows 12 16 20 24] [--json FILE]

MODEL is the name of a bundled model or a model file, as for `autosam segment`. Each image is segmented with
``decode.window=null`` and with each window; what is prompted is the same. The table says, for each window:

* ``IoU``: mean IoU of a prompt's mask with the window and without; a mask that only one of them has counts as 0.
* ``> .9``: share of prompts with an IoU above .9.
* ``ms``: time of a prompt, of the tiles' encoding too; the first row is without a window.

No ground truth is needed. Where IoU is near 1 the window changes nothing that matters. Where it is not, look at
the masks: the whole embedding does not always give the better one.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench_timing import versions, write_json

from autosam.errors import AutosamError
from autosam.instances import MaskCrop


def crop_iou(one: MaskCrop, other: MaskCrop) -> float:
    """IoU of two masks of one image."""
    row, col = min(one.row, other.row), min(one.col, other.col)
    ends = [np.add((crop.row, crop.col), crop.mask.shape) for crop in (one, other)]
    drawn = []
    for crop in (one, other):
        canvas = np.zeros(np.maximum(*ends) - (row, col), dtype=bool)
        canvas[crop.row - row :, crop.col - col :][: crop.mask.shape[0], : crop.mask.shape[1]] = crop.mask
        drawn.append(canvas)
    return float((drawn[0] & drawn[1]).sum() / (drawn[0] | drawn[1]).sum())


def prompt_ious(usual: Sequence[MaskCrop], windowed: Sequence[MaskCrop]) -> list[float]:
    """IoU of each prompt's masks; 0 where only one side has a mask, nothing where neither has."""
    one, other = ({crop.prompt: crop for crop in crops} for crops in (usual, windowed))
    return [
        crop_iou(one[prompt], other[prompt]) if prompt in one and prompt in other else 0.0
        for prompt in sorted(one.keys() | other.keys())
    ]


def compare(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Segment all images in all ways; one row for each window."""
    import torch

    from autosam import Segmenter, read_image

    if options.threads:
        torch.set_num_threads(options.threads)
    segmenter = Segmenter.from_model(options.model, device=options.device, overrides=options.set)
    decode = segmenter.config.decode
    ious: dict[int | None, list[float]] = {window: [] for window in (None, *options.windows)}
    seconds, asked = dict.fromkeys(ious, 0.0), 0
    for path in options.images:
        view = segmenter.view(read_image(path))
        proposals = segmenter.propose(view, segmenter.predict(view))
        asked += len(proposals.prompts)
        usual: list[MaskCrop] = []
        for window in ious:
            changed = decode.model_copy(update={"window": window})
            ready = segmenter.with_settings(segmenter.config.model_copy(update={"decode": changed}))
            began = time.perf_counter()
            # One mask for each prompt, also of a grid.
            masks = ready.decode(view, proposals, alternatives=False) or []
            seconds[window] += time.perf_counter() - began
            usual = masks if window is None else usual
            ious[window] += prompt_ious(usual, masks)
    return [
        {
            "window": window,
            "prompts": asked,
            "iou": float(np.mean(values)) if values else None,
            "above_90": float(np.mean(np.array(values) > 0.9)) if values else None,
            "ms_per_prompt": seconds[window] / max(asked, 1) * 1e3,
        }
        for window, values in ious.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="name of a bundled model, or a file")
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--windows", type=int, nargs="+", default=[12, 16, 20, 24], help="least sides in tokens")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="other settings")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default: auto)")
    parser.add_argument("--threads", type=int, default=0, help="of torch (default: as many as there are cores)")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args(arguments)
    if min(options.windows) < 1:
        parser.error(f"--windows {min(options.windows)} came; wanted tokens, 1 or more")

    try:
        rows = compare(options)
    except AutosamError as error:
        parser.error(str(error))
    print(f"{len(options.images)} images, {rows[0]['prompts']} prompts, model {options.model}")
    print(f"{'window':>8}{'IoU':>8}{'> .9':>8}{'ms':>9}")
    for row in rows:
        iou, share = (f"{row[key]:.3f}" if row[key] is not None else "-" for key in ("iou", "above_90"))
        print(f"{row['window'] or 'none':>8}{iou:>8}{share:>8}{row['ms_per_prompt']:>9.2f}")
    if options.json is not None:
        settings = {name: str(value) for name, value in vars(options).items()}
        write_json(options.json, settings | {"versions": versions(("autosam", "torch")), "figures": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())

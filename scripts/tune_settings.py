"""Score a model on a validation split for every combination of some pipeline settings.

    python scripts/tune_settings.py DATA --set prompts.mask=true,false merge.min_score=0.2,0.4

DATA and the config's `data` section say which images validate, as in `autosam train`. Prints a row per combination
and source: AP@.5, AP@.75, mean AP (pooled over the images) and foreground IoU.
"""

import argparse
from itertools import product
from pathlib import Path

from autosam import Segmenter, load_config
from autosam.metrics import AveragePrecision, ForegroundOverlap, average_precision, foreground_overlap
from autosam.training.scenes import load_part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--config", default="mito", help="names the validation images")
    parser.add_argument("--model", default="mito")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=V1,V2", help="values to combine")
    args = parser.parse_args()

    scenes = load_part(args.data, load_config(args.config), "val")
    sources = sorted({scene.source for scene in scenes})
    keys = [setting.partition("=")[0] for setting in args.set]
    values = [setting.partition("=")[2].split(",") for setting in args.set]
    print("source   AP@.5  AP@.75  mean AP  IoU    settings")
    for combination in product(*values):
        overrides = [f"{key}={value}" for key, value in zip(keys, combination, strict=True)]
        # The scenes are normalized already.
        segmenter = Segmenter.from_model(args.model, overrides=[*overrides, "images.low=0", "images.high=100"])
        for source in sources:
            chosen = [scene for scene in scenes if scene.source == source]
            found = [segmenter.segment(scene.image).labels for scene in chosen]
            pairs = list(zip(found, (scene.labels for scene in chosen), strict=True))
            ap = AveragePrecision.pooled([average_precision(*pair) for pair in pairs])
            iou = ForegroundOverlap.pooled([foreground_overlap(*pair) for pair in pairs]).iou
            row = f"{source:8s} {ap.at(0.5):.3f}  {ap.at(0.75):.3f}   {ap.mean:.3f}    {iou:.3f}"
            print(row, " ".join(overrides), flush=True)


if __name__ == "__main__":
    main()

"""Print the colors of stained training images, for images.stain_references in the settings of a model:

    python scripts/measure_stains.py DATA --config scripts/bundled/nuclei_sized.yaml

DATA is the argument of `autosam train`, and the config that of the training: its sources and split name the images
that the model has seen. The lines go into scripts/bundled/NAME_tuned.yaml, where scripts/bundle_model.py finds
them.
"""

import argparse
from pathlib import Path

import numpy as np

from autosam import load_config
from autosam.images.stain_normalization import stain_of
from autosam.training.samples.load_images import load_part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--config", required=True, help="YAML file of settings, or the name of one")
    args = parser.parse_args()

    labeled_images = load_part(args.data, load_config(args.config), "train")
    stains = [stain_of((labeled_image.image / 255).astype(np.float32)) for labeled_image in labeled_images]
    rows = [f"[{', '.join(f'{value:.1f}' for value in stain)}]," for stain in sorted(filter(None, stains))]
    print("  stain_references: [")
    for at in range(0, len(rows), 3):
        print("    " + " ".join(rows[at : at + 3]))
    print("  ]")


if __name__ == "__main__":
    main()

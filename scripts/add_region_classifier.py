"""Train the region classifier of a model's candidates on its training images, and put it into the model file:

    python scripts/add_region_classifier.py DATA --config mito src/autosam/models/bundled/mito.safetensors

DATA is what `autosam train` was given, and the config is that of the training: its sources and split say which
images the model has seen. The weights and the header stay as they are.
"""

import argparse
from pathlib import Path

from autosam import load_config
from autosam.training.fit.fit_region_classifier import add_region_classifier
from autosam.training.samples.load_images import load_part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--config", required=True, help="YAML file of settings, or the name of one")
    parser.add_argument("--images", type=int, default=500, help="most images of each source (%(default)s)")
    args = parser.parse_args()

    config = load_config(args.config)
    labeled_images = load_part(args.data, config, "train")
    region_classifier = add_region_classifier(
        args.model,
        labeled_images,
        images=args.images,
        seed=config.seed,
        report=lambda done, of: (
            print(f"image {done} of {of}", flush=True) if done % 20 == 0 or done == of else None
        ),
    )
    print(
        f"{args.model}: {len(region_classifier.feature)} trees of at most "
        f"{region_classifier.feature.shape[1]} nodes"
    )


if __name__ == "__main__":
    main()

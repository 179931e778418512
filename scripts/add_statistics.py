"""Put the statistics of its training images into a model file, in the place of earlier ones:

    python scripts/add_statistics.py DATA MODEL --config scripts/bundled/mito.yaml

DATA is what `autosam train` was given, and the config is that of the training: its sources and split say which
images the model has seen. The weights and the header stay as they are.
"""

import argparse
from pathlib import Path

from autosam import load_config
from autosam.training.fit.fit_novelty import add_statistics
from autosam.training.samples.load_images import load_part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--config", required=True, help="YAML file of settings, or the name of one")
    args = parser.parse_args()

    config = load_config(args.config)
    labeled_images = load_part(args.data, config, "train")
    statistics = add_statistics(args.model, labeled_images, seed=config.seed)
    kinds, size = statistics.means.shape
    print(
        f"{args.model}: {kinds} kinds, {size} features, {len(statistics.components)} components; "
        f"limit {float(statistics.limit):.2f} and growth {float(statistics.growth):.2f}; an uncertain share of 1 "
        f"is {float(statistics.uncertain_rate):.2f}, with a growth of {float(statistics.uncertain_growth):.2f}"
    )


if __name__ == "__main__":
    main()

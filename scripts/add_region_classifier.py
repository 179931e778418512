"""Train the region classifier of a model's candidate regions, and put it into the model file:

    python scripts/add_region_classifier.py DATA MODEL --config scripts/bundled/mito.yaml --fold FILE=epfl

DATA is what `autosam train` was given, and the config is that of the training: its sources and split say which
images are for training. Each `--fold FILE=SOURCE` names a model that has not seen a source; several sources are
parted by commas. The candidates are what that model makes of their training images. For each fold, a table
says how right a region classifier of the other folds is about it. With `--own`, candidates of MODEL itself in the
images that it was trained on count, too, each source a quarter of a fold; the table is without them.

Without `--fold`, MODEL makes the candidates itself, of the images that it was trained on. A generator that knows
these by heart makes the region classifier too confident. The weights and the header stay as they are.
"""

import argparse
from collections.abc import Collection
from pathlib import Path

from autosam import load_config
from autosam.data import LabeledImage
from autosam.models.files.model_header import read_header, trained_sources
from autosam.training.fit.cross_fit import EDGES, Fold, Reliability, add_cross_fitted_region_classifier
from autosam.training.fit.fit_region_classifier import add_region_classifier
from autosam.training.samples.load_images import load_part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--config", required=True, help="YAML file of settings, or the name of one")
    parser.add_argument(
        "--fold",
        action="append",
        default=[],
        metavar="FILE=SOURCE",
        help="model file that was trained without these sources; once for each",
    )
    parser.add_argument(
        "--own", action="store_true", help="learn from what MODEL makes of its own training images, too"
    )
    parser.add_argument("--images", type=int, default=500, help="most images of each source (%(default)s)")
    args = parser.parse_args()

    named = [text.rpartition("=") for text in args.fold]
    if wrong := [text for text, (file, _, names) in zip(args.fold, named, strict=True) if not (file and names)]:
        parser.error(f"--fold {wrong[0]} names no model file or no source; write FILE=SOURCE")
    if args.own and not named:
        parser.error("--own goes with --fold; without it, MODEL alone makes the candidates")
    config = load_config(args.config)
    labeled_images = load_part(args.data, config, "train")
    sources = {image.source for image in labeled_images}
    wanted = [(Path(file), names.split(",")) for file, _, names in named]
    if unknown := sorted({name for _, names in wanted for name in names} - sources):
        parser.error(f"--fold names the source {unknown[0]}; {args.config} has {', '.join(sorted(sources))}")
    for file, names in wanted:
        if seen := sorted(trained_sources(read_header(file).training) & set(names)):
            parser.error(f"--fold {file}: the model was trained on {', '.join(seen)}; give one that lacks them")

    if wanted:
        folds = [Fold(file, _of(labeled_images, names)) for file, names in wanted]
        known = trained_sources(read_header(args.model).training) if args.own else set()
        own = _of(labeled_images, known)
        if args.own and not own:
            parser.error(f"--own: {args.model} was trained on none of the sources of {args.config}; leave it out")
        measured = add_cross_fitted_region_classifier(
            args.model, folds, images=args.images, own=own, seed=config.seed, report=_say
        )
        for text, of in zip(args.fold, measured, strict=True):
            print(f"{text}, by a region classifier of the other folds:", *_lines(of), sep="\n  ")
    else:
        add_region_classifier(args.model, labeled_images, images=args.images, seed=config.seed, report=_say)
    print(f"{args.model} has a region classifier")


def _lines(of: Reliability | None) -> list[str]:
    """Say what was expected and reached between two scores each."""
    if of is None:
        return ["there are too few candidates in it, or in the others"]
    rows = zip(EDGES[:-1], EDGES[1:], *of, strict=True)
    return [
        f"{low:.1f} to {high:.1f}: {count} candidates, expected {expected:.2f}, reached {reached:.2f}"
        for low, high, count, expected, reached in rows
        if count
    ]


def _of(labeled_images: list[LabeledImage], sources: Collection[str]) -> list[LabeledImage]:
    return [image for image in labeled_images if image.source in sources]


def _say(done: int, of: int) -> None:
    if done % 20 == 0 or done == of:
        print(f"image {done} of {of}", flush=True)


if __name__ == "__main__":
    main()

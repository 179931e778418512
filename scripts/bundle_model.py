"""Put a trained model into the package, with the settings that it segments with.

    python scripts/bundle_model.py runs/mito/model.safetensors mito [--tuned tuned.yaml] [--generator OTHER ...]

The settings that it segments with can be tuned after training: this writes those of
scripts/bundled/NAME_tuned.yaml (or of another file), over those that it was trained with, into the model file's
header. A zoom that the generator undoes (model.generator.downsample) may change together with it. A model that
holds all its weights forgets what it was started from. With --generator, the prompt generator is that of another
model file. Several are averaged, tensor by tensor, and each has to go on from the one before (Wortsman et al.
2022, "Robust fine-tuning of zero-shot models"). What the model knows of its training images is
then to be measured anew: scripts/add_statistics.py.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from autosam import load_config
from autosam.config import Config, make_model
from autosam.models.files.checkpoint import (
    STATISTICS,
    ModelHeader,
    join_parts,
    load_model,
    save_model,
    split_parts,
)
from autosam.models.files.zoo import BUNDLED

SECTIONS = {"images", "model", "tiles", "prompts", "decode", "merge"}


def _steps(header: ModelHeader, part: str) -> dict[str, Any]:
    """Say how long a part was trained, on what; a bundled model says it of each part."""
    kept = ("steps", "batch_size", "seed", "sources", "notice")
    summary = header.training.get(part, header.training)
    return {key: summary[key] for key in kept if key in summary}


def _at_zoom_1(config: Config) -> tuple[dict[str, Any], float]:
    """Give the networks, and how large the UNet sees images: a zoom that it shrinks again changes neither."""
    model = config.model.model_dump(mode="json")
    shrunk = model["generator"].pop("downsample") if model["generator"] else 1
    return model, config.images.zoom / shrunk


def mean_state(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Average weights and statistics; whole numbers, such as counters, are those of the last."""
    return {
        name: torch.stack([state[name].float() for state in states]).mean(dim=0)
        if last.is_floating_point()
        else last
        for name, last in states[-1].items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("name", choices=sorted(BUNDLED), help="bundled model")
    parser.add_argument(
        "--tuned", help="YAML file, or the name of a config; scripts/bundled/NAME_tuned.yaml by default"
    )
    parser.add_argument(
        "--generator",
        type=Path,
        nargs="+",
        default=[],
        help="model file whose generator takes the place of the model's own; of several the mean",
    )
    args = parser.parse_args()

    tensors, header = load_model(args.model)
    if "sam" not in split_parts(tensors):
        parser.error(f"{args.model} needs its base; only a model with the whole SAM in it can be bundled")
    tuned = load_config(args.tuned or f"scripts/bundled/{args.name}_tuned.yaml", defaults=dict(header.settings))
    settings = tuned.model_dump(mode="json", include=SECTIONS)
    if _at_zoom_1(tuned) != _at_zoom_1(load_config(defaults=dict(header.settings))):
        parser.error(
            "the tuned settings change model.*, which the weights have settled, or images.zoom without "
            "model.generator.downsample"
        )
    for part in ("sam", "generator"):
        settings["model"][part]["base"] = None
    settings["model"]["generator"]["pretrained"] = None
    mine = settings["model"]["generator"]
    taken = []
    for path in args.generator:
        others, other = load_model(path)
        model = make_model(other.settings).model_dump(mode="json")
        # A model that holds its weights forgets what they were started from.
        theirs = model["generator"] and {**model["generator"], "base": None, "pretrained": None}
        if theirs is None:
            parser.error(f"{path} has no generator of its own")
        if not taken:
            mine = settings["model"]["generator"] = {**theirs, "downsample": mine["downsample"]}
        elif {**theirs, "downsample": mine["downsample"]} != mine:
            parser.error(f"the generator of {path} is {theirs}, and that of {args.generator[0]} {mine}")
        images = settings["images"]
        seen = {key: (images[key], other.settings["images"][key]) for key in ("low", "high")}
        # What the UNet sees of a zoomed image that it sees smaller is what it was trained on.
        seen["scale / downsample"] = (
            images["zoom"] / mine["downsample"],
            other.settings["images"]["zoom"] / theirs["downsample"],
        )
        if any(own != its for own, its in seen.values()):
            parser.error(f"the generator of {path} was trained on other images.* settings: {seen}")
        taken.append((split_parts(others), other))
    if taken:
        # What the model knows of its training images is in terms of its own generator's features.
        its = {part: state for part, state in taken[-1][0].items() if part == STATISTICS and len(taken) == 1}
        generator = mean_state([parts["generator"] for parts, _ in taken])
        tensors = join_parts({"sam": split_parts(tensors)["sam"], "generator": generator, **its})
        # Scores of the run are those of a pipeline that is not this one.
        steps = [_steps(other, "generator") for _, other in taken]
        header = replace(
            header, training={"sam": _steps(header, "sam"), "generator": steps[0] if len(steps) == 1 else steps}
        )
    out = BUNDLED[args.name].path
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = replace(header, settings=settings, base_name="", base_sha256="", license=BUNDLED[args.name].license)
    save_model(out, tensors=tensors, metadata=kept, half=True)
    print(f"wrote {out}, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

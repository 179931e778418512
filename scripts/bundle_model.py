"""Put a trained model into the package, with the settings that it segments with.

    python scripts/bundle_model.py runs/mito/model.safetensors mito

The settings that it segments with can be tuned after training: this writes those of configs/NAME_tuned.yaml, over
those of configs/NAME.yaml that it was trained with, into the model file's header.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from autosam import load_config
from autosam.models.checkpoint import load_model, save_model
from autosam.models.zoo import BUNDLED

SECTIONS = {"images", "model", "tiles", "prompts", "decode", "merge"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("name", choices=sorted(BUNDLED), help="bundled model, and config of the same name")
    args = parser.parse_args()

    tensors, header = load_model(args.model)
    trained = load_config(args.name).model_dump(mode="json")
    tuned = load_config(f"{args.name}_tuned", defaults=trained)
    settings = tuned.model_dump(mode="json", include=SECTIONS)
    if settings["model"] != header.settings["model"]:
        parser.error(f"{args.model} was trained with other model settings than configs/{args.name}.yaml has")
    out = BUNDLED[args.name].path
    out.parent.mkdir(parents=True, exist_ok=True)
    save_model(out, tensors=tensors, metadata=replace(header, settings=settings), half=True)
    print(f"wrote {out}, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

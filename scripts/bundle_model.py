"""Put a trained model into the package, with the settings that it segments with.

    python scripts/bundle_model.py runs/mito/model.safetensors mito [--tuned tuned.yaml]

The settings that it segments with can be tuned after training: this writes those of configs/NAME_tuned.yaml (or of
another file), over those that it was trained with, into the model file's header. A model that holds all its
weights forgets what it was started from.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from autosam import load_config
from autosam.models.checkpoint import load_model, save_model, split_parts
from autosam.models.zoo import BUNDLED

SECTIONS = {"images", "model", "tiles", "prompts", "decode", "merge"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("name", choices=sorted(BUNDLED), help="bundled model")
    parser.add_argument("--tuned", help="YAML file, or the name of a config; configs/NAME_tuned.yaml by default")
    args = parser.parse_args()

    tensors, header = load_model(args.model)
    if "sam" not in split_parts(tensors):
        parser.error(f"{args.model} needs its base; only a model with the whole SAM in it can be bundled")
    tuned = load_config(args.tuned or f"{args.name}_tuned", defaults=dict(header.settings))
    settings = tuned.model_dump(mode="json", include=SECTIONS)
    if settings["model"] != header.settings["model"]:
        parser.error("the tuned settings change model.*, which the weights have settled")
    for part in ("sam", "generator"):
        settings["model"][part]["base"] = None
    out = BUNDLED[args.name].path
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = replace(header, settings=settings, base_name="", base_sha256="", licence=BUNDLED[args.name].licence)
    save_model(out, tensors=tensors, metadata=kept, half=True)
    print(f"wrote {out}, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

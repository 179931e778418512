"""Write the card of a bundled model from its run, its scores and a template.

    python scripts/model_card.py NAME DATA OUT

OUT is what scripts/train_bundled.sh was given: OUT/scores is what scripts/score_bundled.sh wrote, and
OUT/STAGE/log.csv the runs. The template scripts/cards/NAME.md has what people wrote,
above all the faults that they saw; ${name} stands for what is filled in. The worst images are drawn into
docs/NAME_failures.png.
"""

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

import numpy as np

from autosam import load_config
from autosam.data import LabeledImage
from autosam.images import read_labels, write_png, write_text
from autosam.models.files.checkpoint import load_model, read_header, split_parts
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.zoo import BUNDLED
from autosam.report.contact_sheet import Panel, contact_sheet, shrink, thumbnail
from autosam.report.figures import draw_errors
from autosam.training.samples.load_images import load_part

SOURCES = {"mito": ("epfl", "vnc", "cardona", "hela"), "nuclei": ("dsb2018", "fluorescence", "monuseg")}
STAGES = {
    "mito": {
        "start": "mito_start",
        "final": "mito",
        "early": "mito_early",
        "sam": "mito_sam",
        "generator": "mito_generator",
        "calm": "mito_calm",
        "refine": "mito_refine",
    },
    "nuclei": {
        "start": "nuclei_start",
        "final": "nuclei",
        "generator": "nuclei_generator",
        "sam": "nuclei_sam",
        "again": "nuclei_again",
        "further": "nuclei_again",
        "fine": "nuclei_fine",
        "sized": "nuclei_sized",
        "refine": "nuclei_refine",
        "student": "nuclei_student",
    },
}
"""Folders of the runs, in order, and their configs. The last one has the data of all."""
WAYS = {
    "mito": {"sam": "mito", "generator": "its generator alone"},
    "nuclei": {
        "generator": "nuclei",
        "sam": "the same, and SAM (`decode.sam=true`)",
        "watershed": "its generator and a watershed",
    },
}
"""Folders of the scores by way, and what it is; the first way is the model as it is."""
POOLED = ("epfl", "vnc", "cardona", "hela")
"""The sources whose objects are pooled over the images; the others' scores are averaged over images."""
WORST = 4
"""Failures drawn for each source."""
ROWS = 50
"""Steps of a log that become one row in docs/runs."""
RUNS = Path("docs/runs")
SIDE = 360
"""Of a drawn failure, in pixels."""
KEYS = ("ap50", "ap75", "mean_ap", "rand_error", "dice", "iou")
INTERVALS = ("ap50", "ap75", "mean_ap")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(BUNDLED))
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()

    model = BUNDLED[args.name].path
    scores = args.out / "scores"
    if args.name == "mito":
        root, split = args.data, [f"data.split={Path('scripts/bundled/mito_split.json').resolve()}"]
    else:
        root, split = args.out / "stores", []
    config = load_config(f"scripts/bundled/{[*STAGES[args.name].values()][-1]}.yaml", overrides=split)
    parts = {part: load_part(root, config, part) for part in ("train", "val")}
    template = Template(Path(f"scripts/cards/{args.name}.md").read_text(encoding="utf-8"))
    card = template.substitute(
        size=f"{model.stat().st_size / 1e6:.1f} MB, float16",
        sha256=file_sha256(model),
        license=BUNDLED[args.name].license,
        networks=networks(model),
        data=training_data(parts),
        recipe=recipe(args.name, args.out),
        scores=score_table(args.name, scores),
        stages=stage_table(args.name, scores),
        diameter=f"{read_header(model).settings['images']['diameter']:.0f}",
    )
    write_text(model.with_suffix(".md"), card)
    draw_failures(
        args.name,
        {labeled_image.name: labeled_image for labeled_image in parts["val"]},
        scores,
        Path("docs") / f"{args.name}_failures.png",
    )
    print(f"wrote {model.with_suffix('.md')} and docs/{args.name}_failures.png")


def networks(model: Path) -> str:
    """Describe both networks by their settings and sizes."""
    tensors, header = load_model(model)
    parts = split_parts(tensors)
    settings = header.settings["model"]
    count = {part: sum(tensor.numel() for tensor in state.values()) for part, state in parts.items()}
    encoder = sum(tensor.numel() for name, tensor in parts["sam"].items() if name.startswith("image_encoder."))
    maps = ", ".join(settings["generator"]["channels"])
    smaller = settings["generator"].get("downsample", 1)
    seen = f", on the image {smaller} times smaller than SAM sees it" if smaller > 1 else ""
    return (
        f"prompt generator: UNet, {settings['generator']['encoder'].removeprefix('tu-')} cut at stride "
        f"{2 ** settings['generator']['depth']}, {maps}{seen} ({count['generator'] / 1e6:.1f} M values); SAM "
        f"`{settings['sam']['variant']}`: 512 px, {encoder / 1e6:.1f} M values in the image encoder"
    )


def training_data(parts: Mapping[str, Sequence[LabeledImage]]) -> str:
    """Count images and objects of each source in both parts."""
    counted = []
    for source in dict.fromkeys(labeled_image.source for labeled_image in parts["train"]):
        own = {
            part: [labeled_image for labeled_image in labeled_images if labeled_image.source == source]
            for part, labeled_images in parts.items()
        }
        objects = {
            part: sum(
                np.unique(labeled_image.labels[labeled_image.labels > 0]).size for labeled_image in labeled_images
            )
            for part, labeled_images in own.items()
        }
        counted.append(
            f"*{source}*: {len(own['train'])} images with {objects['train']:,} objects, and {len(own['val'])} "
            f"with {objects['val']:,} to validate"
        )
    return "; ".join(counted)


def recipe(name: str, out: Path) -> str:
    """Say what was done for how long, and keep the logs, averaged over every ``ROWS`` steps, in docs/runs."""
    stages = []
    for stage, config in STAGES[name].items():
        kept = RUNS / f"{name}_{stage}_log.csv"
        # The log of a stage that was not trained again is there already.
        if (out / stage / "log.csv").is_file():
            write_text(kept, summarized(read_rows(out / stage / "log.csv")))
            write_text(
                RUNS / f"{name}_{stage}_validation.csv",
                (out / stage / "validation.csv").read_text(encoding="utf-8"),
            )
        rows = read_rows(kept)
        lengths = [int(row["last_step"]) - int(row["first_step"]) + 1 for row in rows]
        minutes = sum(length * float(row["seconds"]) for length, row in zip(lengths, rows, strict=True)) / 60
        stages.append(f"`scripts/bundled/{config}.yaml`, {sum(lengths):,} steps in {minutes:.0f} minutes")
    return f"on one or two CPU cores, in {len(stages)} stages: " + "; then ".join(stages)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV log."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summarized(rows: Sequence[Mapping[str, str]]) -> str:
    """Average a log over every ``ROWS`` steps; undefined values do not count."""
    columns = [column for column in rows[0] if column != "step"]
    lines = [",".join(["first_step", "last_step", *columns])]
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        values = [np.array([float(row[column]) for row in part]) for column in columns]
        means = [column.mean() if np.isnan(column).all() else np.nanmean(column) for column in values]
        lines.append(",".join([part[0]["step"], part[-1]["step"], *(f"{mean:.6g}" for mean in means)]))
    return "\n".join(lines) + "\n"


def score_table(name: str, scores: Path) -> str:
    """Tabulate what `autosam evaluate` wrote, with its intervals."""
    lines = ["| data | | AP@.5 | AP@.75 | mean AP | A-Rand | Dice | IoU |", "|" + "---|" * 8]
    for source in SOURCES[name]:
        kind = "pooled" if source in POOLED else "mean"
        for way, title in WAYS[name].items():
            found = json.loads((scores / f"{source}-{way}" / "evaluation.json").read_text(encoding="utf-8"))
            values = found[kind]
            cells = [f"{values[key]:.3f}".lstrip("0") for key in KEYS]
            # One image has no interval.
            if title == name and "intervals" in found:
                cells = [
                    f"{cell} [{_short(found['intervals'][kind][key])}]" if key in INTERVALS else cell
                    for cell, key in zip(cells, KEYS, strict=True)
                ]
            what = f"{source}, {len(found['images'])} images, {found['pooled']['objects']:,} objects"
            lines.append(f"| {what if title == name else ''} | {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _short(interval: list[float]) -> str:
    return ", ".join(f"{value:.2f}".lstrip("0") for value in interval)


def stage_table(name: str, scores: Path) -> str:
    """Tabulate where true objects were lost, and the ceilings."""
    places = {source: scores / f"{source}-stages" / "diagnosis.json" for source in SOURCES[name]}
    found = {
        source: json.loads(place.read_text(encoding="utf-8"))
        for source, place in places.items()
        if place.is_file()
    }
    lines = ["| | " + " | ".join(found) + " |", "|" + "---|" * (len(found) + 1)]
    for stage in next(iter(found.values()))["stages"]:
        shares = [f"{100 * document['stages'][stage]['share']:.1f} %" for document in found.values()]
        lines.append(f"| {'found' if stage == 'found' else f'lost: {stage}'} | " + " | ".join(shares) + " |")
    for ceiling in next(iter(found.values()))["average_precision"]:
        rows = [document["average_precision"][ceiling] for document in found.values()]
        cells = [" / ".join(f"{row[key]:.3f}".lstrip("0") for key in INTERVALS) for row in rows]
        lines.append(f"| pooled AP@.5 / AP@.75 / mean AP: {ceiling} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw_failures(name: str, labeled_images: Mapping[str, LabeledImage], scores: Path, path: Path) -> None:
    """Draw the images with the lowest AP@.5 of each source: what was found, and the error map."""
    panels = []
    for source in SOURCES[name]:
        if source == "fluorescence":
            continue
        place = scores / f"{source}-{next(iter(WAYS[name]))}"
        scored = json.loads((place / "evaluation.json").read_text(encoding="utf-8"))["images"]
        for entry in sorted(scored, key=lambda image: image["ap50"])[:WORST]:
            stem = entry["image"]
            labeled_image, found = labeled_images[f"{source}/{stem}"], read_labels(place / f"{stem}_labels.tif")
            # Where labels are incomplete nothing is scored.
            scored_there = True if labeled_image.valid is None else labeled_image.valid
            errors = draw_errors(np.where(scored_there, found, 0), labeled_image.labels)
            height, width = (length * SIDE // max(errors.shape) for length in errors.shape[:2])
            caption = f"{source} {stem[:24]}"
            counts = (
                f"AP@.5 {entry['ap50']:.2f}: {entry['fp50']} spurious, {entry['fn50']} lost of {entry['objects']}"
            )
            panels.append(Panel(thumbnail(labeled_image.image, found, side=SIDE), (caption, "found")))
            panels.append(Panel(shrink(errors, (height, width)), (caption, counts)))
    write_png(path, contact_sheet(panels, columns=4, side=SIDE))


if __name__ == "__main__":
    main()

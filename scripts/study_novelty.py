"""Whether the novelty keeps its promise: what a model names unlike, and how well it ranks images by their score.

    python scripts/study_novelty.py DATA OUT.csv --model mito --home scripts/bundled/mito.yaml \\
        --foreign dsb2018/images monuseg/images bbbc039/images --ranked SOURCES.yaml

DATA is the folder with the data sets. --home is the config of the training: its validation images and windows
of them at any place should be known. --foreign names folders of images of other kinds, relative to DATA;
scikit-image's pictures are always among them. All of these should be unlike. --ranked is a config whose sources
are segmented by the generator alone, as they are and changed: a higher novelty should go with a lower score.
OUT.csv gets a row for each image. What has been measured in it already is not measured again.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import skimage.data
from scipy import ndimage
from scipy.stats import spearmanr

from autosam.config import load_config
from autosam.data import LabeledImage
from autosam.images import read_image, zoom_image
from autosam.metrics import average_precision
from autosam.pipeline.segmenter import Segmenter
from autosam.training.samples.load_images import load_part

SIDES = (256, 384, 512)
Item = TypeVar("Item")

LARGEST = 1024
"""Larger images are cut to their first pixels, but for those at home."""
PICTURES = """
    astronaut.png brick.png camera.png cell.png chelsea.png clock_motion.png coffee.png coins.png color.png
    grass.png gravel.png horse.png hubble_deep_field.jpg ihc.png logo.png microaneurysms.png moon.png
    motorcycle_left.png page.png retina.jpg rocket.jpg text.png
"""
COLUMNS = ("group", "name", "rows", "zoom", "novelty", "score")


class Given(NamedTuple):
    """An image, and its labels where it is to be scored."""

    group: str
    name: str
    image: np.ndarray
    labels: np.ndarray | None = None
    valid: np.ndarray | None = None
    zoom: float | None = None


def at_home(labeled_images: Sequence[LabeledImage], most: int, windows: int) -> Iterator[Given]:
    """Give validation images and as many windows of them for each side, the same for any number of images."""
    for source in sorted({item.source for item in labeled_images}):
        for item in spread([item for item in labeled_images if item.source == source], most):
            yield Given("home", item.name, item.image, zoom=item.zoom)
            rng = np.random.default_rng(list(item.name.encode()))
            for side in SIDES:
                if min(item.image.shape[:2]) < side:
                    continue
                for number in range(windows):
                    row, col = (int(rng.integers(length - side + 1)) for length in item.image.shape[:2])
                    window = item.image[row : row + side, col : col + side]
                    yield Given(f"window {side}", f"{item.name} {number}", window, zoom=item.zoom)


def foreign(data: Path, folders: Sequence[str], most: int) -> Iterator[Given]:
    """Give images of other kinds, folder by folder, and scikit-image's pictures."""
    for folder in folders:
        for path in spread(sorted(path for path in (data / folder).iterdir() if path.suffix == ".png"), most):
            yield Given(f"foreign {folder}", path.stem, read_image(path)[:LARGEST, :LARGEST])
    for name in PICTURES.split():
        image = read_image(Path(skimage.data.__file__).parent / name)
        yield Given("foreign picture", name, image[:LARGEST, :LARGEST])


def ranked(labeled_images: Sequence[LabeledImage], most: int) -> Iterator[Given]:
    """Give labeled images, and the first one of each source changed in several ways."""
    for source in sorted({item.source for item in labeled_images}):
        own = spread([item for item in labeled_images if item.source == source], most)
        for item in own:
            cut = np.s_[:LARGEST, :LARGEST]
            valid = None if item.valid is None else item.valid[cut]
            yield Given(f"ranked {source}", item.name, item.image[cut], item.labels[cut], valid, item.zoom)
        for name, image, labels in changed(own[0].image[:512, :512], own[0].labels[:512, :512]):
            yield Given(f"changed {source}", f"{own[0].name} {name}", image, labels)


def changed(image: np.ndarray, labels: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Shrink, enlarge, blur, invert, and change contrast and noise."""
    unit = image.astype(np.float32) / 255
    for zoom in (1 / 3, 1 / 2, 2):
        zoomed = zoom_image(unit, zoom)
        rows, cols = (
            ((np.arange(count) + 0.5) * length / count).astype(int)
            for count, length in zip(zoomed.shape, labels.shape, strict=False)
        )
        yield f"zoom {zoom:.2g}", to_bytes(zoomed), labels[np.ix_(rows, cols)]
    for sigma in (1, 2, 4):
        yield f"blur {sigma}", to_bytes(ndimage.gaussian_filter(unit, (sigma, sigma, 0))), labels
    for deviation in (0.05, 0.1, 0.2):
        noise = np.random.default_rng(0).normal(scale=deviation, size=labels.shape)[..., None]
        yield f"noise {deviation}", to_bytes(unit + noise), labels
    yield "inverted", 255 - image, labels
    for gamma in (0.5, 2):
        yield f"gamma {gamma}", to_bytes(unit**gamma), labels


def to_bytes(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """Give at most so many, evenly over all."""
    count = min(most, len(items))
    return [items[round((at + 0.5) * len(items) / count - 0.5)] for at in range(count)]


def measure(segmenter: Segmenter, given: Given) -> dict[str, str]:
    """Give the row of an image."""
    view = segmenter.view(np.ascontiguousarray(given.image), given.zoom)
    maps = segmenter.predict(view)
    score = ""
    if given.labels is not None:
        found = segmenter.merge(view, maps, segmenter.propose(view, maps), None).labels
        score = f"{average_precision(found, given.labels, valid=given.valid, empty_value=1.0).accuracy.mean():.4f}"
    told = "" if maps.novelty is None else f"{maps.novelty:.4f}"
    values = (given.group, given.name, str(len(given.image)), f"{view.zoom:.3g}", told, score)
    return dict(zip(COLUMNS, values, strict=True))


def summary(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    """Give the share that is unlike, group by group, and Spearman's rank correlation of novelty and score."""
    rows = [row for row in rows if row["novelty"]]
    for group in dict.fromkeys(row["group"] for row in rows):
        novelty = np.array([float(row["novelty"]) for row in rows if row["group"] == group])
        low, middle, high = np.percentile(novelty, (5, 50, 95))
        yield (
            f"{group:32s} {len(novelty):4d} images, {100 * (novelty > 1).mean():5.1f} % unlike, "
            f"novelty {middle:.2f} ({low:.2f} to {high:.2f})"
        )
    for start, name in (("ranked", "images as they are"), ("", "with changed ones")):
        scored = [(float(row["novelty"]), float(row["score"])) for row in rows if row["score"]]
        if start:
            scored = [
                (float(row["novelty"]), float(row["score"])) for row in rows if row["group"].startswith(start)
            ]
        if len(scored) > 2:
            novelty, score = np.array(scored).T
            yield f"rank correlation of novelty and score, {name}: {spearmanr(novelty, score).statistic:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", required=True, help="a model file, or the name of one")
    parser.add_argument("--home", required=True, help="the config of its training")
    parser.add_argument("--foreign", nargs="*", default=[], help="folders of images of other kinds")
    parser.add_argument("--ranked", help="a config with the sources to rank")
    parser.add_argument("--most", type=int, default=20, help="images of a source or folder")
    parser.add_argument("--windows", type=int, default=4, help="windows of each side in an image at home")
    args = parser.parse_args()

    segmenter = Segmenter.from_model(args.model, overrides=("decode.sam=false",))
    known: list[dict[str, str]] = []
    if args.out.exists():
        known = list(csv.DictReader(args.out.open(newline="")))
    there = {(row["group"], row["name"]) for row in known}

    def images() -> Iterator[Given]:
        config = load_config(args.home)
        yield from at_home(load_part(args.data, config, "val"), args.most, args.windows)
        yield from foreign(args.data, args.foreign, args.most)
        if args.ranked:
            yield from ranked(load_part(args.data, load_config(args.ranked), "val"), args.most)

    with args.out.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if not known:
            writer.writeheader()
        for given in images():
            if (given.group, given.name) not in there:
                known.append(measure(segmenter, given))
                writer.writerow(known[-1])
                file.flush()
    print("\n".join(summary(known)))


if __name__ == "__main__":
    main()

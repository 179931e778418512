"""How many objects are found where intensities are awkward, with plain percentiles and with the default limits.

    python scripts/study_intensity.py DATA OUT.csv [--only GROUP ...]

DATA is the folder with the data sets; nuclei are made up (tests/synthetic.py), mitochondria are of a slice of vnc.
Prints a row for each variant: objects found at IoU .5 of the true ones, and how many were found beside them.
"""

import argparse
import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.io import imread

from autosam.config import Config
from autosam.errors import InputError
from autosam.metrics import average_precision
from autosam.pipeline.segmenter import Segmenter

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from synthetic import free_place, nuclei

BEFORE = {"limits": "plain", "lookup_tables": False, "local": "never"}
AFTER: dict[str, object] = {}
CROP = np.s_[300:812, 200:712]


class Variant(NamedTuple):
    """An image, or its channels, with its truth."""

    group: str
    name: str
    model: str
    image: "np.ndarray | list[np.ndarray]"
    truth: np.ndarray


def variants(data: Path) -> Iterator[Variant]:
    """Make all images, one after the other."""
    image, truth = nuclei()
    vnc = imread(data / "vnc/raw/12.png")[CROP]
    mito = ndimage.label(imread(data / "vnc/mitochondria/12.png")[CROP] > 0)[0]
    mito = np.where(np.bincount(mito.ravel())[mito] >= 50, mito, 0)
    yield Variant("clean", "nuclei", "nuclei", image, truth)
    yield Variant("clean", "mito", "mito", vnc, mito)
    yield from specks(image, truth, vnc.astype(np.float64), mito)
    yield from frames()
    yield from margins(image, truth, vnc, mito)
    yield from illumination(vnc, mito)
    yield from channels(image, truth)
    yield from colors(image, truth)


def specks(image: np.ndarray, truth: np.ndarray, vnc: np.ndarray, mito: np.ndarray) -> Iterator[Variant]:
    """Specks of .2 to 3 % that are 2 to 50 times as bright; dust and charging of electron micrographs."""
    for share in (0.002, 0.006, 0.01, 0.03):
        for times in (2, 5, 10, 20, 50):
            dirty = image * 10
            dirty[free_place(truth, (share * image.size / np.pi) ** 0.5)] = 1300 * times
            yield Variant(
                "speck", f"nuclei {share:.1%} x{times}", "nuclei", dirty.clip(0).astype(np.uint16), truth
            )
    dirty = (image / 6).clip(0)
    dirty[free_place(truth, 11)] = 255
    yield Variant("speck", "nuclei 1.0% 8 bits", "nuclei", dirty.astype(np.uint8), truth)
    rng = np.random.default_rng(0)
    for share in (0.006, 0.02, 0.05):
        for times in (2, 10, 50):
            dust = ndimage.gaussian_filter(rng.normal(size=vnc.shape), 5)
            dust = (dust > np.quantile(dust, 1 - share)) & (mito == 0)
            white = ndimage.gaussian_filter(np.where(dust, 255 * times, vnc * 4), 1)
            yield Variant("speck", f"mito white dust {share:.1%} x{times}", "mito", white.astype(np.uint16), mito)
        black = np.where(dust, 0, 30_000 + 20 * vnc).astype(np.uint16)
        yield Variant("speck", f"mito black dust {share:.1%} on an offset", "mito", black, mito)


def frames() -> Iterator[Variant]:
    """Few nuclei in a large frame."""
    for side in (500, 1000, 2000):
        for count in (1, 3, 10):
            part, labels = nuclei(count=count)
            frame, truth = (
                np.random.default_rng(3).normal(14, 2.5, (side, side)),
                np.zeros((side, side), np.uint16),
            )
            at = np.s_[side // 2 - 100 : side // 2 + 100, side // 2 - 100 : side // 2 + 100]
            frame[at], truth[at] = part, labels
            for dtype in ("uint8", "uint16", "float32") if side == 500 else ("uint8",):
                pixels = (frame * (40 if dtype == "uint16" else 1)).clip(0).astype(dtype)
                yield Variant("frame", f"{count} nuclei in {side} px, {dtype}", "nuclei", pixels, truth)


def margins(image: np.ndarray, truth: np.ndarray, vnc: np.ndarray, mito: np.ndarray) -> Iterator[Variant]:
    """Frames and padding around dim nuclei and a micrograph."""
    for share in (0.01, 0.1, 0.4):
        for value in (0, 255):
            width = max(2, round(share * 200))
            padded = np.pad((image / 5).clip(0).astype(np.uint8), width, constant_values=value)
            name = f"nuclei /5, {'white' if value else 'black'} frame of {share:.0%}"
            yield Variant("margin", name, "nuclei", padded, np.pad(truth, width))
        width = round(share * 512)
        for value in (0, 65_535):
            padded = np.pad((30_000 + 20 * vnc.astype(np.float64)).astype(np.uint16), width, constant_values=value)
            name = f"mito on an offset, {'white' if value else 'black'} frame of {share:.0%}"
            yield Variant("margin", name, "mito", padded, np.pad(mito, width))
    bar = np.zeros((60, 512))
    bar[20:40, 20:480:7], bar[20:23, 20:480] = 65_535, 65_535
    barred = np.concatenate([20_000 + 20.0 * vnc, bar]).astype(np.uint16)
    yield Variant("margin", "mito on an offset, text bar", "mito", barred, np.pad(mito, ((0, 60), (0, 0))))


def illumination(vnc: np.ndarray, mito: np.ndarray) -> Iterator[Variant]:
    """Vignetting, and mosaics of which a half is darker."""
    image, truth = nuclei(600, 60)
    rows, columns = np.mgrid[-1:1:600j, -1:1:600j]
    for corner in (0.3, 0.1, 0.03):
        fall = corner ** ((rows**2 + columns**2) / 2)
        dim = np.random.default_rng(0).poisson(image.clip(0) * 40 * fall).astype(np.uint16) + 100
        yield Variant("light", f"nuclei, corners at {corner:g}", "nuclei", dim, truth)
        half = np.where(columns < 0, 1.0, corner)
        dim = np.random.default_rng(0).poisson(image.clip(0) * 40 * half).astype(np.uint16) + 100
        yield Variant("light", f"nuclei, half at {corner:g}", "nuclei", dim, truth)
    rows, columns = np.mgrid[-1:1:512j, -1:1:512j]
    for corner in (0.5, 0.3, 0.1):
        fall = corner ** ((rows**2 + columns**2) / 2)
        yield Variant("light", f"mito, corners at {corner:g}", "mito", (vnc * fall * 200).astype(np.uint16), mito)
        half = np.where(columns < 0, 1.0, corner)
        yield Variant("light", f"mito, half at {corner:g}", "mito", (vnc * half * 200).astype(np.uint16), mito)


def channels(image: np.ndarray, truth: np.ndarray) -> Iterator[Variant]:
    """A dim channel beside a bright one and an empty one."""
    glow = ndimage.gaussian_filter(np.random.default_rng(0).random(image.shape), 8)
    glow = (glow - glow.min()) / np.ptp(glow) * 60_000
    for times in (10, 100, 1000):
        stack = [(image.clip(0) * 60_000 / 150 / times).astype(np.uint16), glow.astype(np.uint16)]
        yield Variant("channel", f"1/{times} as bright", "nuclei", [*stack, np.zeros_like(stack[0])], truth)


def colors(image: np.ndarray, truth: np.ndarray) -> Iterator[Variant]:
    """Lookup tables, also through JPEG."""
    gray = image.clip(0, 255).astype(np.uint8)
    ramps = {"red": (1, 0, 0), "green": (0, 1, 0), "cyan": (0, 1, 1), "magenta": (1, 0, 1), "yellow": (1, 1, 0)}
    pictures = {name: (gray[..., None] * np.array(ramp)).astype(np.uint8) for name, ramp in ramps.items()}
    for name in ("hot", "viridis", "magma", "plasma", "jet"):
        pictures[name] = (matplotlib.colormaps[name](gray)[..., :3] * 255).astype(np.uint8)
    for name, picture in pictures.items():
        yield Variant("color", name, "nuclei", picture, truth)
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "jpeg", quality=75)
        yield Variant("color", f"{name}, JPEG", "nuclei", np.array(Image.open(stream)), truth)


def found(segmenter: Segmenter, variant: Variant) -> tuple[int, int]:
    """Return the numbers of true objects found, and of objects that are none."""
    labels = segmenter.segment(variant.image).labels
    counts = average_precision(labels, variant.truth, thresholds=[0.5])
    return int(counts.tp[0]), int(counts.fp[0])


def main() -> None:
    """Segment every variant twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="*", default=None)
    args = parser.parse_args()
    segmenters: dict[tuple[str, bool], Segmenter] = {}
    for model in ("mito", "nuclei"):
        whole = Segmenter.from_model(model, device="cpu")
        for after, changes in ((False, BEFORE), (True, AFTER)):
            known = {key: value for key, value in changes.items() if key in type(whole.config.images).model_fields}
            images = whole.config.images.model_copy(update=known)
            config: Config = whole.config.model_copy(update={"images": images})
            segmenters[model, after] = whole.with_settings(config)
    with args.out.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["group", "variant", "true", "before", "beside_before", "after", "beside_after"])
        for variant in variants(args.data):
            if args.only and variant.group not in args.only:
                continue
            row = [variant.group, variant.name, int(len(np.unique(variant.truth)) - 1)]
            for after in (False, True):
                try:
                    row += found(segmenters[variant.model, after], variant)
                except InputError as error:
                    row += [str(error), ""]
            table.writerow(row)
            file.flush()
            print(*row, sep="\t", flush=True)


if __name__ == "__main__":
    main()

"""How well are gaps filled: by SAM, by interpolation, or not at all?

All objects of a slice are dropped, and filled in from those of the slices below and above. One is right where its
IoU with the true object is .5 or more.

    python scripts/study_gaps.py DATA                            # neighbors: the true objects
    python scripts/study_gaps.py DATA --neighbors found          # neighbors: what the model found
    python scripts/study_gaps.py DATA --missing 2                # two slices are missing
    python scripts/study_gaps.py DATA --neighbors found --damage # what the model misses in blurred or noisy slices

DATA holds the folders epfl, vnc and cardona. mito was trained on all slices of epfl here and on 00-10 of vnc.
It has never seen cardona. An object counts if it has 50 pixels and its instance has objects on both sides of the
gap that overlap it. Neighbors that were found have an IoU of .5 or more with the true ones.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from volume_accuracy import STACKS, Stack, read_stack

from autosam import Segmenter
from autosam.config import VolumeConfig
from autosam.images import to_uint8
from autosam.prompts import Prompt, place_points
from autosam.volumes.ask_again import answer_prompts, gap_prompts
from autosam.volumes.contrast import measure_contrast
from autosam.volumes.fill_gaps import Gap, fill_gaps
from autosam.volumes.interpolate import PlacedMask, interpolate_masks, placed_iou
from autosam.volumes.open_volume import open_volume

MIN_SIZE = 50
RIGHT = 0.5
DAMAGES: dict[str, Callable[[NDArray[np.float64], np.random.Generator], NDArray[np.float64]]] = {
    "blur": lambda pixels, draw: ndimage.gaussian_filter(pixels, 5) + draw.normal(0, 4, pixels.shape),
    "noise": lambda pixels, draw: pixels + draw.normal(0, 70, pixels.shape),
    "contrast": lambda pixels, draw: 128 + (pixels - 128) * 0.12 + draw.normal(0, 6, pixels.shape),
    "motion": lambda pixels, draw: ndimage.uniform_filter1d(pixels, 25, axis=1) + draw.normal(0, 4, pixels.shape),
}

Labels = NDArray[np.int32]
Found = PlacedMask | None


@dataclass(frozen=True)
class Missing:
    """A true object that was dropped, and the gap that it leaves."""

    truth: PlacedMask
    gap: Gap


@dataclass(frozen=True)
class Slice:
    """A slice with its dropped objects; the picture is normalized."""

    picture: NDArray[np.uint8]
    missing: list[Missing]


def sections(labels: Labels) -> Labels:
    """Give the objects of one slice, numbered 1..n: what hangs together and has one id, if it is large enough."""
    numbered, last = np.zeros(labels.shape, np.int32), 0
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        parts, count = ndimage.label(labels[box] == label, structure=np.ones((3, 3)))
        for part in range(1, count + 1):
            if np.count_nonzero(parts == part) >= MIN_SIZE:
                last += 1
                numbered[box][parts == part] = last
    return numbered


def placed(labels: Labels, number: int) -> PlacedMask:
    """Cut an object out of labels."""
    rows, cols = ndimage.find_objects(labels, max_label=number)[number - 1]
    return PlacedMask(rows.start, cols.start, labels[rows, cols] == number)


def largest_overlap(labels: Labels, mask: NDArray[np.bool_]) -> int:
    """Give the number that most of the mask's pixels have, 0 if none has one."""
    counts = np.bincount(labels[mask], minlength=2)
    counts[0] = 0
    return int(counts.argmax()) if counts.any() else 0


def gaps_of(
    truth: Labels, objects: Sequence[Labels], found: Sequence[Labels] | None, z: int, below: int, above: int
) -> list[Missing]:
    """List the true objects of a slice that have a neighbor in one slice below and one above."""
    listed = []
    for number in range(1, int(objects[z].max()) + 1):
        mask = objects[z] == number
        instance = truth[z][mask][0]
        neighbors = []
        for other in (below, above):
            same = np.where(truth[other] == instance, objects[other], 0)
            best = largest_overlap(same, mask)
            neighbor = placed(objects[other], best) if best else None
            if neighbor is not None and found is not None:
                neighbor = matched(found[other], neighbor)
            neighbors.append(neighbor)
        lower, upper = neighbors
        if lower is not None and upper is not None:
            listed.append(Missing(placed(objects[z], number), Gap(lower, upper, (z - below) / (above - below))))
    return listed


def matched(labels: Labels, truth: PlacedMask) -> Found:
    """Find the object whose IoU with a true one is .5 or more."""
    whole = slice(0, labels.shape[0]), slice(0, labels.shape[1])
    best = largest_overlap(labels, truth.within(*whole))
    found = placed(labels, best) if best else None
    return found if found is not None and placed_iou(found, truth) >= RIGHT else None


def slices_of(data: Path, stack: Stack, segmenter: Segmenter, options: argparse.Namespace) -> Iterator[Slice]:
    """Give the inner slices of a stack with what is dropped in them."""
    images, truth = read_stack(data, stack)
    truth = truth.astype(np.int32)
    objects = [sections(labels) for labels in truth]
    source = open_volume(images)
    contrast = measure_contrast(source, segmenter.config.images)
    pictures = [contrast.picture(image, z) for z, image in enumerate(images)]

    def segment(picture: NDArray[np.uint8]) -> Labels:
        return segmenter.segment(picture, zoom=1.0, normalized=True).labels

    found = [segment(picture) for picture in pictures] if options.neighbors == "found" else None
    inner = range(1, len(images) - options.missing)
    for z in [inner[i] for i in np.unique(np.linspace(0, len(inner) - 1, options.slices).astype(int))]:
        missing = gaps_of(truth, objects, found, z, z - 1, z + options.missing)
        if not options.damage:
            yield Slice(pictures[z], missing)
            continue
        for number, damage in enumerate(DAMAGES.values()):
            plane = damage(pictures[z][..., 0].astype(np.float64), np.random.default_rng(100 * z + number))
            picture = np.repeat(to_uint8(np.clip(plane / 255, 0, 1).astype(np.float32))[..., None], 3, axis=-1)
            seen = segment(picture)
            yield Slice(picture, [each for each in missing if matched(seen, each.truth) is None])


def ways(segmenter: Segmenter, given: Slice) -> dict[str, list[Found]]:
    """Fill the gaps of a slice in all ways."""
    nothing = np.zeros(given.picture.shape[:2], np.int32)
    gaps = [each.gap for each in given.missing]
    whole = slice(0, nothing.shape[0]), slice(0, nothing.shape[1])
    shapes = [interpolate_masks(gap.lower, gap.upper, gap.share).cut(*whole) for gap in gaps]
    prompts = gap_prompts(shapes, nothing)

    def ask(asked: Sequence[Prompt]) -> list[Found]:
        answers = answer_prompts(segmenter, given.picture, asked, zoom=1.0)
        return [None if answer is None else answer.mask for answer in answers]

    box = ask([first for first, _ in prompts])
    points = ask([moved(prompt, *pair) for (_, prompt), *pair in zip(prompts, shapes, box, strict=True)])
    once = [better(*three) for three in zip(box, ask([second for _, second in prompts]), shapes, strict=True)]
    settings = VolumeConfig(fill="sam")
    filled: list[Found] = [None] * len(gaps)
    for filling in fill_gaps(segmenter, given.picture, gaps, nothing, settings=settings):
        filled[filling.gap] = filling.mask
    return {
        "nothing": [None] * len(gaps),
        "linear interpolation": [interpolate_masks(g.lower, g.upper, g.share, follow=False) for g in gaps],
        "interpolation that follows": list(shapes),
        "SAM: box": box,
        "SAM: box, then points": [better(*three) for three in zip(box, points, shapes, strict=True)],
        "SAM: both at once": once,
        "both at once, or interpolated": [
            mask if mask and placed_iou(mask, shape) >= settings.fill_agreement else shape
            for mask, shape in zip(once, shapes, strict=True)
        ],
        "fill_gaps": filled,
    }


def moved(prompt: Prompt, shape: PlacedMask, answer: Found) -> Prompt:
    """Move the point of a prompt to the deepest pixel of what the first answer and the shape share."""
    shared = shape.mask
    if answer is not None:
        shared = shared & answer.within(
            slice(shape.row, shape.row + shared.shape[0]), slice(shape.col, shape.col + shared.shape[1])
        )
    if not shared.any():
        return prompt
    deepest = place_points(shared, method="distance", count=1) + (shape.row, shape.col)
    return replace(prompt, points=np.concatenate([deepest, prompt.points[1:]]))


def better(first: Found, second: Found, shape: PlacedMask) -> Found:
    """Choose the answer that agrees better with the shape."""
    found = [answer for answer in (first, second) if answer is not None]
    return max(found, key=lambda answer: placed_iou(answer, shape), default=None)


def study(data: Path, name: str, segmenter: Segmenter, options: argparse.Namespace) -> dict[str, Any]:
    """Score all ways on one stack."""
    scores: dict[str, list[float]] = {}
    begin = time.process_time()
    for given in slices_of(data, STACKS[name], segmenter, options):
        if not given.missing:
            continue
        for way, masks in ways(segmenter, given).items():
            pairs = zip(masks, given.missing, strict=True)
            scores.setdefault(way, []).extend(
                0.0 if mask is None else placed_iou(mask, each.truth) for mask, each in pairs
            )
    found = {}
    for way, values in scores.items():
        ious = np.array(values)
        row = {"iou50": np.mean(ious >= RIGHT), "iou75": np.mean(ious >= 0.75), "mean_iou": np.mean(ious)}
        found[way] = {key: round(float(value), 3) for key, value in row.items()}
        print(f"{name:8s} n={len(ious):4d}  {way:32s} {json.dumps(found[way])}", flush=True)
    return {"objects": len(ious) if found else 0, "ways": found, "cpu_s": round(time.process_time() - begin, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--stacks", nargs="+", default=list(STACKS), choices=list(STACKS))
    parser.add_argument("--model", default="mito")
    parser.add_argument("--neighbors", choices=("truth", "found"), default="truth")
    parser.add_argument("--missing", type=int, choices=(1, 2), default=1, help="slices that are missing")
    parser.add_argument("--damage", action="store_true", help="only what the model misses in damaged slices")
    parser.add_argument("--slices", type=int, default=12, help="slices of each stack, evenly spaced")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    segmenter = Segmenter.from_model(options.model, device="cpu")
    found = {name: study(options.data, name, segmenter, options) for name in options.stacks}
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

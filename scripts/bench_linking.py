"""How well are the slices of a volume linked, and how fast are the objects of a huge one united?

Objects of single slices are dropped at random from labels of volumes, and the rest is linked. The truth is the
whole volume, so a dropped object counts as missed voxels, too.

    python scripts/bench_linking.py dropped urocell_*.tif stardist.tif     # objects dropped, by three ways to link
    python scripts/bench_linking.py merged urocell_*.tif                   # neighbors merged in single slices
    python scripts/bench_linking.py found NAME=LABELS,TRUTH ...            # labels of a program, folders or stacks
    python scripts/bench_linking.py dense stardist.tif                     # partitions, on made-up neurites, too
    python scripts/bench_linking.py union --objects 1000000 10000000       # time and memory of the union

An object of a slice is what hangs together in it, by 8 neighbors. `--sections` takes all that one instance has
in a slice for one object. A truth of two values only is semantic: its instances are its components in 3D.

Beside autosam stand stitching and forward-backward matching. The first joins objects of neighboring slices with
an IoU of .25 or more. The second joins each object with the one that it shares most pixels with in the slice below
and above, where the IoU is .25 or more, or half of the smaller one is shared. `filled` is `autosam link --fill`.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label

from autosam.config import VolumeConfig
from autosam.metrics import (
    adapted_rand,
    average_precision,
    components,
    contingency_table,
    variation_of_information,
)
from autosam.volumes.link_labels import link_labels
from autosam.volumes.open_volume import open_label_volume
from autosam.volumes.partition import Method
from autosam.volumes.shared_pixels import SharedPixels, count_shared, row_stretches
from autosam.volumes.slice_objects import make_ids, objects_of_labels, paint
from autosam.volumes.task_files import gather_columns
from autosam.volumes.unite import unite
from autosam.volumes.unite_pass import read_objects_of

Labels = NDArray[np.int64]
Way = Callable[[Labels], Labels]

SHARES = (0.0, 0.05, 0.1)
"""Of the objects that are dropped."""


def read(place: str) -> Labels:
    """Read a volume of labels."""
    source = open_label_volume(place)
    whole = slice(0, source.shape[1]), slice(0, source.shape[2])
    return np.stack([source.read(z, whole).astype(np.int64) for z in range(source.shape[0])])


def read_truth(place: str) -> Labels:
    """Read the truth; components of it if it is semantic."""
    labels = read(place)
    return np.asarray(components(labels > 0), np.int64) if len(np.unique(labels)) <= 2 else labels


def slice_objects(truth: Labels, *, sections: bool) -> Labels:
    """Give the objects of single slices, 1..n in all."""
    objects, count = np.zeros_like(truth), 0
    for z, labels in enumerate(truth):
        parts = labels if sections else label(labels, connectivity=2)
        ids, index = np.unique(parts[labels > 0], return_inverse=True)
        objects[z][labels > 0] = index + 1 + count
        count += len(ids)
    return objects


def drop(objects: Labels, share: float, seed: int) -> Labels:
    """Leave out a share of the objects."""
    kept = np.random.default_rng(seed).random(int(objects.max()) + 1) >= share
    return np.where(kept[objects], objects, 0)


def merge_neighbors(objects: Labels, share: float, seed: int, distance: int = 3) -> Labels:
    """Merge pairs of objects of one slice that are a few pixels apart: a share of all such pairs."""
    generator, merged = np.random.default_rng(seed), objects.copy()
    for labels in merged:
        grown = ndimage.grey_dilation(labels, size=2 * distance + 1)
        near = (labels > 0) & (grown != labels)
        pairs = np.unique(np.stack([labels[near], grown[near]], axis=1), axis=0)
        for one, other in pairs[generator.random(len(pairs)) < share]:
            labels[labels == other] = one
    return merged


def autosam(settings: VolumeConfig, *, fill: bool = False) -> Way:
    """Link as `autosam link` does."""

    def link(objects: Labels) -> Labels:
        linked = link_labels(lambda z: objects[z], len(objects), settings=settings, fill=fill)
        return np.stack([linked.relabel(z, labels) for z, labels in enumerate(objects)])

    return link


def stitching(objects: Labels) -> Labels:
    """Join objects of neighboring slices with an IoU of .25 or more."""
    return _join(objects, lambda iou, containment, shared: iou >= 0.25)


def forward_backward(objects: Labels) -> Labels:
    """Join each object with its best partner below and above."""

    def best(of: NDArray[np.int64], pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
        order = np.lexsort((np.arange(len(of)), -pixels, of))
        first = np.diff(of[order], prepend=-1) != 0
        chosen = np.zeros(len(of), bool)
        chosen[order[first]] = True
        return chosen

    def rule(iou: Any, containment: Any, shared: SharedPixels) -> NDArray[np.bool_]:
        likely: NDArray[np.bool_] = (iou >= 0.25) | (containment >= 0.5)
        pixels = np.where(likely, shared.pixels, 0)
        return likely & (best(shared.first, pixels) | best(shared.second, pixels))

    return _join(objects, rule)


def _join(objects: Labels, rule: Callable[[Any, Any, SharedPixels], NDArray[np.bool_]]) -> Labels:
    slices = [objects_of_labels(labels, z=z, tile=0) for z, labels in enumerate(objects)]
    a, b = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
    for lower, upper in pairwise(slices):
        shared = count_shared(row_stretches(lower), row_stretches(upper))
        one, other = lower.areas[shared.first], upper.areas[shared.second]
        kept = rule(shared.pixels / (one + other - shared.pixels), shared.pixels / np.minimum(one, other), shared)
        a.append(lower.ids[shared.first[kept]])
        b.append(upper.ids[shared.second[kept]])
    numbers = unite(np.concatenate([part.ids for part in slices]), np.concatenate(a), np.concatenate(b))
    joined, first = np.zeros_like(objects), 0
    for z, part in enumerate(slices):
        paint(part, numbers[first : first + len(part)], joined[z], corner=(0, 0))
        first += len(part)
    return joined


def score(found: Labels, truth: Labels) -> dict[str, float]:
    """Score labels against the truth, in 3D."""
    table = contingency_table(found, truth)
    precision = average_precision(table=table)
    return {
        "ap50": precision.at(0.5),
        "ap75": precision.at(0.75),
        "arand": adapted_rand(table=table).error,
        "voi": variation_of_information(table=table).total,
    }


def compare(name: str, ways: dict[str, Way], versions: Sequence[Labels], truth: Labels) -> list[dict[str, Any]]:
    """Score some ways to link, averaged over versions of the objects, and print a line for each."""
    rows = []
    for way, link in ways.items():
        scores = [score(link(objects), truth) for objects in versions]
        row = {key: float(np.mean([one[key] for one in scores])) for key in scores[0]}
        rows.append({"what": name, "way": way, **{key: round(value, 4) for key, value in row.items()}})
        print(f"{name:<40}{way:<18}" + "".join(f"{key} {value:.3f}   " for key, value in row.items()), flush=True)
    return rows


def bench_objects(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Drop or merge objects of true volumes."""
    settings = VolumeConfig(min_slices=1)
    for place in options.labels:
        truth = read_truth(place)
        objects = slice_objects(truth, sections=options.sections)
        print(f"{Path(place).name}: {int(objects.max())} objects of {len(np.unique(truth)) - 1} instances")
        for share in SHARES:
            change = drop if options.what == "dropped" else merge_neighbors
            versions = [change(objects, share, seed) for seed in range(options.seeds if share else 1)]
            if options.what == "dropped":
                ways = {
                    "stitching": stitching,
                    "forward-backward": forward_backward,
                    "autosam": autosam(settings),
                    "filled": autosam(settings, fill=True),
                }
            else:
                uncut = settings.model_copy(update={"cut_merges": False})
                ways = {"autosam": autosam(settings), "without cutting": autosam(uncut)}
            yield from compare(f"{Path(place).stem[:24]}, {share:.0%} {options.what}", ways, versions, truth)


def bench_found(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Link labels of a program and compare with the truth."""
    for given in options.sets:
        name, _, places = given.partition("=")
        labels, truth = (
            read_place(place) for read_place, place in zip((read, read_truth), places.split(","), strict=True)
        )
        for min_slices in (1, VolumeConfig().min_slices):
            settings = VolumeConfig(min_slices=min_slices)
            uncut = settings.model_copy(update={"cut_merges": False})
            ways = {
                "autosam": autosam(settings),
                "without cutting": autosam(uncut),
                "filled": autosam(settings, fill=True),
            }
            if min_slices == 1:
                ways = {"stitching": stitching, "forward-backward": forward_backward, **ways}
            yield from compare(f"{name}, {min_slices} slices or more", ways, [labels], truth)


def bench_dense(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Compare the partitions where objects are dense."""
    methods: tuple[Method, ...] = get_args(Method)
    ways: dict[str, Way] = {"stitching": stitching}
    ways |= {way: autosam(VolumeConfig(min_slices=1, partition=way)) for way in methods}
    sets = {Path(place).stem: read_truth(place) for place in options.labels}
    sets |= {f"neurites, {wander:g} pixels a slice": make_neurites(wander) for wander in (1.5, 3.0)}
    for name, truth in sets.items():
        objects = slice_objects(truth, sections=False)
        for share in SHARES[:2]:
            versions = [drop(objects, share, seed) for seed in range(options.seeds if share else 1)]
            yield from compare(f"{name[:27]}, {share:.0%} dropped", ways, versions, truth)


def make_neurites(wander: float, *, depth: int = 40, side: int = 256, count: int = 120, seed: int = 0) -> Labels:
    """Make cells around points that wander from slice to slice, with membranes of three pixels between them."""
    generator = np.random.default_rng(seed)
    points, speed = generator.uniform(0, side, (count, 2)), generator.normal(0, wander, (count, 2))
    rows, cols = np.mgrid[:side, :side]
    volume = np.zeros((depth, side, side), np.int64)
    for z in range(depth):
        distance = (rows[..., None] - points[:, 0]) ** 2 + (cols[..., None] - points[:, 1]) ** 2
        nearest = distance.argmin(axis=2) + 1
        inside = ndimage.maximum_filter(nearest, size=3) == ndimage.minimum_filter(nearest, size=3)
        volume[z][inside] = nearest[inside]
        speed = 0.8 * speed + generator.normal(0, 0.6 * wander, (count, 2))
        points = np.clip(points + speed, 0, side)
    return volume


def bench_union(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Unite made-up objects, from files of a million rows: tracks through the slices, with branches and gaps."""
    for count in options.objects:
        with TemporaryDirectory() as folder:
            objects, edges = write_files(Path(folder), count)
            # In a process of its own, whose peak is that of the union alone.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
                row = executor.submit(unite_files, objects, edges).result()
        print("   ".join(f"{key} {value:,}" for key, value in row.items()), flush=True)
        yield row


def unite_files(objects: list[Path], edges: list[Path]) -> dict[str, float]:
    """Unite what lies in files as `autosam volume` does."""
    begin = time.process_time()
    ids, owned = read_objects_of(objects)
    a, b = gather_columns(edges, {"a": np.uint64, "b": np.uint64})
    numbers = unite(ids, a, b, sizes=owned, min_size=1, slices=range(1000), min_slices=2)
    return {
        "objects": len(ids),
        "edges": len(a),
        "instances": int(numbers.max()),
        "seconds": round(time.process_time() - begin, 1),
        "peak_gb": round(_peak(), 2),
    }


def write_files(folder: Path, count: int) -> tuple[list[Path], list[Path]]:
    """Write made-up objects and edges into files of tasks."""
    ids, a, b = make_edges(count)
    order = np.argsort(a, kind="stable")
    files: tuple[list[Path], list[Path]] = [], []
    for kind, columns in enumerate(({"id": ids, "owned": np.full(len(ids), 100)}, {"a": a[order], "b": b[order]})):
        for first in range(0, len(next(iter(columns.values()))), 1_000_000):
            path = folder / f"{kind}-{first}.parquet"
            part = {name: values[first : first + 1_000_000] for name, values in columns.items()}
            pq.write_table(pa.table(part), path, compression="zstd")
            files[kind].append(path)
    return files


def make_edges(count: int, *, seed: int = 0) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]]:
    """Make objects of 1,000 slices and their edges: 97 % go on to the next slice, 3 % further, 1 % branch."""
    generator = np.random.default_rng(seed)
    each = max(1, count // 1000)
    place = np.arange(count, dtype=np.uint64)
    z, number = place // np.uint64(each), place % np.uint64(each)
    # Tiles of a thousand objects each.
    ids = make_ids(z, number // np.uint64(1000), number % np.uint64(1000))
    chance = generator.random(count, dtype=np.float32)
    step = np.where(chance < 0.97, each, np.where(chance < 0.99, 2 * each, 3 * each)).astype(np.int64)
    # A thirtieth of the tracks ends in each slice.
    first = np.flatnonzero(
        (generator.random(count, dtype=np.float32) > 1 / 30) & (np.arange(count) + step < count)
    )
    second = first + step[first]
    del chance, step
    extra = generator.integers(0, max(1, count - each - 1), count // 100)
    return (
        ids,
        np.concatenate([ids[first], ids[extra]]),
        np.concatenate([ids[second], ids[extra + each + 1 if count > each + 1 else extra]]),
    )


def _peak() -> float:
    """Give the highest resident set so far, in 10^9 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    for what in ("dropped", "merged"):
        command = commands.add_parser(what)
        command.add_argument("labels", nargs="+", help="labels of volumes")
        command.add_argument("--sections", action="store_true", help="objects are whole sections of instances")
        command.add_argument("--seeds", type=int, default=5, help="random draws (default: 5)")
        command.set_defaults(run=bench_objects)
    command = commands.add_parser("found")
    command.add_argument("sets", nargs="+", metavar="NAME=LABELS,TRUTH", help="labels of slices and the truth")
    command.set_defaults(run=bench_found)
    command = commands.add_parser("dense")
    command.add_argument("labels", nargs="*", help="labels of volumes")
    command.add_argument("--seeds", type=int, default=3, help="random draws (default: 3)")
    command.set_defaults(run=bench_dense)
    command = commands.add_parser("union")
    command.add_argument(
        "--objects", type=int, nargs="+", default=[1_000_000], help="how many (default: a million)"
    )
    command.set_defaults(run=bench_union)
    for command in commands.choices.values():
        command.add_argument("--json", type=Path, help="write the table to this file, too")
    options = parser.parse_args(arguments)
    rows = list(options.run(options))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Runs of consecutive slices among single images: numbers in their names, and pictures that look alike."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.duplicates import fingerprint
from autosam.data.manifest import Item
from autosam.data.split import Fractions, Method, Splits, cut_place, default_method, origin, split_items

ALIKE = 0.45
"""Median correlation of neighbors' fingerprints in a run.

Neighbors 50 nm apart have .55 to .77, and unrelated images of public data stay below .3.
"""
SHORTEST = 3
# A run of fewer slices is not worth cutting into three blocks with gaps.
_LONG_ENOUGH = 10

_NUMBER = re.compile(r"(.*?)(\d+)(\D*)")


def numbered(item: Item) -> tuple[str, int] | None:
    """Divide the name of a single image, or of the one it was cut from, into that of its run and its number.

    Examples
    --------
    >>> numbered(Item("s2_z0017.ome", "", None, None, (4, 4), "uint8", None))
    ('s2_z.ome', 17)
    """
    match = _NUMBER.fullmatch(origin(item))
    if match is None or item.z is not None:
        return None
    return (match[1] + match[3]).strip("_-. ") or "run", int(match[2])


def find_runs(
    items: Sequence[Item],
    image: Callable[[str], NDArray[Any]],
    *,
    tick: Callable[[], None] = lambda: None,
) -> tuple[str, ...]:
    """Find the runs of consecutive slices among single images.

    A run has three numbers or more, most of them one step apart, and neighbors that look alike.

    Parameters
    ----------
    items : sequence of Item
        Slices of volumes, whose place is known, are no part of any.
    image : callable
        Reads an image by its name; those with numbers are read once.
    tick : callable
        Called after each image that was read.

    Returns
    -------
    tuple of str
        Names of the runs, as `numbered` gives them.
    """
    by_run: dict[str, list[tuple[int, str, Item]]] = {}
    for item in items:
        found = numbered(item)
        if found is not None:
            by_run.setdefault(found[0], []).append((found[1], cut_place(item), item))
    return tuple(
        name for name, members in by_run.items() if _in_steps(members) and _alike(members, image, tick) >= ALIKE
    )


def as_slices(items: Sequence[Item], runs: Sequence[str]) -> list[Item]:
    """Give the images of runs the volume and the z of slices, for a split; others stay as they are."""
    placed = []
    for item in items:
        found = numbered(item)
        placed.append(replace(item, volume=found[0], z=found[1]) if found and found[0] in runs else item)
    return placed


def named_runs(items: Sequence[Item]) -> tuple[str, ...]:
    """List what could be runs from the names alone, without looking at the images."""
    return tuple(dict.fromkeys(found[0] for item in items if (found := numbered(item)) is not None))


def _in_steps(members: Sequence[tuple[int, str, Item]]) -> bool:
    numbers = np.unique([number for number, _, _ in members])
    if numbers.size < SHORTEST:
        return False
    steps = np.diff(numbers)
    return bool(2 * np.count_nonzero(steps == steps.min()) >= steps.size)


def _alike(
    members: Sequence[tuple[int, str, Item]], image: Callable[[str], NDArray[Any]], tick: Callable[[], None]
) -> float:
    """Measure the median correlation of neighbors, patches with those of the same place."""
    before: dict[str, NDArray[np.float32]] = {}
    found = []
    for _, place, item in sorted(members, key=lambda member: member[:2]):
        mark = fingerprint(image(item.name))
        if place in before:
            found.append(float(before[place] @ mark))
        before[place] = mark
        tick()
    return float(np.median(found)) if found else 0.0


def split_with_runs(
    items: Sequence[Item],
    runs: Sequence[str],
    method: Method | None,
    *,
    fractions: Fractions,
    gap: int,
    seed: int,
    force: bool = False,
) -> tuple[Splits, Method]:
    """Put every image into a part, as `split_items` does, with runs as volumes; the result is that and the method.

    Without a method, runs of 10 slices or more are cut into blocks and the images in no run dealt out. Where a run
    is shorter, whole runs and images are dealt out, if they are enough to fill the parts. Without runs,
    `default_method` chooses.
    """
    placed = as_slices(items, runs)
    if method is not None or not runs:
        chosen = method or default_method(items)
        return split_items(placed, chosen, fractions=fractions, gap=gap, seed=seed, force=force), chosen
    inside = [item for item in placed if item.volume in runs]
    units, wanted = {origin(item) for item in placed}, sum(fraction > 0 for fraction in fractions)
    if min(Counter(item.volume for item in inside).values()) < _LONG_ENOUGH and len(units) >= wanted:
        return split_items(placed, "volume", fractions=fractions, seed=seed), "volume"
    rest = [item for item in placed if item.volume not in runs]
    splits = split_items(inside, "blocks", fractions=fractions, gap=gap)
    return splits | split_items(rest, default_method(rest), fractions=fractions, seed=seed), "blocks"

"""Images, objects, foreground and sizes of objects in each part of a store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autosam.data.check import ImageRow
from autosam.data.manifest import SPLITS


@dataclass(frozen=True)
class Share:
    """A part, a group, or the whole store.

    Attributes
    ----------
    name : str
        "train", "val", "test", "no part", "group " and its name, "no group", or "all".
    images, empty : int
        Images, and those of them whose labels are empty.
    objects : int
        An object of a volume counts once in each of its slices.
    foreground : float
        Share of the pixels with labels that belong to an object; NaN without labels.
    sizes : tuple of 3 floats
        5th, 50th and 95th percentile of the objects' pixels in an image; NaN without objects.
    """

    name: str
    images: int
    empty: int
    objects: int
    foreground: float
    sizes: tuple[float, float, float]


def share(name: str, rows: Sequence[ImageRow]) -> Share:
    """Sum up some images, which can be none, under a name."""
    known = [row.objects for row in rows if row.objects is not None]
    sizes = np.concatenate([objects.sizes for objects in known] or [np.zeros(0, np.int64)])
    pixels = sum(row.item.shape[0] * row.item.shape[1] for row in rows if row.objects is not None)
    low, middle, high = np.percentile(sizes, [5, 50, 95]) if sizes.size else (np.nan,) * 3
    return Share(
        name=name,
        images=len(rows),
        empty=sum(not objects.ids.size for objects in known),
        objects=int(sizes.size),
        foreground=float(sizes.sum() / pixels) if pixels else float("nan"),
        sizes=(float(low), float(middle), float(high)),
    )


def shares(rows: Sequence[ImageRow], *, most_groups: int = 12) -> list[Share]:
    """Sum up each part that holds images, each group where there are 2 to `most_groups`, and all images last."""
    by_part = _gathered(rows, lambda row: row.item.split or "no part")
    by_group = _gathered(rows, lambda row: f"group {row.item.group}" if row.item.group else "no group")
    found = [share(part, by_part[part]) for part in (*SPLITS, "no part") if part in by_part]
    if 1 < len(by_group) <= most_groups:
        found += [share(group, by_group[group]) for group in sorted(by_group)]
    return [*found, share("all", rows)]


def _gathered(rows: Sequence[ImageRow], key: Callable[[ImageRow], str]) -> dict[str, list[ImageRow]]:
    found: dict[str, list[ImageRow]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found

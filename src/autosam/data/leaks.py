"""Test images that training could have seen: the same image, the next slice, or one that looks the same."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from autosam.data.duplicates import near_duplicates
from autosam.data.findings import Finding
from autosam.data.manifest import Item
from autosam.data.split import origin


def identical(same: Iterable[Sequence[Item]]) -> list[Finding]:
    """Report groups of images whose pixels are equal: a fault in two parts, a warning otherwise."""
    found = []
    for items in same:
        if len(items) < 2:
            continue
        text = f"equals {', '.join(item.name for item in items[1:])}"
        if len({item.split for item in items} - {None}) > 1:
            found.append(Finding("fault", "same image in two parts", items[0].name, text))
        else:
            found.append(Finding("warning", "same image twice", items[0].name, text))
    return found


def neighbors(items: Sequence[Item]) -> list[Finding]:
    """Report slices whose next one along z is in another part; patches count as the image they are cut from."""
    place = {(origin(item), item.z): item for item in items if item.z is not None}
    found = []
    for (volume, z), item in place.items():
        after = place.get((volume, (z or 0) + 1))
        if after is not None and None not in (item.split, after.split) and after.split != item.split:
            text = f"it is in {item.split}, and the next slice, {after.name}, in {after.split}: leave a gap"
            found.append(Finding("warning", "neighbors in two parts", item.name, text))
    return found


def lookalikes(
    items: Sequence[Item], prints: Mapping[str, NDArray[np.float32]], *, threshold: float
) -> list[Finding]:
    """Report pairs in different parts whose fingerprints correlate by a threshold or more, the most alike first.

    `prints` maps names of items to what `duplicates.fingerprint` gives; items that have none are left out.
    """
    items = [item for item in items if item.split is not None and item.name in prints]
    if not items:
        return []
    pairs = near_duplicates(
        np.stack([prints[item.name] for item in items]), [item.split or "" for item in items], threshold=threshold
    )
    found = []
    for pair in pairs:
        first, second = items[pair.first], items[pair.second]
        text = f"in {first.split} looks like {second.name} in {second.split}: correlation {pair.correlation:.2f}"
        found.append(Finding("warning", "alike in two parts", first.name, text))
    return found

"""Which image trains, validates or tests, so that no part has seen the field of view of another."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from autosam.data.manifest import SPLITS, Item, Split
from autosam.errors import ConfigError, InputError

Method = Literal["volume", "blocks", "group", "random"]
METHODS: tuple[str, ...] = get_args(Method)
Fractions = tuple[float, float, float]
Splits = dict[str, Split | None]

_PARTS: tuple[Split, ...] = ("train", "val", "test")
_CUT = re.compile(r"_r\d+_c\d+$")


def split_items(
    items: Sequence[Item],
    method: Method,
    *,
    fractions: Fractions = (0.8, 0.1, 0.1),
    gap: int = 1,
    seed: int = 0,
    force: bool = False,
) -> Splits:
    """Put every image into a part.

    Parameters
    ----------
    items : sequence of Item
        Patches of `autosam data patches` count as the image that they were cut from.
    method : {"volume", "blocks", "group", "random"}
        Whole volumes (a single image is one), contiguous blocks along z in each volume (train, then val, then
        test), whole groups, or single images and slices, dealt out within each group.
    fractions : tuple of 3 floats
        Shares of train, val and test; 0 leaves a part out.
    gap : int
        With "blocks", slices within this many z between two parts get no part.
    seed : int
        Seed of the shuffle; "blocks" does not shuffle.
    force : bool
        Deal out slices of one volume at random anyway.

    Returns
    -------
    dict of item name to part
        None for a slice in a gap; no entries for no items. The same input gives the same parts.

    Raises
    ------
    ConfigError
        If the method is unknown, or fractions or gap are out of range.
    InputError
        If the images cannot be divided so, or neighbors would be dealt out at random.
    """
    if method not in METHODS:
        raise ConfigError(f"unknown method {method!r}; wanted {', '.join(METHODS)}.")
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ConfigError(f"the fractions {fractions} are not valid; wanted three of at least 0 that sum to 1.")
    if gap < 0:
        raise ConfigError(f"the gap is {gap}; wanted 0 or more slices.")
    if not items:
        return {}
    if method == "blocks":
        return _blocks(items, fractions, gap)
    if method == "random":
        return _random(items, fractions, seed, force)
    units = [origin(item) if method == "volume" else item.group for item in items]
    if method == "group" and "" in units:
        named = next(item.name for item in items if not item.group)
        raise InputError(f"{named} is in no group; choose --by volume, blocks or random.")
    return _whole(items, units, fractions, seed, what=method)


def default_method(items: Sequence[Item]) -> Method:
    """Choose "blocks" where there are volumes, "volume" for patches of single images, else "random"."""
    if any(item.z is not None for item in items):
        return "blocks"
    return "volume" if len({origin(item) for item in items}) < len(items) else "random"


def default_gap(voxel_size_nm: tuple[float, float, float] | None, *, nm: float = 50) -> int:
    """Count the slices in a distance along z, at least 1; 1 where the voxel size is not known.

    Examples
    --------
    >>> default_gap((5, 5, 5)), default_gap((50, 4.6, 4.6)), default_gap(None)
    (10, 1, 1)
    """
    if voxel_size_nm is None or not voxel_size_nm[0] > 0:
        return 1
    return max(1, round(nm / voxel_size_nm[0]))


def origin(item: Item) -> str:
    """Name the volume or single image that an item is of, or was cut from."""
    return _CUT.sub("", item.key)


def cut_place(item: Item) -> str:
    """Give the ending of a patch's name that tells its place in the image; "" for a whole image."""
    match = _CUT.search(item.key)
    return match[0] if match else ""


def as_lists(items: Sequence[Item], splits: Splits) -> dict[str, list[str]]:
    """Give the names of each part in the order of the items; images in no part are left out."""
    return {part: [item.name for item in items if splits.get(item.name) == part] for part in SPLITS}


def parse_fractions(text: str) -> Fractions:
    """Read the shares of train, val and test, in any unit: three numbers of at least 0, not all 0.

    Examples
    --------
    >>> parse_fractions("80/10/10"), parse_fractions("0.5,0.5,0")
    ((0.8, 0.1, 0.1), (0.5, 0.5, 0.0))
    """
    try:
        train, val, test = (float(part) for part in re.split(r"[/,:]", text))
    except ValueError as error:
        raise ConfigError(f"the fractions {text!r} are not valid; wanted train/val/test: 80/10/10.") from error
    total = train + val + test
    if not min(train, val, test) >= 0 or not 0 < total < float("inf"):
        raise ConfigError(f"the fractions {text!r} are not valid; wanted three of at least 0, not all 0.")
    return train / total, val / total, test / total


def _shares(count: int, fractions: Fractions) -> list[int]:
    """Divide a number by largest remainders, with at least 1 for each part that is wanted, where it suffices."""
    wanted = [count * fraction for fraction in fractions]
    shares = [int(share + 1e-9) for share in wanted]
    by_rest = sorted(range(3), key=lambda i: shares[i] - wanted[i])
    for i in by_rest[: count - sum(shares)]:
        shares[i] += 1
    for i in range(3):
        richest = max(range(3), key=lambda j: shares[j])
        if fractions[i] > 0 and shares[i] == 0 and shares[richest] > 1:
            shares[i], shares[richest] = 1, shares[richest] - 1
    return shares


def _blocks(items: Sequence[Item], fractions: Fractions, gap: int) -> Splits:
    slices: dict[str, set[int]] = {}
    for item in items:
        if item.z is None:
            raise InputError(f"{item.name} is a single image and has no z; choose --by volume, group or random.")
        slices.setdefault(origin(item), set()).add(item.z)
    parts = {volume: _lay_out(volume, sorted(zs), fractions, gap) for volume, zs in slices.items()}
    return {item.name: parts[origin(item)][item.z] for item in items if item.z is not None}


def _lay_out(volume: str, zs: list[int], fractions: Fractions, gap: int) -> dict[int, Split | None]:
    """Cut one volume: the gaps cost no more slices than they must, and the parts keep their proportions."""
    wanted = sum(fraction > 0 for fraction in fractions)
    for lost in range(len(zs)):
        shares = _shares(len(zs) - lost, fractions)
        if sum(share > 0 for share in shares) < wanted:
            break
        parts: dict[int, Split | None] = {}
        end = 0
        for part, share in zip(_PARTS, shares, strict=True):
            if not share:
                continue
            start = end
            while 0 < start < len(zs) and zs[start] - zs[end - 1] <= gap:
                start += 1
            parts |= dict.fromkeys(zs[end:start])
            end = start + share
            parts |= dict.fromkeys(zs[start:end], part)
        if end <= len(zs):
            last = next(part for part, share in zip(_PARTS[::-1], shares[::-1], strict=True) if share)
            # The gaps took fewer slices than expected: the others go to the last part.
            return parts | dict.fromkeys(zs[end:], last)
    raise InputError(
        f"the {len(zs)} slices of {volume} are too few for {wanted} parts with gaps of {gap}; "
        "choose a smaller --gap or fewer parts (--fractions 80/20/0)."
    )


def _whole(items: Sequence[Item], units: Sequence[str], fractions: Fractions, seed: int, *, what: str) -> Splits:
    """Give whole units to the part that lacks most, the largest first."""
    sizes = Counter(units)
    wanted = sum(fraction > 0 for fraction in fractions)
    if len(sizes) < wanted:
        raise InputError(
            f"{len(sizes)} {what}{'' if len(sizes) == 1 else 's'} ({', '.join(sorted(sizes)[:5])}) cannot fill "
            f"{wanted} parts; choose --by blocks or random, or fewer parts (--fractions 80/20/0)."
        )
    shuffled = [sorted(sizes)[i] for i in np.random.default_rng(seed).permutation(len(sizes))]
    filled = [0, 0, 0]
    part_of: dict[str, Split] = {}
    ordered = sorted(shuffled, key=lambda unit: -sizes[unit])
    for number, unit in enumerate(ordered):
        empty = [i for i in range(3) if fractions[i] > 0 and not filled[i]]
        # The last units go to parts that would stay empty.
        among = empty if len(empty) == len(ordered) - number else [i for i in range(3) if fractions[i] > 0]
        poorest = max(among, key=lambda i: fractions[i] * len(items) - filled[i])
        filled[poorest] += sizes[unit]
        part_of[unit] = _PARTS[poorest]
    return {item.name: part_of[unit] for item, unit in zip(items, units, strict=True)}


def _random(items: Sequence[Item], fractions: Fractions, seed: int, force: bool) -> Splits:
    ((alike, count),) = Counter(map(origin, items)).most_common(1)
    if count > 1 and not force:
        raise InputError(
            f"{count} images come from one volume or image, {alike}, and neighbors look alike: dealt out at "
            "random they test a model on what it has seen; choose --by blocks or volume, or add --force."
        )
    rng = np.random.default_rng(seed)
    splits: Splits = {}
    for group in sorted({item.group for item in items}):
        names = [item.name for item in items if item.group == group]
        order = rng.permutation(len(names))
        ends = np.cumsum(_shares(len(names), fractions))
        for position, index in enumerate(order):
            splits[names[index]] = _PARTS[int(np.searchsorted(ends, position, side="right"))]
    return {item.name: splits[item.name] for item in items}

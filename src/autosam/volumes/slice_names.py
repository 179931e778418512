"""Which slice of a volume each file of a folder is, by the numbers in their names."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from autosam.errors import InputError

MOST_MISSING = 0.1
"""Share of the slices that may be missing; with more, numbers are no count of slices."""

_PARTS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class SliceOrder:
    """The order of files as slices.

    Attributes
    ----------
    files : tuple of int or None
        For each slice the number of its file among the names; None where its file is missing.
    note : str
        How slices were counted, where it is not plain; otherwise empty.
    """

    files: tuple[int | None, ...]
    note: str = ""


def natural_key(name: str) -> tuple[tuple[str, int, str], ...]:
    """Sort numbers in names by their value.

    Examples
    --------
    >>> sorted(["z10", "z9", "Z1"], key=natural_key)
    ['Z1', 'z9', 'z10']
    """
    parts = _PARTS.split(name)
    # Texts and numbers by turns; the name itself decides between 01 and 1.
    return tuple(
        (text.casefold(), int(number) if number else -1, text + number)
        for text, number in zip(parts[::2], [*parts[1::2], ""], strict=True)
    )


def order_slices(stems: Sequence[str]) -> SliceOrder:
    """Put files in order, and find the slices that are missing among them.

    Files are sorted by name, numbers by their value. Where all names are equal but for one number, the number
    counts slices, if most of its steps from one file to the next are equal: this step leads from slice to slice.
    Numbers that are left out are slices whose files are missing, if they are one, or a tenth of all at most. In
    all other folders the files follow one another.

    Raises
    ------
    InputError
        If the names count in two ways at once, such as slices and channels.

    Examples
    --------
    >>> order_slices(["z4", "z1", "z2", "z5"]).files
    (1, 2, None, 0, 3)
    """
    order = sorted(range(len(stems)), key=lambda i: natural_key(stems[i]))
    plain = SliceOrder(tuple(order))
    numbers = _numbers([stems[i] for i in order])
    if numbers is None or len(numbers) < 3:
        return plain
    steps = [after - before for before, after in pairwise(numbers)]
    step, times = Counter(steps).most_common(1)[0]
    if step < 1 or 2 * times <= len(steps) or any(one % step for one in steps):
        return _unclear(plain, steps)
    slices = (numbers[-1] - numbers[0]) // step + 1
    missing = slices - len(numbers)
    if missing > max(1, MOST_MISSING * slices):
        return _unclear(plain, steps)
    at = {(number - numbers[0]) // step: i for number, i in zip(numbers, order, strict=True)}
    return SliceOrder(tuple(at.get(z) for z in range(slices)))


def _unclear(plain: SliceOrder, steps: Sequence[int]) -> SliceOrder:
    gaps = sum(step != 1 for step in steps)
    return SliceOrder(
        plain.files,
        f"the numbers of the files jump {gaps} time(s), too often or too far for missing slices: the files are "
        "taken as slices that follow one another",
    )


def _numbers(stems: Sequence[str]) -> list[int] | None:
    """Give the only number that differs between names; None where there is none or more differs."""
    split = [_PARTS.split(stem) for stem in stems]
    if len({len(parts) for parts in split}) != 1 or len({tuple(parts[::2]) for parts in split}) != 1:
        return None
    columns = list(zip(*(map(int, parts[1::2]) for parts in split), strict=True))
    varying = [i for i, column in enumerate(columns) if len(set(column)) > 1]
    if len(varying) == 2:
        _refuse_grid(split, *((2 * i + 1, len(set(columns[i]))) for i in varying))
    if len(varying) != 1 or len(set(columns[varying[0]])) != len(stems):
        return None
    return list(columns[varying[0]])


def _refuse_grid(split: Sequence[Sequence[str]], first: tuple[int, int], second: tuple[int, int]) -> None:
    """Refuse names that have every pair of two numbers, such as slices and channels.

    Each number comes as its place in a split name and how many there are.
    """
    if first[1] * second[1] != len(split):
        return
    # The longer axis is rather that of slices.
    slices, other = (first, second) if first[1] > second[1] else (second, first)
    name = list(split[0])
    name[slices[0]] = "*"
    raise InputError(
        f"the names of the slices count in two ways, {slices[1]} × {other[1]}, such as slices and channels or "
        f"positions; wanted one volume: give its files as a quoted pattern, such as '{''.join(name)}'."
    )

"""What becomes of the objects of a release that gives outlines: how many were drawn, and how many were lost."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

DRAWN = "drawn"
COVERED = "wholly covered by others and lost"
PARTLY = "partly covered by others"
OUTSIDE = "wholly outside the image and lost"
CUT = "cut off by the image's border"
EMPTY = "without area (too few points, or no pixel's center inside) and left out"
LARGE = "larger than half of the image, as a region around objects would be"

# Those that still have pixels, and are counted among the drawn ones too.
_ALSO_DRAWN = frozenset((PARTLY, CUT, LARGE))


@dataclass(eq=False)
class Losses:
    """Count objects by what became of them, and remember the first of each kind for messages.

    Other keys than the constants of this module are reasons for which objects were left out.

    Examples
    --------
    >>> losses = Losses()
    >>> losses.add(DRAWN, "a"), losses.add(COVERED, "b"), losses.add(COVERED, "c")
    (None, None, None)
    >>> losses.objects, losses.drawn, losses.notes()
    (3, 1, ['2 of 3 objects are wholly covered by others and lost, such as b'])
    """

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, fate: str, name: str) -> None:
        """Count an object."""
        self.counts[fate] += 1
        self.first.setdefault(fate, name)

    def clear(self) -> None:
        """Forget everything, before an image is read again."""
        self.counts.clear()
        self.first.clear()

    @property
    def objects(self) -> int:
        """Number of objects that came."""
        return sum(number for fate, number in self.counts.items() if fate not in _ALSO_DRAWN)

    @property
    def drawn(self) -> int:
        """Number of objects that have pixels of their own."""
        return self.counts[DRAWN]

    def notes(self) -> list[str]:
        """Say what became of the objects that are not there as they were outlined; empty where all are."""
        return [
            f"{number} of {self.objects} objects {'is' if number == 1 else 'are'} {fate}, "
            f"such as {self.first[fate]}"
            for fate, number in sorted(self.counts.items())
            if fate != DRAWN
        ]

    def dumps(self) -> dict[str, Any]:
        """Give the content for JSON."""
        return {"counts": dict(self.counts), "first": self.first}

    @classmethod
    def loads(cls, content: dict[str, Any]) -> "Losses":
        """Take what `dumps` gave."""
        return cls(Counter(content["counts"]), dict(content["first"]))


def total_losses(parts: Iterable[Losses]) -> Losses:
    """Sum up the losses of several images."""
    total = Losses()
    for part in parts:
        total.counts.update(part.counts)
        total.first = part.first | total.first
    return total

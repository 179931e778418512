"""Prompts that nobody may read: they are made when somebody does."""

from collections.abc import Callable, Sequence
from typing import overload

from autosam.prompts.prompt import Prompt


class PromptsOnDemand(Sequence[Prompt]):
    """A list of prompts whose number is known and which are made, all of them, when the first is read.

    Without SAM nobody asks for prompts, and making them takes longer than the rest of what is done with regions.

    Parameters
    ----------
    count : int
        How many there are.
    make : callable
        Makes them. What it holds on to is let go of once it was called.
    """

    def __init__(self, count: int, make: Callable[[], Sequence[Prompt]]) -> None:
        self._count = count
        self._make: Callable[[], Sequence[Prompt]] | None = make
        self._made: Sequence[Prompt] = ()

    @property
    def made(self) -> Sequence[Prompt]:
        """Those that exist so far: none, or all."""
        return self._made

    def _all(self) -> Sequence[Prompt]:
        if self._make is not None:
            self._made = list(self._make())
            assert len(self._made) == self._count, f"{len(self._made)} prompts were made, wanted {self._count}"
            self._make = None
        return self._made

    def __len__(self) -> int:
        """Count them, without making them."""
        return self._count

    @overload
    def __getitem__(self, index: int) -> Prompt: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Prompt]: ...

    def __getitem__(self, index: int | slice) -> Prompt | Sequence[Prompt]:
        """Give one, or some as a list."""
        return self._all()[index]

    def __eq__(self, other: object) -> bool:
        """Compare with any sequence, as lists are compared."""
        if not isinstance(other, Sequence) or len(other) != self._count:
            return False
        return list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

"""Labels that lie on disk, of which parts can be read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.formats import reading
from autosam.images.valid_masks import as_mask

Region = tuple[slice, ...]
"""A part of labels: one slice for each axis."""


@dataclass(frozen=True)
class LabelVolume:
    """Labels of which parts can be read.

    Attributes
    ----------
    name : str
        For messages.
    shape : tuple of int
        (H, W) or (Z, Y, X).
    chunks : tuple of int
        What is stored together; blocks of its multiples are read without waste.
    load : callable
        Gives the labels of a tuple of slices, one for each axis, as stored.
    """

    name: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    load: Callable[[Region], NDArray[Any]]

    @classmethod
    def of_array(cls, name: str, labels: NDArray[Any]) -> "LabelVolume":
        """Take labels that are in memory already."""
        return cls(name, labels.shape, labels.shape, lambda region: labels[region])

    def read(self, region: Region, *, ignore: int | None = None) -> NDArray[Any]:
        """Read a part, given as one slice for each axis; `ignore` may be a negative number that is no id.

        Raises
        ------
        InputError
            If the file is damaged or an id is negative.
        """
        with reading(self.name):
            labels = self.load(region)
        if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
            negative = labels[(labels < 0) & (labels != ignore)]
            if negative.size:
                raise InputError(
                    f"{self.name} holds the negative id {negative.min()}; wanted 0 for background and ids above. "
                    "Name a number for pixels that do not count as --ignore-label."
                )
        return labels

    def whole(self, *, ignore: int | None = None) -> NDArray[Any]:
        """Read everything; parameters and errors as of `read`."""
        return self.read(tuple(slice(0, n) for n in self.shape), ignore=ignore)

    def read_mask(self, region: Region) -> NDArray[np.bool_]:
        """Read a part of a mask: True where it is not 0.

        Raises
        ------
        InputError
            Also if it holds several numbers besides 0, like labels.
        """
        return as_mask(self.read(region), self.name)

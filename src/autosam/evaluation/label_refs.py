"""How labels are named: files, and labels that are none."""

from collections.abc import Callable
from dataclasses import dataclass, field

from autosam.data.sources.losses import Losses
from autosam.images.label_volume import LabelVolume


@dataclass(frozen=True)
class LazyLabels:
    """Labels of one image or volume that are not a file of their own, such as an item of a store.

    Attributes
    ----------
    name : str
        For messages; equal names are equal labels.
    open : callable
        Gives the labels.
    losses : Losses or None
        What became of the objects of outlines, known once they were read; None where labels are not drawn.
    numbers : tuple of int
        Of a volume whose slices are files: their numbers, so that a missing one is known. Empty for consecutive
        slices.
    """

    name: str
    open: Callable[[], LabelVolume] = field(repr=False, compare=False)
    losses: Losses | None = field(default=None, repr=False, compare=False)
    numbers: tuple[int, ...] = field(default=(), repr=False, compare=False)


LabelRef = str | LazyLabels
"""Labels of one image or volume: a file, ``file.h5:/dataset``, or `LazyLabels`."""

"""What every source gives: its terms, and its slices, none of which is read before it is asked for."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from autosam.data.manifest import Split
from autosam.data.sources.losses import Losses
from autosam.errors import InputError

ImageAndLabels = tuple[NDArray[Any], NDArray[Any] | None]
Labels = Literal["ids-2d", "ids-3d", "semantic"]


@dataclass(frozen=True, eq=False)
class Slice:
    """One image of a release.

    Attributes
    ----------
    name, group, volume, z, split
        Those of the store's `Item`.
    labeled : bool
        Whether the release has labels for it.
    read : callable
        Gives the image and its labels as the release has them, or None for the labels.
    valid : callable or None
        Gives the mask, (H, W), of the pixels where labels are complete; None for everywhere.
    losses : Losses
        Filled by `read` where the release gives outlines or one mask for each object; empty elsewhere.
    """

    name: str
    read: Callable[[], ImageAndLabels] = field(repr=False)
    group: str = ""
    volume: str | None = None
    z: int | None = None
    split: Split | None = None
    labeled: bool = True
    valid: Callable[[], NDArray[np.bool_]] | None = field(default=None, repr=False)
    losses: Losses = field(default_factory=Losses, repr=False)


def volume_slice(
    volume: str,
    z: int,
    read: Callable[[], ImageAndLabels],
    *,
    group: str = "",
    split: Split | None = None,
    labeled: bool = True,
) -> Slice:
    """Make a slice of a volume, named after both; without a group, the volume is its own."""
    return Slice(f"{volume}_z{z:04d}", read, group or volume, volume, z, split, labeled)


@dataclass(frozen=True, eq=False)
class Release:
    """A data set in its own layout.

    Attributes
    ----------
    source : str
        Name of the layout.
    slices : list of Slice
        By volume and z, or by name.
    labels : {"ids-2d", "ids-3d", "semantic"}
        Ids that hold in one slice, ids that hold across the slices of a volume, or a mask of all objects.
    license, citation, voxel_size_nm
        Those of the store's `Manifest`.
    made : str
        How the labels were made, as far as the release says.
    notes : tuple of str
        Decisions made while reading it.
    """

    source: str
    slices: list[Slice]
    labels: Labels
    license: str = "not stated"
    citation: str = ""
    voxel_size_nm: tuple[float, float, float] | None = None
    made: str = "as published"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """The arguments of `open_release`; `dataset` is the one of the path `file.h5:/dataset`.

    `ignore` is a number in the labels of pixels that do not count, which may be negative.
    """

    path: Path
    dataset: str | None = None
    labels: str | None = None
    target: str | None = None
    stack: bool = False
    ignore: int | None = None


class ReleaseReader(ABC):
    """One layout of data sets. Its attributes say which of the user's choices it understands.

    `targets` are the kinds of objects that every release of it has; `own_targets` says in a word what other kinds
    a release names itself, such as "CATEGORY", and is "" where there are none.
    """

    name: str
    layout: str
    targets: tuple[str, ...] = ()
    own_targets = ""
    takes_labels = False
    takes_stack = False

    def sniff(self, request: Request) -> bool:
        """Tell whether the path looks like this layout, from names alone or a file's first lines."""
        return (request.labels is None or self.takes_labels) and self._sniff(request)

    def open(self, request: Request) -> Release:
        """List the slices.

        Raises
        ------
        InputError
            If the request asks for what the layout does not have, nothing of the layout is there, or a file of it
            is missing, cannot be read or has no partner.
        """
        labels, target = request.labels, request.target
        if labels is not None and not self.takes_labels:
            raise InputError(f"{self.name} has its labels in its own layout ({self.layout}); leave {labels} out.")
        if target is not None and target not in self.targets and not self.own_targets:
            kinds = f"it has: {', '.join(self.targets)}" if self.targets else "it has one kind of object"
            raise InputError(f"{self.name} has no target {target}; {kinds}.")
        if request.stack and not self.takes_stack:
            raise InputError(f"{self.name} knows its volumes by itself; leave --stack out.")
        release = self._open(request)
        if not release.slices:
            raise self._nothing(request.path)
        return release

    @abstractmethod
    def _sniff(self, request: Request) -> bool: ...

    @abstractmethod
    def _open(self, request: Request) -> Release: ...

    def _nothing(self, path: Path) -> InputError:
        return InputError(f"{path} holds no data in the layout {self.name}; wanted {self.layout}.")

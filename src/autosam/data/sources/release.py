"""What every source gives: its terms, and its slices, none of which is read before it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from autosam.data.manifest import Split
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
        Gives the image and its labels, as the release has them, or None for the labels.
    """

    name: str
    read: Callable[[], ImageAndLabels] = field(repr=False)
    group: str = ""
    volume: str | None = None
    z: int | None = None
    split: Split | None = None
    labeled: bool = True


@dataclass(frozen=True, eq=False)
class Release:
    """A data set in its own layout.

    Attributes
    ----------
    source : str
        Name of the source.
    slices : list of Slice
        By volume and z, or by name.
    labels : {"ids-2d", "ids-3d", "semantic"}
        Ids that hold in one slice, ids that hold across the slices of a volume, or a mask of all objects.
    license, citation, voxel_size_nm
        Those of the store's `Manifest`.
    made : str
        How the labels were made, as far as the release says.
    notes : tuple of str
        What was decided in reading it.
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
    """What the user named.

    Attributes
    ----------
    path : Path
        Folder or file.
    dataset : str or None
        Dataset of an HDF5 file, from `file.h5:/dataset`.
    labels : str or None
        The labels, where they are named apart: a folder, a file or `file.h5:/dataset`.
    target : str or None
        Which objects, where a source has several kinds.
    stack : bool
        The images of a folder are the slices of one volume.
    """

    path: Path
    dataset: str | None = None
    labels: str | None = None
    target: str | None = None
    stack: bool = False


class ReleaseReader(Protocol):
    """One kind of data set. Its attributes say which of the user's choices it understands."""

    name: str
    layout: str
    targets: tuple[str, ...]
    takes_labels: bool
    takes_stack: bool

    def sniff(self, request: Request) -> bool:
        """Tell whether the path looks like this source, from names alone or a file's first lines."""
        ...

    def open(self, request: Request) -> Release:
        """List the slices.

        Raises
        ------
        InputError
            If a file of the layout is missing, cannot be read or has no partner.
        """
        ...


def no_slices(source: str, path: Path, layout: str) -> InputError:
    """Word the error for a path that holds nothing of the layout."""
    return InputError(f"{path} holds nothing of {source}; wanted {layout}.")

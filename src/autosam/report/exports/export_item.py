"""What an export is written from: an image's labels, their measurements, and what is known of the image."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.instances import InstanceTable
from autosam.report.exports.large_plane import LargePlane
from autosam.report.exports.outlines import Outline, trace_outlines
from autosam.report.overlay import PALETTE

HERE = PurePosixPath()


@dataclass(frozen=True, eq=False)
class ExportPlane:
    """One 2D image of an item: the only one, or a slice of a volume.

    Attributes
    ----------
    labels : ndarray of integers, shape (H, W)
        Ids, 0 for background.
    table : InstanceTable
        Measurements of exactly these labels, by id.
    image : ndarray, shape (H, W) or (H, W, C), or None
        The pixels as stored; None where they are not at hand.
    """

    labels: NDArray[np.integer[Any]]
    table: InstanceTable
    image: NDArray[Any] | None = None

    @property
    def highest_id(self) -> int:
        """The highest id; 0 without an instance."""
        return int(self.labels.max(initial=0))

    def outlines(self) -> Iterator[Outline]:
        """Give the outline of each object, by id."""
        return trace_outlines(self.labels)


@dataclass(frozen=True)
class StackPlace:
    """Where an image lies in the stack that its file holds; all numbers are from 0.

    Attributes
    ----------
    index : int
        Its number among the planes.
    z, time : int or None
        On these axes, where the file has them.
    several_axes : bool
        The stack has channels, or both z and time, so that the number alone does not tell the plane.
    """

    index: int
    z: int | None = None
    time: int | None = None
    several_axes: bool = False


@dataclass(frozen=True, eq=False)
class ExportItem:
    """An image or a volume with its labels.

    Attributes
    ----------
    name : str
        Stem of the files that are written.
    planes : tuple of ExportPlane
        One, or the slices of a volume, all of one size.
    kind : str
        What the objects are called: the class in QuPath, the category in COCO.
    volume : bool
        Whether the planes are slices of a volume.
    place : StackPlace or None
        Where the image lies in a stack; None for an image on its own.
    pixel_size_nm : float or None
        Side of a pixel, where it is known.
    image_file : Path or None
        The file that holds this image and nothing else; None where there is none or it is not known.
    folder : PurePosixPath
        Where the image lies below the folder that was searched.
    large : LargePlane or None
        The only plane where its labels are too large for memory; ``planes`` is empty then.
    """

    name: str
    planes: tuple[ExportPlane, ...]
    kind: str = "object"
    volume: bool = False
    place: StackPlace | None = None
    pixel_size_nm: float | None = None
    image_file: Path | None = None
    folder: PurePosixPath = HERE
    large: LargePlane | None = None

    @property
    def outlined(self) -> tuple[ExportPlane | LargePlane, ...]:
        """The planes, for formats that need outlines and tables alone."""
        return self.planes if self.large is None else (self.large,)

    @property
    def labels(self) -> NDArray[np.integer[Any]]:
        """All labels, (H, W) or (Z, Y, X)."""
        return np.stack([plane.labels for plane in self.planes]) if self.volume else self.planes[0].labels

    @property
    def image(self) -> NDArray[Any] | None:
        """All pixels, (H, W[, C]) or (Z, Y, X[, C]); None where a plane lacks them."""
        images = [plane.image for plane in self.planes if plane.image is not None]
        if len(images) < len(self.planes):
            return None
        return np.stack(images) if self.volume else images[0]

    def place_of(self, number: int) -> StackPlace | None:
        """Place of a plane in the stack that it belongs to; None for an image on its own."""
        return StackPlace(number, z=number) if self.volume else self.place


def color_of(label: int) -> tuple[int, int, int]:
    """Red, green and blue of an object, as on the overlays."""
    red, green, blue = PALETTE[(label - 1) % len(PALETTE)].tolist()
    return red, green, blue

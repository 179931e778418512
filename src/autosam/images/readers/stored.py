"""What every reader of a file format tells of an image, and gives of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray


@dataclass(frozen=True)
class StoredImage:
    """One image of a file, known without its pixels.

    Attributes
    ----------
    shape : tuple of int
        (H, W).
    channels : int
        How many channels it has, without declared transparency.
    color : bool
        The three channels are red, green and blue of one picture. Otherwise several channels are detectors or
        stains, each an image by itself.
    undeclared : bool
        The file does not say what its several values for a pixel are: they may be colors, stains or transparency.
    channel_names : tuple of str
        Names in the file, one for each channel; empty where it has none.
    pixel_size_nm : float or None
        Side of a pixel at the level that was asked for; None where the file says nothing of use.
    place : str
        Ending of the names of results: ``p003``; empty for the only image, or where pages are only counted.
    z, time, series : int or None
        Where the image lies on those axes, counted from 0; None where the file has no such axis.
    dataset : str or None
        Dataset that was found where none was named, with its leading slash.
    """

    shape: tuple[int, int]
    channels: int = 1
    color: bool = False
    undeclared: bool = False
    channel_names: tuple[str, ...] = ()
    pixel_size_nm: float | None = None
    place: str = ""
    z: int | None = None
    time: int | None = None
    series: int | None = None
    dataset: str | None = None


class Reader(Protocol):
    """Reads one file format. It turns errors of its library into `InputError`, with `formats.reading`."""

    def images(self, path: Path, dataset: str | None, *, level: int = 0) -> tuple[StoredImage, ...]:
        """List all images of a file, or of one dataset of it, without reading pixels.

        Parameters
        ----------
        dataset : str or None
            None takes the only one.
        level : int
            Of a resolution pyramid, 0 for the finest. Refused where it is not there.

        Raises
        ------
        InputError
            If the file is damaged, or it is not clear which dataset is meant.
        """

    def read(
        self, path: Path, dataset: str | None, number: int, *, channel: int | None = None, level: int = 0
    ) -> NDArray[Any]:
        """Read the image of this number in the list that `images` gives.

        Parameters
        ----------
        channel : int, optional
            Read this one alone.

        Returns
        -------
        ndarray, shape (H, W), (H, W, 3) or (C, H, W)
            Gray, or one channel; a color picture; or channels. Values as stored, in native byte order.

        Raises
        ------
        InputError
            If the file is damaged.
        """

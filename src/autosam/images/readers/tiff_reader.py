"""TIFF with its dialects: OME-TIFF, ImageJ's, and many more."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from autosam.images.readers.stored import StoredImage
from autosam.images.tiff import list_tiff_images, read_tiff


class TiffReader:
    """Reads TIFF files."""

    def images(self, path: Path, dataset: str | None, *, level: int = 0) -> tuple[StoredImage, ...]:
        """List the planes of all series, where an RGB page or a C axis makes one image."""
        return list_tiff_images(path, level=level)

    def read(
        self, path: Path, dataset: str | None, number: int, *, channel: int | None = None, level: int = 0
    ) -> NDArray[Any]:
        """Read one plane; only its own pages are read."""
        return read_tiff(path, number, channel=channel, level=level)

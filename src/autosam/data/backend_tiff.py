"""A store as a folder: `images/NAME.tif` and `labels/NAME.tif`, one pair per slice, and `manifest.json`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from autosam.data.backend_folder import FolderBackend
from autosam.data.backends import ArrayKind, ReadSlice, kinds
from autosam.data.manifest import Item, Manifest
from autosam.images import read_image, read_labels

_FOLDER: dict[ArrayKind, str] = {"image": "images", "labels": "labels"}


class TiffBackend(FolderBackend):
    """A folder of TIFF pairs, deflate-compressed, that any other program opens too.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def pack(self, manifest: Manifest, read: ReadSlice, tick: Callable[[], None]) -> None:
        """Write a whole store; see `Backend.pack`."""
        for folder in _FOLDER.values():
            (self.path / folder).mkdir(parents=True)
        for item in manifest.items:
            for kind in kinds(item):
                _write(self._file(item, kind), read(item, kind), manifest.voxel_size_nm)
            tick()
        self.replace_manifest(manifest.dumps())

    def read(self, item: Item, position: int, kind: ArrayKind) -> NDArray[Any]:
        """Read one slice; see `Backend.read`."""
        file = self._file(item, kind)
        return read_image(file) if kind == "image" else read_labels(file)

    def _file(self, item: Item, kind: ArrayKind) -> Path:
        return self.path / _FOLDER[kind] / f"{item.name}.tif"


def _write(path: Path, array: NDArray[Any], voxel: tuple[float, float, float] | None) -> None:
    color = array.ndim == 3
    tifffile.imwrite(
        path,
        np.ascontiguousarray(array),
        compression="zlib",
        photometric="rgb" if color else "minisblack",
        metadata={"axes": "YXS" if color else "YX"},
        # TIFF counts pixels per centimeter, columns first.
        resolution=None if voxel is None else (1e7 / voxel[2], 1e7 / voxel[1]),
        resolutionunit=None if voxel is None else "CENTIMETER",
        bigtiff=array.nbytes > 3 << 30,
    )

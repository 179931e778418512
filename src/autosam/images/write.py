"""Writing results: every file is written under a temporary name and renamed when it is whole."""

import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from autosam.errors import InputError, OutputError
from autosam.images.formats import HDF5_SUFFIXES, WRITTEN_SUFFIXES
from autosam.images.png_file import save_png

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a hidden name with the same suffix; when the block succeeds, it replaces `path`, a file or a folder.

    On an error and on Ctrl-C it is removed, and an older `path` is left as it was.

    Raises
    ------
    OutputError
        If the system refuses: disk full, no such folder, not permitted.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            # A folder cannot replace one that is not empty: the old one is renamed first.
            aside = temporary.with_name(temporary.name + ".old")
            path.rename(aside)
            try:
                temporary.rename(path)
            except BaseException:
                aside.rename(path)
                raise
            shutil.rmtree(aside, ignore_errors=True)
        else:
            _replace(temporary, path)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise OutputError(
            f"{path} cannot be written: {reason}; free space or choose another place with --output."
        ) from error
    finally:
        remove_path(temporary)


def remove_unfinished(path: Path) -> None:
    """Remove what a killed process has left of writing a path; nobody may be writing it."""
    for part in path.parent.glob(f".{glob.escape(path.stem)}.{'[0-9a-f]' * 8}{glob.escape(path.suffix)}"):
        remove_path(part)


def _replace(temporary: Path, path: Path) -> None:
    for _ in range(50 if os.name == "nt" else 0):
        try:
            temporary.replace(path)
        except PermissionError:
            # Windows refuses while somebody reads the old file.
            time.sleep(0.05)
        else:
            return
    temporary.replace(path)


def remove_path(path: Path) -> None:
    """Remove a file or a folder as far as the system allows; what is not there is no error."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    # It was never made, or its folder is gone: the first error says more.
    with suppress(OSError):
        path.unlink()


def ensure_folder(path: str | Path) -> Path:
    """Make a folder with its parents, and raise an `OutputError` if files cannot be written into it."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        # A file without a name: one with a name would stay if the process were killed just now.
        with tempfile.TemporaryFile(dir=path):
            pass
    except (FileExistsError, NotADirectoryError):
        file = next(p for p in (path, *path.parents) if p.exists())
        raise OutputError(f"{path} cannot be a folder: {file} is a file; choose another output folder.") from None
    except OSError as error:
        raise OutputError(
            f"the folder {path} cannot be written to: {error.strerror}; choose another output folder."
        ) from None
    return path


def smallest_unsigned(max_id: int) -> np.dtype[Any]:
    """Smallest unsigned integer type that holds ids up to this one.

    Examples
    --------
    >>> smallest_unsigned(255), smallest_unsigned(256), smallest_unsigned(65_536)
    (dtype('uint8'), dtype('uint16'), dtype('uint32'))
    """
    if not 0 <= max_id < 2**64:
        raise InputError(f"the highest id is {max_id}; wanted 0 to 2**64 - 1.")
    return np.min_scalar_type(max_id)


def write_labels(
    path: str | Path, labels: NDArray[np.integer[Any]], *, pixel_size_nm: float | None = None
) -> None:
    """Write a label image or volume, compressed, in the smallest unsigned type that holds its ids.

    The suffix chooses the format: .tif, .tiff (deflate), .png (one image, ids up to 65,535), .h5, .hdf5, .hdf
    (dataset `labels`, gzip) or .zarr (a group with an array `labels`). Labels are (H, W) or (Z, Y, X).

    A TIFF carries the pixel size: as ImageJ writes it for ids up to 65,535, as OME-TIFF for ids up to 2³² - 1, and
    as plain resolution tags above. Other formats leave it out.

    Raises
    ------
    InputError
        If the suffix is unknown, or the labels are not such an array or do not fit the format.
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITTEN_SUFFIXES:
        raise InputError(f"{path}: labels are written to {' '.join(WRITTEN_SUFFIXES)}, not to {path.suffix!r}.")
    if labels.ndim not in (2, 3) or labels.size == 0 or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise InputError(
            f"labels are {labels.dtype} of shape {labels.shape}; "
            "wanted integers, none negative, of shape (H, W) or (Z, Y, X), not empty."
        )
    top = int(labels.max())
    smallest = smallest_unsigned(top)
    # None is negative: of one size, the bytes are the same.
    same = labels.flags.c_contiguous and labels.dtype.isnative and labels.itemsize == smallest.itemsize
    data = labels.view(smallest) if same else np.ascontiguousarray(labels, dtype=smallest)
    if suffix == ".png" and (top > 65_535 or labels.ndim != 2):
        raise InputError(
            f"labels of shape {labels.shape} with ids up to {top} do not fit into a PNG (one image, ids up to "
            "65535); write them as .tif, .h5 or .zarr."
        )

    with atomic_path(path) as temporary:
        if suffix == ".png":
            temporary.write_bytes(imagecodecs.png_encode(data))
        elif suffix == ".zarr":
            _write_zarr(temporary, data)
        elif suffix in HDF5_SUFFIXES:
            _write_hdf5(temporary, data)
        else:
            _write_tiff(temporary, data, pixel_size_nm)


def _write_tiff(path: Path, labels: NDArray[Any], pixel_size_nm: float | None) -> None:
    metadata: dict[str, Any] = {"axes": "ZYX"[-labels.ndim :]}
    # A classic TIFF ends at 4 GiB; how far the labels compress is not known beforehand.
    dialect: dict[str, Any] = {"bigtiff": labels.nbytes > 3 << 30}
    if pixel_size_nm is not None:
        um = pixel_size_nm / 1000
        if labels.itemsize <= 2 and not dialect["bigtiff"]:
            dialect |= {"imagej": True, "resolution": (1 / um, 1 / um)}
            metadata["unit"] = "um"
        elif labels.itemsize <= 4:
            # By default it is random, and the same labels would give other bytes.
            identity = uuid.uuid5(uuid.NAMESPACE_OID, hashlib.sha256(labels.data).hexdigest())
            dialect["ome"] = True
            metadata |= {"UUID": str(identity), "PhysicalSizeX": um, "PhysicalSizeY": um}
            metadata |= {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
        else:
            dialect |= {"resolution": (1e4 / um, 1e4 / um), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, labels, compression="zlib", photometric="minisblack", metadata=metadata, **dialect)


def _write_hdf5(path: Path, labels: NDArray[Any]) -> None:
    # In memory first: on a full disk, HDF5 fails while closing and then takes the whole process down.
    with h5py.File(path, "w", driver="core", backing_store=False) as file:
        file.create_dataset("labels", data=labels, compression="gzip")
        file.flush()
        image = file.id.get_file_image()
    path.write_bytes(image)


def _write_zarr(path: Path, labels: NDArray[Any]) -> None:
    # A slow import, for those who want Zarr.
    import zarr
    from zarr.storage import MemoryStore

    # In memory first: zarr's threads continue to write after the first of them has failed, also into a folder that
    # was removed in the meantime.
    contents: dict[str, Buffer] = {}
    zarr.open_group(MemoryStore(contents), mode="w").create_array("labels", data=labels)
    write_memory_store(path, contents)


def write_memory_store(path: Path, contents: "Mapping[str, Buffer]") -> None:
    """Write what a `zarr.storage.MemoryStore` holds into a new folder."""
    for key, content in contents.items():
        file = path / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.to_bytes())


def write_png(path: str | Path, rgb: NDArray[np.uint8]) -> None:
    """Write a picture, uint8 (H, W, 3) or (H, W), as PNG.

    Raises
    ------
    InputError
        If the array is empty, or of another type or shape.
    OutputError
        If the file cannot be written.
    """
    color = rgb.ndim == 3 and rgb.shape[2] == 3
    if rgb.dtype != np.uint8 or rgb.size == 0 or not (rgb.ndim == 2 or color):
        raise InputError(f"the picture is {rgb.dtype} of shape {rgb.shape}; wanted uint8 (H, W, 3) or (H, W).")
    with atomic_path(path) as temporary:
        save_png(temporary, rgb)


def write_text(path: str | Path, text: str) -> None:
    """Write text as UTF-8, line ends as given; an `OutputError` if the file cannot be written."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode())


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a mapping as indented JSON, keys in their own order, each list of numbers on one line.

    Values that are not JSON (convert arrays first), NaN and infinity raise a TypeError or ValueError.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    # A raw line break is never inside a string, where JSON escapes it.
    text = re.sub(r"\[\n\s*([-+\d.eE,\s]+)\n\s*\]", lambda row: f"[{' '.join(row[1].split())}]", text)
    write_text(path, text + "\n")

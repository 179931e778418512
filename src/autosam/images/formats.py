"""The inside of one file: how many images it holds, and the raw pixels of one of them."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import imagecodecs
import numpy as np
import PIL.Image
import zarr
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.palettes import gray_lookup
from autosam.images.readers.registry import HDF5, PICTURE, TIFF, suffixes

TIFF_SUFFIXES = TIFF.suffixes
HDF5_SUFFIXES = HDF5.suffixes
PLAIN_SUFFIXES = PICTURE.suffixes
STACK_SUFFIXES = TIFF_SUFFIXES + HDF5_SUFFIXES
IMAGE_SUFFIXES = suffixes()
LABEL_SUFFIXES = (*TIFF_SUFFIXES, ".png", *HDF5_SUFFIXES, ".zarr")

# What the four libraries were seen to raise on damaged files: imagecodecs' errors are RuntimeErrors, tifffile and
# h5py raise ValueError, OSError, KeyError and RuntimeError, and pillow adds SyntaxError.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


class UnsupportedError(Exception):
    """The file is readable but not a supported image; `reading` puts the file's name before the text."""


@contextmanager
def reading(name: object) -> Iterator[None]:
    """Turn whatever a format library raises inside the block into one `InputError` that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{name}: no such file.") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a folder; give a file.") from None
    except PermissionError:
        raise InputError(f"{name} may not be read: permission denied; change its rights (chmod +r).") from None
    except UnsupportedError as error:
        raise InputError(f"{name}: {error}.") from None
    except MemoryError as error:
        raise InputError(
            f"{name} needs more memory than there is ({error}); cut it, or look for damage."
        ) from None
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        if not isinstance(error, (OSError, RuntimeError, SyntaxError, ValueError)):
            # The text of a KeyError, for example, is a bare key.
            reason = f"{type(error).__name__} {reason}".strip()
        raise InputError(
            f"{name} cannot be read: {reason}; the file is damaged, cut short or not what its suffix says."
        ) from error


def looks_like_color(shape: tuple[int, ...]) -> bool:
    """Tell whether the last axis of an unnamed array holds channels: 1 to 4 long, the one before longer.

    Examples
    --------
    >>> looks_like_color((512, 512, 3)), looks_like_color((3, 512, 512))
    (True, False)
    """
    return len(shape) >= 3 and 1 <= shape[-1] <= 4 < shape[-2]


def count_images(shape: tuple[int, ...]) -> int:
    """Count the images of an array: (H, W) and (H, W, C) are one, (Z, H, W) and (Z, H, W, C) are Z."""
    inner = 3 if looks_like_color(shape) else 2
    return int(np.prod(shape[:-inner], dtype=np.int64))


def check_page(name: object, page: int | None, images: int) -> int:
    """Return the page to read, 0 for the only one; refuse a missing page, and none where there are several."""
    if images == 0:
        raise InputError(f"{name} has no pixels; wanted at least one image of 1 row and 1 column.")
    if page is None and images > 1:
        raise InputError(
            f"{name} holds {images} images; name one with ImageSource(path, page=0), or use find_sources."
        )
    if page is not None and not 0 <= page < images:
        raise InputError(f"{name} holds {images} image(s), counted from 0; page {page} was asked for.")
    return page or 0


def refuse_level(name: object, level: int) -> None:
    """Refuse a level of a resolution pyramid where the format has no pyramid."""
    if level:
        raise InputError(f"{name} has no resolution levels; level {level} was asked for, so leave it out.")


def hdf5_datasets(path: Path) -> dict[str, tuple[int, ...]]:
    """List name and shape of the numeric datasets of 2 or 3 dimensions, or of 4 with the color last."""
    found: dict[str, tuple[int, ...]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf":
            shape = tuple(int(n) for n in item.shape or ())
            if len(shape) in (2, 3) or (len(shape) == 4 and looks_like_color(shape)):
                found["/" + name] = shape

    with reading(path), h5py.File(path, "r") as file:
        file.visititems(visit)
    return dict(sorted(found.items()))


def choose_dataset(path: Path, wanted: str | None) -> tuple[str, tuple[int, ...]]:
    """Find the name and shape of the dataset wanted, or of the only one in the file; refuse all else."""
    there = hdf5_datasets(path)
    listed = ", ".join(f"{name} {shape}" for name, shape in there.items()) or "none"
    if wanted is not None:
        name = "/" + wanted.strip("/")
        if name not in there:
            with reading(path), h5py.File(path, "r") as file:
                item = file.get(name)
                what = f"{item.shape} of {item.dtype}" if isinstance(item, h5py.Dataset) else ""
            if what:
                raise InputError(
                    f"{path} has {name} as {what}; wanted (H, W), (H, W, 3) or (Z, H, W). Images: {listed}."
                )
            raise InputError(f"{path} has no image dataset {name}; those it has: {listed}.")
        return name, there[name]
    if not there:
        raise InputError(f"{path} holds no dataset of 2 or 3 dimensions; wanted (H, W) or (Z, H, W) numbers.")
    if len(there) > 1:
        example = next(iter(there))
        raise InputError(f"{path} holds several datasets; name one, as in {path}:{example}; it has: {listed}.")
    return next(iter(there.items()))


def label_dataset(path: Path, wanted: str | None) -> tuple[str, tuple[int, ...]]:
    """Choose a dataset as `choose_dataset` does; without a name, `/labels` where it is there."""
    if wanted is None and "/labels" in hdf5_datasets(path):
        wanted = "/labels"
    return choose_dataset(path, wanted)


def open_zarr_labels(path: Path) -> "zarr.Array[Any]":
    """Open an array of labels without reading it: a single array, or in a group `labels` or the only one."""
    with reading(path):
        try:
            node = zarr.open(path, mode="r")
        except FileNotFoundError:
            raise UnsupportedError("no Zarr array or group is in this folder") from None
        if isinstance(node, zarr.Array):
            return node
        arrays = dict(sorted(node.arrays()))
        if "labels" not in arrays and len(arrays) != 1:
            listed = ", ".join(arrays) or "none"
            raise UnsupportedError(f"no array 'labels', and not exactly one array; it has: {listed}")
        return arrays.get("labels") or next(iter(arrays.values()))


def read_hdf5(path: Path, dataset: str, page: int | None) -> NDArray[Any]:
    """Read one slice of a dataset along its first axis, or all of it where `page` is None."""
    with reading(f"{path}:{dataset}"), h5py.File(path, "r") as file:
        item = file[dataset]
        array: NDArray[Any] = np.asarray(item[()] if page is None else item[page])
    return array


def read_plain(path: Path) -> NDArray[Any]:
    """Read a PNG, JPEG or BMP: (H, W), or (H, W, C) with C = 2 (gray, alpha), 3 or 4 (RGB, alpha)."""
    with open_picture(path) as picture:
        palette = picture_palette(picture)
        if palette is not None:
            indices = np.asarray(picture)
            return np.asarray(palette[indices if indices.ndim == 2 else indices[..., 0]])
        if path.suffix.lower() == ".png":
            # pillow cuts 16-bit color to 8 bits without a word; libpng does not.
            return np.asarray(imagecodecs.png_decode(path.read_bytes()))
        if picture.mode not in ("1", "L", "LA", "RGB", "RGBA"):
            raise UnsupportedError(f"its color space is {picture.mode}; wanted gray or RGB, so convert it")
        return np.asarray(picture)


def picture_palette(picture: PIL.Image.Image) -> NDArray[np.uint8] | None:
    """Give what every index stands for, colors (256, 3) or grays (256,); None for a picture without a palette."""
    if picture.mode not in ("P", "PA"):
        return None
    given = np.array(picture.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    grays = gray_lookup(given)
    known = given if grays is None else grays
    # A damaged file can have indices without a color.
    palette = np.zeros((256, *known.shape[1:]), dtype=np.uint8)
    palette[: len(known)] = known
    return palette


@contextmanager
def open_picture(path: Path) -> Iterator[PIL.Image.Image]:
    """Open a picture of any size with pillow, which has read its header then."""
    with reading(path), _any_size(), PIL.Image.open(path) as picture:
        yield picture


def read_png_indices(path: Path) -> NDArray[Any]:
    """Read stored numbers of a PNG: palette indices stay indices, 2- and 4-bit grays are not stretched."""
    with reading(path):
        header = path.read_bytes()[:26]
        with _any_size(), PIL.Image.open(path) as image:
            stored = np.asarray(image)
            gray = image.mode == "L"
    # IHDR: bit depth is byte 24. pillow multiplies 2-bit gray by 85 and 4-bit gray by 17.
    stretch = {2: 85, 4: 17}.get(header[24], 1) if gray else 1
    return stored // stretch if stretch > 1 else stored


@contextmanager
def _any_size() -> Iterator[None]:
    """Lift pillow's limit on the number of pixels, which is meant against attacks: mosaics are larger."""
    before = PIL.Image.MAX_IMAGE_PIXELS
    PIL.Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        PIL.Image.MAX_IMAGE_PIXELS = before

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
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.array_layout import ArrayLayout, axes_of_hdf5, looks_like_color
from autosam.images.palettes import gray_lookup
from autosam.images.readers.registry import HDF5, MRC, PICTURE, TIFF, suffixes

TIFF_SUFFIXES = TIFF.suffixes
HDF5_SUFFIXES = HDF5.suffixes
PLAIN_SUFFIXES = PICTURE.suffixes
STACK_SUFFIXES = TIFF_SUFFIXES + HDF5_SUFFIXES
IMAGE_SUFFIXES = suffixes()
WRITTEN_SUFFIXES = (*TIFF_SUFFIXES, ".png", *HDF5_SUFFIXES, ".zarr")
LABEL_SUFFIXES = (*WRITTEN_SUFFIXES, ".bmp", *MRC.suffixes)

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


DAMAGED = "; the file is damaged, cut short or not what its suffix says."
"""How messages of damage end."""


class UnsupportedError(Exception):
    """The file is readable but not a supported image; `reading` puts the file's name before the text."""


class UnnamedAxesError(UnsupportedError):
    """An array has more axes than an image or a volume, and nothing says what they are."""

    def __init__(self, text: str, shape: tuple[int, ...]) -> None:
        super().__init__(text)
        self.shape = shape


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
        raise InputError(f"{name} cannot be read: {reason}{DAMAGED}") from error


def count_images(shape: tuple[int, ...]) -> int:
    """Count the images of an array: (H, W) and (H, W, C) are one, (Z, H, W) and (Z, H, W, C) are Z."""
    inner = 3 if looks_like_color(shape) else 2
    return int(np.prod(shape[:-inner], dtype=np.int64))


def check_pixels(name: object, shape: tuple[int, ...]) -> None:
    """Refuse an array without pixels."""
    if 0 in shape:
        raise InputError(f"{name} has no pixels (shape {shape}); wanted at least 1 row and 1 column.")


def native(array: NDArray[Any]) -> NDArray[Any]:
    """Give an array in native byte order, bool as uint8."""
    return np.ascontiguousarray(array, dtype=np.uint8 if array.dtype == bool else array.dtype.newbyteorder("="))


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


def hdf5_datasets(path: Path, axes: str = "") -> dict[str, tuple[int, ...]]:
    """List name and shape of the datasets that hold images, the shape without axes of length 1 (`ArrayLayout`).

    `axes` says what the axes are, instead of the file.
    """
    layouts = _layouts(path, axes)
    return {name: layout.canonical for name, (_, layout) in layouts.items() if layout is not None}


def hdf5_unclear(path: Path, axes: str = "") -> dict[str, tuple[int, ...]]:
    """List name and shape of the datasets of two axes or more that are left out of `hdf5_datasets`."""
    layouts = _layouts(path, axes)
    return {name: shape for name, (shape, layout) in layouts.items() if layout is None and len(shape) > 1}


def _layouts(path: Path, axes: str) -> dict[str, tuple[tuple[int, ...], ArrayLayout | None]]:
    """List the datasets of numbers by name, with their stored shape and their layout, None where it is unclear."""
    found: dict[str, tuple[tuple[int, ...], ArrayLayout | None]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf":
            found["/" + name] = tuple(item.shape or ()), layout_of_hdf5(item, axes)

    with reading(path), h5py.File(path, "r") as file:
        file.visititems(visit)
    return dict(sorted(found.items()))


def layout_of_hdf5(item: Any, axes: str = "") -> ArrayLayout | None:
    """Find the layout of an HDF5 dataset; None where it is no image."""
    return ArrayLayout.of(tuple(int(n) for n in item.shape or ()), axes or axes_of_hdf5(item))


@contextmanager
def open_hdf5(
    path: Path, dataset: str, axes: str = "", *, cache_bytes: int = 1 << 20
) -> Iterator[tuple[Any, ArrayLayout]]:
    """Open a dataset of `hdf5_datasets` with its layout.

    Parameters
    ----------
    axes : str, optional
        What the axes are, instead of what the file says.
    cache_bytes : int
        Of decoded chunks that are kept; h5py's own default is the same.

    Raises
    ------
    InputError
        If its numbers lie in other files: these could be anything, also a pipe that nothing comes from.
    """
    with reading(f"{path}:{dataset}"), h5py.File(path, "r", rdcc_nbytes=cache_bytes) as file:
        item = file[dataset]
        others = [name for name, *_ in item.external or ()]
        if item.is_virtual:
            others += [source.file_name for source in item.virtual_sources() if source.file_name != "."]
        if others:
            raise UnsupportedError(f"its numbers lie in another file, {others[0]}; copy them into this one")
        layout = layout_of_hdf5(item, axes)
        if layout is None:
            raise UnsupportedError(f"its shape is {item.shape}; wanted (H, W), (H, W, 3) or (Z, H, W)")
        yield item, layout


def choose_dataset(path: Path, wanted: str | None, axes: str = "") -> tuple[str, tuple[int, ...]]:
    """Find the name and shape of the dataset wanted, or of the only one in the file; refuse all else."""
    there = hdf5_datasets(path, axes)
    listed = ", ".join(f"{name} {shape}" for name, shape in there.items()) or "none"
    if wanted is not None:
        name = "/" + wanted.strip("/")
        if name not in there:
            with reading(path), h5py.File(path, "r") as file:
                _refuse_links(path, file, name)
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


def _refuse_links(path: Path, file: h5py.File, name: str) -> None:
    """Refuse a name that leads into another file."""
    parts = name.strip("/").split("/")
    for end in range(1, len(parts) + 1):
        link = file.get("/".join(parts[:end]), getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise InputError(
                f"{path}:{name} is a link to {link.path} in another file, {link.filename}; give that file itself."
            )
        if link is None:
            return


def label_dataset(path: Path, wanted: str | None, axes: str = "") -> tuple[str, tuple[int, ...]]:
    """Choose a dataset as `choose_dataset` does; without a name, `/labels` where it is there."""
    if wanted is None and "/labels" in hdf5_datasets(path, axes):
        wanted = "/labels"
    return choose_dataset(path, wanted, axes)


def read_hdf5(path: Path, dataset: str, page: int | None) -> NDArray[Any]:
    """Read one image of a dataset, or all of it where `page` is None; axes as in `ArrayLayout.canonical`."""
    with open_hdf5(path, dataset) as (item, layout):
        return layout.read(item, page)


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
    """Read stored numbers of a PNG or BMP: palette indices stay, 2- and 4-bit grays are not stretched."""
    with reading(path):
        header = path.read_bytes()[:26]
        with _any_size(), PIL.Image.open(path) as image:
            stored = np.asarray(image)
            gray = image.mode == "L"
    if path.suffix.lower() != ".png":
        return stored
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

"""Cellpose: `NAME_masks.tif` or `NAME_seg.npy` beside `NAME.tif`; no code in the pickle `_seg.npy` is run."""

import io
import pickle
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.manifest import as_name
from autosam.data.refusal import refuse_faults
from autosam.data.sources.release import Labels, Release, ReleaseReader, Request, Slice
from autosam.data.sources.release_files import read_pair
from autosam.data.sources.stack import Stack, stack_slices
from autosam.errors import InputError
from autosam.images import read_labels
from autosam.images.formats import TIFF_SUFFIXES
from autosam.images.source import image_files
from autosam.images.tiff import count_tiff_images

_MASKS = re.compile(r"(?P<stem>.+?)(?:_img)?_(?:cp_)?masks")


class Cellpose(ReleaseReader):
    """A folder of `NAME.tif` with `NAME_masks.tif`, `NAME_cp_masks.png` or `NAME_seg.npy`."""

    name = "cellpose"
    layout = "a folder of NAME.tif with NAME_masks.tif, NAME_cp_masks.png or NAME_seg.npy"

    def _sniff(self, request: Request) -> bool:
        return request.path.is_dir() and bool(_label_files(request.path))

    def _open(self, request: Request) -> Release:
        folder = request.path
        labels = _label_files(folder)
        images = {p.stem: p for p in image_files(folder) if not _MASKS.fullmatch(p.stem) and not _by_product(p)}
        slices: list[Slice] = []
        faults = []
        for stem, file in labels.items():
            image = images.get(stem) or images.get(f"{stem}_img")
            if image is None:
                faults.append(f"{file} has no image {stem} beside it")
            elif file.suffix != ".npy" and image.suffix.lower() in TIFF_SUFFIXES and count_tiff_images(image) > 1:
                slices += stack_slices(as_name(stem), Stack.open(image), Stack.open(file))
            else:
                read = read_seg if file.suffix == ".npy" else read_labels
                slices.append(Slice(as_name(stem), partial(read_pair, image, file, read)))
        refuse_faults(faults, self.name)
        kind: Labels = "ids-2d" if all(item.volume is None for item in slices) else "ids-3d"
        notes = ("where an image has both a mask file and a _seg.npy, the mask file was read",)
        return Release(self.name, slices, kind, made="Cellpose masks", notes=notes)


def _label_files(folder: Path) -> dict[str, Path]:
    found = {
        path.name.removesuffix("_seg.npy"): path
        for path in sorted(folder.glob("*_seg.npy"))
        if not path.name.startswith(".")
    }
    for path in image_files(folder):
        match = _MASKS.fullmatch(path.stem)
        if match:
            found[match["stem"]] = path
    return dict(sorted(found.items()))


def _by_product(path: Path) -> bool:
    return re.search(r"_(?:cp_)?(?:outlines|flows|cp_output|dP)$", path.stem) is not None


def read_seg(path: Path) -> NDArray[Any]:
    """Read the masks of a `_seg.npy`; no code in the file is run.

    Cellpose's window saves it: a pickled dictionary with `masks`, integers of shape (H, W).

    Raises
    ------
    InputError
        If the file is damaged, names anything but numpy arrays and plain values, or holds a volume.
    """
    try:
        with path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            header = (
                np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            )
            header(stream)
            content = _Data(io.BytesIO(stream.read())).load()
        masks = np.asarray(content.item()["masks"])
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, pickle.UnpicklingError) as e:
        raise InputError(f"{path} cannot be read as Cellpose's _seg.npy: {' '.join(str(e).split())[:200]}.") from e
    if masks.ndim != 2 or masks.dtype.kind not in "iu":
        raise InputError(
            f"{path} holds masks of shape {masks.shape} and type {masks.dtype}; wanted ids of shape (H, W): "
            "save a volume as NAME_masks.tif (Cellpose: --save_tif)."
        )
    return masks


class _Data(pickle.Unpickler):
    """Builds numpy arrays and plain values; any other name in the file is an error and is not called."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = _allowed()
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, which may run code; save the masks as NAME_masks.tif instead"
            )
        return allowed[module, name]


def _allowed() -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        # Old protocols spell bytes as a text that is encoded; the text is data, the codec is latin1.
        ("_codecs", "encode"): _latin1,
    }
    # What numpy itself names in a pickle; numpy 2 renamed the modules, and files of both are about.
    array, scalar = np.zeros(1), np.float64(0)
    for module in ("numpy.core", "numpy._core"):
        found[f"{module}.multiarray", "_reconstruct"] = array.__reduce__()[0]
        found[f"{module}.multiarray", "scalar"] = scalar.__reduce__()[0]
        found[f"{module}.numeric", "_frombuffer"] = array.__reduce_ex__(5)[0]
    return found


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes text as {encoding}")
    return text.encode("latin1")

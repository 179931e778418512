"""Cellpose's `NAME_seg.npy`, a Python pickle; no code in it is run."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError


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

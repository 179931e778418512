"""What is in a weight file that someone else wrote, without running anything in it."""

import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from autosam.errors import ModelError

# What torch's restricted unpickler raises on damaged bytes depends on where the damage is.
_DAMAGE = (RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, OSError, AssertionError)


def read_weights(path: Path) -> Any:
    """Read a file of safetensors or of torch, whatever its suffix; what it holds may be anything.

    NumPy's numbers, such as a best score, may stand beside the tensors. They run no code.

    Raises
    ------
    ModelError
        If the file is missing, cut short or holds Python objects besides tensors.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelError(f"weight file {path} {what}: wanted a .pth, .pt, .ckpt, .bin or .safetensors file")
    with path.open("rb") as file:
        start = file.read(9)
    if path.suffix.lower() == ".safetensors" or (start[8:] == b"{" and not start.startswith((b"PK", b"\x80"))):
        return _read_safetensors(path)
    return _read_torch(path, start)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"weight file {path} is damaged, cut short or not a safetensors file ({error}): get it again"
        ) from error


def _read_torch(path: Path, start: bytes) -> Any:
    zipped = start[:2] == b"PK"
    if not zipped and start[:1] != b"\x80":
        raise ModelError(f"weight file {path} is not a file that torch.save wrote: wanted a .pth state dict")
    damaged = f"weight file {path} is damaged or cut short: get it again"
    if zipped and not zipfile.is_zipfile(path):
        raise ModelError(damaged)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_numpy_numbers()):
            # A pickle of another protocol: what matters is whether it loads, and that is reported below.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch 2.2 says "Unsupported class", later versions "GLOBAL".
        named = re.search(r"(?:GLOBAL|Unsupported class) ([\w.]+)", str(error))
        if named is None:
            raise ModelError(
                f"weight file {path} is refused: it is damaged or holds something besides tensors; "
                "get it again, or save its state dict alone"
            ) from error
        raise ModelError(
            f"weight file {path} is refused: it holds Python objects besides tensors ({named[1]}), and "
            "reading those can run code; save its state dict alone, or as .safetensors"
        ) from error
    except (*_DAMAGE, struct.error) as error:
        raise ModelError(damaged) from error


def _numpy_numbers() -> list[Any]:
    """Give what unpickling a NumPy number calls, under the names of NumPy 1 and 2."""
    make = np.float64(0).__reduce__()[0]
    assert callable(make)
    kinds = {type(np.dtype(code)) for code in np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + "?"}
    return [
        *(_named(make, module) for module in ("numpy.core.multiarray", "numpy._core.multiarray")),
        np.dtype,
        *sorted(kinds, key=str),
    ]


def _named(make: Callable[..., Any], module: str) -> Callable[..., Any]:
    """Wrap NumPy's function that makes numbers: torch 2.5 knows a function by its own name only."""

    def scalar(kind: Any, data: Any) -> Any:
        if not isinstance(kind, np.dtype) or kind.kind not in "biuf" or not isinstance(data, bytes):
            raise pickle.UnpicklingError("a NumPy number of an unknown kind")
        return make(kind, data)

    scalar.__module__, scalar.__qualname__ = module, "scalar"
    return scalar

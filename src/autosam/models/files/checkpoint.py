"""autosam's own model file: one `.safetensors` with the tensors of every part and a header about them.

Nothing here knows an architecture. A tensor's name begins with its part: `generator.`, and `sam.` where the file
holds all of SAM. Where the header names base weights, `adapter.`, `decoder.` and `prompts.` (for the prompt
encoder) hold what was trained. `statistics.` and `region_classifier.` are optional. Files of version 0.1 have
other names for some parts and settings; they are renamed as they are read, see `config.old_names`. From format 3
on the header holds a checksum of everything in the file.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from autosam.config.old_names import MODEL_PARTS
from autosam.errors import ModelError
from autosam.images import atomic_path
from autosam.models.files.model_header import (
    BUNDLED,
    CHECKSUM,
    FORMAT_VERSION,
    KEY,
    ModelHeader,
    header_values,
    is_model,
    opened,
    parsed,
    read_header,
)

__all__ = [
    "BUNDLED",
    "FORMAT_VERSION",
    "REGION_CLASSIFIER",
    "STATISTICS",
    "ModelHeader",
    "is_model",
    "join_parts",
    "load_model",
    "read_header",
    "save_model",
    "split_parts",
]

_HALF_FROM = 1024
_HALF_ROW_FROM = 128
"""Values from which a tensor, and a weight or bias of a single dimension, is stored as float16."""
STATISTICS = "statistics"
"""The part with the statistics of the training images."""
REGION_CLASSIFIER = "region_classifier"
"""The part with the region classifier's trees; stored exactly."""


def save_model(
    path: str | Path, *, tensors: Mapping[str, Tensor], metadata: ModelHeader, half: bool = False
) -> None:
    """Write a model file under a temporary name and rename it when it is whole.

    The same tensors and header give the same bytes.

    Parameters
    ----------
    path : str or pathlib.Path
        Ends in `.safetensors`; its folder must exist. An existing file is replaced.
    tensors : mapping of str to torch.Tensor
        As `join_parts` names them; on any device.
    half : bool
        Store floating-point tensors of two dimensions or more and at least 1,024 values as float16, and weights
        and biases of one dimension with at least 128. All others keep their type: they are small, and precision
        depends on them. So do the running statistics of batch normalization, the region classifier, and tensors
        with a value that float16 cannot hold. Integers are never changed.

    Raises
    ------
    ModelError
        If there is no tensor or the suffix is another one.
    OutputError
        If the file cannot be written; nothing is left behind.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ModelError(f"{path} does not end in .safetensors, which is what autosam writes models to")
    if not tensors:
        raise ModelError(f"nothing to save in {path}: no tensors were given")
    exact = f"{REGION_CLASSIFIER}."
    stored = {
        name: _stored(
            tensors[name], half=half and not name.startswith(exact) and _can_be_short(name, tensors[name])
        )
        for name in sorted(tensors)
    }
    values = asdict(metadata)
    values[CHECKSUM] = _checksum(stored, values)
    content = save(stored, metadata={KEY: json.dumps(values, sort_keys=True)})
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def load_model(path: str | Path, *, as_stored: bool = False) -> tuple[dict[str, Tensor], ModelHeader]:
    """Read a model file.

    Parameters
    ----------
    as_stored : bool
        Keep float16 and bfloat16, so that the same tensors can be written again bit for bit.

    Returns
    -------
    tensors : dict of str to torch.Tensor
        On the CPU, sorted by name; by default float16 and bfloat16 come back as float32.

    Raises
    ------
    ModelError
        If the file is missing, cut short, changed, no autosam model, or of a newer format.
    """
    path = Path(path)
    values = header_values(path)
    header = parsed(path, values)
    with opened(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    if CHECKSUM in values and values[CHECKSUM] != _checksum(tensors, values):
        raise ModelError(f"{path} is damaged: its content does not fit its checksum; get the file again")
    short = () if as_stored else (torch.float16, torch.bfloat16)
    tensors = {
        _renamed(name): tensor.float() if tensor.dtype in short else tensor for name, tensor in tensors.items()
    }
    return tensors, header


def join_parts(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Name the tensors of several parts for one file, `<part>.<name>`; empty parts leave no trace.

    Examples
    --------
    >>> sorted(join_parts({"generator": {"bias": torch.zeros(2)}, "decoder": {"bias": torch.zeros(3)}}))
    ['decoder.bias', 'generator.bias']
    """
    return {f"{part}.{name}": tensor for part, state in parts.items() for name, tensor in state.items()}


def split_parts(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Undo `join_parts`: give a state dict per part.

    Examples
    --------
    >>> split_parts({"generator.head.bias": torch.zeros(2)})
    {'generator': {'head.bias': tensor([0., 0.])}}
    """
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    return parts


def _renamed(name: str) -> str:
    part, dot, rest = name.partition(".")
    return f"{MODEL_PARTS.get(part, part)}{dot}{rest}"


def _can_be_short(name: str, tensor: Tensor) -> bool:
    if tensor.ndim == 1 and name.endswith((".weight", ".bias")):
        return tensor.numel() >= _HALF_ROW_FROM
    return tensor.ndim >= 2 and tensor.numel() >= _HALF_FROM


def _stored(tensor: Tensor, *, half: bool) -> Tensor:
    # A copy: safetensors refuses tensors that share memory, as tied weights do.
    tensor = tensor.detach().cpu().contiguous().clone()
    if not half or not tensor.is_floating_point():
        return tensor
    shorter = tensor.to(torch.float16)
    return shorter if bool(torch.isfinite(shorter).all()) else tensor


def _checksum(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> str:
    """Hash the header, and the names, types, shapes and bytes of the tensors, in order of name."""
    told = {name: value for name, value in values.items() if name != CHECKSUM}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()

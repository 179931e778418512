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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from autosam.config.old_names import HEADER_FIELDS, MODEL_PARTS, renamed, renamed_settings
from autosam.errors import ModelError
from autosam.images import atomic_path

BUNDLED = Path(__file__).resolve().parents[1] / "bundled"
"""The models of the package: old names in them raise no warning."""
FORMAT_VERSION = 3
_RENAMED_BEFORE = 2
# safetensors writes metadata in the order of a hash map, another one in each process: one key has one order.
_KEY = "autosam"
_CHECKSUM = "sha256"
_HALF_FROM = 1024
STATISTICS = "statistics"
"""The part with the statistics of the training images; stored exactly."""
REGION_CLASSIFIER = "region_classifier"
"""The part with the region classifier's trees; stored exactly."""


@dataclass(frozen=True)
class ModelHeader:
    """What a model file says about itself; everything in it is written as JSON.

    Parameters
    ----------
    settings : mapping
        The resolved model settings, enough to build the architecture again.
    base_name, base_sha256 : str
        The base weights that the adapter belongs to; empty where the file holds the whole model.
    training : mapping
        Summary of the training run: data, steps, scores.
    license : str
        License of the weights, with its reason where the data dictate it.
    """

    settings: Mapping[str, Any]
    base_name: str = ""
    base_sha256: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    license: str = ""
    format_version: int = FORMAT_VERSION


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
        Store floating-point tensors as float16. Tensors of one dimension or of fewer than 1,024 values keep their
        type: they are small, and precision depends on them. So do the statistics of training images, the region
        classifier, and tensors with a value that float16 cannot hold. Integers are never changed.

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
    exact = (f"{STATISTICS}.", f"{REGION_CLASSIFIER}.")
    stored = {name: _stored(tensors[name], half=half and not name.startswith(exact)) for name in sorted(tensors)}
    values = asdict(metadata)
    values[_CHECKSUM] = _checksum(stored, values)
    content = save(stored, metadata={_KEY: json.dumps(values, sort_keys=True)})
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def load_model(path: str | Path) -> tuple[dict[str, Tensor], ModelHeader]:
    """Read a model file.

    Returns
    -------
    tensors : dict of str to torch.Tensor
        On the CPU, sorted by name; float16 and bfloat16 come back as float32.

    Raises
    ------
    ModelError
        If the file is missing, cut short, changed, no autosam model, or of a newer format.
    """
    path = Path(path)
    values = _header_values(path)
    header = _parsed(path, values)
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    if _CHECKSUM in values and values[_CHECKSUM] != _checksum(tensors, values):
        raise ModelError(f"{path} is damaged: its content does not fit its checksum; get the file again")
    tensors = {
        _renamed(name): tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
        for name, tensor in tensors.items()
    }
    return tensors, header


def read_header(path: str | Path) -> ModelHeader:
    """Read the header alone; errors are those of `load_model`."""
    return _parsed(Path(path), _header_values(Path(path)))


def is_model(path: Path) -> bool:
    """Tell whether a file is a model of autosam's own, and no bare weights."""
    if not path.is_file() or path.suffix != ".safetensors":
        return False
    with _opened(path) as file:
        return _KEY in (file.metadata() or {})


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


def _stored(tensor: Tensor, *, half: bool) -> Tensor:
    # A copy: safetensors refuses tensors that share memory, as tied weights do.
    tensor = tensor.detach().cpu().contiguous().clone()
    if not half or not tensor.is_floating_point() or tensor.ndim < 2 or tensor.numel() < _HALF_FROM:
        return tensor
    shorter = tensor.to(torch.float16)
    return shorter if bool(torch.isfinite(shorter).all()) else tensor


def _checksum(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> str:
    """Hash the header, and the names, types, shapes and bytes of the tensors, in order of name."""
    told = {name: value for name, value in values.items() if name != _CHECKSUM}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _header_values(path: Path) -> dict[str, Any]:
    """Read the header as it was written, with its checksum."""
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no file"
        raise ModelError(f"{path} is {what}, wanted an autosam model (.safetensors): check the path")
    with _opened(path) as file:
        metadata = file.metadata() or {}
    if _KEY not in metadata:
        raise ModelError(
            f"{path} has no autosam header, so it is not an autosam model: "
            "if it holds SAM weights, name it as the base of a model instead"
        )
    try:
        values = json.loads(metadata[_KEY])
    except json.JSONDecodeError as error:
        raise _unreadable(path) from error
    if not isinstance(values, dict):
        raise _unreadable(path)
    return values


def _unreadable(path: Path) -> ModelError:
    return ModelError(f"{path} has a header that autosam cannot read: get the file again")


def _parsed(path: Path, values: Mapping[str, Any]) -> ModelHeader:
    values = {name: value for name, value in values.items() if name != _CHECKSUM}
    version = values.get("format_version")
    if not isinstance(version, int):
        raise _unreadable(path)
    if version > FORMAT_VERSION:
        raise ModelError(
            f"{path} has model format {version}, this autosam reads up to {FORMAT_VERSION}: upgrade autosam"
        )
    source = None if path.resolve().parent == BUNDLED else str(path)
    if isinstance(values.get("settings"), dict) and version < _RENAMED_BEFORE:
        values = renamed(values, HEADER_FIELDS)
        values["settings"] = renamed_settings(values["settings"], source=source)
    wanted = {item.name: type(getattr(ModelHeader(settings={}), item.name)) for item in fields(ModelHeader)}
    if {name: type(value) for name, value in values.items()} != wanted:
        raise _unreadable(path)
    return ModelHeader(**values)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a safetensors file; what is wrong with it becomes a message."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except (SafetensorError, OSError) as error:
        if path.suffix in (".pth", ".pt", ".ckpt", ".bin"):
            raise ModelError(
                f"{path} is a torch weight file, wanted an autosam model (.safetensors): "
                "published SAM weights are the base of a model, not a model"
            ) from error
        raise ModelError(
            f"{path} is damaged, cut short or not a safetensors file ({error}): get the file again"
        ) from error

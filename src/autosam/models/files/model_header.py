"""What a model file says about itself; read without torch, so that a wrong file is refused at once."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from autosam.config.old_names import HEADER_FIELDS, renamed, renamed_settings
from autosam.errors import ModelError

BUNDLED = Path(__file__).resolve().parents[1] / "bundled"
"""The models of the package: old names in them raise no warning."""
FORMAT_VERSION = 3
_RENAMED_BEFORE = 2
# safetensors writes metadata in the order of a hash map, another one in each process: one key has one order.
KEY = "autosam"
"""The key of the header in the metadata of a safetensors file."""
CHECKSUM = "sha256"
"""The field of the header with the checksum of everything in the file."""
NOTICE = "notice"
"""The entry of the summary of training about weights that others trained."""


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

    @property
    def notice(self) -> str:
        """Origin and license of weights that others trained, and that the generator started from; or nothing."""
        # A generator that was joined with a SAM keeps the summary of its own training.
        for summary in (self.training, self.training.get("generator")):
            if isinstance(summary, Mapping) and NOTICE in summary:
                return str(summary[NOTICE])
        return ""


def read_header(path: str | Path) -> ModelHeader:
    """Read the header of a model file alone.

    Raises
    ------
    ModelError
        If the file is missing, no autosam model, or of a newer format, or its header is damaged.
    """
    return parsed(Path(path), header_values(Path(path)))


def is_model(path: Path) -> bool:
    """Tell whether a file is a model of autosam's own, and no bare weights."""
    if not path.is_file() or path.suffix != ".safetensors":
        return False
    with opened(path) as file:
        return KEY in (file.metadata() or {})


def header_values(path: Path) -> dict[str, Any]:
    """Read the header as it was written, with its checksum."""
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no file"
        raise ModelError(f"{path} is {what}, wanted an autosam model (.safetensors): check the path")
    with opened(path) as file:
        metadata = file.metadata() or {}
    if KEY not in metadata:
        raise ModelError(
            f"{path} has no autosam header, so it is not an autosam model: "
            "if it holds SAM weights, name it as the base of a model instead"
        )
    try:
        values = json.loads(metadata[KEY])
    except json.JSONDecodeError as error:
        raise _unreadable(path) from error
    if not isinstance(values, dict):
        raise _unreadable(path)
    return values


def _unreadable(path: Path) -> ModelError:
    return ModelError(f"{path} has a header that autosam cannot read: get the file again")


def parsed(path: Path, values: Mapping[str, Any]) -> ModelHeader:
    """Make a header of its values; errors are those of `read_header`."""
    values = {name: value for name, value in values.items() if name != CHECKSUM}
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
def opened(path: Path, *, framework: str = "np") -> Iterator[Any]:
    """Open a safetensors file, for arrays of ``np`` or tensors of ``pt``; what is wrong becomes a message."""
    try:
        with safe_open(path, framework=framework, device="cpu") as file:
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


def trained_sources(training: Mapping[str, Any]) -> set[str]:
    """Find the sources that a header's ``training`` names, for the whole model or for a part of it."""
    found = set(training.get("sources", ()))
    for part in training.values():
        if isinstance(part, Mapping):
            found |= trained_sources(part)
    return found

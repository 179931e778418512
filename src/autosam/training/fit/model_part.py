"""Parts of a model file that are fitted after training: read for it, and written without touching the rest."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from autosam.config import Config, load_config
from autosam.models.files.checkpoint import ModelHeader, join_parts, load_model, save_model


def fitting_config(header: ModelHeader, *, seed: int) -> Config:
    """Give the settings that a model segments with, and the seed that draws what it is fitted to."""
    return load_config(defaults=dict(header.settings), overrides=[f"seed={seed}"])


def write_part(path: Path, part: str, state: Mapping[str, Tensor]) -> None:
    """Put a part into a model file, in the place of an earlier one; everything else in it stays as it is.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    tensors, header = load_model(path)
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(f"{part}.")}
    save_model(path, tensors=kept | join_parts({part: dict(state)}), metadata=header, half=True)

"""The settings of a run: those of the model file, a config and options, without loading any weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autosam.config import Config, load_config, make_model
from autosam.errors import ConfigError
from autosam.models.files.model_header import read_header
from autosam.models.files.zoo import resolve_model


def settings_of_model(model: str, *, config: str | Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Resolve the settings of a run with a model, given by name or file; for the rest see `settings_for`.

    Raises
    ------
    ModelError
        As `resolve_model` and `read_header`.
    ConfigError
        As `settings_for`.
    """
    path = resolve_model(model)
    return settings_for(path, read_header(path).settings, config=config, overrides=overrides)


def settings_for(
    model: Path, brought: Mapping[str, Any], *, config: str | Path | None = None, overrides: Sequence[str] = ()
) -> Config:
    """Put a config and options over the settings that a model brings.

    Parameters
    ----------
    model : Path
        The model file, for the message.
    brought : mapping
        The settings in its header.
    config : str or Path, optional
        YAML file of settings over those.
    overrides : sequence of str
        ``section.key=value``, over everything else.

    Raises
    ------
    ConfigError
        As `load_config`, and if they would change the model itself.
    """
    resolved = load_config(config, overrides=overrides, defaults=brought)
    if resolved.model != make_model(brought):
        raise ConfigError(
            f"model.* settings are fixed by the model file {model.name}; take them out of --config and --set, "
            "or train another model"
        )
    return resolved

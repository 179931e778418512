"""The names of autosam 0.1 for what has another name now: settings, their values, and parts of model files."""

import warnings
from collections.abc import Mapping
from typing import Any

from autosam.errors import ConfigError

SETTINGS = {
    "images.scale": "images.zoom",
    "images.find_scale": "images.find_zoom",
    "images.off_scale": "images.zoom_tolerance",
    "images.stains": "images.stain_references",
    "prompts.judge": "prompts.region_classifier",
    "prompts.min_quality": "prompts.min_region_score",
    "decode.scales": "decode.zooms",
    "training.augment.scale": "training.augment.zoom",
    "training.emitted": "training.predicted_between",
    "training.emitted_share": "training.predicted_share",
    "training.expert": "training.user_prompts",
    "training.judge_images": "training.region_classifier_images",
}
"""Settings by their old dotted path."""

REMOVED: dict[str, tuple[Any, str]] = {
    "training.soft_point": (
        False,
        "it made models worse; soft_mask trains the generator for its prompts",
    ),
    "training.augment.misaligned": (0, "no bundled model was trained with shifted bands"),
    "training.augment.missing": (0, "no bundled model was trained with blank bands"),
}
"""Settings that are gone: the value that changed nothing, and why they went."""

VALUES = {("prompts.method", "manual"): "user"}
"""Values of settings, under the setting's name of today."""

MODEL_PARTS = {"familiarity": "statistics", "judge": "region_classifier"}
"""Parts of a model file, which begin the names of its tensors."""

HEADER_FIELDS = {"licence": "license"}
"""Fields of a model file's header, of a data set's manifest and of a checkpoint."""


class OldNameWarning(FutureWarning):
    """A setting of an earlier version came: under a name that goes on working, or without effect now."""


def renamed_settings(values: Mapping[str, Any], *, source: str | None = None) -> dict[str, Any]:
    """Give settings the names of today, and leave out those of `REMOVED`.

    Parameters
    ----------
    values : mapping
        Nested settings, of any version; what is no mapping of sections is left for the validation to refuse.
    source : str, optional
        Where they were written, for an `OldNameWarning`; without it nobody is warned.

    Returns
    -------
    dict
        New mappings; the values themselves are not copied.

    Raises
    ------
    ConfigError
        If a setting came under its old and its new name.
    """
    result = {key: dict(part) if isinstance(part, Mapping) else part for key, part in values.items()}
    if isinstance(result.get("training"), dict) and isinstance(result["training"].get("augment"), Mapping):
        result["training"]["augment"] = dict(result["training"]["augment"])
    found = {}
    for old, new in SETTINGS.items():
        section, name = _look_up(result, old)
        if section is None or name not in section:
            continue
        wanted = new.rpartition(".")[2]
        if wanted in section:
            raise ConfigError(f"{old} is the old name of {new}, and both came; leave {old} out")
        section[wanted] = section.pop(name)
        found[old] = new
    for (path, old_value), value in VALUES.items():
        section, name = _look_up(result, path)
        if section is not None and section.get(name) == old_value:
            section[name] = value
            found[f"{path}={old_value}"] = f"{path}={value}"
    if found and source is not None:
        named = ", ".join(f"{old} is {new} now" for old, new in found.items())
        warnings.warn(
            f"{source} has settings of an earlier version, which go on working: {named}",
            OldNameWarning,
            stacklevel=3,
        )
    gone = _drop_removed(result)
    if gone and source is not None:
        reasons = "; ".join(f"{path}: {REMOVED[path][1]}" for path in gone)
        warnings.warn(
            f"{source} has settings that have no effect any more, leave them out: {reasons}",
            OldNameWarning,
            stacklevel=3,
        )
    return result


def _drop_removed(values: dict[str, Any]) -> list[str]:
    """Take the settings of `REMOVED` out, and name those that had changed something."""
    gone = []
    for path, (neutral, _) in REMOVED.items():
        section, name = _look_up(values, path)
        if section is not None and name in section and section.pop(name) != neutral:
            gone.append(path)
    return gone


def _look_up(values: dict[str, Any], path: str) -> tuple[dict[str, Any] | None, str]:
    """Find the section of a setting, where it is there, and the setting's own name."""
    *sections, name = path.split(".")
    here: Any = values
    for part in sections:
        here = here.get(part) if isinstance(here, dict) else None
    return (here if isinstance(here, dict) else None), name

"""Names that autosam 0.1 used: of settings, their values, and fields and parts of files."""

import warnings
from collections.abc import Mapping
from typing import Any

from autosam.errors import AutosamWarning, ConfigError

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
"""Parts of a model file; the names of its tensors begin with them."""

HEADER_FIELDS = {"licence": "license"}
"""Fields of a model file's header, of a store's manifest and of a checkpoint."""

RECORD_FIELDS = {"magnification": "zoom", "restained": "stain_normalized", "unfamiliar": "out_of_distribution"}
"""Fields of an image in a run record."""


class OldNameWarning(FutureWarning, AutosamWarning):
    """A setting of an earlier version has another name now, or no effect any more."""


def renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Give the fields of a file the names of today."""
    return {names.get(name, name): value for name, value in values.items()}


def renamed_settings(values: Mapping[str, Any], *, source: str | None = None) -> dict[str, Any]:
    """Give settings the names of today, and leave out those of `REMOVED`.

    Parameters
    ----------
    values : mapping
        Nested settings of any version; they are not changed.
    source : str, optional
        Where they were written, for an `OldNameWarning`; without it nobody is warned.

    Raises
    ------
    ConfigError
        If a setting came under its old and its new name.
    """
    result = _copied(values)
    found = {}
    for old, new in SETTINGS.items():
        section, name = _look_up(result, old)
        wanted = new.rpartition(".")[2]
        if name not in section:
            continue
        if wanted in section:
            raise ConfigError(f"{old} is the old name of {new}, and both came; leave {old} out")
        section[wanted] = section.pop(name)
        found[old] = new
    for (path, old_value), value in VALUES.items():
        section, name = _look_up(result, path)
        if section.get(name) == old_value:
            section[name] = value
            found[f"{path}={old_value}"] = f"{path}={value}"
    gone = []
    for path, (neutral, reason) in REMOVED.items():
        section, name = _look_up(result, path)
        if name in section and section.pop(name) != neutral:
            gone.append(f"{path}: {reason}")
    notes = []
    if found:
        named = ", ".join(f"{old} is {new} now" for old, new in found.items())
        notes.append(f"settings of an earlier version, which go on working: {named}")
    if gone:
        notes.append(f"settings that have no effect any more, leave them out: {'; '.join(gone)}")
    for note in notes if source is not None else []:
        warnings.warn(f"{source} has {note}", OldNameWarning, stacklevel=3)
    return result


def _copied(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copied(part) if isinstance(part, Mapping) else part for key, part in values.items()}


def _look_up(values: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """Find the section of a setting, or an empty one, and the setting's own name."""
    *sections, name = path.split(".")
    here: Any = values
    for part in sections:
        here = here.get(part) if isinstance(here, dict) else None
    return (here if isinstance(here, dict) else {}), name

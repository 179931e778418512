"""How results were made: the model, its hash, and the settings that differ from the model's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autosam.config import Config, different_settings, make_config
from autosam.config.describe import as_yaml
from autosam.errors import AutosamError
from autosam.evaluation.results_page.folder_record import FolderRecord, RunFacts
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.model_header import read_header
from autosam.models.files.zoo import resolve_model
from autosam.report.page_content import Cell, Column, Fact, RunPart, Table

_OPTIONS = {
    "pixel_size_nm": "--pixel-size",
    "diameter": "--diameter",
    "channels": "--channels",
    "selection": "part of each file",
    "prompts_sha256": "prompts by a person (SHA-256)",
    "oracle_mask_sha256": "truth that chose masks (SHA-256)",
    "inside_sha256": "--inside (SHA-256)",
    "corrections_sha256": "corrections by a person (SHA-256)",
}
"""Options that change results, and how they are named here."""


@dataclass(frozen=True)
class Changes:
    """The settings of a run that differ from those of its model.

    Attributes
    ----------
    from_model : bool
        Whether the model was found; otherwise they differ from autosam's defaults.
    values : mapping of str to tuple of str
        Value of the run and value before, as YAML, by dotted path.
    license : str
        Of the model's weights; empty where it is not known.
    """

    from_model: bool
    values: Mapping[str, tuple[str, str]]
    license: str = ""


def changes_of(run: RunFacts) -> Changes:
    """Find the settings in which a run differs from its model, if that is still there with the same hash."""
    own, license = _model_settings(run)
    before = Config() if own is None else own
    known = {
        section: value for section, value in before.model_dump(mode="json").items() if section in run.settings
    }
    now = _of_today(run.settings, known)
    values = {
        key: (as_yaml(_look_up(now, key)), as_yaml(_look_up(known, key)))
        for key in different_settings(known, now)
        if key != "seed"
    }
    return Changes(own is not None, values, license)


def run_part(record: FolderRecord, run: RunFacts, changes: Changes) -> RunPart:
    """Lay out what made the images of a run."""
    facts = [
        Fact("model", run.model_name or "not known", changes.license),
        Fact("SHA-256 of the model", run.model_sha256 or "not known"),
        Fact("autosam", run.autosam or "0.1 or before"),
        Fact("last started", run.started.replace("T", " ").replace("+00:00", " UTC") or "not known"),
        Fact("images", f"{len(record.of_run(run)):,}"),
    ]
    for option, title in _OPTIONS.items():
        value = run.options.get(option)
        if value:
            facts.append(Fact(title, as_yaml(value)))
    return RunPart(f"Run {run.number}", tuple(facts), _table(changes), _sentence(changes))


def _table(changes: Changes) -> Table | None:
    if not changes.values:
        return None
    columns = (
        Column("setting", numeric=False),
        Column("this run", numeric=False),
        Column("the model's own" if changes.from_model else "autosam's default", numeric=False),
    )
    rows = tuple((Cell(key), Cell(now), Cell(before)) for key, (now, before) in changes.values.items())
    return Table("Settings that differ", columns, rows)


def _sentence(changes: Changes) -> str:
    if not changes.from_model:
        return (
            "The file of this model is not here, or is another one now. So the settings are compared with "
            "autosam's defaults."
        )
    if not changes.values:
        return "All settings are the model's own."
    return "All other settings are the model's own."


def _model_settings(run: RunFacts) -> tuple[Config | None, str]:
    """Read the settings of the model of a run, and its license; None where it is not there any more."""
    try:
        file = resolve_model(run.model)
        if file_sha256(file) != run.model_sha256:
            return None, ""
        header = read_header(file)
        return make_config(header.settings), header.license
    except (AutosamError, OSError):
        # It was moved, or is of another version: the report says that it is not known.
        return None, ""


def _of_today(settings: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the settings of a record by their names of today, as far as this version knows them."""
    try:
        return make_config(settings).model_dump(mode="json", include=set(known))
    except AutosamError:
        return {section: settings[section] for section in known}


def _look_up(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values

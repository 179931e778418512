"""`autosam settings`: what any setting means, which values it takes, and what a model sets."""

import shutil
import textwrap
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from autosam.config import Config
    from autosam.config.describe import Setting


def settings(
    key: str | None = typer.Argument(
        None, metavar="[KEY]", help="A setting, such as merge.min_size, or a section, such as merge."
    ),
    model: str | None = typer.Option(
        None, "--model", "-m", metavar="NAME|FILE", help="Also show what this model sets."
    ),
    section: str | None = typer.Option(
        None, "--section", metavar="SECTION", help="List the settings of one section."
    ),
) -> None:
    """Explain one setting, or list all of them.

    Settings are given with --set KEY=VALUE or in a YAML file with --config FILE.
    """
    from autosam.cli.console import result
    from autosam.config.describe import describe_sections, describe_settings
    from autosam.errors import ConfigError

    if key is not None and section is not None:
        raise ConfigError(f"KEY {key} and --section {section} came together; leave one out")
    described = {setting.key: setting for setting in describe_settings()}
    sections = describe_sections()
    if section is not None and section not in sections:
        raise ConfigError(f"there is no section {section}{_hint(section, sections)}")
    wanted = section or (key and _known(key, [*described, *sections]))
    own = None if model is None else _settings_of(model)
    if wanted in described and wanted not in sections:
        result(_explained(described[wanted], model, own))
        return
    for path, meaning in {"": "Top level", **sections}.items():
        rows = [setting for setting in described.values() if setting.section == path]
        if rows and (wanted is None or path == wanted or path.startswith(f"{wanted}.")):
            result(f"{path + ': ' if path else ''}{meaning}", *(_row(row, model, own) for row in rows), "")


def tell_settings(config: "Config", what: str) -> None:
    """Tell with ``--verbose`` which settings differ from the defaults."""
    from autosam.cli.console import detail
    from autosam.config import Config, different_settings
    from autosam.config.describe import as_yaml

    defaults, own = (settings.model_dump(mode="json") for settings in (Config(), config))
    lines = [f"{key}={as_yaml(_look_up(own, key))}" for key in different_settings(defaults, own)]
    detail("\n  ".join([f"{what} that differ from the defaults:", *lines]))


def _known(key: str, known: list[str]) -> str:
    """Give the key by its name of today; name near keys where there is none."""
    from autosam.cli.console import note
    from autosam.config.old_names import SETTINGS
    from autosam.errors import ConfigError

    if key in SETTINGS:
        note(f"{key} is {SETTINGS[key]} now; the old name still works")
        return SETTINGS[key]
    if key not in known:
        raise ConfigError(f"there is no setting {key}{_hint(key, known)}")
    return key


def _hint(key: str, known: "list[str] | Mapping[str, str]") -> str:
    from autosam.config.old_names import SETTINGS

    # A key without its section is near the whole key, and an old name near the new one.
    new = {**{name: name for name in known}, **SETTINGS}
    ends = [name for old, name in new.items() if old.rpartition(".")[2] == key.rpartition(".")[2]]
    near = list(dict.fromkeys([*ends, *get_close_matches(key, known, n=3)]))[:3]
    return f"; did you mean {' or '.join(near)}?" if near else "; autosam settings lists all"


def _settings_of(model: str) -> Mapping[str, Any]:
    """Give the settings that a model brings along, over the defaults."""
    from autosam.config import make_config
    from autosam.models.files.model_header import read_header
    from autosam.models.files.zoo import resolve_model

    return make_config(read_header(resolve_model(model)).settings).model_dump(mode="json")


def _value(setting: "Setting", own: Mapping[str, Any]) -> str:
    from autosam.config.describe import as_yaml

    value = _look_up(own, setting.key)
    return "a section" if isinstance(value, Mapping) else as_yaml(value)


def _look_up(values: Any, key: str) -> Any:
    """Give the value at a dotted path; None inside a section that is null."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _explained(setting: "Setting", model: str | None, own: Mapping[str, Any] | None) -> str:
    rows = {"type": setting.type, "range": setting.range, "default": setting.default}
    if own is not None:
        rows[f"{model}"] = _value(setting, own)
    width = max(map(len, rows))
    lines = [f"  {title:{width}}  {text}" for title, text in rows.items() if text]
    return "\n".join([setting.key, *_wrapped(setting.description, "  "), *lines])


def _row(setting: "Setting", model: str | None, own: Mapping[str, Any] | None) -> str:
    about = f"{setting.type}, {setting.range}" if setting.range else setting.type
    head = f"  {setting.key} = {setting.default}"
    if own is not None and (value := _value(setting, own)) != setting.default:
        head += f"  [{model}: {value}]"
    return "\n".join([head, *_wrapped(f"{setting.description} ({about})".strip(), "      ")])


def _wrapped(text: str, indent: str) -> list[str]:
    width = min(shutil.get_terminal_size().columns, 100)
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent)

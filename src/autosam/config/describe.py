"""The settings in words: what each one is, for `autosam settings` and for the reference in the docs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from autosam.config.sections import Config

_TYPES = {
    "boolean": ("true or false", "true or false"),
    "integer": ("whole number", "whole numbers"),
    "number": ("number", "numbers"),
    "string": ("text", "texts"),
    "object": ("section", "sections"),
}
"""Words for the types of JSON Schema, for one and for several."""

_LIMITS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
    "multipleOf": "a multiple of",
}
"""Words for the limits of JSON Schema."""


@dataclass(frozen=True)
class Setting:
    """One setting in words.

    Attributes
    ----------
    key : str
        Dotted path, such as ``merge.min_size``. Settings of an entry of a list of sections have its path:
        ``data.sources.name``.
    type : str
        Such as ``whole number or null``; the choices, where there are only some.
    range : str
        Such as ``0 to 1`` or ``above 0``; empty where every value of the type is allowed.
    default : str
        As YAML, or ``required``.
    description : str
        Empty where the key says everything.
    """

    key: str
    type: str
    range: str
    default: str
    description: str

    @property
    def section(self) -> str:
        """Path of the section that the setting is in; empty for one at the top."""
        return self.key.rpartition(".")[0]


@cache
def describe_settings() -> tuple[Setting, ...]:
    """Describe every setting, in the order of the sections.

    A section that may be null, or of which there is a list, is a setting, too. It comes before those in it.

    Examples
    --------
    >>> {setting.key: setting for setting in describe_settings()}["merge.iou"].range
    '0 to 1'
    """
    return tuple(_settings(_schema(), ""))


@cache
def describe_sections() -> Mapping[str, str]:
    """Describe every section by its dotted path, in order.

    Examples
    --------
    >>> describe_sections()["tiles"]
    'How a large image is cut.'
    """
    return dict(_sections(_schema(), ""))


def as_yaml(value: Any) -> str:
    """Write a value in one line, as a YAML file or ``--set`` takes it.

    Examples
    --------
    >>> as_yaml((1.0, 2.5)), as_yaml(None), as_yaml("mito")
    ('[1.0, 2.5]', 'null', 'mito')
    """
    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, width=10**6)
    return text.removesuffix("...\n").strip()


def _schema() -> dict[str, Any]:
    """Give the JSON schema of all settings with its references followed."""
    schema = Config.model_json_schema()

    def resolve(value: Any) -> Any:
        if isinstance(value, list):
            return [resolve(entry) for entry in value]
        if not isinstance(value, dict):
            return value
        followed = {key: resolve(entry) for key, entry in value.items() if key not in ("$ref", "$defs")}
        name = value.get("$ref", "").rpartition("/")[2]
        return resolve(schema["$defs"][name]) | followed if name else followed

    resolved: dict[str, Any] = resolve(schema)
    return resolved


def _settings(schema: dict[str, Any], path: str) -> Iterator[Setting]:
    for name, field in schema["properties"].items():
        key, section = f"{path}{name}", _section(field)
        if section is None or "properties" not in field:
            default = as_yaml(_brief(field["default"], section)) if "default" in field else "required"
            description = field.get("description") or (section or {}).get("description", "")
            yield Setting(key, _type(field), _range(field), default, description)
        if section is not None:
            yield from _settings(section, f"{key}.")


def _sections(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for name, field in schema["properties"].items():
        section = _section(field)
        if section is not None:
            yield f"{path}{name}", section["description"]
            yield from _sections(section, f"{path}{name}.")


def _brief(value: Any, section: dict[str, Any] | None) -> Any:
    """Leave out of a default section what is a default inside it."""
    if isinstance(value, list):
        return [_brief(entry, section) for entry in value]
    if section is None or not isinstance(value, dict):
        return value
    own = {name: field["default"] for name, field in section["properties"].items() if "default" in field}
    return {name: part for name, part in value.items() if name not in own or own[name] != part}


def _kinds(field: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the alternatives of a field, without null."""
    return [kind for kind in field.get("anyOf", [field]) if kind.get("type") != "null"]


def _section(field: dict[str, Any]) -> dict[str, Any] | None:
    for kind in _kinds(field):
        entry = kind.get("items", kind)
        if "properties" in entry:
            return entry  # type: ignore[no-any-return]
    return None


def _type(field: dict[str, Any], several: bool = False) -> str:
    words = [_type_of(kind, several) for kind in _kinds(field)]
    null = ["null"] if len(words) < len(field.get("anyOf", [field])) else []
    return " or ".join([*words, *null])


def _type_of(kind: dict[str, Any], several: bool) -> str:
    if "enum" in kind:
        *first, last = map(str, kind["enum"])
        return f"{', '.join(first)} or {last}"
    if kind["type"] != "array":
        return _TYPES[kind["type"]][several]
    count = f"{len(kind['prefixItems'])} " if "prefixItems" in kind else ""
    return f"{'lists' if several else 'list'} of {count}{_type(_entry(kind), several=True)}"


def _entry(kind: dict[str, Any]) -> dict[str, Any]:
    """Give the schema of a list's entries; they are all alike."""
    entry: dict[str, Any] = kind["prefixItems"][0] if "prefixItems" in kind else kind["items"]
    return entry


def _range(field: dict[str, Any]) -> str:
    parts = []
    for kind in _kinds(field):
        if kind.get("type") == "array":
            entry = _range(_entry(kind))
            parts += [f"each {entry}"] if entry else []
            parts += ["at least one"] if "items" in kind and kind.get("minItems") == 1 else []
        elif "minimum" in kind and "maximum" in kind:
            parts.append(f"{kind['minimum']:g} to {kind['maximum']:g}")
        else:
            parts += [f"{word} {kind[name]:g}" for name, word in _LIMITS.items() if name in kind]
    return ", ".join(parts)

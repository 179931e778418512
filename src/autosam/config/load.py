"""From a YAML file and single values to settings, with every fault reported at once."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from autosam.config.model_section import ModelConfig
from autosam.config.old_names import renamed_settings
from autosam.config.sections import Config
from autosam.errors import ConfigError

_Section = TypeVar("_Section", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """YAML 1.2's floats, unique keys and no aliases.

    PyYAML by itself reads 1e-3 as a word, drops a repeated section, and follows a section that contains itself.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                problem="an alias (*name) is not read; write the values out", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key.value} is there twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def config_folder() -> Path:
    """Folder of the YAML files that come with autosam: in the wheel, or beside `src` in a checkout."""
    package = Path(__file__).parents[1]
    packed = package / "configs"
    return packed if packed.is_dir() else package.parents[1] / "configs"


def find_config(name: str) -> Path:
    """Find a YAML file by path, or by the name of one that comes with autosam.

    Raises
    ------
    ConfigError
        If there is none; the message lists those that exist.
    """
    for candidate in (Path(name), config_folder() / f"{name}.yaml"):
        if candidate.is_file():
            return candidate
    known = sorted(path.stem for path in config_folder().glob("*.yaml"))
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(f"no config file or name {name!r}{hint}; known names: {', '.join(known) or 'none'}")


def load_config(
    name: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> Config:
    """Resolve settings and report every fault at once.

    Parameters
    ----------
    name : str or Path, optional
        A YAML file, or the name of one that comes with autosam.
    overrides : sequence of str
        ``section.key=value``; the value is read as YAML.
    defaults : mapping, optional
        Settings below the file, such as those of a model.

    Raises
    ------
    ConfigError
        If the file is missing or no YAML mapping, or any setting is unknown, of the wrong type or out of range:
        one line with every fault and its dotted path.

    Warns
    -----
    OldNameWarning
        If the file or an override has a setting by a name of an earlier version.
    """
    values = renamed_settings(defaults or {})
    if name is not None:
        path = find_config(str(name))
        values = _merged(values, renamed_settings(_read_yaml(path), source=str(path)))
    faults = []
    for override in overrides:
        try:
            values = _merged(values, renamed_settings(_parse_override(override), source=f"--set {override}"))
        except ConfigError as error:
            faults.append(str(error))
    try:
        config = make_config(values)
    except ConfigError as error:
        raise ConfigError("; ".join([*faults, str(error)])) from error
    if faults:
        raise ConfigError("; ".join(faults))
    return config


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if content is not None and not isinstance(content, Mapping):
        raise ConfigError(f"{path} holds {type(content).__name__}; a mapping of sections was wanted")
    # A section whose lines are all comments is empty, and null for YAML.
    return {key: part for key, part in (content or {}).items() if part is not None}


def make_config(values: Mapping[str, Any]) -> Config:
    """Validate a nested mapping; a `ConfigError` names every fault."""
    return _validated(Config, renamed_settings(values))


def make_model(settings: Mapping[str, Any]) -> ModelConfig:
    """Validate the ``model`` section alone of settings; a `ConfigError` names every fault."""
    return _validated(ModelConfig, settings.get("model", {}), "model")


def _validated(section: type[_Section], values: Any, *path: str) -> _Section:
    try:
        # Through JSON rules, where a list is as good as a tuple, while numbers and strings stay apart.
        return section.model_validate(_tuples(values))
    except ValidationError as error:
        faults = [_describe({**fault, "loc": (*path, *fault["loc"])}) for fault in error.errors()]
        raise ConfigError(f"{len(faults)} wrong setting{'s' * (len(faults) > 1)}: {'; '.join(faults)}") from error


def _describe(fault: Any) -> str:
    path = ".".join(str(part) for part in fault["loc"]) or "config"
    if fault["type"] == "extra_forbidden":
        return f"{path} is unknown{_near(fault['loc'])}"
    if fault["type"] == "missing":
        return f"{path} is missing"
    if fault["type"] == "value_error":
        return f"{path}: {fault['ctx']['error']}"
    if fault["type"] == "model_type":
        return f"{path}={fault['input']!r}: a section of settings was wanted"
    return f"{path}={fault['input']!r}: {fault['msg']}"


def _near(location: tuple[Any, ...]) -> str:
    """Suggest the known name nearest to an unknown one, in its own section."""
    section: Any = Config
    for part in location[:-1]:
        field = getattr(section, "model_fields", {}).get(part)
        if field is None:
            return ""
        # A section that may be null has two types.
        kinds = (kind for kind in get_args(field.annotation) if hasattr(kind, "model_fields"))
        section = next(kinds, field.annotation)
    near = get_close_matches(str(location[-1]), list(getattr(section, "model_fields", ())), n=1)
    above = "".join(f"{part}." for part in location[:-1])
    return f" (did you mean {above}{near[0]}?)" if near else ""


def _parse_override(text: str) -> Mapping[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key.strip() or not all(key.strip().split(".")):
        raise ConfigError(
            f"--set {text!r} was not understood; write section.key=value, such as merge.min_size=100"
        )
    try:
        parsed: Any = yaml.load(value, Loader=_Loader) if value else ""
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text!r}: the value is no YAML: {' '.join(str(error).split())}") from error
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return dict(parsed)


def different_settings(before: Any, now: Any, path: str = "") -> list[str]:
    """Give the dotted paths at which two dumped settings differ, sorted; none for equal ones."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        return sorted(
            fault
            for key in before.keys() | now.keys()
            for fault in different_settings(before.get(key), now.get(key), f"{path}.{key}".lstrip("."))
        )
    return [] if before == now else [path]


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _tuples(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_tuples(entry) for entry in value)
    return value

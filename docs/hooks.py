"""Pages of the site that are made from the code at build time: settings, commands, API, model cards, changelog.

mkdocs calls `on_files`. Everything above it needs neither mkdocs nor torch, so that the tests can call it.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.main import get_command

from autosam.cli import app
from autosam.config.describe import Setting, describe_sections, describe_settings

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_SETTINGS = """Set any of these with `--set key=value` or in a YAML file (`--config`). In rising order, a value
comes from the default below, the model file, the YAML file, and `--set`. `autosam settings --model NAME` prints
what a model sets."""
ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "autosam"
MODELS = PACKAGE / "models" / "bundled"


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the generated pages."""
    from mkdocs.structure.files import File

    for uri, text in pages().items():
        files.append(File.generated(config, uri, content=text))
    return files


def pages() -> dict[str, str]:
    """Give the Markdown of every generated page by its place below docs."""
    made = {"reference/settings.md": settings_page(), "reference/commands.md": commands_page()}
    made |= {f"reference/api/{room}.md": api_page(room) for room in rooms()}
    made |= {f"models/{card.stem}.md": _moved(card) for card in sorted(MODELS.glob("*.md"))}
    made |= {f"{name.lower()}.md": _moved(ROOT / f"{name}.md") for name in ("CHANGELOG", "CONTRIBUTING")}
    return made


def settings_page() -> str:
    """List every setting: key, type, range, default and meaning."""
    lines = ["# Settings", "", _SETTINGS, ""]
    settings = describe_settings()
    for section, meaning in {"": "Settings outside of any section.", **describe_sections()}.items():
        own = [setting for setting in settings if setting.section == section]
        if own:
            lines += [f"## {section or 'top level'}", "", meaning, ""]
            lines += ["| key | value | default | meaning |", "|---|---|---|---|"]
            lines += [_setting_row(setting) for setting in own]
            lines.append("")
    return "\n".join(lines)


def _setting_row(setting: Setting) -> str:
    value = ", ".join(part for part in (setting.type, setting.range) if part)
    meaning = setting.description[:1].upper() + setting.description[1:].rstrip(".") + "."
    cells = (f'<code id="{setting.key}">{setting.key}</code>', value, f"`{setting.default}`", meaning)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("*", "\\*") for cell in cells) + " |"


def commands_page() -> str:
    """List every command with its arguments and options."""
    lines = ["# Commands", "", "`autosam COMMAND --help` prints the same text.", ""]
    for name, command, context in _commands(get_command(app), "autosam", None):
        usage = " ".join([name, *command.collect_usage_pieces(context)])
        rows = [_parameter_row(option, context) for option in command.params if option.name != "help"]
        lines += [f"## `{name}`", "", *_paragraphs(command.help or ""), "", "```text", usage, "```", ""]
        if rows:
            lines += ["| argument or option | meaning |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _commands(command: Any, name: str, parent: Any) -> Iterator[tuple[str, Any, Any]]:
    context = command.context_class(command, info_name=name.rpartition(" ")[2], parent=parent)
    yield name, command, context
    for child, sub in getattr(command, "commands", {}).items():
        yield from _commands(sub, f"{name} {child}", context)


def _paragraphs(text: str) -> list[str]:
    joined = [" ".join(part.split()) for part in re.split(r"\n\s*\n|\f|\x08", text) if part.strip()]
    return "\n\n".join(joined).split("\n")


def _parameter_row(parameter: Any, context: typer.Context) -> str:
    name, meaning = (" ".join(part.split()) for part in parameter.get_help_record(context))
    if parameter.param_type_name == "argument":
        # Python's type says nothing that the name does not say.
        name = re.sub(r" <.*>$", "", name)
    # Brackets are typer's way to give defaults and ranges; in Markdown two of them in a row are a link.
    escaped = re.sub(r"([|\[\]])", r"\\\1", meaning)
    return f"| `{name}` | {escaped} |"


def rooms() -> list[str]:
    """Name the parts of the package that have a page of their own; the package itself is ``autosam``."""
    folders = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py") if path.parent.name != "cli")
    return ["autosam", *folders]


def api_page(room: str) -> str:
    """List what a room offers: what its ``__all__`` names, or else everything public in each of its modules."""
    module = "autosam" if room == "autosam" else f"autosam.{room}"
    lines = [f"# {module}", ""]
    if room == "autosam":
        return "\n".join([*lines, *_block(module, public_names(PACKAGE / "__init__.py"))])
    for path in _modules(PACKAGE / room):
        dotted = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        lines += _block(dotted, public_names(path))
    return "\n".join(lines)


def _modules(folder: Path) -> Iterator[Path]:
    """Give a package's own file if it names what is public, or else its modules; then those of its subfolders."""
    if public_names(folder / "__init__.py"):
        yield folder / "__init__.py"
    else:
        yield from (path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py")
    for inner in sorted(folder.glob("*/__init__.py")):
        yield from _modules(inner.parent)


def _block(dotted: str, names: list[str]) -> list[str]:
    if not names:
        return [f"::: {dotted}", ""]
    return [f"::: {dotted}", "    options:", "      members:", *(f"        - {name}" for name in names), ""]


def public_names(path: Path) -> list[str]:
    """Give what ``__all__`` names in a module; nothing where there is none."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(getattr(name, "id", "") == "__all__" for name in node.targets):
            return [name for name in ast.literal_eval(node.value) if not name.startswith("__")]
    return []


def _moved(path: Path) -> str:
    """Read a page of the repository, with links that work where the site has it."""
    text = path.read_text(encoding="utf-8").replace("../../../../docs/", "../")
    return text.replace("](docs/", "](")

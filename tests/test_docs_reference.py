"""The reference holds everything that is public: settings, commands, names of Python, columns of files."""

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from docs_pages import PAGES, ROOT, load_hooks
from typer.main import get_command

import autosam
from autosam.cli import app
from autosam.config.describe import describe_settings
from autosam.config.old_names import RECORD_FIELDS, REMOVED, SETTINGS, VALUES
from autosam.evaluation.diagnosis import summary
from autosam.instances.measure import INTENSITY_COLUMNS, SHAPE_COLUMNS
from autosam.metrics import evaluate_pair
from autosam.prompts.table import COLUMNS as PROMPT_COLUMNS
from autosam.review.corrections_file import COLUMNS as CORRECTION_COLUMNS
from autosam.review.provenance import COLUMNS as PROVENANCE_COLUMNS
from autosam.studies.scores import COLUMNS as STUDY_COLUMNS
from autosam.volumes.instance_sums import InstanceSums
from autosam.volumes.object_table import InstanceScores, make_object_table

PACKAGE = ROOT / "src" / "autosam"
hooks = load_hooks()
GENERATED: dict[str, str] = hooks.pages()
FILES = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")


def test_every_setting_has_an_entry_with_its_meaning() -> None:
    page = GENERATED["reference/settings.md"]
    for setting in describe_settings():
        row = next(line for line in page.split("\n") if line.startswith(f'| <code id="{setting.key}">'))
        cells = re.split(r"(?<!\\)\|", row)[1:-1]
        assert len(cells) == 4, row
        assert setting.description, f"{setting.key} has no description"
        assert cells[2].strip() == f"`{setting.default}`".replace("*", r"\*")


def test_every_command_has_its_options() -> None:
    page = GENERATED["reference/commands.md"]

    def check(command: Any, name: str) -> None:
        section = page.split(f"## `{name}`\n")[1].split("\n## ")[0]
        assert command.help, name
        for child, sub in getattr(command, "commands", {}).items():
            check(sub, f"{name} {child}")
        if not getattr(command, "commands", None):
            for option in command.params:
                for written in option.opts if option.param_type_name == "option" else []:
                    assert written in section, f"{name}: {written}"
                assert option.help, f"{name}: {option.name} has no help"

    check(get_command(app), "autosam")


@pytest.mark.parametrize("room", hooks.rooms())
def test_public_names_are_on_the_page_of_their_room_with_a_docstring(room: str) -> None:
    page = GENERATED[f"reference/api/{room}.md"]
    if room == "autosam":
        assert set(hooks.public_names(PACKAGE / "__init__.py")) == set(autosam.__all__) - {"__version__"}
        assert all(f"        - {name}\n" in page + "\n" for name in autosam.__all__ if name != "__version__")
        return
    for path in (PACKAGE / room).rglob("*.py"):
        public = hooks.public_names(path)
        dotted = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        if public:
            block = page.split(f"::: {dotted}\n")[1].split(":::")[0]
            assert all(f"        - {name}\n" in block + "\n" for name in public), dotted
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            if not any(getattr(decorator, "id", "") == "overload" for decorator in node.decorator_list):
                assert ast.get_docstring(node), f"{dotted}.{node.name} has no docstring"


def test_the_site_has_every_page_in_its_navigation() -> None:
    def uris(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [uri for value in (entry.values() if isinstance(entry, dict) else entry) for uri in uris(value)]

    listed = uris(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    written = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert len(listed) == len(set(listed))
    assert set(listed) == written | set(GENERATED)


def _columns(heading: str) -> set[str]:
    """Give what the first column of the tables below a heading names."""
    section = re.split(r"^#{2,3} ", FILES.split(f"### {heading}\n")[1], flags=re.M)[0]
    rows = [line.split("|")[1] for line in section.split("\n") if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


EMPTY = make_object_table(
    InstanceSums.empty(), InstanceScores.add([]), None, shape=(1, 1, 1), voxel_size=(1.0, 1.0, 1.0)
)


@pytest.mark.parametrize(
    ("heading", "columns"),
    [
        ("NAME_instances.csv", {*SHAPE_COLUMNS, *INTENSITY_COLUMNS}),
        ("NAME_prompts.csv", set(PROMPT_COLUMNS)),
        ("corrections.csv", set(CORRECTION_COLUMNS)),
        ("provenance.csv", set(PROVENANCE_COLUMNS)),
        ("NAME_objects.csv", set(EMPTY.columns)),
        ("evaluation.csv", set(evaluate_pair(np.eye(4, dtype=int), np.eye(4, dtype=int)).row())),
        ("diagnosis.csv", set(summary._COLUMNS)),
        ("results.csv", set(STUDY_COLUMNS)),
    ],
)
def test_every_column_of_a_table_is_described(heading: str, columns: set[str]) -> None:
    assert columns <= _columns(heading)


def test_every_column_of_the_logs_of_real_runs_is_described() -> None:
    for name, heading in (("log", "log.csv"), ("validation", "validation.csv")):
        logs = list((ROOT / "docs" / "runs").glob(f"*_{name}.csv"))
        assert logs
        for log in logs:
            columns = set(log.read_text(encoding="utf-8").split("\n")[0].strip().split(","))
            # The logs are those of autosam 0.1, averaged over steps.
            columns -= {"first_step", "last_step", "emitted_share"}
            assert columns <= _columns(heading), log


def test_the_migration_page_lists_every_old_name() -> None:
    page = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8").split("## From 0.1 to 0.2")[1]
    rows = set(re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", page.split("### Command line")[0], flags=re.M))
    renamed = {(f"{key}={old}", f"{key}={new}") for (key, old), new in VALUES.items()}
    assert rows == set(SETTINGS.items()) | renamed
    fields_of_records = page.split("### Files")[1].split("### Python")[0]
    for old, new in RECORD_FIELDS.items():
        assert f"| `{old}` | `{new}` |" in fields_of_records
    gone = page.split("These settings are gone")[1].split("### Command line")[0]
    assert set(re.findall(r"^\| `([^`]+)` \|", gone, flags=re.M)) == set(REMOVED)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" in link:
            continue
        target = (page.parent / link).resolve()
        generated = target.is_relative_to(ROOT / "docs") and str(target.relative_to(ROOT / "docs")) in GENERATED
        assert target.exists() or generated, f"{page}: {link}"

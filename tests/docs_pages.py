"""The pages that tests read: their blocks of code, and the generated ones."""

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "examples" / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "src" / "autosam" / "models" / "bundled").glob("*.md"),
    ]
)
_BLOCK = re.compile(
    r"(?P<mark><!-- (?P<name>[a-z ]+) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A fenced block: the comment above it, its language, its code and its first line in the file."""

    mark: str
    language: str
    code: str
    line: int


def blocks(page: Path, language: str) -> Iterator[Block]:
    """Give the blocks of a language in a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        if found["language"] == language:
            line = text.count("\n", 0, found.start("code")) + 1
            yield Block(found["name"] or "", language, found["code"], line)


def load_hooks() -> ModuleType:
    """Import docs/hooks.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

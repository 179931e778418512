"""Words that the glossary of CONTRIBUTING.md retired, and British spelling, do not come back."""

import re

import pytest
from docs_pages import PAGES, ROOT

# `.emit` is a method of Qt.
RETIRED = re.compile(
    r"(?<![a-z])(basins?|judge[sd]?|judging|magnif\w+|(?<!\.)emit(s|ted|ting)?|(un)?familiarity|unfamiliar|restain\w*|scenes?"
    r"|licences?|label(led|ling)|colour\w*|neighbour\w*|behaviour\w*|centre[ds]?)(?![a-z])",
    re.IGNORECASE,
)
ALLOWED = {
    ROOT / "docs" / "migration.md",
    ROOT / "src" / "autosam" / "config" / "old_names.py",
}
"""Files that say what the old names were."""
FILES = sorted(
    {
        *PAGES,
        *(ROOT / "src").rglob("*.py"),
        *(ROOT / "configs").glob("*.yaml"),
        *(ROOT / "scripts" / "cards").glob("*.md"),
        ROOT / "docs" / "hooks.py",
    }
    - ALLOWED
)


def test_retired_words_do_not_come_back() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {word[0]}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
        for word in RETIRED.finditer(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("word", ["basin", "Magnification", "a scene", "coloured", "centre", "labelled", "judge"])
def test_a_retired_word_is_seen(word: str) -> None:
    assert RETIRED.search(word)


@pytest.mark.parametrize("word", ["colored", "center", "labeled", "transmitter", "behavior"])
def test_other_words_are_not(word: str) -> None:
    assert not RETIRED.search(word)

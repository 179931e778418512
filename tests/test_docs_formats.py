"""docs/formats.md has a row for every suffix that is read, with the packages that read it."""

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
from docs_pages import ROOT

from autosam.errors import InputError
from autosam.images.readers import FORMATS, reader_of, suffixes
from autosam.images.readers.series import LARGEST_IMAGE

PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.split("\n") if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_suffix_has_a_row_with_its_packages() -> None:
    table = rows("What is read")
    listed = [suffix for row in table for suffix in re.findall(r"`(\.\w+)`", row[0])]
    assert sorted(listed) == sorted(suffixes())
    for form in FORMATS:
        (row,) = [row for row in table if f"`{form.suffixes[0]}`" in row[0]]
        assert set(re.findall(r"`(\.\w+)`", row[0])) == set(form.suffixes)
        assert set(form.packages) <= set(row[2].split(", "))
        assert all(row), f"an empty cell of {form.name}"


def test_packages_of_formats_are_in_the_extra_and_permissive() -> None:
    wanted = {package for form in FORMATS for package in form.packages}
    assert {re.split(r"[>=<]", line)[0] for line in EXTRAS["formats"]} == wanted
    assert "autosam[formats]" in EXTRAS["test"]
    for package in wanted | {"mrcfile"}:
        about = importlib.metadata.metadata(package)
        said = " ".join(
            [about.get("License", ""), about.get("License-Expression", ""), *about.get_all("Classifier", [])]
        )
        assert re.search(r"BSD|MIT|Apache", said), package
        assert "GPL" not in said, package


@pytest.mark.parametrize("form", [form for form in FORMATS if form.packages], ids=lambda form: form.name)
def test_a_missing_package_is_one_line(form: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hasattr(form, "packages")
    module = form.reader.split(":")[0]
    for package in form.packages:
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, module, raising=False)
            patch.setitem(sys.modules, package, None)
            with pytest.raises(
                InputError, match=rf"needs the package {package}; pip install 'autosam\[formats\]'\.$"
            ):
                reader_of(Path(f"a{form.suffixes[0]}"))


def test_the_page_says_the_largest_image() -> None:
    assert f"{LARGEST_IMAGE // 10**6} million pixels" in PAGE

"""The bundled models' cards fit their templates, and say what their files say."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from docs_pages import ROOT

from autosam.models.files.checkpoint import read_header
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.zoo import BUNDLED


@pytest.fixture
def model_card(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_card", ROOT / "scripts" / "model_card.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(ROOT)
    return module


def _filled(name: str) -> dict[str, str]:
    """Give what stands in a card for each placeholder of its template."""
    template = (ROOT / "scripts" / "cards" / f"{name}.md").read_text(encoding="utf-8")
    card = BUNDLED[name].path.with_suffix(".md").read_text(encoding="utf-8")
    seen: set[str] = set()

    def group(found: re.Match[str]) -> str:
        again = found[1] in seen
        seen.add(found[1])
        return f"(?P={found[1]})" if again else f"(?P<{found[1]}>.+?)"

    fitted = re.fullmatch(re.sub(r"\\\$\\\{(\w+)\\\}", group, re.escape(template)), card, re.DOTALL)
    assert fitted is not None, f"the card of {name} differs from its template outside of the placeholders"
    return fitted.groupdict()


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_the_card_says_what_model_file_and_logs_say(name: str, model_card: ModuleType, tmp_path: Path) -> None:
    filled, model = _filled(name), BUNDLED[name].path
    assert filled["networks"] == model_card.networks(model)
    assert filled["recipe"] == model_card.recipe(name, tmp_path)
    assert filled["sha256"] == file_sha256(model)
    assert filled["size"] == f"{model.stat().st_size / 1e6:.1f} MB, float16"
    assert filled["license"] == BUNDLED[name].license
    assert filled["diameter"] == f"{read_header(model).settings['images']['diameter']:.0f}"
    assert {"scores", "stages", "data"} < set(filled)

"""Settings of earlier versions: renamed, or dropped with a warning where they had an effect."""

import warnings
from pathlib import Path

import pytest

from autosam.config import load_config
from autosam.config.old_names import REMOVED, OldNameWarning, renamed_settings


@pytest.mark.parametrize("path", REMOVED)
def test_a_removed_setting_that_changed_nothing_is_dropped_silently(path: str, tmp_path: Path) -> None:
    neutral, _ = REMOVED[path]
    plain = load_config()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_config(overrides=[f"{path}={neutral}"]) == plain
        *sections, name = path.split(".")
        lines = [f"{'  ' * depth}{section}:" for depth, section in enumerate(sections)]
        file = tmp_path / "config.yaml"
        file.write_text("\n".join([*lines, f"{'  ' * len(sections)}{name}: {neutral}"]), encoding="utf-8")
        assert load_config(file) == plain


@pytest.mark.parametrize("path", REMOVED)
def test_a_removed_setting_that_had_an_effect_warns(path: str) -> None:
    with pytest.warns(OldNameWarning, match=rf"--set {path}=1 has settings .* leave them out: {path}: ") as warned:
        assert load_config(overrides=[f"{path}=1"]) == load_config()
    assert len(warned) == 1
    assert "\n" not in str(warned[0].message)


def test_settings_that_came_are_left_as_they_are() -> None:
    given = {"training": {"soft_point": False, "steps": 3, "augment": {"scale": [1, 2]}}}
    assert renamed_settings(given) == {"training": {"steps": 3, "augment": {"zoom": [1, 2]}}}
    assert given["training"] == {"soft_point": False, "steps": 3, "augment": {"scale": [1, 2]}}

"""Every setting in words, generated from the sections."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from autosam.config import Config, load_config
from autosam.config.describe import as_yaml, describe_sections, describe_settings


def _leaves(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def test_every_setting_is_described_with_its_own_default() -> None:
    described = {setting.key: setting for setting in describe_settings()}
    leaves = dict(_leaves(Config().model_dump(mode="json")))
    inside_lists = {key for key in described if key.startswith("data.sources.")}
    nullable_sections = {"model.sam", "model.generator"}
    assert set(described) - inside_lists - nullable_sections == set(leaves)
    for key, value in leaves.items():
        if key != "data.sources":
            assert yaml.safe_load(described[key].default) == value, key


def test_defaults_can_be_given_back_as_settings() -> None:
    for setting in describe_settings():
        if not setting.key.startswith("data.sources."):
            assert load_config(overrides=[f"{setting.key}={setting.default}"]) == Config(), setting.key


@pytest.mark.parametrize(
    ("key", "kind", "limits", "default"),
    [
        ("merge.iou", "number", "0 to 1", "0.5"),
        ("images.low", "number", "at least 0, below 100", "0.5"),
        ("images.pixel_size", "number or null", "above 0", "null"),
        ("prompts.box", "true or false", "", "true"),
        ("model.sam", "section or null", "", "{}"),
        ("model.sam.image_size", "whole number or null", "above 0, a multiple of 16", "null"),
        ("model.sam.variant", "tiny, vit_b, vit_l or vit_h", "", "tiny"),
        ("model.generator.downsample", "1, 2, 4 or 8", "", "1"),
        ("decode.zooms", "list of numbers", "each 0.25 to 4, at least one", "[1.0]"),
        ("training.augment.zoom", "list of 2 numbers", "", "[0.7, 1.4]"),
        ("images.stain_references", "list of lists of 6 numbers", "", "[]"),
        ("data.sources", "list of sections", "", "[{name: data, images: images, labels: labels}]"),
        ("data.sources.name", "text", "", "required"),
    ],
)
def test_a_setting_in_words(key: str, kind: str, limits: str, default: str) -> None:
    (setting,) = [setting for setting in describe_settings() if setting.key == key]
    assert (setting.type, setting.range, setting.default) == (kind, limits, default)


def test_sections_come_in_order_and_hold_every_setting() -> None:
    sections = describe_sections()
    assert list(sections)[:3] == ["images", "model", "model.sam"]
    assert sections["merge"] == "How masks become instances."
    assert {setting.section for setting in describe_settings()} - {""} == set(sections)


def test_values_are_written_in_one_line_as_yaml() -> None:
    assert [as_yaml(value) for value in (True, None, 1e-3, (1, 2), "mito", "")] == [
        "true",
        "null",
        "0.001",
        "[1, 2]",
        "mito",
        "''",
    ]


def test_describing_needs_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from autosam.config.describe import describe_settings; describe_settings(); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

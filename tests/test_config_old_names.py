"""What autosam 0.1 wrote goes on working: settings, their values, model files and run records."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diagnosis_runs import fake_models, write_images, write_run
from safetensors.torch import save_file

from autosam.config import Config, load_config, make_config
from autosam.config.old_names import REMOVED, SETTINGS, VALUES, OldNameWarning, renamed_settings
from autosam.errors import ConfigError, InputError
from autosam.evaluation.diagnosis.recorded_run import open_run
from autosam.models.files.checkpoint import BUNDLED, load_model, read_header
from autosam.models.files.model_file import load_networks
from autosam.pipeline.record import RunRecord

GIVEN: dict[str, Any] = {
    "images.scale": 2.0,
    "images.find_scale": False,
    "images.off_scale": 2.0,
    "images.stains": [[60.0, 10.0, -5.0, 12.0, 4.0, 3.0]],
    "prompts.judge": False,
    "prompts.min_quality": 0.4,
    "decode.scales": [1.0, 0.5],
    "training.augment.scale": [0.5, 1.5],
    "training.emitted": [0.2, 0.5],
    "training.emitted_share": 0.5,
    "training.expert": "instead",
    "training.judge_images": 3,
}
"""A value that is no default for each old name."""

RENAMED = [(old, new, GIVEN[old], GIVEN[old]) for old, new in SETTINGS.items()]
RENAMED += [(path, path, old, new) for (path, old), new in VALUES.items()]


def nested(path: str, value: Any) -> dict[str, Any]:
    for part in reversed(path.split(".")):
        value = {part: value}
    return value  # type: ignore[no-any-return]


def wanted(new: str, value: Any) -> Config:
    config = load_config(overrides=[f"{new}={json.dumps(value)}"])
    assert config != load_config()
    return config


def note(old: str, new: str, came: Any, value: Any) -> str:
    names = f"{old} is {new} now" if old != new else f"{old}={came} is {new}={value} now"
    return f"has settings of an earlier version, which go on working: {names}"


def write_old_model(path: Path, settings: Mapping[str, Any]) -> Path:
    """Write a model file as autosam 0.1 did."""
    header = {
        "settings": settings,
        "base_name": "",
        "base_sha256": "",
        "training": {"steps": 3},
        "licence": "CC-BY-4.0",
        "format_version": 1,
    }
    tensors = {name: torch.ones(2) for name in ("generator.head.bias", "familiarity.mean", "judge.threshold")}
    save_file(tensors, path, metadata={"autosam": json.dumps(header)})
    return path


def warned_once(caught: pytest.WarningsRecorder, message: str) -> None:
    assert [str(warning.message) for warning in caught] == [message]


# Settings


@pytest.mark.parametrize(("old", "new", "came", "value"), RENAMED)
def test_an_old_name_in_a_file(old: str, new: str, came: Any, value: Any, tmp_path: Path) -> None:
    file = tmp_path / "old.yaml"
    file.write_text(json.dumps(nested(old, came)), encoding="utf-8")
    with pytest.warns(OldNameWarning) as caught:
        assert load_config(file) == wanted(new, value)
    warned_once(caught, f"{file} {note(old, new, came, value)}")


@pytest.mark.parametrize(("old", "new", "came", "value"), RENAMED)
def test_an_old_name_by_set(old: str, new: str, came: Any, value: Any) -> None:
    override = f"{old}={json.dumps(came)}"
    with pytest.warns(OldNameWarning) as caught:
        assert load_config(overrides=[override]) == wanted(new, value)
    warned_once(caught, f"--set {override} {note(old, new, came, value)}")


@pytest.mark.parametrize(("old", "new", "came", "value"), RENAMED)
def test_an_old_name_in_a_model_file(old: str, new: str, came: Any, value: Any, tmp_path: Path) -> None:
    path = write_old_model(tmp_path / "old.safetensors", nested(old, came))
    with pytest.warns(OldNameWarning) as caught:
        header = load_model(path)[1]
    warned_once(caught, f"{path} {note(old, new, came, value)}")
    assert load_config(defaults=header.settings) == wanted(new, value)


def test_several_old_names_come_in_one_warning() -> None:
    values = {"images": {"scale": 2.0}, "prompts": {"judge": False, "method": "manual"}}
    with pytest.warns(OldNameWarning) as caught:
        renamed_settings(values, source="it")
    warned_once(
        caught,
        "it has settings of an earlier version, which go on working: images.scale is images.zoom now, "
        "prompts.judge is prompts.region_classifier now, prompts.method=manual is prompts.method=user now",
    )


@pytest.mark.parametrize(("old", "new"), SETTINGS.items())
def test_both_names_at_once_are_refused(old: str, new: str, tmp_path: Path) -> None:
    file = tmp_path / "both.yaml"
    values = nested(old, GIVEN[old])
    section = values
    for part in old.split(".")[:-1]:
        section = section[part]
    section[new.rpartition(".")[2]] = GIVEN[old]
    file.write_text(json.dumps(values), encoding="utf-8")
    message = f"{old} is the old name of {new}, and both came; leave {old} out"
    for load in (lambda: load_config(file), lambda: make_config(values)):
        with pytest.raises(ConfigError) as error:
            load()
        assert str(error.value) == message


@pytest.mark.filterwarnings("ignore::autosam.config.old_names.OldNameWarning")
def test_an_old_name_takes_part_in_the_order_of_settings(tmp_path: Path) -> None:
    file = tmp_path / "old.yaml"
    file.write_text("images: {scale: 2.0}", encoding="utf-8")
    assert load_config(file, defaults={"images": {"zoom": 3.0}}).images.zoom == 2
    assert load_config(file, overrides=["images.zoom=4.0"]).images.zoom == 4
    assert load_config(overrides=["images.zoom=4.0", "images.scale=5.0"]).images.zoom == 5


@pytest.mark.parametrize("path", REMOVED)
def test_a_removed_setting_that_changed_nothing_is_dropped_silently(path: str, tmp_path: Path) -> None:
    neutral, _ = REMOVED[path]
    plain = load_config()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_config(overrides=[f"{path}={neutral}"]) == plain
        file = tmp_path / "config.yaml"
        file.write_text(json.dumps(nested(path, neutral)), encoding="utf-8")
        assert load_config(file) == plain


@pytest.mark.parametrize("path", REMOVED)
def test_a_removed_setting_that_had_an_effect_warns(path: str) -> None:
    with pytest.warns(OldNameWarning) as caught:
        assert load_config(overrides=[f"{path}=1"]) == load_config()
    warned_once(
        caught,
        f"--set {path}=1 has settings that have no effect any more, leave them out: {path}: {REMOVED[path][1]}",
    )


def test_settings_that_came_are_left_as_they_are() -> None:
    given = {"training": {"soft_point": False, "steps": 3, "augment": {"scale": [1, 2]}}}
    assert renamed_settings(given) == {"training": {"steps": 3, "augment": {"zoom": [1, 2]}}}
    assert given["training"] == {"soft_point": False, "steps": 3, "augment": {"scale": [1, 2]}}


@pytest.mark.parametrize("values", [{}, {"images": None}, {"training": {"augment": 3}}, {"prompts": [1]}])
def test_what_is_no_section_is_left_for_the_validation(values: dict[str, Any]) -> None:
    assert renamed_settings(values, source="it") == values


# Model files


def test_old_parts_and_fields_of_a_model_file(tmp_path: Path) -> None:
    tensors, header = load_model(write_old_model(tmp_path / "old.safetensors", {"seed": 3}))
    assert sorted(tensors) == ["generator.head.bias", "region_classifier.threshold", "statistics.mean"]
    assert (header.license, header.settings, header.training) == ("CC-BY-4.0", {"seed": 3}, {"steps": 3})


@pytest.mark.parametrize("path", sorted(BUNDLED.glob("*.safetensors")), ids=lambda path: path.stem)
def test_the_bundled_models_warn_nobody(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        header = read_header(path)
        networks, _ = load_networks(path)
        load_config(defaults=header.settings)
    assert header.license
    assert networks.statistics is not None
    assert (networks.region_classifier is not None) == (path.stem == "nuclei")


# Run records


def old_record(settings: dict[str, Any]) -> dict[str, Any]:
    """Give the settings names of autosam 0.1, as far as they are there."""
    for old, new in SETTINGS.items():
        *sections, name = new.split(".")
        section = settings
        for part in sections:
            section = section.get(part, {})
        if name in section:
            section[old.rpartition(".")[2]] = section.pop(name)
    return settings


def test_an_old_record_is_none_of_other_settings(tmp_path: Path) -> None:
    settings = load_config(overrides=["images.zoom=2.0", "prompts.region_classifier=false"]).model_dump(
        mode="json", exclude={"training", "data"}
    )
    content = {
        "settings": old_record(json.loads(json.dumps(settings))),
        "options": {},
        "model_sha256": "ab",
        "images": {"a": {"input": "a.png", "magnification": 1.5, "unfamiliar": True, "restained": True}},
    }
    assert "scale" in content["settings"]["images"]
    path = tmp_path / "autosam_run.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with RunRecord.open(
        tmp_path, settings=settings, options={}, model="m", model_sha256="ab", keep=True
    ) as record:
        assert record.finished("a") is not None
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["settings"] == settings
    assert written["images"]["a"] == {
        "run": 1,
        "input": "a.png",
        "zoom": 1.5,
        "out_of_distribution": True,
        "stain_normalized": True,
    }
    other = settings | {"seed": 9}
    with pytest.raises(ConfigError, match=r"other settings \(settings\.seed\)"):
        RunRecord.open(tmp_path, settings=other, options={}, model="m", model_sha256="ab", keep=True)


def test_an_old_run_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_models(monkeypatch)
    images, _ = write_images(tmp_path)
    write_run(images, tmp_path / "out", "images.zoom=2", "prompts.min_region_score=0.4")
    before = open_run(tmp_path / "out").segmenter.config
    path = tmp_path / "out" / "autosam_run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    old_record(record["settings"])
    entry = record["images"]["a"]
    entry["magnification"] = entry.pop("zoom") * 1.7
    path.write_text(json.dumps(record), encoding="utf-8")
    run = open_run(tmp_path / "out")
    assert run.segmenter.config == before
    assert run.source_of("a_labels.tif")[1] == 1.7
    record["settings"]["prompts"]["method"] = "manual"
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InputError, match="cannot repeat"):
        open_run(tmp_path / "out")

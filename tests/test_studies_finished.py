import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from autosam.config import load_config
from autosam.errors import ConfigError, InputError, OutputError
from autosam.studies.axes import Axis, name_of, overrides
from autosam.studies.finished import Result, Results, Training, write_table
from autosam.studies.scores import COLUMNS
from autosam.studies.settings import Setup


def setup(**settings: str) -> Setup:
    combination = {key.replace("__", "."): value for key, value in settings.items()}
    return Setup(name_of(combination), combination, load_config(overrides=overrides(combination)))


def result_of(of: Setup, *, data: str = "d", model: str = "m", training: Training | None = None) -> Result:
    scores = dict.fromkeys(COLUMNS, 0.5) | {"dice": None, "objects": 3}
    return Result(of.config, "mito", model, data, 2, scores, {"epfl": scores}, 1.25, training)


def never() -> str:
    raise AssertionError("images are read although the settings differ")


def lookup(results: Results, of: Setup, *, data: str | Callable[[], str] = "d", model: str = "m") -> Result | None:
    return results.find(of, model_sha256=model, data_sha256=data if callable(data) else lambda: data)


def test_a_result_is_found_again_by_its_settings(tmp_path: Path) -> None:
    one = setup(prompts__points="5")
    results = Results(tmp_path)
    assert lookup(results, one, data=never) is None
    results.prepare()
    results.add(one, result_of(one, training=Training(2, 3.5, 4)))
    for again in (results, Results(tmp_path)):
        found = lookup(again, one)
        assert found == result_of(one, training=Training(2, 3.5, 4))
    # the same settings by another name: a key more that has its default
    other = setup(prompts__points="5", merge__iou="0.5")
    assert other.name != one.name
    assert lookup(results, other) == found
    assert lookup(results, setup(prompts__points="1"), data=never) is None


def test_another_result_of_the_same_name_is_not_replaced(tmp_path: Path) -> None:
    one = setup(prompts__points="5")
    results = Results(tmp_path)
    results.prepare()
    results.add(one, result_of(one))
    changed = Setup(one.name, one.combination, load_config(overrides=["prompts.points=5", "merge.iou=0.4"]))
    with pytest.raises(
        ConfigError, match=r"points=5\.json is a result of other merge\.iou; choose another folder"
    ):
        lookup(results, changed, data=never)
    with pytest.raises(ConfigError, match="is a result of other the model;"):
        lookup(results, one, model="n", data=never)
    with pytest.raises(ConfigError, match="is a result of other images or labels;"):
        lookup(results, one, data="e")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"settings": {}, "training": null}'])
def test_a_damaged_result_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "points=5.json").write_text(content)
    with pytest.raises(InputError, match=r"points=5\.json is no result of autosam sweep"):
        Results(tmp_path)


def test_a_setting_that_a_result_did_not_know_counts_as_its_default(tmp_path: Path) -> None:
    one = setup(prompts__points="5")
    results = Results(tmp_path)
    results.prepare()
    results.add(one, result_of(one))
    path = tmp_path / "results" / "points=5.json"
    content = json.loads(path.read_text())
    del content["settings"]["merge"]["iou"]
    path.write_text(json.dumps(content))
    assert lookup(Results(tmp_path), one) is not None


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        Results(tmp_path / "file").prepare()


def test_the_table(tmp_path: Path) -> None:
    one, two = setup(prompts__points="1"), setup(prompts__points="5")
    rows = [(one, result_of(one)), (two, result_of(two, training=Training(2, 3.5, 4)))]
    write_table(tmp_path / "t.csv", [Axis("prompts.points", ("1", "5"))], rows)
    with (tmp_path / "t.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert list(first)[:5] == ["name", "prompts.points", "ap50", "ap75", "mean_ap"]
    assert (first["name"], first["prompts.points"], first["dice"], first["objects"]) == ("points=1", "1", "", "3")
    assert (first["images"], first["seconds_per_image"], first["steps"]) == ("2", "1.25", "")
    assert (second["steps"], second["train_seconds"], second["trainable_parameters"]) == ("2", "3.5", "4")
    assert not [column for column in first if column.startswith("epfl_")], "one source says what the pool says"

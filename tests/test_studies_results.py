import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from autosam.config import load_config
from autosam.errors import ConfigError, InputError
from autosam.evaluation.axes import names_of, overrides
from autosam.studies.results import Row, find_row, read_results, write_results
from autosam.studies.scores import COLUMNS
from autosam.studies.settings import Setup


def setup(**settings: str) -> Setup:
    combination = {key.replace("__", "."): value for key, value in settings.items()}
    return Setup(names_of([combination])[0], combination, load_config(overrides=overrides(combination)))


def row_of(of: Setup, *, data: str = "d", model: str = "m") -> Row:
    return {
        "name": of.name,
        **of.combination,
        **dict.fromkeys(COLUMNS, "0.5"),
        "dice": "",
        "images_scored": "2",
        "seconds_per_image": "1.25",
        "model_sha256": model,
        "data_sha256": data,
        "settings": of.config.model_dump_json(),
    }


def never() -> str:
    raise AssertionError("images are read although the settings differ")


def lookup(path: Path, of: Setup, *, data: str | Callable[[], str] = "d", model: str = "m") -> Row | None:
    digest = data if callable(data) else lambda: data
    return find_row(read_results(path), of, path=path, model_sha256=model, data_sha256=digest)


def test_a_row_is_found_again_by_its_settings(tmp_path: Path) -> None:
    path, one = tmp_path / "results.csv", setup(prompts__points="5")
    assert lookup(path, one, data=never) is None
    write_results(path, [row_of(one)])
    assert lookup(path, one) == row_of(one)
    # the same settings by another name: a key more that has its default
    other = setup(prompts__points="5", merge__iou="0.5")
    assert other.name != one.name
    assert lookup(path, other) == row_of(one)
    assert lookup(path, setup(prompts__points="1"), data=never) is None


def test_another_row_of_the_same_name_is_not_replaced(tmp_path: Path) -> None:
    path, one = tmp_path / "results.csv", setup(prompts__points="5")
    write_results(path, [row_of(one)])
    changed = Setup(one.name, one.combination, load_config(overrides=["prompts.points=5", "merge.iou=0.4"]))
    with pytest.raises(
        ConfigError, match=r"results\.csv has a row points=5 of other merge\.iou; choose another folder"
    ):
        lookup(path, changed, data=never)
    with pytest.raises(ConfigError, match="has a row points=5 of other the model;"):
        lookup(path, one, model="n", data=never)
    with pytest.raises(ConfigError, match="has a row points=5 of other images or labels;"):
        lookup(path, one, data="e")


GOOD = row_of(setup(prompts__points="5"))


@pytest.mark.parametrize(
    "changes", [{"settings": ""}, {"settings": "[]"}, {"ap50": "x"}, {"settings": '{"merge": {"iou": 7}}'}]
)
def test_a_damaged_table_is_refused(tmp_path: Path, changes: Row) -> None:
    path = tmp_path / "results.csv"
    # By hand: `write_results` reads what is there.
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(GOOD))
        writer.writeheader()
        writer.writerow(GOOD | changes)
    with pytest.raises(InputError, match=r"results\.csv is not a table of autosam sweep; move it away"):
        read_results(path)


@pytest.mark.parametrize("text", ["name\npoints=5\n", "a,b\n1,2,3\n", "a,b\n1\n", 'a,b\n1,"2\n'])
def test_another_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.csv").write_text(text)
    with pytest.raises(InputError, match="is not a table of autosam sweep"):
        read_results(tmp_path / "results.csv")


def test_a_setting_that_a_row_did_not_know_counts_as_its_default(tmp_path: Path) -> None:
    path, one = tmp_path / "results.csv", setup(prompts__points="5")
    settings = json.loads(row_of(one)["settings"])
    del settings["merge"]["iou"]
    write_results(path, [row_of(one) | {"settings": json.dumps(settings)}])
    assert lookup(path, one) == row_of(one)


def test_other_rows_stay_behind_the_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    one, two, three = (setup(prompts__points=value) for value in "125")
    write_results(path, [row_of(one), row_of(two)])
    write_results(path, [row_of(three, data="e") | {"steps": "7"}, row_of(two) | {"seed": "0"}])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["points=5", "points=2", "points=1"]
    assert [row["steps"] for row in rows] == ["7", "", ""]
    assert [row["seed"] for row in rows] == ["", "0", ""]
    assert list(rows[0])[:5] == ["name", "prompts.points", "ap50", "ap75", "mean_ap"]

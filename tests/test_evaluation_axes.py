import pytest

from autosam.config import load_config
from autosam.errors import ConfigError
from autosam.evaluation.axes import Axis, combinations, names_of, overrides, parse_axes, split_values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1", ("1",)),
        ("1,5, 10 ", ("1", "5", "10")),
        ("[0.7,1.4]", ("[0.7,1.4]",)),
        ("[0.7,1.4],[1,1]", ("[0.7,1.4]", "[1,1]")),
        ("[{name: a, images: [x,y]}],null", ("[{name: a, images: [x,y]}]", "null")),
        ("'a,b',c", ("'a,b'", "c")),
        ("\"a]\",[']',2]", ('"a]"', "[']',2]")),
        ("", ("",)),
        ("1,", ("1", "")),
    ],
)
def test_values_are_split_at_top_level_commas(text: str, values: tuple[str, ...]) -> None:
    assert split_values(text) == values


def test_a_grid_in_the_order_given() -> None:
    axes = parse_axes(["prompts.points=1,5", " prompts.method = centroid,probability"])
    assert axes == (
        Axis("prompts.points", ("1", "5")),
        Axis("prompts.method", ("centroid", "probability")),
    )
    grid = combinations(axes)
    assert [tuple(combination.values()) for combination in grid] == [
        ("1", "centroid"),
        ("1", "probability"),
        ("5", "centroid"),
        ("5", "probability"),
    ]
    assert load_config(overrides=overrides(grid[-1])).prompts.points == 5


def test_without_settings_there_is_one_combination() -> None:
    assert parse_axes([]) == ()
    assert combinations(()) == [{}]
    assert names_of([{}]) == ["settings"]


def test_every_fault_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_axes(["prompts.points", "=3", "a..b=1", "seed=1,,2", "merge.iou=0.3", "merge.iou=0.5", "seed=4,4"])
    said = str(caught.value)
    for fault in (
        "'prompts.points' was not",
        "'=3' was not",
        "'a..b=1' was not",
        "'seed=1,,2' has an empty value",
    ):
        assert fault in said
    assert "merge.iou is set twice; write its values as one list" in said
    assert "seed has the value 4 twice" in said


def test_names_can_be_read_and_differ() -> None:
    assert names_of([{"prompts.points": "5", "data.fraction": "0.1"}]) == ["points=5_fraction=0.1"]
    assert names_of([{"prompts.min_size": "5", "merge.min_size": "6"}]) == ["prompts.min_size=5_merge.min_size=6"]
    lists = names_of([{"training.augment.zoom": value} for value in ("[0.7,1.4]", "[0.7;1.4]")])
    assert lists[0] != lists[1]
    paths = names_of([{"model.sam.base": "/weights/" + "x" * 300 + end} for end in "ab"])
    assert paths[0] != paths[1]
    for name in (*lists, *paths):
        assert len(name) <= 120
        assert not set(name) & set("/\\[]:,* ")


def test_what_varies_is_in_the_names_however_much_there_is() -> None:
    fixed = {f"training.simulate.setting_{number}": "0.25" for number in range(10)}
    names = names_of([{**fixed, "data.fraction": value} for value in ("0.1", "0.5")])
    assert [name.partition("_")[0] for name in names] == ["fraction=0.1", "fraction=0.5"]
    assert all(len(name) == 120 for name in names)
    # A name that fits stays in the order given, so that a grid can grow.
    grid = [{"seed": "1", "data.fraction": value} for value in ("0.1", "0.5")]
    assert names_of(grid)[0] == names_of(grid[:1])[0] == "seed=1_fraction=0.1"

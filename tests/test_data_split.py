"""Splits: right sizes, whole scenes, gaps, and no dice for neighbors."""

from collections import Counter

import pytest

from autosam.data.manifest import Item
from autosam.data.split import as_lists, default_method, parse_fractions, split_items
from autosam.errors import ConfigError, InputError


def slices(zs, volume: str = "epfl") -> list[Item]:
    return [Item(f"{volume}_{z:04d}", "", volume, z, (8, 8), "uint8", "uint8") for z in zs]


def lone(count: int, group: str = "") -> list[Item]:
    return [Item(f"{group}{i:03d}", group, None, None, (8, 8), "uint8", "uint8") for i in range(count)]


def z_of(items, splits, part) -> list[int]:
    return [item.z for item in items if splits[item.name] == part]


def test_blocks_of_the_whole_epfl_stack():
    items = slices(range(165))
    splits = split_items(items, "blocks", gap=10)
    # 145 slices remain beside two gaps of 10: 116, 14.5 and 14.5, the spare one to val.
    assert z_of(items, splits, "train") == list(range(116))
    assert z_of(items, splits, "val") == list(range(126, 141))
    assert z_of(items, splits, "test") == list(range(151, 165))
    assert [i.z for i in items if splits[i.name] is None] == [*range(116, 126), *range(141, 151)]


def test_gaps_that_are_there_already_cost_nothing():
    items = slices([*range(8), 20, 40])
    splits = split_items(items, "blocks", gap=5)
    assert list(splits.values()) == ["train"] * 8 + ["val", "test"]


def test_a_gap_is_a_distance_in_z_and_slices_left_over_go_to_the_last_part():
    items = slices([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13])
    splits = split_items(items, "blocks", fractions=(0.5, 0.5, 0), gap=2)
    assert z_of(items, splits, "train") == [0, 1, 2, 3, 4]
    assert z_of(items, splits, "val") == [7, 8, 9, 12, 13]
    assert z_of(items, splits, "test") == []


def test_no_gap():
    items = slices(range(10))
    assert list(split_items(items, "blocks", gap=0).values()) == ["train"] * 8 + ["val", "test"]


def test_blocks_cut_every_volume_and_all_patches_of_a_slice_alike():
    items = slices(range(10), "a") + slices(range(10), "b_r0000_c0000") + slices(range(4), "b_r0000_c0256")
    splits = split_items(items, "blocks", gap=0)
    assert splits["a_0009"] == splits["b_r0000_c0000_0009"] == "test"
    assert {splits[f"b_r0000_c0256_{z:04d}"] for z in range(4)} == {"train"}


def test_blocks_refuse_what_they_cannot_do():
    with pytest.raises(InputError, match=r"3 slices of epfl are too few for 3 parts with gaps of 1; .*--gap"):
        split_items(slices(range(3)), "blocks", gap=1)
    with pytest.raises(InputError, match="000 is a single image and has no z; choose --by volume"):
        split_items(lone(3), "blocks")


def test_neighbors_are_not_dealt_out_at_random_unless_forced():
    items = slices(range(20))
    with pytest.raises(InputError, match=r"20 images come from one volume or image, epfl, .*add --force") as error:
        split_items(items, "random")
    assert "\n" not in str(error.value)
    assert Counter(split_items(items, "random", force=True).values()) == {"train": 16, "val": 2, "test": 2}


def test_random_is_seeded_and_keeps_the_proportions_of_groups():
    items = lone(100, "fluo") + lone(20, "stain")
    first = split_items(items, "random", seed=1)
    assert first == split_items(items, "random", seed=1) != split_items(items, "random", seed=2)
    assert list(first) == [item.name for item in items]
    counts = Counter((item.group, first[item.name]) for item in items)
    assert (counts["fluo", "train"], counts["fluo", "val"]) == (80, 10)
    assert (counts["stain", "train"], counts["stain", "test"]) == (16, 2)


def test_volumes_stay_whole():
    items = [item for volume in "abcdefghij" for item in slices(range(3), volume)]
    splits = split_items(items, "volume", seed=3)
    assert Counter(splits.values()) == {"train": 24, "val": 3, "test": 3}
    for volume in "abcdefghij":
        assert len({splits[item.name] for item in items if item.volume == volume}) == 1
    assert splits != split_items(items, "volume", seed=4)


def test_groups_stay_whole_and_every_part_gets_one():
    items = lone(90, "fluo") + lone(8, "stain") + lone(2, "bright")
    splits = split_items(items, "group")
    assert {
        group: {splits[i.name] for i in items if i.group == group} for group in ("fluo", "stain", "bright")
    } == {
        "fluo": {"train"},
        "stain": {"val"},
        "bright": {"test"},
    }


def test_too_few_units():
    with pytest.raises(InputError, match=r"1 volume \(epfl\) cannot fill 3 parts; choose --by blocks"):
        split_items(slices(range(9)), "volume")
    with pytest.raises(InputError, match="000 is in no group"):
        split_items(lone(5), "group")


def test_small_numbers_leave_no_part_empty():
    assert Counter(split_items(lone(3), "random").values()) == {"train": 1, "val": 1, "test": 1}
    assert Counter(split_items(lone(4), "random", fractions=(0.8, 0.2, 0)).values()) == {"train": 3, "val": 1}


def test_no_items():
    assert split_items([], "random") == {}
    assert as_lists([], {}) == {"train": [], "val": [], "test": []}


def test_lists_leave_out_the_gap():
    items = slices(range(3))
    lists = as_lists(items, {"epfl_0000": "train", "epfl_0001": None, "epfl_0002": "test"})
    assert lists == {"train": ["epfl_0000"], "val": [], "test": ["epfl_0002"]}


def test_default_method():
    assert default_method(slices(range(2))) == "blocks"
    assert default_method(lone(2)) == "random"
    patches = [Item(f"a_r0000_c{c:04d}", "", None, None, (8, 8), "uint8", None) for c in (0, 8)]
    assert default_method(patches) == "volume"


@pytest.mark.parametrize("text", ["80/20", "a/b/c", "-1/1/1", "0/0/0", "nan/1/1", "inf/1/1", ""])
def test_unfit_fractions(text):
    with pytest.raises(ConfigError, match="fractions"):
        parse_fractions(text)


def test_unfit_settings():
    with pytest.raises(ConfigError, match="sum to 1"):
        split_items(lone(3), "random", fractions=(0.8, 0.1, 0.2))
    with pytest.raises(ConfigError, match="gap is -1"):
        split_items(lone(3), "blocks", gap=-1)
    with pytest.raises(ConfigError, match="unknown method 'dice'"):
        split_items(lone(3), "dice")  # type: ignore[arg-type]

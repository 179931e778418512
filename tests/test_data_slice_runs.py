"""Consecutive slices that came as single images are found, and not dealt out at random."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from memory_store import noise, write_store
from scipy.ndimage import gaussian_filter
from test_cli_data_tools import run

from autosam.data.manifest import Item
from autosam.data.slice_runs import as_slices, find_runs, named_runs, numbered, split_with_runs
from autosam.data.store import Store
from autosam.errors import InputError

SHARES = {"fractions": (0.8, 0.1, 0.1), "gap": 1, "seed": 0}


def lone(*names: str) -> list[Item]:
    return [Item(name, "", None, None, (64, 64), "uint8", "uint8") for name in names]


def slices(count: int, seed: int = 0) -> list[np.ndarray]:
    """Give pictures each of which is much like the next: a volume of noise, smoothed along z."""
    volume = gaussian_filter(np.random.default_rng(seed).normal(size=(count, 64, 64)), (1.5, 3, 3))
    return list((100 + 400 * volume).clip(0, 255).astype(np.uint8))


def test_names_and_numbers() -> None:
    items = lone("s2_z0017.ome", "r3", "0004", "alone", "a1_r0000_c0256")
    assert [numbered(item) for item in items] == [("s2_z.ome", 17), ("r", 3), ("run", 4), None, ("a", 1)]
    assert numbered(replace(items[1], volume="v", z=3)) is None
    assert named_runs(items) == ("s2_z.ome", "r", "run", "a")
    assert [(item.volume, item.z) for item in as_slices(items, ("r",))][:2] == [(None, None), ("r", 3)]


def test_neighbors_that_look_alike_are_a_run() -> None:
    names = [f"s{z:03}" for z in range(12)]
    alike, unlike = dict(zip(names, slices(12), strict=True)), {name: noise(n) for n, name in enumerate(names)}
    assert find_runs(lone(*names), alike.__getitem__) == ("s",)
    assert find_runs(lone(*names), unlike.__getitem__) == ()
    # Two are too few, and numbers at random are no steps.
    assert find_runs(lone(*names[:2]), alike.__getitem__) == ()
    scattered = dict(zip(["x3", "x70", "x71", "x500"], slices(4), strict=True))
    assert find_runs(lone(*scattered), scattered.__getitem__) == ()
    assert find_runs([], alike.__getitem__) == ()


def test_patches_are_compared_at_their_place() -> None:
    pixels = {
        f"s{z}{place}": image for place, seed in (("_r0000_c0000", 1), ("_r0000_c0064", 2))
        for z, image in enumerate(slices(5, seed))
    }  # fmt: skip
    assert find_runs(lone(*sorted(pixels)), pixels.__getitem__) == ("s",)


def test_long_runs_are_cut_and_short_ones_stay_whole() -> None:
    long = lone(*(f"s{z:02}" for z in range(20)))
    splits, method = split_with_runs(long, ("s",), None, **SHARES)
    assert method == "blocks"
    assert list(splits.values()) == ["train"] * 14 + [None] + ["val"] * 2 + [None] + ["test"] * 2
    wells = lone(*(f"w{chr(97 + well)}_t{t}" for well in range(10) for t in range(4)))
    splits, method = split_with_runs(wells, named_runs(wells), None, **SHARES)
    assert method == "volume"
    assert Counter(splits.values()) == {"train": 32, "val": 4, "test": 4}
    assert all(len({splits[f"w{chr(97 + well)}_t{t}"] for t in range(4)}) == 1 for well in range(10))


def test_a_short_run_alone_is_cut() -> None:
    splits, method = split_with_runs(lone(*(f"s{z}" for z in range(5))), ("s",), None, **SHARES)
    assert (method, list(splits.values())) == ("blocks", ["train", None, "val", None, "test"])


def test_images_in_no_run_are_dealt_out_beside() -> None:
    items = lone(*(f"s{z:02}" for z in range(20)), *(chr(97 + n) for n in range(10)))
    splits, method = split_with_runs(items, ("s",), None, **SHARES)
    assert method == "blocks"
    assert len(splits) == 30
    assert Counter(splits[chr(97 + n)] for n in range(10)) == {"train": 8, "val": 1, "test": 1}


def test_no_dice_for_a_run() -> None:
    items = lone(*(f"s{z:02}" for z in range(20)))
    with pytest.raises(InputError, match="20 images come from one volume or image, s, and neighbors look alike"):
        split_with_runs(items, ("s",), "random", **SHARES)
    splits, _ = split_with_runs(items, ("s",), "random", force=True, **SHARES)
    assert Counter(splits.values()) == {"train": 16, "val": 2, "test": 2}


def test_on_the_command_line(tmp_path) -> None:
    labels = np.ones((64, 64), np.uint8)
    path = write_store(tmp_path / "s.h5", {f"s{z:02}": (image, labels) for z, image in enumerate(slices(20))})
    with pytest.raises(InputError, match="neighbors look alike"):
        run("split", path, "--by", "random")
    said = " ".join(run("split", path).split())
    assert "is split by blocks (a gap of 1): train 14, val 2, test 2; 2 in the gaps, in no part." in said
    assert "Runs of consecutive slices, whose neighbors look alike, were kept together: s." in said
    assert [item.split for item in Store.open(path).items][13:16] == ["train", None, "val"]
    other = write_store(tmp_path / "o.h5", {f"s{z:02}": (noise(z), labels) for z in range(10)})
    assert "is split by random (seed 0)" in " ".join(run("split", other).split())
    # Names are enough where blocks are asked for.
    assert "is split by blocks" in run("split", other, "--by", "blocks", "--overwrite")

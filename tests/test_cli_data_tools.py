"""`autosam data split|patches|check|show`, as a person types them."""

import csv
import json
import os

import numpy as np
import pytest
import typer
from memory_store import noise, square, write_store
from typer.testing import CliRunner

from autosam.cli.data_check import check
from autosam.cli.data_tools import patches, show, split
from autosam.data.folders import read_split
from autosam.data.store import Store
from autosam.errors import AutosamError, ConfigError, InputError
from autosam.images import read_image

app = typer.Typer()
for command in (split, patches, check, show):
    app.command()(command)


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, AutosamError):
        assert "\n" not in str(result.exception)
        raise result.exception
    assert result.exit_code == status, (result.output, result.exception)
    return result.output


@pytest.fixture
def stack(tmp_path):
    """Give ten slices, 50 nm apart."""
    return write_store(tmp_path / "stack.h5", {f"s{z}": (noise(z), square()) for z in range(10)}, volume="v")


@pytest.fixture
def pictures(tmp_path):
    return write_store(tmp_path / "pictures.h5", {f"p{n}": (noise(n), square()) for n in range(10)}, group="fluo")


def test_split_writes_the_store_and_the_lists_that_train_reads(stack, tmp_path):
    file = tmp_path / "splits.json"
    file.write_text('{"other": {"train": ["x"], "val": []}}')
    output = run("split", stack, "--fractions", "60/20/20", "-o", file, "--source", "mine")
    assert "split by blocks (a gap of 1): train 5, val 2, test 1; 2 in the gaps, in no part." in " ".join(
        output.split()
    )
    assert [item.split for item in Store.open(stack).items] == [
        *["train"] * 5, None, "val", "val", None, "test",
    ]  # fmt: skip
    assert read_split(file, "mine", "val") == ["s6", "s7"]
    assert list(json.loads(file.read_text())) == ["other", "mine"]


def test_split_refuses_dice_for_neighbors_unless_forced(stack):
    with pytest.raises(InputError, match=r"10 images come from one volume or image, v, .* or add --force"):
        run("split", stack, "--by", "random")
    assert not any(item.split for item in Store.open(stack).items)
    assert "train 8, val 1, test 1." in run("split", stack, "--by", "random", "--force", "--seed", 3)


def test_split_again_needs_overwrite(pictures):
    assert "split by random (seed 0): train 8, val 1, test 1." in run("split", pictures)
    before = [item.split for item in Store.open(pictures).items]
    with pytest.raises(InputError, match=r"is split already \(8 train, 1 val, 1 test\); add --overwrite"):
        run("split", pictures, "--seed", 1)
    run("split", pictures, "--seed", 1, "--overwrite")
    assert [item.split for item in Store.open(pictures).items] != before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gap", 3], "--gap came but has no effect: it needs another method than random"),
        (["--by", "blocks", "--seed", 3], "--seed came but has no effect"),
        (["--force", "--by", "group"], "--force came but has no effect"),
        (["--source", "x"], "--source came but has no effect: it needs -o FILE.json"),
        (["--by", "dice"], "unknown method 'dice'"),
        (["--fractions", "80"], "fractions '80'"),
    ],
)
def test_split_settings_that_do_nothing(pictures, arguments, message):
    with pytest.raises(ConfigError, match=message):
        run("split", pictures, *arguments)


def test_split_file_that_is_none(pictures, tmp_path):
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(InputError, match="is not a split file"):
        run("split", pictures, "-o", tmp_path / "a.json")
    assert not any(item.split for item in Store.open(pictures).items)


def test_split_from_the_lists_of_a_release(stack, tmp_path):
    file = tmp_path / "splits.json"
    file.write_text('{"a": {"train": ["x"]}, "b": {"train": ["00", "01"], "gap": ["02"], "val": ["s3", "4"]}}')
    with pytest.raises(InputError, match="has no source test; name one of a, b"):
        run("split", stack, "--from", file)
    with pytest.raises(InputError, match=r"1 fault in the lists of .*:a: x of train fits no image"):
        run("split", stack, "--from", f"{file}:a")
    assert not any(item.split for item in Store.open(stack).items)
    output = " ".join(run("split", stack, "--from", f"{file}:b", "-o", tmp_path / "out.json").split())
    assert f"is split as b in {file}: train 2, val 2, test 0; 6 in no part." in output
    assert [item.split for item in Store.open(stack).items][:6] == ["train", "train", None, "val", "val", None]
    assert json.loads((tmp_path / "out.json").read_text()) == {
        "test": {"train": ["s0", "s1"], "val": ["s3", "s4"], "test": []}
    }
    with pytest.raises(InputError, match="is split already"):
        run("split", stack, "--from", f"{file}:b")
    # The lists that a split wrote are read back.
    run("split", stack, "--from", tmp_path / "out.json", "--overwrite")
    assert [item.split for item in Store.open(stack).items][:6] == ["train", "train", None, "val", "val", None]


@pytest.mark.parametrize("option", ["--by=random", "--fractions=80/20/0", "--gap=2", "--seed=3", "--force"])
def test_split_from_lists_knows_no_other_settings(stack, tmp_path, option):
    with pytest.raises(ConfigError, match="came but has no effect: it needs another method than --from"):
        run("split", stack, "--from", tmp_path / "splits.json", option)


def test_patches(pictures, tmp_path):
    output = run("patches", pictures, tmp_path / "out.h5", "--size", 32, "--drop-empty")
    # The square lies in the upper left quarter of each image.
    assert "10 images gave 10 patches of 32 × 32, 30 dropped for want of foreground: " in output
    with pytest.raises(InputError, match="exists already"):
        run("patches", pictures, tmp_path / "out.h5", "--size", 32)
    assert "gave 90 patches" in run(
        "patches", pictures, tmp_path / "out.h5", "--size", 32, "--stride", 16, "--restart"
    )
    assert len(Store.open(tmp_path / "out.h5")) == 90


def test_check_of_sound_data(pictures, tmp_path):
    output = run("check", pictures)
    assert "10 images: 10 of 64 × 64 uint8" in output
    assert "No faults, no warnings." in output
    row = next(line.split() for line in output.splitlines() if line.startswith("all"))
    assert row == ["all", "10", "0", "10", "9.8", "%", "400", "400", "400"]
    folder = tmp_path / "pictures_check"
    assert read_image(folder / "contact_sheet.png").ndim == 3
    rows = list(csv.DictReader((folder / "images.csv").read_text().splitlines()))
    assert (rows[3]["image"], rows[3]["group"], rows[3]["objects"], rows[3]["median_px"]) == (
        "p3",
        "fluo",
        "1",
        "400",
    )


def test_check_warns_with_0_and_fails_with_1(tmp_path):
    empty = np.zeros((64, 64), np.uint8)
    store = write_store(tmp_path / "a.h5", {"a": (noise(1), empty), "b": (noise(2), square())})
    assert "0 faults, 1 warning." in run("check", store, "-o", tmp_path / "out", "--panels", 1)
    assert (tmp_path / "out" / "findings.csv").read_text().splitlines() == [
        "level,kind,image,text",
        "warning,empty labels,a,no pixel has an id",
    ]
    same = write_store(tmp_path / "b.h5", {"a": (noise(1), square()), "b": (noise(1), square())})
    Store.open(same).with_splits({"a": "train", "b": "val"})
    output = run("check", same, status=1)
    assert "same image in two parts" in output
    assert "1 fault, 1 warning." in output


def test_check_of_no_store(tmp_path):
    with pytest.raises(InputError, match="no such store"):
        run("check", tmp_path / "none.h5")
    assert not list(tmp_path.iterdir())


def test_show_by_name_and_by_position(stack, tmp_path):
    output = run("show", stack, "s3", 9, "-o", tmp_path / "seen")
    assert "s3_overlay.png: 64 × 64 uint8, 1 object, part none, group none" in output
    assert sorted(file.name for file in (tmp_path / "seen").iterdir()) == ["s3_overlay.png", "s9_overlay.png"]
    picture = read_image(tmp_path / "seen" / "s3_overlay.png")
    assert picture.shape == (64, 64, 3)
    # Outside the square it is the gray image, on its outline it is colored.
    assert len(set(picture[50, 50])) == 1
    assert len(set(picture[10, 15])) > 1


def test_show_prefers_a_name_over_a_position(tmp_path):
    store = write_store(tmp_path / "a.h5", {"1": (noise(1), None), "0": (noise(2), None)})
    assert "no labels" in run("show", store, "0", "-o", tmp_path)
    assert (tmp_path / "0_overlay.png").is_file()


def test_show_of_nothing(stack, tmp_path):
    with pytest.raises(InputError, match="counted from 0; 10 was asked for"):
        run("show", stack, 10, "-o", tmp_path / "seen")
    with pytest.raises(InputError, match="no image 'x'"):
        run("show", stack, "x", "-o", tmp_path / "seen")
    assert not (tmp_path / "seen").exists()


@pytest.mark.parametrize("link", [None, "symlink", "hard link"])
def test_patches_are_not_written_over_their_store(pictures, tmp_path, link):
    out = pictures if link is None else tmp_path / "out.h5"
    if link == "symlink":
        out.symlink_to(pictures)
    elif link:
        os.link(pictures, out)
    before = pictures.read_bytes()
    with pytest.raises(InputError, match="would be written over its own source"):
        run("patches", pictures, out, "--size", 32, "--restart")
    assert pictures.read_bytes() == before
    with pytest.raises(InputError, match="would be written over its own source"):
        run("split", pictures, "-o", out)

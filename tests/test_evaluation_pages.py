"""Pages that are files of their own, against stacks; and trees of folders."""

import time

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
import zarr
from typer.testing import CliRunner

from autosam import images
from autosam.cli import app
from autosam.errors import InputError
from autosam.evaluation.find_labels import find_labels
from autosam.evaluation.pages import match_pages
from autosam.evaluation.pairing import pair_labels, pair_predictions
from autosam.evaluation.scoring import score_predictions
from autosam.metrics.all_scores import Protocol

STACK = np.zeros((12, 8, 9), np.uint16)
for number, plane in enumerate(STACK):
    plane[1:4, 1:5] = 1
    plane[5:7, : number % 5] = 2


def write_stack(path, stack=STACK):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["labels"] = stack
    elif path.suffix == ".zarr":
        zarr.save(path, stack)
    elif path.suffix == ".mrc":
        with mrcfile.new(path) as file:
            file.set_data(stack.astype(np.int16 if stack.ndim == 3 else np.float32))
    else:
        tifffile.imwrite(path, stack)
    return str(path.parent)


def write_pages(folder, pages=STACK, *, stem="vol", mark="_labels", numbers=None):
    folder.mkdir(parents=True, exist_ok=True)
    width = len(str(len(pages) - 1))
    for place, page in zip(numbers or range(len(pages)), pages, strict=True):
        write_labels(folder / f"{stem}_p{place:0{width}d}{mark}.tif", page)
    return str(folder)


def write_labels(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    images.write_labels(path, labels)


def scored(pred, truth):
    pairs, _ = pair_predictions([pred], truth)
    found = score_predictions(pairs, protocol=Protocol())[pred]
    return [pair.name for pair in pairs[pred]], [scores.row() for scores in found.scores]


@pytest.mark.parametrize("suffix", [".tif", ".h5", ".zarr", ".mrc"])
def test_pages_are_scored_against_the_slices_of_a_stack(tmp_path, suffix):
    pred = write_pages(tmp_path / "p", np.where(STACK == 2, 0, STACK))
    truth = write_stack(tmp_path / "t" / f"vol{suffix}")
    names, rows = scored(pred, truth)
    assert names == [f"vol_p{n:02d}" for n in range(12)]
    assert [row["objects"] for row in rows] == [1 + (n % 5 > 0) for n in range(12)]
    assert [row["ap50"] for row in rows] == [1 / row["objects"] for row in rows]
    # A single file is the truth just as well.
    assert scored(pred, f"{truth}/vol{suffix}")[0] == names


def test_a_predicted_stack_against_pages_of_the_truth(tmp_path):
    pred = write_stack(tmp_path / "p" / "vol_labels.tif")
    names, rows = scored(pred, write_pages(tmp_path / "t", mark=""))
    assert len(names) == 12
    assert all(row["mean_ap"] == 1 for row in rows)


def test_pages_of_an_hdf5_dataset(tmp_path):
    pred = write_pages(tmp_path / "p", stem="vol_raw")
    names, _ = scored(pred, write_stack(tmp_path / "t" / "vol.h5"))
    assert names[:2] == ["vol_raw_p00", "vol_raw_p01"]


@pytest.mark.parametrize("depth", [11, 13, 1])
def test_lengths_that_differ_are_refused_with_both_numbers(tmp_path, depth):
    pred = write_pages(tmp_path / "p")
    stack = np.zeros((depth, 8, 9), np.uint16) if depth > 1 else np.zeros((8, 9), np.uint16)
    truth = write_stack(tmp_path / "t" / "vol.tif", stack)
    with pytest.raises(InputError, match=rf"{depth} slices? and .* 12 pages of it \(vol_p00 to vol_p11\)"):
        pair_predictions([pred], truth)


def test_a_stack_beside_images_and_other_missing_ones(tmp_path):
    pred = write_pages(tmp_path / "p")
    write_labels(tmp_path / "p" / "vol_p0x_labels.tif", STACK[0])
    truth = write_stack(tmp_path / "t" / "vol.tif")
    with pytest.raises(InputError, match=r"^no truth for vol_p0x in"):
        pair_predictions([pred], truth)
    write_labels(tmp_path / "t" / "vol_p0x.tif", STACK[0])
    assert len(scored(pred, truth)[0]) == 13


def test_a_list_may_name_the_stack_or_some_pages(tmp_path):
    pred, truth = write_pages(tmp_path / "p"), write_stack(tmp_path / "t" / "vol.tif")
    for stems, count in ((["vol"], 12), (["vol_p03", "vol_p11"], 2)):
        pairs, missing = pair_labels(find_labels(pred), find_labels(truth), stems=stems)
        assert (len(pairs), missing) == (count, [])


def test_some_pages_are_compared_where_a_list_names_them(tmp_path):
    pred = write_pages(tmp_path / "p", STACK[[3, 8]], numbers=[3, 8])
    truth = write_stack(tmp_path / "t" / "vol.tif")
    with pytest.raises(InputError, match=r"12 slices and .* 2 pages of it \(vol_p3 to vol_p8\)"):
        pair_predictions([pred], truth)
    pairs, _ = pair_predictions([pred], truth, stems=["vol_p3", "vol_p8"])
    rows = [scores.row() for scores in score_predictions(pairs, protocol=Protocol())[pred].scores]
    assert [row["mean_ap"] for row in rows] == [1, 1]
    write_pages(tmp_path / "p", STACK[[0]], numbers=[12])
    with pytest.raises(InputError, match="12 slices"):
        pair_predictions([pred], truth, stems=["vol_p3", "vol_p12"])


def test_volumes_of_mrc_as_whole_numbers_and_as_floats(tmp_path):
    pred = write_stack(tmp_path / "p" / "vol_labels.tif")
    truth = write_stack(tmp_path / "t" / "vol.mrc")
    assert scored(pred, truth)[1][0]["mean_ap"] == 1
    with mrcfile.new(tmp_path / "t" / "vol.mrc", overwrite=True) as file:
        file.set_data(STACK.astype(np.float32))
    assert scored(pred, truth)[1][0]["mean_ap"] == 1


def test_two_stacks_of_one_name_stay_volumes(tmp_path):
    names, rows = scored(write_stack(tmp_path / "p" / "vol_labels.tif"), write_stack(tmp_path / "t" / "vol.tif"))
    assert names == ["vol"]
    assert rows[0]["objects"] == 2


def test_trees_of_one_form_are_paired(tmp_path):
    for place in ("a", "day1/a", "day1/deep/b"):
        write_labels(tmp_path / "p" / f"{place}_labels.tif", STACK[3])
        write_labels(tmp_path / "t" / f"{place}.png", STACK[3])
        (tmp_path / "p" / f"{place}_overlay.png").touch()
    assert scored(str(tmp_path / "p"), str(tmp_path / "t"))[0] == ["a", "day1/a", "day1/deep/b"]
    result = CliRunner().invoke(
        app, ["evaluate", *map(str, (tmp_path / "p", tmp_path / "t")), "-o", str(tmp_path / "o"), "--figures"]
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "o" / "figures" / "errors" / "day1" / "deep" / "b.png").is_file()


def test_trees_without_files_at_the_top(tmp_path):
    for place in ("x/a", "y/a"):
        write_labels(tmp_path / "p" / f"{place}_labels.tif", STACK[3])
        write_labels(tmp_path / "t" / f"{place}.png", STACK[3])
    (tmp_path / "p" / "autosam_run.json").touch()
    assert scored(str(tmp_path / "p"), str(tmp_path / "t"))[0] == ["x/a", "y/a"]
    (tmp_path / "t" / "y" / "a.png").unlink()
    with pytest.raises(InputError, match="no truth for y/a in"):
        scored(str(tmp_path / "p"), str(tmp_path / "t"))


def test_subfolders_of_one_side_alone_are_not_compared(tmp_path):
    write_labels(tmp_path / "p" / "a_labels.tif", STACK[3])
    write_labels(tmp_path / "t" / "a.png", STACK[3])
    write_labels(tmp_path / "t" / "old" / "b.png", STACK[3])
    assert scored(str(tmp_path / "p"), str(tmp_path / "t"))[0] == ["a"]


def test_thousands_of_names_without_a_partner_take_no_time():
    files = {f"tree/x{number}_labels": "a.tif" for number in range(1500)}
    stacks = {f"truth_{number}": "a.tif" for number in range(1500)}
    start = time.perf_counter()
    assert match_pages(files, stacks, given="there") == {}
    # Each name against each other one took more than half a minute.
    assert time.perf_counter() - start < 5

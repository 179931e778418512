"""Evaluation where a truth is complete in a part of an image alone: masks, and a number that does not count."""

import csv
import json

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from autosam.cli import app
from autosam.errors import InputError
from autosam.evaluation import scoring
from autosam.evaluation.lists import read_pairs
from autosam.images import valid_masks, write_labels

# One true object in each half; the prediction finds both and one more in each.
TRUTH = np.zeros((20, 40), np.uint16)
TRUTH[2:8, 4:12], TRUTH[2:8, 24:32] = 1, 2
PRED = TRUTH.copy()
PRED[12:18, 4:12], PRED[12:18, 24:32] = 3, 4
VALID = np.zeros(TRUTH.shape, np.uint8)
VALID[:, :20] = 255
COUNTS = {"objects": 1, "predicted": 2, "tp50": 1, "fp50": 1, "fn50": 0}


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png" and pixels.dtype == np.uint8:
        Image.fromarray(pixels).save(path)
    else:
        tifffile.imwrite(path, pixels, photometric="minisblack")
    return path


@pytest.fixture
def data(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "labels" / f"{name}.tif", TRUTH)
        write(tmp_path / "pred" / f"{name}_labels.tif", PRED)
        write(tmp_path / "valid" / f"{name}.png", VALID)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def refusal(*arguments):
    with pytest.raises(InputError) as error:
        CliRunner().invoke(app, ["evaluate", *map(str, arguments)], catch_exceptions=False)
    return str(error.value)


def rows_of(data, *arguments):
    result = run(*arguments, "-o", data / "out")
    assert result.exit_code == 0, result.output
    with (data / "out" / "evaluation.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "image"]
    return [{column: int(row[column]) for column in COUNTS} for row in rows], result.output


def test_masks_in_a_folder_valid_beside_the_truth_are_respected(data):
    rows, output = rows_of(data, data / "pred", data / "labels", "--figures")
    assert rows == [COUNTS, COUNTS]
    assert "2 truth(s) count only where their masks of valid pixels" in output.replace("\n", " ")
    # One file, a pattern, a list of pairs.
    assert rows_of(data, data / "pred" / "a_labels.tif", data / "labels" / "a.tif")[0] == [COUNTS]
    assert rows_of(data, f"{data}/pred/*", f"{data}/labels/*")[0] == [COUNTS, COUNTS]
    (data / "pairs.csv").write_text("pred,truth\npred/a_labels.tif,labels/a.tif\n", encoding="utf-8")
    assert rows_of(data, "--pairs", data / "pairs.csv")[0] == [COUNTS]


def test_masks_elsewhere_or_none(data):
    (data / "valid").rename(data / "complete")
    everything = {"objects": 2, "predicted": 4, "tp50": 2, "fp50": 2, "fn50": 0}
    assert rows_of(data, data / "pred", data / "labels")[0] == [everything] * 2
    assert rows_of(data, data / "pred", data / "labels", "--valid", data / "complete")[0] == [COUNTS] * 2
    one = [data / "pred" / "a_labels.tif", data / "labels" / "a.tif"]
    assert rows_of(data, *one, "--valid", data / "complete" / "b.png")[0] == [COUNTS]
    text = "pred,truth,valid\npred/a_labels.tif,labels/a.tif,complete/b.png\n"
    (data / "pairs.csv").write_text(text, encoding="utf-8")
    assert rows_of(data, "--pairs", data / "pairs.csv")[0] == [COUNTS]
    (data / "complete").rename(data / "valid")
    assert rows_of(data, data / "pred", data / "labels", "--valid", "none")[0] == [everything] * 2


@pytest.mark.parametrize(("number", "dtype"), [(255, np.uint8), (-1, np.int16), (65535, np.uint16)])
def test_a_number_of_the_truth_that_does_not_count(data, number, dtype):
    for name in ("a", "b"):
        write(data / "labels" / f"{name}.tif", np.where(VALID > 0, TRUTH, number).astype(dtype))
        (data / "valid" / f"{name}.png").unlink()
    rows, output = rows_of(data, data / "pred", data / "labels", "--ignore-label", number, "--figures")
    assert rows == [COUNTS, COUNTS]
    assert f"pixels with the number {number} in the truth do not count" in output
    assert json.loads((data / "out" / "evaluation.json").read_text())["settings"]["ignore_label"] == number
    if number < 0:
        assert "lowest -1" in refusal(data / "pred", data / "labels")


def test_components_of_a_semantic_truth(data):
    for name in ("a", "b"):
        write(data / "labels" / f"{name}.tif", np.where(VALID > 0, TRUTH > 0, 2).astype(np.uint8))
        (data / "valid" / f"{name}.png").unlink()
    options = ["--components", "--min-size", 10, "--ignore-label", 2]
    assert rows_of(data, data / "pred", data / "labels", *options)[0] == [COUNTS, COUNTS]


def test_an_image_in_which_no_pixel_counts_is_named_in_one_line(data):
    write(data / "valid" / "b.png", np.zeros_like(VALID))
    rows, output = rows_of(data, data / "pred", data / "labels")
    assert rows == [COUNTS, dict.fromkeys(COUNTS, 0)]
    assert "note: no pixel counts in 1 image(s), which have no score: b" in output


def test_volumes_block_by_block_and_pages_of_stacks(data, monkeypatch):
    stack = np.stack([TRUTH, np.roll(TRUTH, 1, 0), TRUTH])
    masks = np.stack([VALID, VALID, np.zeros_like(VALID)])
    with h5py.File(data / "labels" / "vol.h5", "w") as file:
        file.create_dataset("labels", data=stack, chunks=(1, 20, 20))
    write(data / "pred" / "vol_labels.tif", np.stack([PRED] * 3))
    write(data / "valid" / "vol.tif", masks)
    (data / "list.txt").write_text("vol\n", encoding="utf-8")
    options = ["--list", data / "list.txt"]
    whole = rows_of(data, data / "pred", data / "labels", *options)[0]
    assert whole == [{"objects": 1, "predicted": 2, "tp50": 1, "fp50": 1, "fn50": 0}]
    monkeypatch.setattr(scoring, "IN_MEMORY_VOXELS", 100)
    assert rows_of(data, data / "pred", data / "labels", *options)[0] == whole
    (data / "pred" / "vol_labels.tif").unlink()
    for number in range(3):
        write_labels(data / "pred" / f"vol_p{number}_labels.tif", PRED)
    pages = rows_of(data, data / "pred", data / "labels", *options)[0]
    assert pages == [COUNTS, COUNTS, dict.fromkeys(COUNTS, 0)]


def test_masks_that_do_not_fit_are_refused(data):
    write(data / "valid" / "a.png", VALID[:5])
    assert "has shape (5, 40) and the truth (20, 40)" in refusal(data / "pred", data / "labels")
    write(data / "valid" / "a.png", np.arange(800, dtype=np.uint16).reshape(20, 40).astype(np.uint8))
    assert "is no mask of valid pixels" in refusal(data / "pred", data / "labels")
    (data / "valid" / "a.png").unlink()
    assert "no mask of valid pixels for a: add it" in refusal(data / "pred", data / "labels")


def test_masks_of_other_names_are_told_and_other_files_are_none_of_ours(data):
    for name in ("a", "b"):
        (data / "valid" / f"{name}.png").rename(data / "valid" / f"other_{name}.png")
    rows, output = rows_of(data, data / "pred", data / "labels")
    assert rows[0]["objects"] == 2
    assert "holds masks, such as other_a.png, and none is named as the labels" in output.replace("\n", " ")
    for name in ("a", "b"):  # images to validate on, say
        write(data / "valid" / f"other_{name}.png", np.arange(200, dtype=np.uint8).reshape(10, 20))
    rows, output = rows_of(data, data / "pred", data / "labels")
    assert rows[0]["objects"] == 2
    assert "holds masks" not in output


def test_a_mask_in_a_form_that_is_not_read_is_refused(data):
    for name in ("a", "b"):
        (data / "valid" / f"{name}.png").unlink()
        Image.fromarray(VALID).save(data / "valid" / f"{name}.jpg")
    assert "not from '.jpg'" in refusal(data / "pred", data / "labels")


def test_masks_lie_beside_what_cellposes_window_saves_too(data):
    for name in ("a", "b"):
        (data / "labels" / f"{name}.tif").unlink()
        np.save(data / "labels" / f"{name}_seg.npy", {"masks": TRUTH.astype(np.uint16)}, allow_pickle=True)
    assert rows_of(data, data / "pred", data / "labels")[0] == [COUNTS, COUNTS]


def test_a_long_list_of_pairs_looks_once_for_masks(data, monkeypatch):
    looked = []
    monkeypatch.setattr(valid_masks, "_files_in", lambda folder: looked.append(folder) or [])
    (data / "pairs.csv").write_text(
        "pred,truth,name\n" + "".join(f"pred/a_labels.tif,labels/a.tif,{n}\n" for n in "xyz")
    )
    assert len(read_pairs(data / "pairs.csv")) == 3
    assert looked == [(data / "valid").resolve()]

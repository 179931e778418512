"""Stores with masks of the pixels where labels are complete: import, read back, check, cut, train, score."""

import json

import h5py
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from autosam.cli import app
from autosam.config import Config
from autosam.data.check import check_store
from autosam.data.importing import import_release
from autosam.data.patches import write_patches
from autosam.data.sources import open_release
from autosam.data.store import Store
from autosam.evaluation.pairing import pair_predictions
from autosam.evaluation.scoring import score_predictions
from autosam.metrics.all_scores import Protocol
from autosam.training.samples.load_images import load_part

# An object in each half; the mask knows the left half alone.
LABELS = np.zeros((64, 96), np.uint16)
LABELS[8:40, 8:40], LABELS[8:40, 56:88] = 1, 2
VALID = np.zeros(LABELS.shape, np.uint8)
VALID[:, :48] = 255
IMAGE = np.random.default_rng(0).integers(0, 90, LABELS.shape).astype(np.uint8) + (LABELS > 0) * np.uint8(90)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, photometric="minisblack")


def release(folder, *, mask=VALID, labels=LABELS, names=("a", "b")):
    for name in names:
        save(folder / "images" / f"{name}.tif", IMAGE)
        save(folder / "labels" / f"{name}.tif", labels)
        if mask is not None:
            save(folder / "valid" / f"{name}.tif", mask)
    return str(folder)


@pytest.fixture(params=[".h5", ".zarr"])
def store(tmp_path, request):
    path = tmp_path / f"s{request.param}"
    return import_release(open_release(release(tmp_path / "in")), path)[0]


def test_a_store_keeps_the_masks(store):
    for item in store.items:
        assert item.valid
        np.testing.assert_array_equal(store.valid(item.name), VALID > 0)
        np.testing.assert_array_equal(store.labels(item.name), LABELS)
    again = Store.open(store.path)
    assert again.valid("a").dtype == bool
    assert [item.valid for item in again.items] == [True, True]


def test_a_store_without_masks_is_as_before(tmp_path):
    store, _ = import_release(open_release(release(tmp_path / "in", mask=None)), tmp_path / "s.h5")
    assert store.valid("a") is None
    assert "valid" not in store.manifest.dumps()


@pytest.mark.parametrize(("number", "dtype"), [(255, np.uint8), (-1, np.int16)])
def test_a_number_that_does_not_count_becomes_a_mask(tmp_path, number, dtype):
    labels = np.where(VALID > 0, LABELS, number).astype(dtype)
    given = release(tmp_path / "in", mask=None, labels=labels)
    options = ["data", "import", given, "-o", str(tmp_path / "s.h5"), "--ignore-label", str(number)]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    store = Store.open(tmp_path / "s.h5")
    np.testing.assert_array_equal(store.valid("a"), VALID > 0)
    np.testing.assert_array_equal(store.labels("a"), np.where(VALID > 0, LABELS, 0))
    assert store.manifest.notes == (f"pixels of the number {number} do not count",)


def test_stacks_and_slices_of_one_volume_keep_their_masks(tmp_path):
    stack = np.stack([VALID, np.zeros_like(VALID), VALID])
    folder = tmp_path / "stack"
    for part, pixels in (("images", IMAGE), ("labels", LABELS)):
        save(folder / part / "v.tif", np.stack([pixels] * 3))
    save(folder / "valid" / "v.tif", stack)
    store, _ = import_release(open_release(str(folder)), tmp_path / "a.h5")
    np.testing.assert_array_equal(store.volume("v").valid(), stack > 0)
    given = release(tmp_path / "slices", names=("z1", "z2"))
    store, _ = import_release(open_release(given, stack=True), tmp_path / "b.zarr")
    np.testing.assert_array_equal(store.volume("slices").valid(1, 2), VALID[None] > 0)


def test_training_images_out_of_a_store_know_what_counts(store):
    split = store.with_splits({"a": "train", "b": "val"})
    (found,) = load_part(split.path, Config(), "train")
    np.testing.assert_array_equal(found.valid, VALID > 0)
    np.testing.assert_array_equal(found.labels, np.where(VALID > 0, LABELS, 0))


def test_patches_keep_masks_and_leave_out_what_is_unknown(store, tmp_path):
    count = write_patches(store, tmp_path / "p.h5", size=48, stride=48, cover=True)
    # Of 2 × 2 patches of an image the two on the right have no valid pixel.
    assert (count.kept, count.dropped) == (4, 4)
    assert all(Store.open(tmp_path / "p.h5").valid(i).all() for i in range(4))


def test_a_check_looks_at_what_counts(tmp_path):
    labels = LABELS.copy()
    labels[50, 60] = 7  # a crumb where nothing counts
    given = release(tmp_path / "in", labels=labels)
    save(tmp_path / "in" / "valid" / "b.tif", np.zeros_like(VALID))
    store, _ = import_release(open_release(given), tmp_path / "s.h5")
    report = check_store(store)
    assert [row.objects.ids.tolist() for row in report.rows] == [[1], []]
    found = [(finding.kind, finding.item) for finding in report.findings]
    assert [kind for kind, item in found if item == "b"] == ["no valid pixel"]
    assert "tiny objects" not in dict(found)


@pytest.mark.parametrize("kind", ["store", "item", "folder"])
def test_stores_and_folders_with_images_are_truths_with_masks(tmp_path, kind):
    given = release(tmp_path / "in")
    pred = tmp_path / "pred"
    for name in ("a", "b"):
        save(pred / f"{name}_labels.tif", LABELS)
    truth = given
    if kind != "folder":
        import_release(open_release(given), tmp_path / "s.h5")
        truth = str(tmp_path / "s.h5") + (":a" if kind == "item" else "")
    place = str(pred / "a_labels.tif") if kind == "item" else str(pred)
    pairs, _ = pair_predictions([place], truth)
    rows = [scores.row() for scores in score_predictions(pairs, protocol=Protocol())[place].scores]
    assert {(row["objects"], row["predicted"], row["ap50"]) for row in rows} == {(1, 1, 1)}
    pairs, _ = pair_predictions([place], truth, valid="none")
    rows = [scores.row() for scores in score_predictions(pairs, protocol=Protocol())[place].scores]
    assert {row["objects"] for row in rows} == {2}


def test_the_manifest_reads_entries_with_and_without_a_mask(store):
    content = json.loads(store.manifest.dumps())
    assert [entry["valid"] for entry in content["items"]] == [True, True]


def test_masks_beside_labels_of_any_layout_are_imported(tmp_path):
    folder = tmp_path / "cellpose" / "set"
    save(folder / "a.tif", IMAGE)
    save(folder / "a_masks.tif", LABELS)
    save(tmp_path / "cellpose" / "valid" / "a.tif", VALID)
    pair = release(tmp_path / "pair", names=["a"])
    for number, found in enumerate(
        (open_release(str(folder)), open_release(f"{pair}/images/a.tif", f"{pair}/labels/a.tif"))
    ):
        store, _ = import_release(found, tmp_path / f"{number}.h5")
        np.testing.assert_array_equal(store.valid("a"), VALID > 0)


def test_stacks_beside_masks_are_imported_with_them(tmp_path):
    for name, pixels in (("images/v", IMAGE), ("labels/v", LABELS), ("valid/v", VALID)):
        save(tmp_path / f"{name}.tif", np.stack([pixels] * 5))
    given = f"{tmp_path}/images/v.tif", f"{tmp_path}/labels/v.tif"
    store, _ = import_release(open_release(*given), tmp_path / "s.h5")
    np.testing.assert_array_equal(store.volume("v").valid(), np.stack([VALID > 0] * 5))


def test_a_negative_number_that_does_not_count_is_read_in_cellposes_layout(tmp_path):
    save(tmp_path / "a.tif", IMAGE)
    save(tmp_path / "a_masks.tif", np.where(VALID > 0, LABELS.astype(np.int16), -1))
    store, _ = import_release(open_release(str(tmp_path), ignore=-1), tmp_path / "s.h5", ignore=-1)
    np.testing.assert_array_equal(store.valid("a"), VALID > 0)


def test_a_mask_of_another_size_is_a_fault(tmp_path):
    store, _ = import_release(open_release(release(tmp_path / "in")), tmp_path / "s.h5")
    with h5py.File(store.path, "r+") as file:
        del file["images/a/valid"]
        file["images/a/valid"] = VALID[:9]
    faults = [(found.kind, found.item) for found in check_store(store).findings if found.level == "fault"]
    assert ("size", "a") in faults

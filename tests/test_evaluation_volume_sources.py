import json

import h5py
import numpy as np
import pytest
import zarr
from scipy.optimize import linear_sum_assignment
from test_cli_evaluate import fault, run, table_row

from autosam.errors import InputError
from autosam.evaluation.find_labels import find_labels
from autosam.evaluation.volume_sources import parse_region, stack_slices
from autosam.evaluation.volumes import open_labels
from autosam.images import write_labels

TUBES = np.zeros((6, 16, 20), np.uint16)
TUBES[:5, 2:6, 2:6] = 1
TUBES[1:, 10:14, 3:9] = 2
TUBES[2:4, 3:7, 12:18] = 3


def save_slices(folder, volume, names="z{:02d}"):
    folder.mkdir(parents=True)
    for z, image in enumerate(volume):
        write_labels(folder / f"{names.format(z)}.png", image)
    return folder


def opened(ref):
    with open_labels(ref) as labels:
        return labels.whole()


def test_slices_are_stacked_by_their_numbers_and_not_by_their_letters(tmp_path):
    folder = save_slices(tmp_path / "s", np.arange(12)[:, None, None] * np.ones((1, 3, 4), np.uint8), "a{}")
    source = stack_slices(find_labels(str(folder)))
    assert source.single
    (ref,) = source.volumes.values()
    assert opened(ref)[:, 0, 0].tolist() == list(range(12))
    assert list(source.volumes) == ["s"]
    assert source.notes == (f"{folder}: 12 slices, a0 to a11, are one volume",)


def test_numbers_before_the_last_that_varies_tell_volumes_apart(tmp_path):
    for cell in (1, 2):
        save_slices(tmp_path / "s" / f"day{cell}", TUBES[:2], f"cell{cell}_z{{:03d}}_ch0")
    source = stack_slices(find_labels(str(tmp_path / "s")))
    assert sorted(source.volumes) == ["day1/cell1_z_ch0", "day2/cell2_z_ch0"]
    assert not source.single


def test_gaps_are_told_and_their_step_is_the_smallest(tmp_path):
    folder = tmp_path / "s"
    folder.mkdir()
    for z in (0, 10, 20, 50):
        write_labels(folder / f"{z:04d}.png", TUBES[1])
    source = stack_slices(find_labels(str(folder)))
    assert source.volumes["s"].numbers == (0, 1, 2, 5)
    assert "2 between them are missing" in source.notes[0]
    some = stack_slices(find_labels(str(folder)), stems=["0010", "0020"])
    assert some.volumes["s"].numbers == (0, 1)


def test_faults_of_slices(tmp_path):
    folder = save_slices(tmp_path / "s", TUBES)
    with pytest.raises(InputError, match="no slice z77"):
        stack_slices(find_labels(str(folder)), stems=["z01", "z77"])
    write_labels(folder / "z1.png", TUBES[0])
    with pytest.raises(InputError, match="two slices have the number 1"):
        stack_slices(find_labels(str(folder)))
    (folder / "z1.png").unlink()
    write_labels(folder / "last.png", TUBES[0])
    with pytest.raises(InputError, match="last has no number"):
        stack_slices(find_labels(str(folder)))
    (folder / "last.png").unlink()
    write_labels(folder / "z06.png", TUBES[0, :-1])
    (ref,) = stack_slices(find_labels(str(folder))).volumes.values()
    with pytest.raises(InputError, match=r"z06\.png has shape \(15, 20\)"):
        opened(ref)


def test_regions():
    assert parse_region("1:2,:3, 4: ") == (slice(1, 2), slice(None, 3), slice(4, None))
    for wrong in ("1:2", "1:2,3,4:5", "2:2,:,:", "a:b,:,:", "-1:3,:,:"):
        with pytest.raises(InputError, match="--roi"):
            parse_region(wrong)


@pytest.fixture
def kinds(tmp_path):
    """One volume in every form that a lab may have."""
    paths = {"slices": save_slices(tmp_path / "slices", TUBES), "tif": tmp_path / "stack.tif"}
    write_labels(paths["tif"], TUBES)
    paths["h5"] = tmp_path / "v.h5"
    with h5py.File(paths["h5"], "w") as file:
        file.create_dataset("labels", data=TUBES, chunks=(2, 8, 8))
    paths["zarr"] = tmp_path / "v.zarr"
    zarr.create_array(paths["zarr"], data=TUBES, chunks=(4, 5, 20))
    group = zarr.open_group(tmp_path / "ome.zarr", mode="w")
    group.create_array("0", data=TUBES[None, None], chunks=(1, 1, 3, 16, 7))
    axes = [{"name": name} for name in "tczyx"]
    scales = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1, 1, 1]}]}]
    group.attrs["ome"] = {
        "version": "0.5",
        "image-label": {},
        "multiscales": [{"axes": axes, "datasets": scales, "name": "mito"}],
    }
    paths["ome"] = tmp_path / "ome.zarr"
    return paths


@pytest.mark.parametrize("form", ["slices", "tif", "h5", "zarr", "ome"])
def test_every_form_of_a_volume_against_every_other(kinds, form):
    with open_labels(kinds["ome"]) as labels:
        assert labels.chunks == (3, 16, 7)  # read in parts, whatever the axes
    for other in kinds.values():
        result = run(kinds[form], other, "--volume")
        assert result.exit_code == 0, result.output
        assert table_row(result.stdout, "all")[1:5] == ["3", "1.000", "1.000", "1.000"]
        assert "1 volume" in result.stdout


def test_a_volume_gets_the_figures_of_three_dimensions(kinds, tmp_path):
    pred = np.where(TUBES == 3, 0, TUBES)
    pred[3:, 10:14, 3:9] = 4 * (TUBES[3:, 10:14, 3:9] > 0)  # object 2, 5 slices, becomes 2 and 3 slices
    save_slices(tmp_path / "pred", pred)
    result = run(tmp_path / "pred", kinds["h5"], "--volume", "-o", tmp_path / "o")
    assert result.exit_code == 0, result.output
    # Of 1, 2 and 3: found; a piece of 3 of 5 slices (IoU .6); missed. Predicted: 3.
    head = next(line for line in result.stdout.splitlines() if line.startswith("voxels"))
    assert "mitoem2020 mean AP" in head
    row = table_row(result.stdout, "all")
    assert row[1:3] == ["3", "0.500"]
    assert row[8:11] == ["0.667", "0.667", "0.667"]  # precision, recall and F1 at .5: 2 of 3
    assert row[11:] == ["0.333", "0.333", "0.333"]
    assert table_row(result.stdout, "≤ 5000")[1] == "3"
    assert table_row(result.stdout, "5001-15000")[1] == "0"
    assert "VOI split" in result.stdout
    document = json.loads((tmp_path / "o" / "evaluation.json").read_text(encoding="utf-8"))
    assert document["settings"]["size_bounds"] == [5000, 15000]
    assert document["settings"]["ap"] == ["dsb", "mitoem2020"]
    assert document["pooled"]["f1_75"] == pytest.approx(1 / 3)
    other = run(tmp_path / "pred", kinds["h5"], "--volume", "--sizes", "none", "--ap", "dsb")
    assert "voxels" not in other.stdout.replace("missed voxels", "")
    plain = run(tmp_path / "pred", kinds["slices"])
    assert "6 images" in plain.stdout
    assert "mitoem2020" not in plain.stdout


def test_a_part_of_volumes(kinds):
    whole, part = (run(kinds["tif"], kinds["zarr"], *roi) for roi in ((), ("--roi", "0:3,0:8,:")))
    assert table_row(whole.stdout, "stack")[1] == "3"
    assert table_row(part.stdout, "stack")[1] == "2"  # object 2 begins at row 10
    assert "ends beyond it" in fault(kinds["tif"], kinds["zarr"], "--roi", "0:7,:,:")
    assert "wants a volume" in fault(kinds["slices"], kinds["slices"], "--roi", "0:1,:,:")


def test_semantic_slices_as_a_volume(kinds, tmp_path):
    mask = np.where(TUBES > 0, 255, 0).astype(np.uint8)
    save_slices(tmp_path / "masks", mask)
    options = ("--volume", "--components", "--min-size", 9)
    result = run(kinds["zarr"], tmp_path / "masks", *options)
    assert table_row(result.stdout, "all")[1:3] == ["3", "1.000"]
    for z in (2, 3):
        (tmp_path / "masks" / f"z{z:02d}.png").unlink()
    # Object 1 ends at the gap and begins again behind it, and so does 2.
    gap = run(tmp_path / "masks", tmp_path / "masks", *options, "--pred-components")
    assert "2 between them are missing" in gap.stdout
    assert table_row(gap.stdout, "masks")[1] == "4"


def test_masks_of_valid_pixels_in_three_dimensions(tmp_path):
    truth, valid = tmp_path / "t" / "labels", tmp_path / "t" / "valid"
    save_slices(truth, TUBES)
    counts = np.full(TUBES.shape, 255, np.uint8)
    counts[2:4, :8, 10:] = 0  # object 3
    save_slices(valid, counts)
    save_slices(tmp_path / "p", np.where(TUBES == 3, 0, TUBES))
    result = run(tmp_path / "p", truth, "--volume")
    assert table_row(result.stdout, "all")[1:3] == ["2", "1.000"]
    assert table_row(run(tmp_path / "p", truth, "--volume", "--valid", "none").stdout, "all")[1:3] == [
        "3",
        "0.667",
    ]
    (valid / "z03.png").unlink()
    assert "no mask of valid pixels for z03" in fault(tmp_path / "p", truth, "--volume")


def test_ap_of_volumes_equals_an_independent_count(tmp_path):
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 12, (4, 4, 5))
    truth = np.kron(coarse, np.ones((6, 8, 8), np.int64)).astype(np.uint16)
    lost = rng.uniform(0, 0.6, 13)
    pred = np.where(rng.random(truth.shape) < lost[truth], 0, truth)
    pred[pred == 5] = 6  # merged
    pred[:3][pred[:3] == 7] = 20  # split
    write_labels(tmp_path / "p.tif", pred)
    write_labels(tmp_path / "t.tif", truth)
    run(tmp_path / "p.tif", tmp_path / "t.tif", "-o", tmp_path / "o", "--sizes", "1500,3000")
    pooled = json.loads((tmp_path / "o" / "evaluation.json").read_text(encoding="utf-8"))["pooled"]
    # Every pair of masks, one by one, and scipy's assignment.
    ids = [np.unique(side[side > 0]) for side in (pred, truth)]
    iou = np.array(
        [[((pred == p) & (truth == t)).sum() / ((pred == p) | (truth == t)).sum() for t in ids[1]] for p in ids[0]]
    )
    precisions = []
    for threshold in np.arange(10, 20) / 20:
        hits = iou >= threshold - 1e-9
        rows, columns = linear_sum_assignment(-(hits + iou / 100))
        found = int(hits[rows, columns].sum())
        precisions.append(found / (len(ids[0]) + len(ids[1]) - found))
    assert pooled["ap50"] == pytest.approx(precisions[0])
    assert pooled["ap75"] == pytest.approx(precisions[5])
    assert pooled["mean_ap"] == pytest.approx(np.mean(precisions))
    assert 0 < pooled["ap75"] < pooled["ap50"] < 1
    # The challenge's rule at IoU .75, for objects of 1501 to 3000 voxels, ranked by size.
    sizes = [{i: int((side == i).sum()) for i in own} for side, own in zip((pred, truth), ids, strict=True)]
    inside = [{i for i, n in own.items() if 1500 < n <= 3000} for own in sizes]
    hit, false = 0, 0
    curve = []
    for row in sorted(range(len(ids[0])), key=lambda r: -sizes[0][ids[0][r]]):
        own = [c for c in range(len(ids[1])) if iou[row, c] > 0 and ids[1][c] in inside[1]]
        best = max(own or range(len(ids[1])), key=lambda c: iou[row, c])
        if iou[row, best] >= 0.75:
            hit += ids[1][best] in inside[1]
        else:
            false += ids[0][row] in inside[0]
        curve.append((hit / len(inside[1]), hit / max(hit + false, 1)))
    expected = np.mean(
        [max([p for r, p in curve if r >= level - 1e-9], default=0) for level in np.arange(101) / 100]
    )
    assert pooled["mitoem2020_upto3000_ap75"] == pytest.approx(expected)

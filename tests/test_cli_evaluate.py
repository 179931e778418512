import csv
import json
import re

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from autosam.cli.evaluate import evaluate
from autosam.errors import InputError, OutputError
from autosam.images import write_labels

app = typer.Typer()
app.command()(evaluate)

ONE = np.repeat(np.repeat([[1, 0], [0, 0]], 8, axis=0), 8, axis=1)
TWO = np.repeat(np.repeat([[1, 2], [0, 0]], 8, axis=0), 8, axis=1)
NONE = np.zeros((16, 16), int)


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def fault(*arguments):
    """Return the error of a command that a user made wrong; autosam.cli turns it into exit status 2."""
    result = run(*arguments)
    assert isinstance(result.exception, InputError | OutputError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


def table_row(output, name):
    (line,) = [line for line in output.splitlines() if line.startswith(name)]
    return re.split(r"\s{2,}", line.strip())


@pytest.fixture
def places(tmp_path):
    """Predictions as `autosam segment` leaves them, and their truths."""
    pred, truth = tmp_path / "pred", tmp_path / "truth"
    pred.mkdir()
    truth.mkdir()
    for name, predicted, true in (("a", ONE, TWO), ("b", TWO, TWO), ("empty", NONE, NONE)):
        write_labels(pred / f"{name}_labels.tif", predicted)
        (pred / f"{name}_overlay.png").write_bytes(b"a picture, not labels")
        (pred / f"{name}_instances.csv").write_text("id\n", encoding="utf-8")
        write_labels(truth / f"{name}.png", true)
    (pred / "autosam_run.json").write_text("{}", encoding="utf-8")
    return pred, truth


def test_table_csv_and_json(places, tmp_path):
    out = tmp_path / "new" / "out"
    result = run(*places, "-o", out)
    assert result.exit_code == 0, result.output
    # a: one hit and one miss: AP 1 / 2, Dice 2 · 64 / (64 + 128), IoU 64 / 128
    assert table_row(result.stdout, "a ")[1:6] == ["2", "1", "0.500", "0.500", "0.500"]
    assert table_row(result.stdout, "a ")[7:] == ["0.667", "0.500"]
    assert table_row(result.stdout, "empty ")[1:] == ["0", "0", *["–"] * 6]
    assert table_row(result.stdout, "pooled (3 images)")[1:4] == ["4", "3", "0.750"]
    assert table_row(result.stdout, "mean (3 images)")[3] == "0.750"

    with (out / "evaluation.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["kind"], r["image"]) for r in rows[:3]] == [("image", "a"), ("image", "b"), ("image", "empty")]
    assert [r["kind"] for r in rows[3:]] == [
        *("pooled", "pooled_low", "pooled_high"),
        *("mean", "mean_low", "mean_high"),
    ]
    assert (rows[0]["ap50"], rows[0]["dice"], rows[2]["ap50"]) == ("0.5", "0.666667", "")

    document = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert document["images"][2]["rand_error"] is None
    assert document["pooled"]["ap50"] == 0.75
    assert document["pooled"]["thresholds"]["tp"] == [3] * 10
    assert document["mean"]["iou"] == pytest.approx((0.5 + 1) / 2)
    assert document["settings"]["ap"] == "dsb"
    assert "TP / (TP + FP + FN)" in document["definitions"]["ap"]
    assert sorted(p.name for p in out.iterdir()) == ["evaluation.csv", "evaluation.json"]
    assert run(*places, "-o", out).exit_code == 0  # older results are replaced


def test_two_single_files(places):
    pred, truth = places
    result = run(pred / "a_labels.tif", truth / "b.png")
    assert result.exit_code == 0, result.output
    assert "1 image\n" in result.stdout
    assert table_row(result.stdout, "a ")[1] == "2"


def test_components_make_instances_and_say_so(tmp_path):
    mask = np.zeros((32, 32), np.uint8)
    mask[:8, :8] = mask[:8, 20:28] = 255  # two objects of 64 px
    mask[31, 31] = 255  # dust
    labels = np.where(mask > 0, 1, 0)
    labels[:, 16:] *= 2
    labels[31, 31] = 0
    write_labels(tmp_path / "truth.png", mask)
    write_labels(tmp_path / "pred.tif", labels)
    places = tmp_path / "pred.tif", tmp_path / "truth.png"

    semantic = run(*places)
    assert "1 truth file" in semantic.stdout
    assert "--components" in semantic.stdout
    result = run(*places, "--components")
    assert "components (8 neighbors, 26 in 3D) of at least 50 px of semantic masks" in result.stdout
    assert table_row(result.stdout, "pred ")[1:6] == ["2", "2", "1.000", "1.000", "1.000"]
    with_dust = run(*places, "--components", "--min-size", "1")
    assert table_row(with_dust.stdout, "pred ")[1:4] == ["3", "2", "0.667"]
    both = run(places[1], places[1], "--components", "--pred-components")
    assert table_row(both.stdout, "truth ")[1:4] == ["2", "2", "1.000"]
    assert "truth and of the prediction" in both.stdout


def test_lists_restrict_what_is_compared(places, tmp_path):
    pred, truth = places
    write_labels(truth / "unwanted.png", TWO)
    assert "no prediction for unwanted" in fault(pred, truth)
    (tmp_path / "splits.json").write_text(json.dumps({"s": {"val": ["a"], "test": ["b"]}}), encoding="utf-8")
    result = run(pred, truth, "--list", f"{tmp_path / 'splits.json'}:s.val")
    assert "1 image\n" in result.stdout
    two = run(*places, *(f"--list={tmp_path / 'splits.json'}:s.{part}" for part in ("val", "test")))
    assert "2 images\n" in two.stdout


def test_every_fault_is_named_at_once_and_nothing_is_written(places, tmp_path):
    import tifffile

    pred, truth = places
    write_labels(truth / "a.png", TWO[:-1])
    tifffile.imwrite(pred / "b_labels.tif", (TWO + 0.5).astype(np.float32))
    (pred / "empty_labels.tif").write_bytes(b"II*\x00")
    message = fault(pred, truth, "-o", tmp_path / "out")
    assert message.startswith("3 of 3 images cannot be compared: ")
    assert "a: the prediction has shape (16, 16) and the truth (15, 16)" in message
    assert "float32" in message
    assert "empty_labels.tif" in message
    assert not (tmp_path / "out").exists()


def test_settings_that_cannot_be_used(places, tmp_path):
    assert "--min-size came without" in fault(*places, "--min-size", 5)
    (tmp_path / "file").touch()
    assert "is a file" in fault(*places, "-o", tmp_path / "file")
    assert "does not exist" in fault(tmp_path / "nowhere", places[1])
    assert run(*places, "--components", "--min-size", 0).exit_code == 2


@pytest.fixture
def ranked_places(tmp_path):
    """Two images with a true and a false object each; the tables of instances rank the false one last."""
    pred, truth = tmp_path / "p", tmp_path / "t"
    pred.mkdir()
    truth.mkdir()
    labels = np.zeros((16, 16), int)
    labels[:4, :4] = 1  # true, 16 px
    labels[8:, 8:] = 2  # false, 64 px
    for name in ("a", "b"):
        write_labels(pred / f"{name}_labels.tif", labels)
        write_labels(truth / f"{name}.tif", np.where(labels == 1, 1, 0))
        (pred / f"{name}_instances.csv").write_text("id,score\n1,0.9\n2,0.2\n", encoding="utf-8")
    return pred, truth


def test_chosen_conventions(ranked_places, tmp_path):
    result = run(
        *ranked_places, "--ap", "coco", "--ap", "mitoem2020", "--rand", "singletons", "-o", tmp_path / "o"
    )
    assert result.exit_code == 0, result.output
    assert "coco AP@.5" in result.stdout
    assert "mitoem2020 mean AP" in result.stdout
    assert "; AP: TP" not in result.stdout
    assert "missed voxels a segment each" in result.stdout
    assert "ranked by the scores in their tables" in result.stdout
    document = json.loads((tmp_path / "o" / "evaluation.json").read_text(encoding="utf-8"))
    assert document["settings"]["ap"] == ["coco", "mitoem2020"]
    assert document["settings"]["rand"] == "singletons"
    assert document["pooled"]["coco_ap50"] == 1  # the false ones are ranked last
    assert len(document["pooled"]["thresholds"]["coco_ap"]) == 10
    assert "pycocotools" in document["definitions"]["coco_ap"]

    by_size = run(*ranked_places, "--bootstrap", 0, "--ap", "coco", "--scores", "size")
    assert "ranked by their number of voxels" in by_size.stdout
    assert "0.500" in table_row(by_size.stdout, "pooled (2 images)")  # two false ones of 64 px come first
    limited = run(*ranked_places, "--bootstrap", 0, "--ap", "coco", "--scores", "size", "--max-dets", 1)
    assert table_row(limited.stdout, "pooled (2 images)")[6] == "0.000"
    (ranked_places[0] / "b_instances.csv").unlink()
    assert "ranked by their number of voxels" in run(*ranked_places, "--ap", "coco", "--bootstrap", 0).stdout
    assert "NAME_instances.csv beside the labels of b" in fault(
        *ranked_places, "--ap", "coco", "--scores", "table"
    )
    for text, message in (("id\n1\n", "no column 'score'"), ("id,score\n1,x\n", "could not convert")):
        for name in "ab":
            (ranked_places[0] / f"{name}_instances.csv").write_text(text, encoding="utf-8")
        assert message in fault(*ranked_places, "--ap", "coco")


def test_strict_sizes_and_wide(places, ranked_places):
    halves = run(ranked_places[0], ranked_places[1], "--sizes", "20,100", "--wide", "--bootstrap", 0)
    assert "CREMI" in halves.stdout
    # Objects and AP@.5: found, spurious, none.
    for voxels, cells in {"all": ["2", "0.500"], "≤ 20": ["2", "1.000"], "21-100": ["0", "0.000"]}.items():
        assert table_row(halves.stdout, voxels)[1:3] == cells
    assert table_row(halves.stdout, "> 100")[1:3] == ["0", "–"]
    assert "IoU > t" in run(*places, "--strict", "--bootstrap", 9).stdout
    assert "ascending" in fault(*places, "--sizes", "20,10")
    assert "whole numbers" in fault(*places, "--sizes", "small")


def test_intervals(places, tmp_path):
    result = run(*places, "--bootstrap", 50, "-o", tmp_path / "o")
    assert result.stdout.count("95 % interval") == 2
    assert "50 bootstrap resamples" in result.stdout
    document = json.loads((tmp_path / "o" / "evaluation.json").read_text(encoding="utf-8"))
    low, high = document["intervals"]["pooled"]["ap50"]
    assert low <= document["pooled"]["ap50"] <= high
    again = run(*places, "--bootstrap", 50)
    assert again.stdout in result.stdout
    for without in (run(*places, "--bootstrap", 0), run(places[0] / "a_labels.tif", places[1] / "a.png")):
        assert "95 % interval" not in without.stdout


def test_comparison(places, tmp_path):
    pred, truth = places
    better = tmp_path / "better"
    better.mkdir()
    for name, labels in (("a", TWO), ("b", TWO), ("empty", NONE)):
        write_labels(better / f"{name}.tif", labels)
    result = run("--compare", pred, better, truth, "-o", tmp_path / "o", "--bootstrap", 50)
    assert result.exit_code == 0, result.output
    assert table_row(result.stdout, f"{better} −")[1:4] == ["+0", "+1", "+0.250"]  # from 3 of 4 to 4 of 4
    with (tmp_path / "o" / "comparison.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["prediction"] for r in rows[:3]] == [str(pred)] * 3
    assert [r["kind"] for r in rows[-3:]] == ["difference", "difference_low", "difference_high"]
    assert rows[-3]["ap50"] == "0.25"
    document = json.loads((tmp_path / "o" / "comparison.json").read_text(encoding="utf-8"))
    assert document["differences"][str(better)]["ap50"]["value"] == 0.25
    assert document["predictions"][str(pred)]["pooled"]["ap50"] == 0.75

    assert "3 places came" in fault(pred, better, truth)
    assert "two or more" in fault("--compare", pred, truth)
    assert "two or more" in fault("--compare", pred, pred, truth)
    assert "1 place came" in fault(pred)
    write_labels(better / "more.tif", TWO)
    assert "no truth for more" in fault("--compare", pred, better, truth)
    one = better / "a.tif"
    assert "different truths" in fault("--compare", pred, one, truth)


def test_figures(places, tmp_path):
    out = tmp_path / "o"
    assert "--figures came without -o" in fault(*places, "--figures")
    result = run(*places, "-o", out, "--figures", "--bootstrap", 9)
    assert result.exit_code == 0, result.output
    assert sorted(str(p.relative_to(out / "figures")) for p in (out / "figures").rglob("*.png")) == [
        "ap_threshold.png",
        *(f"errors/{name}.png" for name in ("a", "b", "empty")),
        "size_iou.png",
    ]
    run("--compare", *[places[0], places[1]], places[1], "-o", tmp_path / "c", "--figures", "--bootstrap", 9)
    assert (tmp_path / "c" / "figures" / "2_truth" / "errors" / "a.png").is_file()


def test_large_volumes_are_read_block_by_block(tmp_path, monkeypatch):
    import h5py

    from autosam.evaluation import scoring

    volume = np.stack([TWO, TWO, ONE, NONE]).astype(np.uint16)
    for name, labels in (("p", np.roll(volume, 1, 1)), ("t", volume)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.create_dataset("labels", data=labels, chunks=(1, 8, 8))
    whole = run(tmp_path / "p.h5", tmp_path / "t.h5", "-o", tmp_path / "whole", "--figures")
    assert whole.exit_code == 0, whole.output
    assert (tmp_path / "whole" / "figures" / "errors" / "p.png").is_file()
    read = []
    blockwise = scoring.contingency_of_volumes

    def watched(pred, truth, **options):
        read.append(pred.name)
        return blockwise(pred, truth, **options)

    monkeypatch.setattr(scoring, "IN_MEMORY_VOXELS", 100)
    monkeypatch.setattr(scoring, "contingency_of_volumes", watched)
    blocks = run(tmp_path / "p.h5", tmp_path / "t.h5", "-o", tmp_path / "blocks")
    assert len(read) == 1
    assert blocks.stdout.split("Written")[0] == whole.stdout.split("Written")[0]


def test_options_that_nothing_would_read(places):
    assert "--max-dets came without" in fault(*places, "--max-dets", 5)
    assert "--scores came without" in fault(*places, "--scores", "size")


def test_pairs_of_a_list(places, tmp_path):
    pred, _ = places
    listed = tmp_path / "pairs.csv"
    listed.write_text(
        "pred,truth,name\npred/a_labels.tif,truth/a.png,first\npred/b_labels.tif,truth/a.png,\n", encoding="utf-8"
    )
    result = run("--pairs", listed, "-o", tmp_path / "o", "--figures", "--bootstrap", 0)
    assert result.exit_code == 0, result.output
    assert table_row(result.stdout, "first ")[1:4] == ["2", "1", "0.500"]
    assert table_row(result.stdout, "b ")[1:4] == ["2", "2", "1.000"]
    assert (tmp_path / "o" / "figures" / "errors" / "first.png").is_file()
    assert "--pairs came with PRED TRUTH" in fault(*places, "--pairs", listed)
    assert "--pairs came with --compare and --list" in fault("--pairs", listed, "--compare", "--list", "x")
    listed.write_text("pred,truth\npred,truth/a.png\nnot.tif,truth/b.png\n,truth/a.png\n", encoding="utf-8")
    message = fault("--pairs", listed)
    assert message.startswith(f"3 faults in {listed}: line 2: {pred} is a folder")
    assert f"line 3: no file {tmp_path / 'not.tif'}" in message
    assert message.endswith("line 4: no pred")


def test_a_comparison_names_the_faults_of_all_predictions_at_once(places, tmp_path):
    pred, truth = places
    other, third = tmp_path / "other", tmp_path / "third"
    for folder, images in ((other, {"a": TWO, "b": TWO}), (third, {"a": TWO[:-1], "b": TWO, "empty": NONE})):
        folder.mkdir()
        for name, labels in images.items():
            write_labels(folder / f"{name}.tif", labels)
    (pred / "b_labels.tif").unlink()
    message = fault("--compare", pred, other, third, truth)
    assert f"no prediction for b in {pred}; no prediction for empty in {other}: add the files" in message
    assert f"{third}: a: the prediction has shape (15, 16) and the truth (16, 16)" in message
    write_labels(pred / "b_labels.tif", TWO[:, :-1])
    write_labels(other / "empty.tif", NONE)
    message = fault("--compare", pred, other, third, truth, "-o", tmp_path / "out")
    assert f"{pred}: 1 of 3 images cannot be compared: b: the prediction has shape (16, 15)" in message
    assert f"{third}: 1 of 3 images cannot be compared: a: the prediction has shape (15, 16)" in message
    assert f"{tmp_path / 'nowhere'} does not exist" in fault("--compare", pred, tmp_path / "nowhere", truth)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def release(tmp_path):
    """A volume of three slices, its images and ids that hold in 3D."""
    import tifffile

    volume = np.stack([TWO, TWO, ONE]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "raw.tif", volume.astype(np.uint8), photometric="minisblack")
    tifffile.imwrite(tmp_path / "ids.tif", volume, photometric="minisblack")
    return tmp_path, volume


@pytest.mark.parametrize("suffix", [".h5", ".zarr"])
def test_a_store_is_a_truth(release, suffix):
    from autosam.data.importing import import_release
    from autosam.data.sources import open_release

    folder, volume = release
    place = folder / f"store{suffix}"
    store, _ = import_release(open_release(str(folder / "raw.tif"), str(folder / "ids.tif")), place)
    (name,) = store.volumes

    # One volume against one volume, whatever their names: as a whole.
    for file in (folder / "mine.tif", folder / f"{name}.tif"):
        write_labels(file, np.where(volume == 2, 0, volume))
        result = run(file, place, "--bootstrap", 0)
        assert result.exit_code == 0, result.output
        assert table_row(result.stdout, f"{file.stem} ")[1:4] == ["2", "1", "0.500"]
    # Slices by the names of their items, as `autosam segment` on a folder leaves them.
    (folder / "pred").mkdir()
    for item, labels in zip(store.items, volume, strict=True):
        write_labels(folder / "pred" / f"{item.name}_labels.tif", labels)
    slices = run(folder / "pred", place, "--bootstrap", 0)
    assert slices.exit_code == 0, slices.output
    assert table_row(slices.stdout, "pooled (3 images)")[1:4] == ["5", "5", "1.000"]
    one = run(folder / "pred" / f"{store.items[1].name}_labels.tif", place)
    assert table_row(one.stdout, f"{store.items[1].name} ")[1:4] == ["2", "2", "1.000"]
    # It may be the prediction too.
    assert table_row(run(place, place).stdout, f"{name} ")[1:4] == ["2", "2", "1.000"]
    (folder / "pred" / f"{store.items[1].name}_labels.tif").unlink()
    assert f"no prediction for {store.items[1].name} in" in fault(folder / "pred", place)


def test_a_volume_of_a_store_is_read_block_by_block(release, monkeypatch):
    from autosam.data.importing import import_release
    from autosam.data.sources import open_release
    from autosam.evaluation import scoring

    folder, volume = release
    import_release(open_release(str(folder / "raw.tif"), str(folder / "ids.tif")), folder / "s.h5")
    write_labels(folder / "mine.tif", np.roll(volume, 1, 2))
    whole = run(folder / "mine.tif", folder / "s.h5")
    monkeypatch.setattr(scoring, "IN_MEMORY_VOXELS", 100)
    assert run(folder / "mine.tif", folder / "s.h5").stdout == whole.stdout
    assert whole.exit_code == 0, whole.output


def test_one_item_or_volume_of_a_store(release):
    from autosam.data.importing import import_release
    from autosam.data.sources import open_release

    folder, volume = release
    store, _ = import_release(open_release(str(folder / "raw.tif"), str(folder / "ids.tif")), folder / "s.h5")
    write_labels(folder / "slice.tif", volume[2])
    (folder / "pairs.csv").write_text(
        f"pred,truth\nids.tif,s.h5:{store.volumes[0]}\nslice.tif,s.h5:{store.items[2].name}\n", encoding="utf-8"
    )
    result = run("--pairs", folder / "pairs.csv", "--bootstrap", 0)
    assert result.exit_code == 0, result.output
    assert table_row(result.stdout, "ids ")[1:4] == ["2", "2", "1.000"]
    assert table_row(result.stdout, "slice ")[1:4] == ["1", "1", "1.000"]
    assert "(3, 16, 16) and the truth (16, 16)" in fault(
        folder / "ids.tif", f"{folder}/s.h5:{store.items[2].name}"
    )
    (folder / "pairs.csv").write_text("pred,truth\nids.tif,s.h5\nids.tif,s.zip\n", encoding="utf-8")
    assert "line 3: no file" in fault("--pairs", folder / "pairs.csv")


def test_the_folder_of_a_data_set_is_a_truth(release):
    folder, volume = release
    for z, labels in enumerate(volume):
        for name, pixels in (("raw", labels), ("mitochondria", np.where(labels > 0, 255, 0))):
            (folder / "epfl" / name).mkdir(parents=True, exist_ok=True)
            write_labels(folder / "epfl" / name / f"{z:04d}.png", pixels.astype(np.uint8))
    write_labels(folder / "training.tif", np.where(volume > 0, 5, 0))
    # Objects 1 and 2 touch in the mask: one component in 3D.
    result = run(folder / "training.tif", folder / "epfl", "--components", "--figures", "-o", folder / "o")
    assert result.exit_code == 0, (result.output, result.exception)
    assert table_row(result.stdout, "training ")[1:4] == ["1", "1", "1.000"]
    write_labels(folder / "training_z0002.tif", volume[2])
    one = run(folder / "training_z0002.tif", folder / "epfl", "--components")
    assert table_row(one.stdout, "training_z0002 ")[1:4] == ["1", "1", "1.000"]


def test_cellpose_files(places, tmp_path):
    pred, truth = places
    segs = tmp_path / "segs"
    segs.mkdir()
    for name, labels in (("a", TWO), ("b", TWO), ("empty", NONE)):
        np.save(segs / f"{name}_seg.npy", {"masks": labels, "filename": f"{name}.tif"})
        write_labels(segs / f"{name}.tif", np.ones((16, 16), np.uint8))  # the image, not labels
    for place in (segs, segs / "*_seg.npy"):
        result = run(pred, place, "--bootstrap", 0)
        assert result.exit_code == 0, result.output
        assert table_row(result.stdout, "pooled (3 images)")[1:4] == ["4", "3", "0.750"]
    # As a prediction too; a single file whatever its name, and in a list of pairs.
    assert table_row(run(segs, truth).stdout, "pooled (3 images)")[3] == "1.000"
    assert table_row(run(segs / "a_seg.npy", truth / "b.png").stdout, "a ")[3] == "1.000"
    (tmp_path / "pairs.csv").write_text(f"pred,truth\n{pred}/a_labels.tif,segs/a_seg.npy\n", encoding="utf-8")
    assert table_row(run("--pairs", tmp_path / "pairs.csv").stdout, "a ")[3] == "0.500"
    # Mask files beside the images are the labels, and go before the _seg.npy.
    for name, labels in (("a", ONE), ("b", TWO), ("empty", NONE)):
        write_labels(segs / f"{name}_cp_masks.png", labels)
    assert table_row(run(segs, truth).stdout, "pooled (3 images)")[3] == "0.750"
    (segs / "a_seg.npy").write_bytes(b"no numpy")
    assert "_seg.npy" in fault(segs / "a_seg.npy", truth / "a.png")


def outline(top, left, bottom, right):
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def test_coco_and_qupath_are_truths(tmp_path):
    images, pred = tmp_path / "data" / "images", tmp_path / "pred"
    images.mkdir(parents=True)
    pred.mkdir()
    write_labels(images / "x 1.png", np.ones((16, 16), np.uint8))
    write_labels(pred / "x 1.tif", TWO)
    rings = [outline(0, 0, 8, 8), outline(0, 8, 8, 12)]  # the second object is half of TWO's
    coco = tmp_path / "data" / "annotations" / "instances.json"
    coco.parent.mkdir()
    annotations = [
        {"id": n, "image_id": 7, "segmentation": [[v for point in ring for v in point]]}
        for n, ring in enumerate(rings, 1)
    ]
    document = {"images": [{"id": 7, "file_name": "x 1.png"}], "annotations": annotations}
    coco.write_text(json.dumps(document), encoding="utf-8")
    features = [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for ring in rings
    ]
    qupath = tmp_path / "q"
    qupath.mkdir()
    write_labels(qupath / "x 1.png", np.ones((16, 16), np.uint8))
    (qupath / "x 1.geojson").write_text(json.dumps(features), encoding="utf-8")
    for place in (tmp_path / "data", coco, qupath, qupath / "x 1.geojson"):
        result = run(pred, place)
        assert result.exit_code == 0, (place, result.output, result.exception)
        # IoU 1 and 32 / 64: both match at .5, one at .75.
        assert table_row(result.stdout, "x_1 ")[1:5] == ["2", "2", "1.000", "0.333"]
        assert "the first in the file keeps the pixel" in result.stdout
    (qupath / "x 1.png").unlink()
    assert "has no image x 1 beside it" in fault(pred, qupath / "x 1.geojson")


def test_what_cannot_be_read_is_told_what_can(places, tmp_path):
    pred, _ = places
    (tmp_path / "a.xml").write_text("<a/>", encoding="utf-8")
    message = fault(pred, tmp_path / "a.xml")
    assert "unknown suffix '.xml'" in message
    (tmp_path / "none").mkdir()
    for text in (message, fault(pred, tmp_path / "none")):
        for readable in (".tif", ".h5", ".zarr", "autosam data import", "_seg.npy", "COCO", "QuPath"):
            assert readable in text
    both = fault("--compare", tmp_path / "a.xml", tmp_path / "none", pred)
    assert f"{tmp_path / 'a.xml'} has the unknown suffix" in both
    assert f"{tmp_path / 'none'} holds no labels" in both


def test_what_outlines_lose_is_said(tmp_path):
    """A COCO truth tells how many of its objects are covered by others or without area."""
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    for place in (data / "images", tmp_path):
        write_labels(place / "s.tif", ONE)
    outlines = [[0, 0, 8, 0, 8, 8, 0, 8], [1, 1, 4, 1, 4, 4, 1, 4], [5, 5, 9, 9]]
    annotations = [
        {"id": n, "image_id": 1, "category_id": 1, "segmentation": [outline]} for n, outline in enumerate(outlines)
    ]
    content = {
        "images": [{"id": 1, "file_name": "s.tif"}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cell"}],
    }
    (data / "instances.json").write_text(json.dumps(content))
    result = run(tmp_path / "s.tif", data, "--bootstrap", 0)
    assert result.exit_code == 0, result.output
    assert "truth: 1 of 3 objects is wholly covered by others and lost, such as annotation 1" in result.output
    assert "truth: 1 of 3 objects is without area" in result.output

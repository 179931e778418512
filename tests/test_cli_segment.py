"""`autosam segment` as a user runs it; the networks answer by rule, so that the objects are known."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
import tifffile
from fake_networks import (
    DescribedPixels,
    build_small_sam,
    colors_of,
    draw_ellipses,
    use_rule_models,
)

from autosam import cli
from autosam.config import load_config
from autosam.errors import InputError
from autosam.images import read_image, read_labels
from autosam.images import write as writing
from autosam.models.networks import Networks
from autosam.pipeline.segmenter import Segmenter

SPOTS, TRUTH = draw_ellipses((100, 150), [(20, 30, 9, 12), (50, 100, 14, 10), (80, 40, 8, 16)])


@pytest.fixture
def autosam(tmp_path, monkeypatch, capsys):
    """Run the program in its own folder; gives exit status, stdout and stderr."""
    use_rule_models(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"stands for the weights")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["autosam", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        status = stop.value.code or 0
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def segment(autosam, *arguments):
    return autosam("segment", *arguments, "-m", "model.safetensors")


def refused(autosam, *arguments):
    """Give the one line of a run that ends with exit status 2."""
    status, out, err = segment(autosam, *arguments)
    assert (status, out) == (2, "")
    (line,) = err.strip().splitlines()
    assert line.startswith("autosam: ")
    return line


def failed(autosam, *arguments):
    """Give the one line of a run whose only image fails at work."""
    status, out, err = segment(autosam, *arguments)
    assert (status, out) == (1, "")
    (line,) = err.strip().splitlines()
    assert line.startswith("autosam: ")
    return line


def save(path, image=SPOTS):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image, photometric="minisblack")
    return path


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# What a run leaves behind


def test_labels_overlay_table_and_record(autosam, tmp_path):
    save(tmp_path / "in" / "a.tif")
    status, out, _ = segment(autosam, "in", "-o", "out", "--pixel-size", "10")
    assert status == 0
    assert "1 image segmented, 3 objects found" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a_instances.csv",
        "a_labels.tif",
        "a_overlay.png",
        "autosam_run.json",
        "summary.csv",
    ]
    labels = read_labels(tmp_path / "out" / "a_labels.tif")
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, TRUTH)
    overlay = read_image(tmp_path / "out" / "a_overlay.png")
    assert overlay.shape == (100, 150, 3)
    # The scale bar; nothing else is white.
    assert (overlay == 255).all(axis=-1)[60:, 75:].any()
    with tifffile.TiffFile(tmp_path / "out" / "a_labels.tif") as file:
        assert file.imagej_metadata["unit"] == "um"
    rows = table(tmp_path / "out" / "a_instances.csv")
    assert [int(row["area"]) for row in rows] == np.bincount(TRUTH.ravel())[1:].tolist()
    # 10 nm pixels: 1 px is 1e-4 µm²
    assert float(rows[0]["area_um2"]) == pytest.approx(int(rows[0]["area"]) * 1e-4)
    record = json.loads((tmp_path / "out" / "autosam_run.json").read_text(encoding="utf-8"))
    assert record["images"]["a"]["instances"] == 3
    assert record["settings"]["merge"]["min_size"] == 50
    assert record["options"]["pixel_size_nm"] == 10
    assert len(record["model_sha256"]) == 64


def test_timings_are_a_table_of_stages(autosam, tmp_path):
    save(tmp_path / "in" / "a.tif")
    save(tmp_path / "in" / "b.tif", SPOTS[::-1])
    _, plain, _ = segment(autosam, "in", "-o", "plain")
    assert "stage" not in plain
    status, out, _ = segment(autosam, "in", "-o", "out", "--timings")
    assert status == 0
    title, *rows = (line.split() for line in out.splitlines()[: -len(plain.splitlines())])
    assert title == ["stage", "seconds", "share", "seconds", "per", "image"]
    stages = [row[0] for row in rows]
    assert stages[:3] == ["read", "view", "predict"]
    assert stages[-2:] == ["other", "all"]
    *parts, whole = (float(row[1]) for row in rows)
    assert sum(parts) == pytest.approx(whole, abs=0.01 * len(parts))
    assert rows[-1][2] == "100%"
    assert float(rows[-1][3]) == pytest.approx(whole / 2, abs=0.01)
    # Nothing was done, so that there is nothing to tell.
    _, again, _ = segment(autosam, "in", "-o", "out", "--timings")
    assert "stage" not in again


def test_images_unlike_the_training_images_are_said_in_one_line(autosam, tmp_path, monkeypatch):
    networks = Networks(build_small_sam(), DescribedPixels(), statistics=colors_of(0.1, 0.2, limit=0.25))

    def from_model(model, *, config=None, overrides=(), device="auto"):
        return Segmenter(networks, load_config(config, overrides=overrides), name=str(model))

    monkeypatch.setattr(Segmenter, "from_model", from_model)
    for name, image in (("a", SPOTS), ("b", 255 - SPOTS), ("c", SPOTS), ("d", 255 - SPOTS)):
        save(tmp_path / "in" / f"{name}.tif", image)
    said = "of 1 image is unlike what the model was trained on (b): look at the overlays."
    assert f"1 {said}" in segment(autosam, "in/b.tif", "-o", "one")[1]
    assert "unlike" not in segment(autosam, "in/a.tif", "-o", "none")[1]
    out = segment(autosam, "in", "-o", "all")[1]
    assert "2 of 4 images are unlike what the model was trained on (b, d): look at the overlays." in out
    assert out.index("unlike") < out.index("Results are in")
    record = json.loads((tmp_path / "all" / "autosam_run.json").read_text(encoding="utf-8"))
    told = {name: entry["out_of_distribution"] for name, entry in record["images"].items()}
    assert told == {"a": False, "b": True, "c": False, "d": True}
    assert record["images"]["a"]["novelty"] < 1 < record["images"]["b"]["novelty"]


def test_pages_datasets_and_suffixes(autosam, tmp_path):
    save(tmp_path / "stack.tif", np.stack([SPOTS, SPOTS[::-1], np.full_like(SPOTS, 9)]))
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["raw"] = SPOTS
        file["other"] = SPOTS
    status, out, _ = segment(autosam, "stack.tif", "v.h5:/raw", "-o", "out", "--format", "h5")
    assert status == 0
    assert "4 images segmented, 9 objects found" in out
    assert "Nothing was found in stack_p2." in out
    for name, expected in (("stack_p0", TRUTH), ("stack_p1", TRUTH[::-1]), ("v_raw", TRUTH)):
        labels = read_labels(tmp_path / "out" / f"{name}_labels.h5")
        assert np.array_equal(labels > 0, expected > 0)
    assert not read_labels(tmp_path / "out" / "stack_p2_labels.h5").any()
    assert table(tmp_path / "out" / "stack_p2_instances.csv") == []


def test_a_dark_image_with_next_to_nothing_found_is_told(autosam, tmp_path):
    dark = np.zeros((200, 200), np.uint16)
    dark[50:60, 50:60] = 60_000
    save(tmp_path / "in" / "speck.tif", dark)
    save(tmp_path / "in" / "spots.tif")
    _, out, _ = segment(autosam, "in", "-o", "out")
    words = "most of the image is dark after scaling, and only 1 object was found; try --set images.high=97"
    assert f"speck: {words}." in out
    record = json.loads((tmp_path / "out" / "autosam_run.json").read_text())
    assert words in record["images"]["speck"]["warnings"]
    assert not any("dark" in warning for warning in record["images"]["spots"]["warnings"])


def test_saved_prompts_come_back_as_manual_ones(autosam, tmp_path):
    save(tmp_path / "a.tif")
    assert segment(autosam, "a.tif", "-o", "auto", "--save-prompts", "--draw-prompts")[0] == 0
    prompts = tmp_path / "auto" / "a_prompts.csv"
    assert len(table(prompts)) == 6  # a point and a box for each of three objects
    lines = prompts.read_text(encoding="utf-8").splitlines()
    prompts.write_text("\n".join(lines[:3]) + "\n", encoding="utf-8")
    status, out, _ = segment(autosam, "a.tif", "-o", "manual", "--prompts", prompts)
    assert status == 0
    assert "1 object found" in out
    assert np.array_equal(read_labels(tmp_path / "manual" / "a_labels.tif") > 0, TRUTH == 1)


def test_a_folder_of_saved_prompts_serves_a_batch(autosam, tmp_path):
    save(tmp_path / "in" / "a.tif")
    save(tmp_path / "in" / "b.tif", SPOTS[::-1])
    segment(autosam, "in", "-o", "auto", "--save-prompts")
    status, out, _ = segment(autosam, "in", "-o", "manual", "--prompts", "auto")
    assert status == 0
    assert "6 objects found" in out
    (tmp_path / "auto" / "b_prompts.csv").unlink()
    assert "b_prompts.csv" in refused(autosam, "in", "-o", "again", "--prompts", "auto")


def test_a_table_without_images_serves_one_image_alone(autosam, tmp_path):
    save(tmp_path / "in" / "a.tif")
    save(tmp_path / "in" / "b.tif", SPOTS[::-1])
    (tmp_path / "mine.csv").write_text("object,row,col,label\n1,20,30,1\n", encoding="utf-8")
    assert "column image" in refused(autosam, "in", "-o", "out", "--prompts", "mine.csv")
    assert "1 object found" in segment(autosam, "in/a.tif", "-o", "out", "--prompts", "mine.csv")[1]
    (tmp_path / "none.csv").write_text("object,row,col,label\n", encoding="utf-8")
    assert "holds no prompt" in refused(autosam, "in/a.tif", "-o", "none", "--prompts", "none.csv")


def test_an_object_asked_for_by_hand_is_not_dropped_for_its_score(autosam, tmp_path):
    save(tmp_path / "a.tif")
    lines = ["object,row,col,label", "1,20,30,1", "2,50,100,1", "3,51,101,1"]
    (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    strict = ["--set", "merge.min_score=1", "--set", "merge.fallback=1"]
    status, out, _ = segment(autosam, "a.tif", "-o", "out", "--prompts", "mine.csv", *strict)
    assert status == 0
    assert "2 objects found" in out
    assert "1 of your 3 prompts gave no object of their own" in out


# Prompts by hand beside automatic ones


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_table_beside_the_automatic_prompts(autosam, tmp_path):
    save(tmp_path / "a.tif")
    write(tmp_path / "mine.csv", "object,row,col,label", "1,20,30,1")
    run = ("a.tif", "-o", "out", "--prompts", "mine.csv", "--with-automatic", "--save-prompts")
    status, out, _ = segment(autosam, *run)
    assert status == 0
    assert "3 objects found" in out
    assert "of your" not in out
    assert np.array_equal(read_labels(tmp_path / "out" / "a_labels.tif"), TRUTH)
    # Two automatic prompts of a point and a box, and the point by hand, which comes last.
    rows = table(tmp_path / "out" / "a_prompts.csv")
    assert [row["object"] for row in rows] == ["1", "1", "2", "2", "3"]
    assert (rows[-1]["row"], rows[-1]["col"]) == ("20", "30")
    assert "skipped" in segment(autosam, *run)[1]
    write(tmp_path / "mine.csv", "object,row,col,label", "1,21,30,1")
    assert "options.prompts_sha256" in refused(autosam, *run)


def test_a_folder_of_tables_may_miss_images_beside_automatic_prompts(autosam, tmp_path):
    save(tmp_path / "in" / "a.tif")
    save(tmp_path / "in" / "b.tif", SPOTS[::-1])
    write(tmp_path / "tables" / "a_prompts.csv", "object,row,col,label", "1,20,30,1")
    assert "holds no b_prompts.csv" in refused(autosam, "in", "-o", "out", "--prompts", "tables")
    status, out, _ = segment(autosam, "in", "-o", "out", "--prompts", "tables", "--with-automatic")
    assert status == 0
    assert "6 objects found" in out
    (tmp_path / "tables" / "a_prompts.csv").rename(tmp_path / "tables" / "c_prompts.csv")
    line = refused(autosam, "in", "-o", "none", "--prompts", "tables", "--with-automatic")
    assert "tables holds no prompt for any of the images" in line


def test_a_table_may_miss_images_beside_automatic_prompts(autosam, tmp_path):
    save(tmp_path / "in" / "a.tif")
    save(tmp_path / "in" / "b.tif", SPOTS[::-1])
    write(tmp_path / "mine.csv", "image,object,row,col,label", "a.tif,1,20,30,1")
    assert "no row for image 'b.tif', only for a.tif" in refused(
        autosam, "in", "-o", "out", "--prompts", "mine.csv"
    )
    status, out, _ = segment(autosam, "in", "-o", "out", "--prompts", "mine.csv", "--with-automatic")
    assert status == 0
    assert "6 objects found" in out
    write(tmp_path / "others.csv", "image,object,row,col,label", "c.tif,1,20,30,1")
    line = refused(autosam, "in", "-o", "none", "--prompts", "others.csv", "--with-automatic")
    assert "others.csv holds no prompt for any of the images" in line


@pytest.mark.parametrize("prompts", [(), ("--prompts", "grid"), ("--prompts", "distance")])
def test_automatic_prompts_beside_no_table(autosam, tmp_path, prompts):
    save(tmp_path / "a.tif")
    line = refused(autosam, "a.tif", "-o", "out", *prompts, "--with-automatic")
    assert line == ("autosam: --with-automatic wants prompts of your own beside it; give a table with --prompts")
    assert not (tmp_path / "out").exists()


def test_prompts_by_hand_want_a_sam(autosam, tmp_path):
    save(tmp_path / "in" / "a.tif")
    save(tmp_path / "in" / "b.tif")
    write(tmp_path / "mine.csv", "image,object,row,col,label", "a,1,20,30,1")
    run = ("in", "-o", "out", "--prompts", "mine.csv", "--with-automatic", "--set", "decode.sam=false")
    assert "decode.sam=false leaves no SAM to answer them" in refused(autosam, *run)
    assert not list((tmp_path / "out").glob("*_labels.*"))


# Going on


def test_finished_images_are_skipped_and_unfinished_ones_done(autosam, tmp_path):
    save(tmp_path / "in" / "a.tif")
    save(tmp_path / "in" / "b.tif")
    segment(autosam, "in", "-o", "out")
    (tmp_path / "out" / "b_labels.tif").unlink()
    before = (tmp_path / "out" / "a_labels.tif").stat().st_mtime_ns
    status, out, _ = segment(autosam, "in", "-o", "out")
    assert status == 0
    assert "1 image segmented" in out
    assert "1 image skipped" in out
    assert (tmp_path / "out" / "a_labels.tif").stat().st_mtime_ns == before
    assert (tmp_path / "out" / "b_labels.tif").exists()
    status, out, _ = segment(autosam, "in", "-o", "out", "--overwrite")
    assert "2 images segmented" in out
    assert "skipped" not in out


def test_results_that_the_record_does_not_know_are_made_again(autosam, tmp_path):
    save(tmp_path / "a.tif")
    segment(autosam, "a.tif", "-o", "out")
    record = tmp_path / "out" / "autosam_run.json"
    content = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps(content | {"images": {}}), encoding="utf-8")
    assert "1 image segmented" in segment(autosam, "a.tif", "-o", "out")[1]
    record.unlink()
    assert "1 image segmented" in segment(autosam, "a.tif", "-o", "out")[1]


def test_a_record_of_an_autosam_that_did_not_know_a_setting_goes_on(autosam, tmp_path):
    save(tmp_path / "a.tif")
    segment(autosam, "a.tif", "-o", "out")
    record = tmp_path / "out" / "autosam_run.json"
    content = json.loads(record.read_text(encoding="utf-8"))
    del content["settings"]["decode"]["fusion"]
    record.write_text(json.dumps(content), encoding="utf-8")
    assert "1 image skipped" in segment(autosam, "a.tif", "-o", "out")[1]
    content["settings"]["decode"]["fusion"] = 2.0
    record.write_text(json.dumps(content), encoding="utf-8")
    assert "other settings (settings.decode.fusion)" in refused(autosam, "a.tif", "-o", "out")
    content["settings"]["decode"]["later"] = True
    record.write_text(json.dumps(content), encoding="utf-8")
    assert "settings.decode.later" in refused(autosam, "a.tif", "-o", "out")


def test_results_of_other_settings_are_not_mixed(autosam, tmp_path):
    save(tmp_path / "a.tif")
    save(tmp_path / "b.tif")
    segment(autosam, "a.tif", "-o", "out")
    for more, named in (
        (["--set", "merge.min_size=200"], "settings.merge.min_size"),
        (["--pixel-size", "5"], "options.pixel_size_nm"),
        (["--draw-prompts"], "options.draw_prompts"),
        (["--draw-ids"], "options.draw_ids"),
    ):
        line = refused(autosam, "a.tif", "-o", "out", *more)
        assert f"other settings ({named})" in line
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    assert "another model" in refused(autosam, "a.tif", "-o", "out")
    assert "1 image segmented" in segment(autosam, "b.tif", "-o", "out", "--overwrite")[1]
    # The result of a.tif is still that of the old weights, and must not pass for one of the new.
    assert "1 image segmented" in segment(autosam, "a.tif", "-o", "out")[1]


def test_another_image_of_the_same_name_is_not_taken_for_done(autosam, tmp_path):
    save(tmp_path / "day1" / "a.tif")
    save(tmp_path / "day2" / "a.tif", SPOTS[::-1])
    segment(autosam, "day1", "-o", "out")
    line = failed(autosam, "day2", "-o", "out")
    assert f"come from {tmp_path / 'day1' / 'a.tif'}, another image" in line
    assert np.array_equal(read_labels(tmp_path / "out" / "a_labels.tif") > 0, TRUTH > 0)
    assert segment(autosam, "day2", "-o", "out", "--overwrite")[0] == 0
    assert np.array_equal(read_labels(tmp_path / "out" / "a_labels.tif") > 0, TRUTH[::-1] > 0)


# What goes wrong


def test_one_bad_file_does_not_stop_the_others(autosam, tmp_path):
    save(tmp_path / "in" / "a.tif")
    whole = save(tmp_path / "in" / "b.tif").read_bytes()
    (tmp_path / "in" / "b.tif").write_bytes(whole[: len(whole) // 2])
    save(tmp_path / "in" / "c.tif", np.where(TRUTH == 1, np.nan, SPOTS).astype(np.float32))
    save(tmp_path / "in" / "d.tif")
    status, out, err = segment(autosam, "in", "-o", "out")
    assert status == 1
    assert "2 images segmented, 6 objects found" in out
    assert "2 images failed" in err
    assert "b.tif" in err
    assert f"c.tif: {np.count_nonzero(TRUTH == 1)} of 15000 pixels" in err
    assert not list((tmp_path / "out").glob("[bc]_*"))
    status, out, _ = segment(autosam, "in", "-o", "out")
    assert status == 1
    assert "2 images skipped" in out


def test_a_single_image_that_fails_leaves_nothing_and_binds_nobody(autosam, tmp_path):
    save(tmp_path / "a.tif", np.full((20, 30), np.nan, np.float32))
    failed(autosam, "a.tif", "-o", "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bad_page_is_named(autosam, tmp_path):
    pages = np.stack([SPOTS, SPOTS]).astype(np.float32)
    pages[1, 0, 0] = np.nan
    save(tmp_path / "stack.tif", pages)
    status, _, err = segment(autosam, "stack.tif", "-o", "out")
    assert status == 1
    assert "stack.tif[1]: 1 of 15000 pixels" in err


def test_bad_pixels_can_be_background(autosam, tmp_path):
    image = SPOTS.astype(np.float32)
    image[:3, :3] = np.inf
    save(tmp_path / "a.tif", image)
    assert "--set images.non_finite=background" in failed(autosam, "a.tif", "-o", "out")
    status, out, _ = segment(autosam, "a.tif", "-o", "out", "--set", "images.non_finite=background")
    assert status == 0
    assert "3 objects found" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.tif"], ["nowhere.tif"]),
        (["empty"], ["empty"]),
        (["a.tif", "--format", "jpg"], ["jpg", "tif, png, h5, zarr"]),
        (["a.tif", "--prompts", "distanse"], ["distanse", "distance"]),
        (["a.tif", "--set", "merge.minsize=3", "--set", "prompts.points=x"], ["merge.minsize", "prompts.points"]),
        (["a.tif", "--config", "nosuch"], ["nosuch"]),
        (["a.tif", "--prompts", "grid", "--set", "decode.sam=false"], ["decode.sam=false"]),
    ],
)
def test_one_line_and_nothing_written(autosam, tmp_path, arguments, words):
    save(tmp_path / "a.tif")
    (tmp_path / "empty").mkdir()
    line = refused(autosam, *arguments, "-o", "out")
    for word in words:
        assert word in line
    assert not list((tmp_path / "out").glob("*_*s.*"))


def test_results_do_not_go_among_the_images(autosam, tmp_path):
    save(tmp_path / "in" / "a.tif")
    assert "another folder" in refused(autosam, "in", "-o", "in")
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.tif"]


def test_a_folder_that_cannot_be_written(autosam, tmp_path):
    save(tmp_path / "a.tif")
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    assert "file" in refused(autosam, "a.tif", "-o", "file/out")


def test_a_full_disk_stops_the_batch_and_leaves_no_part(autosam, tmp_path, monkeypatch):
    save(tmp_path / "in" / "a.tif")
    save(tmp_path / "in" / "b.tif")

    def full(path, labels, **_):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing.tifffile, "imwrite", full)
    assert "No space left on device" in refused(autosam, "in", "-o", "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_interrupted_run_says_how_to_go_on(autosam, tmp_path, monkeypatch):
    save(tmp_path / "in" / "a.tif")
    save(tmp_path / "in" / "b.tif")
    whole, seen = Segmenter.segment, []

    def interrupted(self, image, **options):
        seen.append(image)
        # The first is written to its end.
        if len(seen) == 2:
            raise KeyboardInterrupt
        return whole(self, image, **options)

    monkeypatch.setattr(Segmenter, "segment", interrupted)
    status, _, err = segment(autosam, "in", "-o", "out")
    assert status == 130
    assert "goes on where it stopped" in err
    monkeypatch.setattr(Segmenter, "segment", whole)
    status, out, _ = segment(autosam, "in", "-o", "out")
    assert status == 0
    assert "1 image segmented" in out
    assert "1 image skipped" in out


def test_the_end_of_a_cluster_job_is_an_interrupt(autosam, tmp_path, monkeypatch):
    for name in "ab":
        save(tmp_path / "in" / f"{name}.tif")
    whole, seen = Segmenter.segment, []

    def ended(self, image, **options):
        seen.append(image)
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(self, image, **options)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(Segmenter, "segment", ended)
    status, _, err = segment(autosam, "in", "-o", "out")
    assert (status, "goes on where it stopped" in err) == (130, True)
    assert signal.getsignal(signal.SIGTERM) is before
    assert not list((tmp_path / "out").glob(".*"))
    monkeypatch.setattr(Segmenter, "segment", whole)
    assert "1 image skipped" in segment(autosam, "in", "-o", "out")[1]


# What is said


def test_a_replaced_image_and_files_out_of_date_are_said(autosam, tmp_path):
    save(tmp_path / "in" / "day1" / "a.tif")
    save(tmp_path / "in" / "b.tif")
    segment(autosam, "in", "-o", "out", "--format", "png")
    save(tmp_path / "in" / "day1" / "a.tif", SPOTS[::-1])
    status, out, err = segment(autosam, "in", "-o", "out", "--format", "tif")
    assert (status, err) == (0, "")
    assert "1 image has changed since the last run and was segmented again: day1/a." in out
    assert "2 files of earlier runs removed, out of date now: b_labels.png, day1/a_labels.png." in out
    assert not list((tmp_path / "out").rglob("*.png.*"))
    changed = tmp_path / "out" / "b_labels.tif"
    changed.write_bytes(changed.read_bytes() + b"corrected")
    err = segment(autosam, "in", "-o", "out", "--format", "png", "--overwrite")[2]
    assert "1 file of earlier runs kept though out of date" in err
    assert "b_labels.tif" in err


def test_failures_are_said_once_and_before_an_interrupt(autosam, tmp_path, monkeypatch):
    save(tmp_path / "in" / "a.tif", np.full((20, 30), np.nan, np.float32))
    save(tmp_path / "in" / "b.tif")
    _, out, err = segment(autosam, "in", "-o", "out")
    assert err.count("a.tif") == 1
    assert "a.tif" not in out
    assert table(tmp_path / "out" / "summary.csv")[0]["state"] == "failed"

    def interrupted(self, image, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Segmenter, "segment", interrupted)
    # The first image interrupts before it can fail.
    status, _, err = segment(autosam, "in", "-o", "out", "--overwrite")
    assert (status, err.count("a.tif")) == (130, 0)

    def segment_b(self, image, **options):
        if image.dtype == np.uint8:
            raise KeyboardInterrupt
        raise InputError("the pixels are no pixels")

    monkeypatch.setattr(Segmenter, "segment", segment_b)
    status, _, err = segment(autosam, "in", "-o", "out", "--overwrite")
    assert (status, err.count("a.tif")) == (130, 1)
    assert err.splitlines()[-1] == (
        "autosam: interrupted; the same command without --overwrite goes on where it stopped"
    )


@pytest.mark.parametrize("given", ["out", "out/*.png", "out/*"])
def test_results_are_no_images(autosam, tmp_path, given):
    save(tmp_path / "in" / "a.tif")
    segment(autosam, "in", "-o", "out")
    line = refused(autosam, given, "-o", "again")
    assert "results" in line or "labels or a picture" in line
    assert not (tmp_path / "again").exists()


# The program itself


def test_help_needs_no_torch():
    code = "import sys, autosam.cli; print(sorted({'torch', 'numpy', 'scipy', 'skimage'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_model_is_not_replaced(tmp_path, monkeypatch, capsys):
    tifffile.imwrite(tmp_path / "a.tif", SPOTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["autosam", "segment", "a.tif", "-o", "out", "--model", "mitto"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "mitto" in line
    assert "mito" in line.replace("mitto", "")
    assert not (tmp_path / "out").exists()


# Trees of folders, and failures of names


def test_results_of_a_tree_go_into_the_same_tree(autosam, tmp_path):
    for place, image in (("day1", SPOTS), ("day2", SPOTS[::-1]), ("", SPOTS[:, ::-1])):
        save(tmp_path / "in" / place / "a.tif", image)
    status, out, _ = segment(autosam, "in", "-o", "in/results")
    assert (status, "3 images segmented, 9 objects found" in out) == (0, True)
    results = tmp_path / "in" / "results"
    for place, truth in (("day1", TRUTH), ("day2", TRUTH[::-1]), ("", TRUTH[:, ::-1])):
        assert np.array_equal(read_labels(results / place / "a_labels.tif") > 0, truth > 0)
    record = json.loads((results / "autosam_run.json").read_text(encoding="utf-8"))
    assert sorted(record["images"]) == ["a", "day1/a", "day2/a"]
    assert sorted(record["images"]["day1/a"]["files"]) == [
        "day1/a_instances.csv",
        "day1/a_labels.tif",
        "day1/a_overlay.png",
    ]
    assert [row["image"] for row in table(results / "summary.csv")] == ["a", "day1/a", "day2/a"]
    # The results inside the folder of images are none of them.
    assert "3 images skipped" in segment(autosam, "in", "-o", "in/results")[1]
    # They are prompts, and truths, of the images in the same folders.
    segment(autosam, "in", "-o", "saved", "--save-prompts")
    assert "9 objects found" in segment(autosam, "in", "-o", "again", "--prompts", "saved")[1]


def test_one_table_of_prompts_for_a_tree(autosam, tmp_path):
    save(tmp_path / "in" / "day1" / "a.tif")
    save(tmp_path / "in" / "day2" / "a.tif")
    write(tmp_path / "mine.csv", "image;object;row;col;label", "day1/a.tif;1;20,5;30;1", "day2/a;1;50;100;1")
    assert "2 objects found" in segment(autosam, "in", "-o", "out", "--prompts", "mine.csv")[1]
    assert np.array_equal(read_labels(tmp_path / "out" / "day1" / "a_labels.tif") > 0, TRUTH == 1)
    assert np.array_equal(read_labels(tmp_path / "out" / "day2" / "a_labels.tif") > 0, TRUTH == 2)
    write(tmp_path / "mine.csv", "image,object,row,col,label", "a.tif,1,20,30,1")
    assert "no row for image 'day1/a.tif'" in refused(autosam, "in", "-o", "other", "--prompts", "mine.csv")


def test_the_truth_of_a_tree_is_a_tree(autosam, tmp_path):
    for place, truth in (("day1", TRUTH), ("day2", TRUTH[::-1])):
        save(tmp_path / "in" / place / "a.tif", np.where(truth > 0, SPOTS.max(), SPOTS.min()).astype(np.uint8))
        save(tmp_path / "truth" / place / "a.tif", truth.astype(np.uint8))
    assert segment(autosam, "in", "-o", "out", "--oracle-mask", "truth")[0] == 0
    assert np.array_equal(read_labels(tmp_path / "out" / "day2" / "a_labels.tif") > 0, TRUTH[::-1] > 0)
    (tmp_path / "truth" / "day2" / "a.tif").unlink()
    assert "no truth for day2/a" in refused(autosam, "in", "-o", "other", "--oracle-mask", "truth")


def test_names_that_cannot_be_are_named_at_the_end_and_the_rest_is_done(autosam, tmp_path):
    save(tmp_path / "in" / "a.tif")
    save(tmp_path / "in" / "two.tif")
    save(tmp_path / "in" / "two.tiff")
    save(tmp_path / "in" / f"{'é' * 120}.tif")
    whole = (tmp_path / "in" / "a.tif").read_bytes()
    with open(os.fsencode(tmp_path / "in") + b"/b\xff.tif", "wb") as file:
        file.write(whole)
    status, out, err = segment(autosam, "in", "-o", "out")
    assert status == 1
    assert "2 images segmented" in out
    assert "2 images failed:" in err
    assert err.count("two.tif and") == 1
    assert "its name is no UTF-8; rename it" in err
    (cut,) = (path for path in (tmp_path / "out").glob("é*_labels.tif"))
    assert len(os.fsencode(cut.name)) < 255
    status, out, _ = segment(autosam, "in", "-o", "out")
    assert (status, "2 images skipped" in out) == (1, True)
    # Where none can be done, nothing is.
    line = refused(autosam, "in/two.tif", "in/two.tiff", "-o", "none")
    assert "two.tif" in line
    assert not (tmp_path / "none").exists()


def test_border_size_and_area(autosam, tmp_path):
    image, _ = draw_ellipses((100, 150), [(20, 30, 9, 12), (50, 100, 14, 10), (80, 148, 8, 16)])
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack")
    mask = np.zeros((100, 150), dtype=np.uint8)
    mask[:, 60:] = 255
    tifffile.imwrite(tmp_path / "area.tif", mask)
    for options, centers in (
        ((), [(20, 30), (50, 100), (80, 148)]),
        (("--exclude-border",), [(20, 30), (50, 100)]),
        (("--max-size", "420"), [(20, 30), (80, 148)]),
        (("--inside", "area.tif"), [(50, 100), (80, 148)]),
        (("--inside", "area.tif", "--exclude-border"), [(50, 100)]),
    ):
        status, _, err = segment(autosam, "a.tif", "-o", "out", "--overwrite", *options)
        assert status == 0, err
        labels = read_labels(tmp_path / "out" / "a_labels.tif")
        assert labels.max() == len(centers), options
        assert sorted(labels[center] for center in centers) == list(range(1, len(centers) + 1)), options
    assert "no such" in refused(autosam, "a.tif", "-o", "other", "--inside", "gone.geojson")

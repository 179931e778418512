"""`autosam segment --channels` and `--oracle-mask` as a user runs them; the networks answer by rule."""

import csv
import json
import sys

import numpy as np
import pytest
import tifffile
from fake_networks import draw_ellipses, use_rule_models

from autosam import cli
from autosam.images import read_image, read_labels
from autosam.pipeline import one_image

PLACES = [(15, 15, 8, 9), (42, 40, 10, 8)]
SPOTS, TRUTH = draw_ellipses((60, 60), PLACES)
FIRST, _ = draw_ellipses((60, 60), PLACES[:1])
SECOND, _ = draw_ellipses((60, 60), PLACES[1:])
MAX = ("--set", "images.combine=max")


@pytest.fixture
def autosam(tmp_path, monkeypatch, capsys):
    """Run `autosam segment` in its own folder; gives exit status, stdout and stderr."""
    use_rule_models(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"stands for the weights")

    def run(*arguments):
        monkeypatch.setattr(
            sys, "argv", ["autosam", "segment", *arguments, "-m", "model.safetensors", "-o", "out"]
        )
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return run


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image, photometric="minisblack")
    return path


def record(tmp_path):
    return json.loads((tmp_path / "out" / "autosam_run.json").read_text(encoding="utf-8"))


# Channels


def test_files_of_a_folder_are_channels_of_images(autosam, tmp_path):
    for name, channels in (("a", (FIRST, SECOND)), ("b", (SECOND, FIRST[::-1]))):
        for ending, image in zip(("_dapi", "_gfp"), channels, strict=True):
            save(tmp_path / "in" / f"{name}{ending}.tif", image)
    save(tmp_path / "in" / "overview.tif", SPOTS)
    status, out, err = autosam("in", "--channels", "_dapi, _gfp", *MAX)
    assert status == 0
    assert err == "autosam: note: 1 image left out, for names that end in none of _dapi, _gfp: overview\n"
    assert "2 images segmented, 4 objects found" in out
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / "a_labels.tif"), TRUTH)
    assert read_image(tmp_path / "out" / "a_overlay.png").shape == (60, 60, 3)
    with (tmp_path / "out" / "a_instances.csv").open(newline="", encoding="utf-8") as file:
        # Each object shows in one of the two channels.
        means = [[float(row[f"intensity_mean-{c}"]) for c in (0, 1)] for row in csv.DictReader(file)]
        assert sorted(means) == [[30, 220], [220, 30]]
    entry = record(tmp_path)["images"]["a"]["input"]
    assert entry == f"{tmp_path / 'in' / 'a_dapi.tif'} + {tmp_path / 'in' / 'a_gfp.tif'}"
    assert "2 images skipped" in autosam("in", "--channels", "_dapi,_gfp", *MAX)[1]
    # Other channels of the same names are another input.
    assert "options.channels" in autosam("in", "--channels", "_gfp,_dapi", *MAX)[2]


def test_the_channel_axis_of_a_tiff(autosam, tmp_path):
    stack = np.stack([np.zeros_like(FIRST), FIRST, SECOND, FIRST, FIRST])
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, photometric="minisblack", metadata={"axes": "CYX"})
    assert "5 channels" in autosam("a.ome.tif")[2]
    status, _, err = autosam("a.ome.tif", "--channels", "all")
    assert (status, err.count("\n")) == (1, 1)
    assert "5 channels came" in err
    assert "images.combine=max" in err
    assert autosam("a.ome.tif", "--channels", "all", *MAX)[0] == 0
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / "a_labels.tif"), TRUTH)


def test_a_missing_channel_is_named_before_the_work_starts(autosam, tmp_path):
    for name in ("a_r", "a_g", "b_r"):
        save(tmp_path / "in" / f"{name}.tif", SPOTS)
    status, out, err = autosam("in", "--channels", "_r,_g", *MAX)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "no b_g beside" in err
    assert not (tmp_path / "out").exists()


def test_channels_of_other_sizes_fail_alone(autosam, tmp_path):
    for name, image in (("a_r", FIRST), ("a_g", SECOND[:-1]), ("b_r", FIRST), ("b_g", SECOND)):
        save(tmp_path / f"{name}.tif", image)
    status, out, err = autosam("a_r.tif", "a_g.tif", "b_r.tif", "b_g.tif", "--channels", "_r,_g", *MAX)
    assert status == 1
    assert "1 image segmented, 2 objects found" in out
    assert "a_r.tif + a_g.tif: the channels have the shapes (60, 60), (59, 60)" in err


def test_saved_prompts_of_a_image_come_back(autosam, tmp_path):
    save(tmp_path / "a_r.tif", FIRST)
    save(tmp_path / "a_g.tif", SECOND)
    scene = ("a_r.tif", "a_g.tif", "--channels", "_r,_g", *MAX)
    autosam(*scene, "--save-prompts")
    table = tmp_path / "out" / "a_prompts.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    assert {line.split(",")[0] for line in lines[1:]} == {"a"}
    # Without the first object's prompts, the automatic ones still find it where they are wanted.
    kept = [lines[0], *(line for line in lines[1:] if line.split(",")[1] == "2")]
    mine = tmp_path / "mine.csv"
    mine.write_text("\n".join(kept) + "\n", encoding="utf-8")
    assert "1 object found" in autosam(*scene, "--prompts", "mine.csv", "--overwrite")[1]
    assert "2 objects found" in autosam(*scene, "--prompts", "mine.csv", "--with-automatic", "--overwrite")[1]


# The oracle


def test_an_upper_bound_says_so(autosam, tmp_path):
    for name in ("a", "b"):
        save(tmp_path / "in" / f"{name}.tif", SPOTS)
        save(tmp_path / "truth" / f"{name}_labels.tif", TRUTH.astype(np.uint16))
    status, out, _ = autosam("in", "--oracle-mask", "truth")
    assert status == 0
    assert "upper bound, not a result" in out
    assert "semantic" not in out
    assert len(record(tmp_path)["options"]["oracle_mask_sha256"]) == 64
    # The results are those of this truth alone.
    assert "oracle_mask_sha256" in autosam("in")[2]
    assert "2 images skipped" in autosam("in", "--oracle-mask", "truth")[1]
    save(tmp_path / "truth" / "b_labels.tif", TRUTH[::-1].astype(np.uint16))
    assert "oracle_mask_sha256" in autosam("in", "--oracle-mask", "truth")[2]


def test_without_an_oracle_nothing_is_said(autosam, tmp_path):
    save(tmp_path / "a.tif", SPOTS)
    out = autosam("a.tif")[1]
    assert "upper bound" not in out
    assert record(tmp_path)["options"]["oracle_mask_sha256"] is None


def test_one_truth_for_one_image_whatever_their_names_and_semantic_ones(autosam, tmp_path, monkeypatch):
    save(tmp_path / "a.tif", SPOTS)
    save(tmp_path / "liver.tif", np.where(TRUTH > 0, 255, 0).astype(np.uint8))
    given = []
    whole = one_image.segment_with_oracle

    def spied(segmenter, image, truth, **rest):
        given.append(truth)
        return whole(segmenter, image, truth, **rest)

    monkeypatch.setattr(one_image, "segment_with_oracle", spied)
    err = autosam("a.tif", "--oracle-mask", "liver.tif")[2]
    assert err.startswith("autosam: note: 1 file of the truth may be semantic")
    assert "--components makes objects of them" in err
    assert autosam("a.tif", "--oracle-mask", "liver.tif", "--components", "--overwrite")[2] == ""
    assert np.unique(given[0]).tolist() == [0, 255]
    np.testing.assert_array_equal(given[1], TRUTH)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in", "--oracle-mask", "truth"], ["no truth for b"]),
        (["in/a.tif", "--oracle-mask", "nowhere"], ["nowhere"]),
        (["in/a.tif", "--oracle-mask", "volume.tif"], ["the truth of a in volume.tif", "(4, 60, 60)"]),
        (["in/a.tif", "--components"], ["--components", "--oracle-mask"]),
        (["in/a.tif", "--oracle-mask", "truth", "--set", "decode.sam=false"], ["decode.sam=false"]),
        (["in/a.tif", "--channels", "_r,,_g"], ["''"]),
        (["in/a.tif", "--channels", "_r,_g"], ["_r or _g"]),
    ],
)
def test_one_line_where_something_is_missing(autosam, tmp_path, arguments, words):
    for name in ("a", "b"):
        save(tmp_path / "in" / f"{name}.tif", SPOTS)
    save(tmp_path / "truth" / "a.tif", TRUTH.astype(np.uint8))
    save(tmp_path / "volume.tif", np.stack([TRUTH] * 4).astype(np.uint8))
    status, _, err = autosam(*arguments)
    assert status == 2
    assert err.count("\n") == 1
    for word in words:
        assert word in err


# One channel of a file


def hyperstack(path, *, names=("DAPI", "GFP", "Cy5", "BF")):
    """Four channels at two depths; only the second channel of the second slice shows both objects."""
    dark = np.full_like(SPOTS, SPOTS.min())
    stack = np.stack([np.stack([dark, FIRST, dark, SECOND]), np.stack([dark, SPOTS, dark, dark])])
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"axes": "ZCYX", "Channel": {"Name": list(names)}}
    tifffile.imwrite(path, stack, ome=True, photometric="minisblack", metadata=metadata)
    return path


@pytest.mark.parametrize("channel", ["1", "GFP", "gfp"])
def test_a_channel_is_chosen_by_number_or_name(autosam, tmp_path, channel):
    hyperstack(tmp_path / "in" / "a.ome.tif")
    status, _, err = autosam("in", "--channel", channel, "--z", "1")
    assert (status, err) == (0, "")
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / "a_p1_labels.tif"), TRUTH)
    assert record(tmp_path)["options"]["selection"] == {"channel": channel, "z": 1}
    # Another channel is another run.
    status, _, err = autosam("in", "--channel", "3", "--z", "1")
    assert status == 2
    assert "selection" in err or "channel" in err


def test_more_channels_than_an_input_has_room_for(autosam, tmp_path):
    hyperstack(tmp_path / "a.ome.tif")
    status, _, err = autosam("a.ome.tif", "--z", "1")
    assert status != 0
    assert "4 channels came, and images.combine=input has room for 3" in err
    assert "choose one with --channel N" in err
    status, _, _ = autosam("a.ome.tif", "--z", "1", *MAX, "--overwrite")
    assert status == 0
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / "a_p1_labels.tif"), TRUTH)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--channel", "4"), "no channel 4; those it has, counted from 0: 0 (DAPI), 1 (GFP), 2 (Cy5), 3 (BF)."),
        (("--channel", "mcherry"), "no channel mcherry; those it has"),
        (("--z", "2"), "z 2 was asked for; it has 0 to 1."),
        (("--time", "1"), "time 1 was asked for; it has no such axis."),
        (("--series", "1"), "series 1 was asked for; it has no such axis."),
        (("--level", "1"), "it has no resolution levels; level 1 was asked for"),
    ],
)
def test_what_a_file_does_not_have_is_refused_before_the_work(autosam, tmp_path, options, says):
    hyperstack(tmp_path / "a.ome.tif")
    status, out, err = autosam("a.ome.tif", *options)
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_three_channels_are_scaled_one_by_one(autosam, tmp_path):
    # Objects in the first channel, a hundred times as bright ones in the second.
    stack = np.stack([FIRST.astype(np.uint16), SECOND.astype(np.uint16) * 100, 0 * FIRST.astype(np.uint16)])
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "CYX"})
    status, _, _ = autosam("a.tif", *MAX)
    assert status == 0
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / "a_labels.tif"), TRUTH)

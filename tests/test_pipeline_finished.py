"""What a second run does with results that lie there: skip, do again, refuse, remove, keep."""

import json
import os
import shutil
import time

import numpy as np
import pytest
import tifffile
import zarr
from fake_networks import BrightPixels, build_small_sam, draw_ellipses, use_component_sam

from autosam.config import load_config
from autosam.errors import ConfigError
from autosam.images import find_sources, read_labels
from autosam.images.multichannel import find_channels
from autosam.images.write import remove_path
from autosam.models.networks import Networks
from autosam.pipeline.batch import segment_batch
from autosam.pipeline.outputs import BatchOptions
from autosam.pipeline.segmenter import Segmenter

SPOTS, TRUTH = draw_ellipses((64, 64), [(18, 20, 9, 12), (45, 40, 10, 9)])
OTHER = SPOTS[::-1]


@pytest.fixture(scope="module")
def networks():
    return Networks(build_small_sam(), BrightPixels())


@pytest.fixture
def run(networks, monkeypatch, tmp_path):
    """Segment what is in a folder into `out`; gives the outcomes by name."""
    use_component_sam(monkeypatch)

    def run(*inputs, out="out", settings=(), sources=None, **options):
        segmenter = Segmenter(networks, load_config(overrides=settings), name="by rule")
        found = sources or find_sources(inputs or [tmp_path / "in"])
        batch = segment_batch(found, segmenter, tmp_path / out, BatchOptions(**options))
        return {outcome.source.name: outcome for outcome in batch}

    return run


def states(outcomes):
    return {name: outcome.state for name, outcome in outcomes.items()}


def save(path, image=SPOTS, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image, photometric="minisblack", **options)
    return path


def record(tmp_path, out="out"):
    return json.loads((tmp_path / out / "autosam_run.json").read_text(encoding="utf-8"))


def change_record(tmp_path, change):
    content = record(tmp_path)
    change(content)
    (tmp_path / "out" / "autosam_run.json").write_text(json.dumps(content), encoding="utf-8")


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".json" and path.name != "summary.csv")


# Which image it is


def test_a_replaced_image_is_done_again_and_a_touched_one_is_not(run, tmp_path):
    for name in ("a", "b", "c"):
        save(tmp_path / "in" / f"{name}.tif")
    run()
    before = (tmp_path / "in" / "a.tif").stat()
    save(tmp_path / "in" / "a.tif", OTHER)
    # Size and time of the content tell nothing.
    os.utime(tmp_path / "in" / "a.tif", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.utime(tmp_path / "in" / "b.tif")
    # The same pixels in another dress.
    save(tmp_path / "in" / "c.tif", compression="zlib")
    outcomes = run()
    assert states(outcomes) == {"a": "done", "b": "skipped", "c": "skipped"}
    assert [outcomes[name].changed for name in "abc"] == [True, False, False]
    assert np.array_equal(read_labels(tmp_path / "out" / "a_labels.tif") > 0, TRUTH[::-1] > 0)
    assert states(run()) == dict.fromkeys("abc", "skipped")


def test_another_pixel_size_is_another_image(run, tmp_path):
    save(tmp_path / "in" / "a.tif", resolution=(100_000, 100_000), resolutionunit=3)
    run()
    assert record(tmp_path)["images"]["a"]["pixel_size_nm"] == pytest.approx(100)
    save(tmp_path / "in" / "a.tif", resolution=(50_000, 50_000), resolutionunit=3)
    assert run()["a"].changed
    assert record(tmp_path)["images"]["a"]["pixel_size_nm"] == pytest.approx(200)


def test_a_moved_folder_goes_on(run, tmp_path):
    save(tmp_path / "in" / "a.tif")
    run()
    (tmp_path / "in").rename(tmp_path / "moved")
    assert states(run(tmp_path / "moved")) == {"a": "skipped"}
    # From then on its place is known, so that its pixels need not be read.
    entry = record(tmp_path)["images"]["a"]
    assert entry["input"] == str(tmp_path / "moved" / "a.tif")
    shutil.copytree(tmp_path / "moved", tmp_path / "copy")
    assert states(run(tmp_path / "copy")) == {"a": "skipped"}


def test_results_of_another_image_are_the_failure_of_one(run, tmp_path):
    for name, image in (("a", SPOTS), ("b", SPOTS), ("c", SPOTS)):
        save(tmp_path / "in" / f"{name}.tif", image)
        save(tmp_path / "day2" / f"{name}.tif", OTHER if name == "b" else image)
    run()
    labels = (tmp_path / "out" / "b_labels.tif").read_bytes()
    save(tmp_path / "day2" / "d.tif")
    outcomes = run(tmp_path / "day2")
    assert states(outcomes) == {"a": "skipped", "b": "failed", "c": "skipped", "d": "done"}
    assert f"come from {tmp_path / 'in' / 'b.tif'}, another image" in outcomes["b"].message
    assert (tmp_path / "out" / "b_labels.tif").read_bytes() == labels
    assert states(run()) == dict.fromkeys("abc", "skipped")
    assert states(run(tmp_path / "day2", overwrite=True))["b"] == "done"
    assert states(run())["b"] == "failed"


def test_pages_channels_and_stores_are_known_by_their_content(run, tmp_path):
    save(tmp_path / "in" / "s.tif", np.stack([SPOTS, OTHER, SPOTS]))
    assert states(run()) == dict.fromkeys(("s_p0", "s_p1", "s_p2"), "done")
    save(tmp_path / "in" / "s.tif", np.stack([SPOTS, SPOTS, SPOTS]))
    outcomes = run()
    assert states(outcomes) == {"s_p0": "skipped", "s_p1": "done", "s_p2": "skipped"}
    # A file of several is enough.
    for ending in ("_r", "_g"):
        save(tmp_path / "two" / f"a{ending}.tif")

    def channels():
        found = find_channels(find_sources([tmp_path / "two"]), ["_r", "_g"]).images
        return states(run(sources=found, out="out2", settings=["images.combine=max"]))

    assert channels() == {"a": "done"}
    assert channels() == {"a": "skipped"}
    save(tmp_path / "two" / "a_g.tif", OTHER)
    assert channels() == {"a": "done"}
    # Inside a folder that is one file.
    store = tmp_path / "z" / "v.zarr"
    zarr.create_array(store, data=SPOTS, chunks=(32, 32))
    assert states(run(tmp_path / "z", out="out3")) == {"v": "done"}
    assert states(run(tmp_path / "z", out="out3")) == {"v": "skipped"}
    zarr.open_array(store, mode="r+")[:] = OTHER
    assert states(run(tmp_path / "z", out="out3")) == {"v": "done"}


def test_another_file_of_an_ome_tiff_set_has_changed(run, tmp_path):
    # Two planes, each in a file; every header names both.
    names = ["s_z0.ome.tif", "s_z1.ome.tif"]
    (tmp_path / "in").mkdir()
    blocks = "".join(
        f'<TiffData FirstZ="{z}" IFD="0"><UUID FileName="{name}">urn:uuid:{z:032d}</UUID></TiffData>'
        for z, name in enumerate(names)
    )
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        'UUID="urn:uuid:{own:032d}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
        'Type="uint8" SizeX="64" SizeY="64" SizeZ="2" SizeC="1" SizeT="1">'
        f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{blocks}</Pixels></Image></OME>'
    )

    def write(number, image):
        header = xml.replace("{own:032d}", f"{number:032d}")
        tifffile.imwrite(tmp_path / "in" / names[number], image, description=header, metadata=None)

    write(0, SPOTS)
    write(1, OTHER)
    first = run()
    assert set(states(first).values()) == {"done"}
    again = run()
    assert set(states(again).values()) == {"skipped"}
    write(1, SPOTS)
    assert sum(outcome.changed for outcome in run().values()) == 1


# Whether its results are whole


@pytest.mark.parametrize("file_format", ["tif", "png", "h5", "zarr"])
@pytest.mark.parametrize("kind", ["empty", "cut", "gone"])
def test_labels_that_are_not_whole_are_made_again(run, tmp_path, file_format, kind):
    save(tmp_path / "in" / "a.tif")
    run(file_format=file_format)
    path = tmp_path / "out" / f"a_labels.{file_format}"
    whole = read_labels(path)
    chunks = [one for one in path.rglob("*") if one.is_file() and one.suffix != ".json"]
    file = max(chunks, key=lambda one: one.stat().st_size, default=path)
    if kind == "gone":
        remove_path(path)
    else:
        file.write_bytes(b"" if kind == "empty" else file.read_bytes()[: file.stat().st_size // 2])
    assert states(run(file_format=file_format)) == {"a": "done"}
    np.testing.assert_array_equal(read_labels(path), whole)


def test_a_store_that_lacks_a_part_is_not_finished(run, tmp_path):
    save(tmp_path / "in" / "a.tif")
    run(file_format="zarr")
    chunk = next(one for one in (tmp_path / "out").rglob("c/*/*") if one.is_file())
    chunk.unlink()
    # It reads as background, as if somebody had taken the objects out.
    assert "a_labels.zarr was changed" in run(file_format="zarr")["a"].message
    assert states(run(file_format="zarr", overwrite=True)) == {"a": "done"}


@pytest.mark.parametrize("name", ["a_overlay.png", "a_instances.csv"])
def test_an_empty_picture_or_table_is_made_again(run, tmp_path, name):
    save(tmp_path / "in" / "a.tif")
    run()
    whole = (tmp_path / "out" / name).read_bytes()
    (tmp_path / "out" / name).write_bytes(b"")
    assert states(run()) == {"a": "done"}
    assert (tmp_path / "out" / name).read_bytes() == whole


def correct(path):
    """Do what a person does who corrects labels."""
    labels = read_labels(path).copy()
    labels[:5, :5] = 9
    tifffile.imwrite(path, labels)
    return path.read_bytes()


def test_labels_that_a_person_has_corrected_stay(run, tmp_path):
    save(tmp_path / "in" / "a.tif")
    run()
    path = tmp_path / "out" / "a_labels.tif"
    mine = correct(path)
    assert states(run()) == {"a": "skipped"}
    # Neither a new image nor a lost overlay is a reason to replace them.
    (tmp_path / "out" / "a_overlay.png").unlink()
    outcome = run()["a"]
    assert outcome.state == "failed"
    assert "a_labels.tif was changed after autosam wrote it" in outcome.message
    save(tmp_path / "in" / "a.tif", OTHER)
    assert run()["a"].state == "failed"
    assert path.read_bytes() == mine
    assert states(run(overwrite=True)) == {"a": "done"}
    assert path.read_bytes() != mine


def test_labels_of_other_origin_are_not_written_over(run, tmp_path):
    save(tmp_path / "in" / "a.tif")
    save(tmp_path / "in" / "b.tif")
    mine = save(tmp_path / "out" / "a_labels.tif", TRUTH.astype(np.uint8)).read_bytes()
    for overwrite in (False, True):
        outcomes = run(overwrite=overwrite)
        assert outcomes["a"].state == "failed"
        assert "was not written by autosam" in outcomes["a"].message
        assert outcomes["b"].state in ("done", "skipped")
    assert (tmp_path / "out" / "a_labels.tif").read_bytes() == mine
    assert files(tmp_path / "out") == ["a_labels.tif", "b_instances.csv", "b_labels.tif", "b_overlay.png"]


# What does not fit any more


def test_labels_of_another_format_go_where_autosam_wrote_them(run, tmp_path):
    for name in "ab":
        save(tmp_path / "in" / f"{name}.tif")
    run(file_format="png", save_prompts=True)
    mine = tmp_path / "out" / "b_labels.png"
    mine.write_bytes(mine.read_bytes() + b"corrected")
    outcomes = run(file_format="tif", overwrite=True)
    assert outcomes["a"].removed == ("a_labels.png", "a_prompts.csv")
    assert outcomes["b"].removed == ("b_prompts.csv",)
    assert outcomes["b"].kept == ("b_labels.png",)
    assert files(tmp_path / "out") == [
        *("a_instances.csv", "a_labels.tif", "a_overlay.png"),
        *("b_instances.csv", "b_labels.png", "b_labels.tif", "b_overlay.png"),
    ]


def test_the_record_says_which_settings_made_which_files(run, tmp_path):
    for name in "ab":
        save(tmp_path / "in" / f"{name}.tif")
    run()
    run(tmp_path / "in" / "b.tif", settings=["merge.min_size=70"], overwrite=True)
    content = record(tmp_path)
    assert (content["run"], content["settings"]["merge"]["min_size"]) == (2, 70)
    assert content["earlier_runs"]["1"]["settings"]["merge"]["min_size"] == 50
    assert {name: entry["run"] for name, entry in content["images"].items()} == {"a": 1, "b": 2}
    with pytest.raises(ConfigError, match=r"settings\.merge\.min_size"):
        run()
    # The result of a is not one of these settings.
    assert states(run(settings=["merge.min_size=70"])) == {"a": "done", "b": "skipped"}
    content = record(tmp_path)
    assert (content["run"], content["earlier_runs"]) == (2, {})
    assert set(content["images"]["a"]["files"]) == {"a_labels.tif", "a_overlay.png", "a_instances.csv"}


def test_results_of_an_image_that_is_damaged_now_go(run, tmp_path):
    save(tmp_path / "in" / "a.tif")
    save(tmp_path / "in" / "b.tif")
    run()
    (tmp_path / "in" / "a.tif").write_bytes(b"II*\0 cut short")
    outcome = run()["a"]
    assert outcome.state == "failed"
    assert sorted(outcome.removed) == ["a_instances.csv", "a_labels.tif", "a_overlay.png"]
    assert files(tmp_path / "out") == ["b_instances.csv", "b_labels.tif", "b_overlay.png"]
    assert set(record(tmp_path)["images"]["a"]) == {"run", "input", "error"}


def test_results_stay_while_their_image_cannot_be_opened(run, tmp_path):
    save(tmp_path / "in" / "a.tif")
    save(tmp_path / "in" / "b.tif")
    sources = find_sources([tmp_path / "in"])
    run()
    (tmp_path / "in" / "a.tif").unlink()
    outcomes = run(sources=sources)
    assert states(outcomes) == {"a": "failed", "b": "skipped"}
    assert (tmp_path / "out" / "a_labels.tif").exists()
    save(tmp_path / "in" / "a.tif")
    assert states(run()) == dict.fromkeys("ab", "skipped")


def test_a_name_in_the_record_that_leads_out_of_the_folder_is_left_alone(run, tmp_path):
    save(tmp_path / "in" / "a.tif")
    run(file_format="png")
    mine = tmp_path / "mine.txt"
    mine.write_bytes((tmp_path / "out" / "a_labels.png").read_bytes())

    def point_outside(content):
        noted = content["images"]["a"]["files"].pop("a_labels.png")
        content["images"]["a"]["files"] |= {"../mine.txt": noted, str(mine): noted}

    change_record(tmp_path, point_outside)
    assert states(run(overwrite=True)) == {"a": "done"}
    assert mine.exists()


# Records of earlier versions


@pytest.fixture
def old(run, tmp_path):
    """A folder as autosam 0.2 left it."""
    for name in "ab":
        save(tmp_path / "in" / f"{name}.tif")
    run()
    (tmp_path / "out" / "summary.csv").unlink()

    def forget(content):
        for field in ("run", "earlier_runs"):
            del content[field]
        for field in ("selection", "draw_ids"):
            content["options"].pop(field, None)
        for entry in content["images"].values():
            for field in ("run", "stamp", "sha256", "files", "median_area", "area_share", "warnings"):
                del entry[field]

    change_record(tmp_path, forget)
    past = time.time() - 100
    for path in (tmp_path / "in").iterdir():
        os.utime(path, (past, past))


def test_results_of_an_old_record_are_not_done_again(old, run, tmp_path):
    assert states(run()) == dict.fromkeys("ab", "skipped")
    summary = (tmp_path / "out" / "summary.csv").read_text(encoding="utf-8").splitlines()
    assert summary[1].startswith("a,done,2,,")
    assert states(run()) == dict.fromkeys("ab", "skipped")
    (tmp_path / "in").rename(tmp_path / "moved")
    assert states(run(tmp_path / "moved")) == dict.fromkeys("ab", "skipped")


def test_images_that_are_newer_than_results_of_an_old_record_are_done_again(old, run, tmp_path):
    save(tmp_path / "in" / "a.tif", OTHER)
    later = time.time() + 100
    os.utime(tmp_path / "in" / "a.tif", (later, later))
    outcomes = run()
    assert states(outcomes) == {"a": "done", "b": "skipped"}
    assert outcomes["a"].changed
    assert np.array_equal(read_labels(tmp_path / "out" / "a_labels.tif") > 0, TRUTH[::-1] > 0)


def test_cut_labels_of_an_old_record_are_made_again_and_files_of_it_are_kept(old, run, tmp_path):
    (tmp_path / "out" / "a_labels.tif").write_bytes(b"")
    assert states(run()) == {"a": "done", "b": "skipped"}
    outcome = run(tmp_path / "in" / "b.tif", file_format="png")["b"]
    assert (outcome.state, outcome.removed, outcome.kept) == ("done", (), ("b_labels.tif",))


def test_another_image_of_the_same_name_beside_an_old_record(old, run, tmp_path):
    save(tmp_path / "day2" / "a.tif", OTHER)
    os.utime(tmp_path / "day2" / "a.tif", (1, 1))
    assert states(run(tmp_path / "day2")) == {"a": "failed"}

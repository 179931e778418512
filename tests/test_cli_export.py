"""`autosam export` and `autosam segment --export`: what is written, replaced, refused and said."""

import csv
import json
import shutil
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest
import roifile
import tifffile
import zarr
from fake_networks import draw_ellipses, use_rule_models
from pycocotools.coco import COCO

from autosam import cli
from autosam.cli.export import FORMAT_NAMES
from autosam.data.seg_file import read_seg
from autosam.images import read_labels, write_labels
from autosam.report.exports import FORMATS

SPOTS, TRUTH = draw_ellipses((100, 150), [(20, 30, 9, 12), (50, 100, 14, 10), (80, 40, 8, 16)])
ALL = "roi,geojson,coco,ome-zarr,seg-npy"
EXPORTS = {"a_rois.zip", "a.geojson", "a.ome.zarr", "a_seg.npy", "coco_instances.json"}
ALWAYS = {"a_labels.tif", "a_overlay.png", "a_instances.csv", "autosam_run.json", "summary.csv"}


@pytest.fixture
def autosam(tmp_path, monkeypatch, capsys):
    """Run the program in its own folder; gives exit status, stdout and stderr."""
    use_rule_models(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mito.safetensors").write_bytes(b"stands for the weights")
    (tmp_path / "in").mkdir()
    tifffile.imwrite("in/a.tif", SPOTS)

    def run(*arguments):
        model = ["-m", "mito.safetensors"] if arguments[0] == "segment" else []
        monkeypatch.setattr(sys, "argv", ["autosam", *map(str, arguments), *model])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return run


def refused(autosam, *arguments):
    """Give the one line of a run that ends with exit status 2."""
    status, out, err = autosam(*arguments)
    assert (status, out) == (2, "")
    (line,) = err.strip().splitlines()
    assert line.startswith("autosam: ")
    return line


def names(folder):
    return {path.name for path in folder.iterdir()}


def features(path):
    return json.loads(path.read_text(encoding="utf-8"))["features"]


def recorded(folder, name="a"):
    record = json.loads((folder / "autosam_run.json").read_text(encoding="utf-8"))
    return set(record["images"][name]["files"])


def test_the_command_knows_all_formats():
    assert FORMAT_NAMES.split(",") == [known.name for known in FORMATS]


# With segment


def test_segment_writes_exports_and_records_them(autosam, tmp_path):
    status, _, err = autosam("segment", "in", "-o", "out", "--pixel-size", 10, "--export", ALL)
    assert (status, err) == (0, "")
    out = tmp_path / "out"
    assert names(out) == ALWAYS | EXPORTS
    assert recorded(out) == (ALWAYS | EXPORTS) - {"coco_instances.json", "autosam_run.json", "summary.csv"}
    assert len(roifile.roiread(out / "a_rois.zip")) == 3
    assert {feature["properties"]["classification"]["name"] for feature in features(out / "a.geojson")} == {"mito"}
    with (out / "a_instances.csv").open(newline="", encoding="utf-8") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    found = COCO(out / "coco_instances.json")
    assert found.imgs[1]["file_name"] == "a.tif"
    assert [entry["score"] for entry in found.anns.values()] == pytest.approx(scores)
    np.testing.assert_array_equal(zarr.open_array(out / "a.ome.zarr" / "labels" / "a" / "0", mode="r")[...], TRUTH)
    np.testing.assert_array_equal(read_seg(out / "a_seg.npy"), TRUTH)
    # They do not pass for images or labels of the folder.
    assert "1 image skipped" in autosam("segment", "in", "-o", "out", "--pixel-size", 10, "--export", ALL)[1]


def test_exports_of_finished_images_are_made_without_segmenting(autosam, tmp_path):
    autosam("segment", "in", "-o", "out")
    shutil.copy("in/a.tif", "in/b.tif")
    status, out, _ = autosam("segment", "in", "-o", "out", "--export", "roi,coco")
    assert status == 0
    assert "1 image segmented" in out
    assert "1 image skipped" in out
    assert {"a_rois.zip", "b_rois.zip", "coco_instances.json"} <= names(tmp_path / "out")
    assert "a_rois.zip" in recorded(tmp_path / "out")
    assert len(COCO(tmp_path / "out" / "coco_instances.json").imgs) == 2


def test_images_of_subfolders(autosam, tmp_path):
    (tmp_path / "in" / "day1").mkdir()
    shutil.copy("in/a.tif", "in/day1/a.tif")
    assert autosam("segment", "in", "-o", "out", "--export", "geojson,coco")[0] == 0
    files = tmp_path / "out" / "a.geojson", tmp_path / "out" / "day1" / "a.geojson"
    identities = {feature["id"] for file in files for feature in features(file)}

    assert len(identities) == 6
    assert autosam("export", "out", "--to", "roi,ome-zarr,coco", "-o", "else")[0] == 0
    assert names(tmp_path / "else" / "day1") == {"a_rois.zip", "a.ome.zarr"}
    for folder in ("out", "else"):
        found = COCO(tmp_path / folder / "coco_instances.json").imgs.values()
        assert sorted(image["file_name"] for image in found) == ["a.tif", "day1/a.tif"]


def test_new_settings_leave_no_export_of_the_old(autosam, tmp_path):
    autosam("segment", "in", "-o", "out", "--export", "roi,geojson")
    more = ("--set", "merge.min_size=400", "--overwrite", "--export", "geojson")
    assert autosam("segment", "in", "-o", "out", *more)[0] == 0
    assert "a_rois.zip" not in names(tmp_path / "out")
    assert len(features(tmp_path / "out" / "a.geojson")) < 3


def test_segment_refuses_before_it_works(autosam, tmp_path):
    assert "no export format 'roy'" in refused(autosam, "segment", "in", "-o", "out", "--export", "roy")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.geojson").write_text("somebody's work")
    line = refused(autosam, "segment", "in", "-o", "out", "--export", "roi,geojson")
    assert "out/a.geojson exists already" in line
    assert names(tmp_path / "out") == {"a.geojson"}
    assert autosam("segment", "in", "-o", "out", "--export", "roi,geojson", "--overwrite")[0] == 0
    assert len(features(tmp_path / "out" / "a.geojson")) == 3


# Of results


def test_results_are_exported_beside_the_labels_or_elsewhere(autosam, tmp_path):
    autosam("segment", "in", "-o", "out", "--pixel-size", 10)
    status, said, err = autosam("export", "out", "--to", ALL)
    assert (status, err) == (0, "")
    assert said == "5 files written for 3 objects, in out.\n"
    assert names(tmp_path / "out") == ALWAYS | EXPORTS
    assert "a.geojson" in recorded(tmp_path / "out")
    # Again: its own files may be replaced.
    assert autosam("export", "out", "--to", ALL)[0] == 0
    assert autosam("export", "out", "--to", f"{ALL},csv", "-o", "else", "--class", "cell")[0] == 0
    assert names(tmp_path / "else") == EXPORTS | {"a_instances.csv"}
    assert (tmp_path / "else" / "a_instances.csv").read_text() == (
        tmp_path / "out" / "a_instances.csv"
    ).read_text()
    first = features(tmp_path / "else" / "a.geojson")[0]
    assert first["properties"]["classification"]["name"] == "cell"
    measured = first["properties"]["measurements"]
    assert measured["area_um2"] == pytest.approx(measured["area"] * 1e-4)
    assert {"score", "intensity_mean"} <= set(measured)
    # One label file of the folder is known as well.
    assert autosam("export", "out/a_labels.tif", "--to", "geojson", "-o", "one")[0] == 0
    assert features(tmp_path / "one" / "a.geojson") == features(tmp_path / "out" / "a.geojson")
    # An image that is segmented again has no old export, and the next run goes on as ever.
    assert "1 image skipped" in autosam("segment", "in", "-o", "out", "--pixel-size", 10)[1]


def test_pages_have_their_position(autosam, tmp_path):
    tifffile.imwrite("stack.tif", np.stack([SPOTS] * 3), photometric="minisblack")
    autosam("segment", "stack.tif", "-o", "out")
    assert autosam("export", "out", "--to", "roi,geojson,seg-npy,coco")[0] == 0
    for page in range(3):
        rois = roifile.roiread(tmp_path / "out" / f"stack_p{page}_rois.zip")
        assert {roi.position for roi in rois} == {page + 1}
        planes = [f["geometry"]["plane"]["z"] for f in features(tmp_path / "out" / f"stack_p{page}.geojson")]
        assert planes == [page] * 3
    seg = np.load(tmp_path / "out" / "stack_p1_seg.npy", allow_pickle=True).item()
    np.testing.assert_array_equal(seg["img"], SPOTS)
    found = [image["file_name"] for image in COCO(tmp_path / "out" / "coco_instances.json").imgs.values()]
    assert found == ["stack_p0", "stack_p1", "stack_p2"]


def test_planes_of_a_hyperstack(autosam, tmp_path):
    stack = np.zeros((2, 3, 2, *SPOTS.shape), np.uint8)
    stack[:, :, 1] = SPOTS
    tifffile.imwrite("hyper.tif", stack, imagej=True, metadata={"axes": "TZCYX"})
    given = ("segment", "hyper.tif", "-o", "out", "--channel", "1", "--export", "roi,geojson,seg-npy")
    assert autosam(*given)[0] == 0
    (rois,) = (tmp_path / "out").glob("*p5_rois.zip")
    (roi, *_) = roifile.roiread(rois)
    assert (roi.position, roi.c_position, roi.z_position, roi.t_position) == (0, 0, 3, 2)
    (made,) = (tmp_path / "out").glob("*p5.geojson")
    assert features(made)[0]["geometry"]["plane"] == {"c": -1, "z": 2, "t": 1}
    before = rois.read_bytes()
    assert autosam("export", "out", "--to", "roi,geojson")[0] == 0
    assert rois.read_bytes() == before
    (seg,) = (tmp_path / "out").glob("*p5_seg.npy")
    np.testing.assert_array_equal(np.load(seg, allow_pickle=True).item()["img"], SPOTS)


@pytest.mark.parametrize("how", ["endings", "all", "channel", "dataset"])
def test_images_are_found_as_the_record_names_them(autosam, tmp_path, how):
    channels = np.stack([SPOTS, SPOTS // 2])
    if how == "endings":
        tifffile.imwrite("in/b_one.tif", channels[0])
        tifffile.imwrite("in/b_two.tif", channels[1])
        given = ("in", "--channels", "_one,_two")
    elif how == "dataset":
        with h5py.File("b.h5", "w") as file:
            file["raw"], file["other"] = channels[0], channels[1]
        given = ("b.h5:/raw",)
    else:
        tifffile.imwrite("b.tif", channels, imagej=True, metadata={"axes": "CYX"})
        given = ("b.tif", *(("--channels", "all") if how == "all" else ("--channel", "0")))
    assert autosam("segment", *given, "-o", "out")[0] == 0
    status, _, err = autosam("export", "out", "--to", "csv,ome-zarr,seg-npy", "-o", "else")
    assert (status, err) == (0, "")
    (table,) = (tmp_path / "else").glob("b*_instances.csv")
    assert table.read_text() == (tmp_path / "out" / table.name).read_text()
    (stored,) = (tmp_path / "else").glob("b*.ome.zarr")
    wanted = channels if how in ("endings", "all") else channels[0]
    np.testing.assert_array_equal(zarr.open_array(stored / "0", mode="r")[...], wanted)
    # Cellpose could not read this image alone from a file.
    (seg,) = (tmp_path / "else").glob("b*_seg.npy")
    assert "img" in np.load(seg, allow_pickle=True).item()


def test_results_of_autosam_0_2(autosam, tmp_path):
    autosam("segment", "in", "-o", "out")
    path = tmp_path / "out" / "autosam_run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    for field in ("run", "earlier_runs"):
        del record[field]
    for field in ("run", "files", "sha256", "stamp"):
        del record["images"]["a"][field]
    path.write_text(json.dumps(record), encoding="utf-8")
    (tmp_path / "out" / "a_instances.csv").write_text(
        "id,score,area_px\n" + "".join(f"{i},0.5,{np.count_nonzero(i == TRUTH)}\n" for i in (1, 2, 3))
    )
    assert autosam("export", "out", "--to", "geojson,coco") == (0, "2 files written for 3 objects, in out.\n", "")
    assert {f["properties"]["measurements"]["score"] for f in features(tmp_path / "out" / "a.geojson")} == {0.5}
    assert recorded(tmp_path / "out") == {"a.geojson"}
    # The old table is not known to be autosam's as it is.
    assert "a_instances.csv" in refused(autosam, "export", "out", "--to", "geojson,csv", "--images", "in")


def test_an_image_that_is_gone_is_said_and_may_be_named_anew(autosam, tmp_path):
    shutil.copy("in/a.tif", "in/b.tif")
    autosam("segment", "in", "-o", "out")
    (tmp_path / "moved").mkdir()
    (tmp_path / "in" / "a.tif").rename(tmp_path / "moved" / "a.tif")
    status, said, err = autosam("export", "out", "--to", "geojson,ome-zarr,coco")
    assert status == 1
    assert said == "4 files written for 6 objects, in out.\n"
    assert f"note: a: its image {tmp_path}/in/a.tif is not there any more; intensities are left out" in err
    assert "a: no ome-zarr, which holds the image too" in err
    assert "intensity_mean" not in features(tmp_path / "out" / "a.geojson")[0]["properties"]["measurements"]
    # The name of its file is known all the same.
    images = COCO(tmp_path / "out" / "coco_instances.json").imgs.values()
    assert [image["file_name"] for image in images] == ["a.tif", "b.tif"]
    # What needs no pixels says nothing.
    assert autosam("export", "out", "--to", "roi")[2] == ""
    status, _, err = autosam("export", "out", "--to", "geojson,ome-zarr", "--images", "moved")
    assert (status, err) == (0, "")
    assert "intensity_mean" in features(tmp_path / "out" / "a.geojson")[0]["properties"]["measurements"]
    assert (tmp_path / "out" / "a.ome.zarr").is_dir()


def test_corrected_labels_are_measured_anew(autosam, tmp_path):
    autosam("segment", "in", "-o", "out")
    labels = read_labels(tmp_path / "out" / "a_labels.tif").copy()
    labels[labels == 1] = 0
    labels[labels == 2] = np.where(np.arange(np.count_nonzero(labels == 2)) < 100, 2, 0)
    labels[90:95, 140:145] = 9
    write_labels(tmp_path / "out" / "a_labels.tif", labels)
    status, _, err = autosam("export", "out", "--to", "geojson")
    assert status == 0
    assert "a: the labels were changed after the table" in err
    measured = {
        f["properties"]["name"]: f["properties"]["measurements"] for f in features(tmp_path / "out/a.geojson")
    }
    assert {name: values["area"] for name, values in measured.items()} == {
        str(label): np.count_nonzero(labels == label) for label in (2, 3, 9)
    }
    assert {name for name, values in measured.items() if "score" in values} == {"3"}


def test_what_is_not_ours_is_not_replaced(autosam, tmp_path):
    autosam("segment", "in", "-o", "out", "--export", "geojson,roi")
    (tmp_path / "out" / "a.geojson").write_text("corrected by hand")
    before = (tmp_path / "out" / "a_rois.zip").stat().st_mtime_ns
    line = refused(autosam, "export", "out", "--to", "roi,geojson")
    assert "out/a.geojson exists already, and no run record says that autosam wrote it as it is" in line
    assert (tmp_path / "out" / "a_rois.zip").stat().st_mtime_ns == before
    assert autosam("export", "out", "--to", "roi,geojson", "--overwrite")[0] == 0
    assert len(features(tmp_path / "out" / "a.geojson")) == 3


def test_results_that_are_not_whole(autosam, tmp_path):
    for name in "bc":
        shutil.copy("in/a.tif", f"in/{name}.tif")
    autosam("segment", "in", "-o", "out")
    (tmp_path / "out" / "a_labels.tif").unlink()
    cut = tmp_path / "out" / "b_labels.tif"
    cut.write_bytes(cut.read_bytes()[:100])
    status, said, err = autosam("export", "out", "--to", "roi")
    assert status == 1
    assert "1 file written for 3 objects" in said
    assert "the labels of a are not there any more, and are left out" in err
    assert "b: " in err
    assert "out/b_labels.tif" in err
    (tmp_path / "out" / "autosam_run.json").write_text("{")
    assert "the run record out/autosam_run.json is damaged" in refused(autosam, "export", "out", "--to", "roi")


# Labels of others


def test_labels_of_others(autosam, tmp_path):
    (tmp_path / "masks").mkdir()
    write_labels(tmp_path / "masks" / "a_masks.tif", TRUTH * 7, pixel_size_nm=250)
    write_labels(tmp_path / "masks" / "empty_masks.tif", 0 * TRUTH)
    status, _, err = autosam("export", "masks", "--to", "roi,csv,coco,geojson", "-o", "out")
    assert status == 0
    assert "empty: no image of this name was given (--images); intensities are left out" in err
    assert zipfile.ZipFile(tmp_path / "out" / "empty_rois.zip").namelist() == []
    assert features(tmp_path / "out" / "empty.geojson") == []
    assert [roi.name for roi in roifile.roiread(tmp_path / "out" / "a_rois.zip")] == ["07", "14", "21"]
    with (tmp_path / "out" / "a_instances.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["area_um2"]) for row in rows] == [int(row["area"]) / 16 for row in rows]
    assert [row["score"] for row in rows] == [row["intensity_mean"] for row in rows] == ["", "", ""]
    # With the images, by the same names.
    status, _, err = autosam(
        "export", "masks/a_masks.tif", "--to", "csv,ome-zarr,seg-npy", "--images", "in", "-o", "w"
    )
    assert (status, err) == (0, "")
    assert names(tmp_path / "w") == {"a_instances.csv", "a.ome.zarr", "a_seg.npy"}
    seg = np.load(tmp_path / "w" / "a_seg.npy", allow_pickle=True).item()
    assert seg["filename"] == str(tmp_path / "in" / "a.tif")
    # There is no record that says whose files they are.
    assert "exists already" in refused(autosam, "export", "masks", "--to", "roi", "-o", "out")


def test_volumes_of_labels(autosam, tmp_path):
    labels = np.stack([TRUTH, np.where(TRUTH == 2, 2, 0), 0 * TRUTH])
    write_labels(tmp_path / "stack_labels.tif", labels)
    tifffile.imwrite("stack.tif", np.stack([SPOTS] * 3), photometric="minisblack")
    given = ("export", "stack_labels.tif", "--to", f"{ALL},csv", "--images", "stack.tif", "-o", "out")
    status, _, err = autosam(*given)
    assert (status, err) == (0, "")
    rois = roifile.roiread(tmp_path / "out" / "stack_rois.zip")
    assert sorted((roi.name, roi.position) for roi in rois) == [
        ("1_z0", 1), ("2_z0", 1), ("2_z1", 2), ("3_z0", 1)
    ]  # fmt: skip
    seg = np.load(tmp_path / "out" / "stack_seg.npy", allow_pickle=True).item()
    np.testing.assert_array_equal(seg["masks"], labels)
    stored = zarr.open_array(tmp_path / "out" / "stack.ome.zarr" / "labels" / "stack" / "0", mode="r")
    np.testing.assert_array_equal(stored[...], labels)
    with (tmp_path / "out" / "stack_instances.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["slice"], row["label"]) for row in rows] == [("0", "1"), ("0", "2"), ("0", "3"), ("1", "2")]
    assert all(row["intensity_mean"] for row in rows)


def test_an_image_given_as_labels_is_noted(autosam):
    noise = np.random.default_rng(0).integers(1, 255, SPOTS.shape, dtype=np.uint8)
    tifffile.imwrite("in/a.tif", noise)
    assert (
        "in/a.tif looks like an image, not labels" in autosam("export", "in/a.tif", "--to", "coco", "-o", "o")[2]
    )


def test_neither_labels_nor_images_are_replaced(autosam, tmp_path):
    write_labels(tmp_path / "a.ome.zarr", TRUTH)
    line = refused(autosam, "export", "a.ome.zarr", "--to", "ome-zarr", "--images", "in", "--overwrite")
    assert "a.ome.zarr holds the labels themselves" in line
    np.testing.assert_array_equal(read_labels(tmp_path / "a.ome.zarr"), TRUTH)


def test_refused_in_one_line(autosam, tmp_path):
    for arguments, words in (
        (("export", "in", "--to", "tif"), "no export format 'tif'; choose among roi, geojson"),
        (("export", "in", "--to", ","), "no export format was named"),
        (("export", "nothere", "--to", "roi"), "nothere does not exist"),
        (("export", "in", "--to", "roi", "--images", "nothere"), "nothere: no such file or folder"),
        (("export", "in", "--to", "ome-zarr,ome-zarr-0.4"), "choose one of them"),
        (("export", "in", "--to", "roi", "--pixel-size", "-3"), "not above 0"),
    ):
        assert words in refused(autosam, *arguments)
    assert names(tmp_path / "in") == {"a.tif"}


def test_no_torch_is_loaded(tmp_path):
    write_labels(tmp_path / "a_labels.tif", TRUTH)
    code = (
        "import sys; from autosam import cli\n"
        f"sys.argv = ['autosam', 'export', {str(tmp_path / 'a_labels.tif')!r}, '--to', 'roi']\n"
        "try: cli.main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

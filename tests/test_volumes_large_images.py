"""Images above `tiles.in_memory`: segmented by parts, with the results of any other image."""

import csv
import json

import numpy as np
import pytest
import tifffile
from volume_job import rule_model, same_partition

from autosam.cli import main
from autosam.images import find_sources, read_image, read_labels
from autosam.instances import measure_instances, read_table
from autosam.pipeline import batch_workers, model_settings
from autosam.pipeline.outputs import BatchOptions
from autosam.volumes.large_images import segment_large_images
from autosam.volumes.segment_volume import VolumeOptions

SHAPE = (230, 310)
WINDOWS = {"window": 128, "overlap": 48, "tile": 128}


def draw_nuclei(count=70):
    """Draw ellipses that do not touch, in color; some lie at the border and at the seams of the windows."""
    rng = np.random.default_rng(3)
    truth = np.zeros(SHAPE, np.int32)
    rows, cols = np.indices(SHAPE)
    for label in range(1, count + 1):
        row, col, high, wide = rng.uniform(0, SHAPE[0]), rng.uniform(0, SHAPE[1]), *rng.uniform(4, 10, 2)
        inside = ((rows - row) / high) ** 2 + ((cols - col) / wide) ** 2 < 1
        around = ((rows - row) / (high + 4)) ** 2 + ((cols - col) / (wide + 4)) ** 2 < 1
        if inside.sum() > 20 and not truth[around].any():
            truth[inside] = label
    return truth, np.repeat(np.where(truth > 0, 255, 0).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture
def settings(monkeypatch):
    """Let the networks answer by rule."""
    found = rule_model(**WINDOWS).settings
    found = found.model_copy(update={"tiles": found.tiles.model_copy(update={"in_memory": 20_000})})

    def resolve(*_, overrides=(), **__):
        merge = found.merge
        for text in overrides:
            name, _, value = text.partition("=")
            merge = merge.model_copy(update={name.removeprefix("merge."): json.loads(value)})
        return found.model_copy(update={"merge": merge})

    def load(self, device):
        return type(rule_model())(self.settings).load(device)

    monkeypatch.setattr(batch_workers.ModelChoice, "load", load)
    for module in (batch_workers, model_settings):
        monkeypatch.setattr(module, "settings_of_model", resolve)
    return found


@pytest.fixture
def slide(tmp_path, settings):
    truth, picture = draw_nuclei()
    folder = tmp_path / "in"
    folder.mkdir()
    tifffile.imwrite(
        folder / "slide.tif", picture, photometric="rgb", tile=(64, 64), resolution=(4e4, 4e4),
        resolutionunit="CENTIMETER",
    )  # fmt: skip
    tifffile.imwrite(folder / "small.tif", picture[:100, :120], photometric="rgb")
    return folder, truth, picture


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["autosam", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    told = capsys.readouterr()
    return end.value.code or 0, told.out, told.err


def test_a_slide_gets_the_results_of_any_image(slide, tmp_path, monkeypatch, capsys):
    folder, truth, picture = slide
    out = tmp_path / "out"
    code, said, _ = run(monkeypatch, capsys, "segment", folder, "-o", out, "--export", "geojson")
    assert code == 0, said
    labels = read_labels(out / "slide_labels.tif")
    # Each nucleus once, also at the seams of twelve windows.
    assert same_partition(labels, truth)
    count = len(np.unique(truth)) - 1
    assert int(labels.max()) == count

    table, whole = (
        read_table(out / "slide_instances.csv"),
        measure_instances(labels, picture, None, pixel_size_nm=250.0),
    )
    assert list(table.columns) == list(whole.columns)
    assert ((table["score"] > 0) & (table["score"] <= 1)).all()
    for name in set(whole.columns) - {"score"}:
        np.testing.assert_allclose(table[name], whole[name], rtol=1e-8, err_msg=name)
    assert read_image(out / "slide_overlay.png").shape == picture.shape

    record = json.loads((out / "autosam_run.json").read_text())
    assert list(record["images"]) == ["small", "slide"]
    entry = record["images"]["slide"]
    assert (entry["by_parts"], entry["instances"], entry["windows"]) == (True, count, 12)
    assert (entry["rows"], entry["columns"], entry["pixel_size_nm"]) == (*SHAPE, pytest.approx(250))
    assert entry["area_share"] == pytest.approx((truth > 0).mean(), abs=1e-6)
    rows = {row["image"]: row for row in csv.DictReader((out / "summary.csv").read_text().splitlines())}
    assert (rows["slide"]["state"], rows["slide"]["objects"]) == ("done", str(count))
    assert not list(out.glob("*_tasks"))

    features = json.loads((out / "slide.geojson").read_text())["features"]
    assert [feature["properties"]["name"] for feature in features] == [str(i + 1) for i in range(count)]
    before = (out / "slide.geojson").read_bytes()
    (out / "slide.geojson").unlink()
    assert run(monkeypatch, capsys, "export", out, "--to", "geojson,coco")[0] == 1
    assert (out / "slide.geojson").read_bytes() == before
    coco = json.loads((out / "coco_instances.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == ["small.tif"]

    code, said, _ = run(monkeypatch, capsys, "segment", folder, "-o", out, "--export", "geojson")
    assert (code, "2 images skipped" in said) == (0, True)


def test_what_cannot_hold_by_parts_fails_for_that_image_alone(slide, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    code, _, err = run(monkeypatch, capsys, "segment", slide[0], "-o", out, "--draw-prompts", "--format", "png")
    assert code == 1
    assert "slide.tif has more pixels than tiles.in_memory, and is segmented by parts" in err
    assert "--draw-prompts and --format png" in " ".join(err.split())
    assert (out / "small_labels.png").exists()
    assert not (out / "slide_labels.png").exists()


@pytest.mark.parametrize("file_format", ["h5", "zarr"])
def test_border_and_size_hold_for_whole_instances(slide, tmp_path, monkeypatch, capsys, file_format):
    folder, truth, _ = slide
    options = ["--exclude-border", "--max-size", "200", "--format", file_format]
    code, _, err = run(monkeypatch, capsys, "segment", folder / "slide.tif", "-o", tmp_path / "out", *options)
    assert code == 0, err
    edge = np.unique(np.concatenate([truth[0], truth[-1], truth[:, 0], truth[:, -1]]))
    large = np.flatnonzero(np.bincount(truth.ravel()) > 200)
    assert len(edge) > 2
    assert len(large) > 2
    kept = np.where(np.isin(truth, [*edge, *large]), 0, truth)
    labels = read_labels(tmp_path / "out" / f"slide_labels.{file_format}")
    assert labels.shape == SHAPE
    assert same_partition(labels, kept)


def test_an_interrupted_slide_goes_on_with_the_same_bytes(slide, tmp_path, settings):
    sources = find_sources([slide[0] / "slide.tif"])
    assert sources[0].shape == SHAPE
    model = type(rule_model())(settings)

    def segment(out, watch):
        batch = segment_large_images(
            sources, model, out, BatchOptions(), VolumeOptions(), model_sha256="", watch=watch
        )
        return [outcome.state for outcome in batch]

    shares = []

    def stop(_, share):
        shares.append(share)
        if share > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment(tmp_path / "a", stop)
    done = sorted((tmp_path / "a" / "slide_tasks").glob("segment-*/*.parquet"))
    times = [path.stat().st_mtime_ns for path in done]
    assert done
    seen = []

    def look(_, share):
        seen.append([path.stat().st_mtime_ns for path in done])

    assert segment(tmp_path / "a", look) == ["done"]
    assert all(now == times for now in seen)
    assert segment(tmp_path / "b", None) == ["done"]
    for name in ("slide_labels.tif", "slide_instances.csv", "slide_overlay.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_slide_without_an_object(tmp_path, settings):
    tifffile.imwrite(tmp_path / "glass.tif", np.full((*SHAPE, 3), 240, np.uint8), photometric="rgb")
    batch = segment_large_images(
        find_sources([tmp_path / "glass.tif"]), type(rule_model())(settings), tmp_path / "out", BatchOptions(),
        VolumeOptions(), model_sha256="",
    )  # fmt: skip
    (outcome,) = batch
    assert (outcome.state, outcome.instances) == ("done", 0)
    assert read_labels(tmp_path / "out" / "glass_labels.tif").max() == 0
    assert len(read_table(tmp_path / "out" / "glass_instances.csv")) == 0

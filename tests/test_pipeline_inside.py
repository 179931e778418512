"""Objects in an area of the image alone: what belongs to it, how large it is, and what the folder says of it."""

import csv
import gzip
import json

import numpy as np
import pytest
import tifffile
from fake_networks import BrightPixels, build_small_sam, draw_ellipses, use_component_sam

from autosam.config import load_config
from autosam.errors import InputError
from autosam.evaluation.inside_masks import open_inside
from autosam.images import find_sources, read_labels
from autosam.models.networks import Networks
from autosam.pipeline.batch import BatchOptions, segment_batch
from autosam.pipeline.inside import describe_inside, keep_inside
from autosam.pipeline.segmentation import Segmentation
from autosam.pipeline.segmenter import Segmenter

SPOTS, TRUTH = draw_ellipses((64, 64), [(18, 20, 9, 12), (45, 40, 10, 9)])


def segmentation(labels, scores):
    picture = np.zeros((*labels.shape, 3), dtype=np.uint8)
    none = np.zeros_like(labels)
    return Segmentation(labels, np.array(scores), [], np.arange(len(scores)), none, {}, picture)


def square(name, row, col, size, of_class=None, kind="annotation"):
    ring = [[col, row], [col + size, row], [col + size, row + size], [col, row + size], [col, row]]
    properties = {"objectType": kind} | ({"classification": {"name": of_class}} if of_class else {})
    return {
        "type": "Feature",
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": properties,
    }


def collection(*features):
    return json.dumps({"type": "FeatureCollection", "features": list(features)})


@pytest.fixture
def segmenter(monkeypatch):
    use_component_sam(monkeypatch)
    return Segmenter(Networks(build_small_sam(), BrightPixels()), load_config(), name="by rule")


@pytest.fixture
def sources(tmp_path):
    (tmp_path / "images").mkdir()
    for name, image in (("a", SPOTS), ("b", SPOTS[::-1])):
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", image, photometric="minisblack")
    return find_sources([str(tmp_path / "images")])


def test_an_object_belongs_to_the_area_with_more_than_half_its_pixels():
    labels = np.zeros((20, 40), dtype=np.int32)
    labels[2:6, 0:10], labels[8:12, 0:10], labels[14:18, 0:10] = 1, 2, 3
    inside = np.zeros((20, 40), dtype=bool)
    inside[2:6, :5], inside[8:12, :6], inside[14:18, :] = True, True, True
    found = keep_inside(segmentation(labels, [0.9, 0.8, 0.7]), inside)
    # Whole, and numbered without gaps.
    assert np.bincount(found.labels.ravel())[1:].tolist() == [40, 40]
    assert found.labels[9, 9] == 1
    assert found.scores.tolist() == [0.8, 0.7]
    assert found.prompt_of.tolist() == [1, 2]
    assert describe_inside(found, None) == {"inside_px": 20 + 24 + 160}
    assert describe_inside(found, 1000.0) == {"inside_px": 204, "inside_mm2": pytest.approx(204e-6)}


def test_an_area_without_pixels_holds_nothing():
    labels = np.ones((4, 4), dtype=np.int32)
    found = keep_inside(segmentation(labels, [0.9]), np.zeros((4, 4), dtype=bool))
    assert not found.labels.any()
    assert found.scores.shape == found.prompt_of.shape == (0,)
    empty = keep_inside(segmentation(np.zeros((4, 4), dtype=np.int32), []), np.ones((4, 4), dtype=bool))
    assert not empty.labels.any()


def run(sources, segmenter, out, inside, **options):
    return list(segment_batch(sources, segmenter, out, BatchOptions(**options), inside=inside))


@pytest.mark.parametrize("ending", ["", "_mask"])
def test_masks_paired_by_name(segmenter, sources, tmp_path, ending):
    masks = tmp_path / "masks"
    masks.mkdir()
    mask = np.zeros((64, 64), dtype=np.uint8)
    mask[:32] = 255
    tifffile.imwrite(masks / f"a{ending}.tif", mask)
    tifffile.imwrite(masks / f"b{ending}.tif", mask * 0)
    inside = open_inside(str(masks), sources)
    out = tmp_path / "out"
    outcomes = run(sources, segmenter, out, inside, pixel_size_nm=500.0)
    assert [outcome.instances for outcome in outcomes] == [1, 0]
    found = read_labels(out / "a_labels.tif")
    assert found.max() == 1
    assert found[18, 20] == 1
    with (out / "summary.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    area = 32 * 64 * 0.0005**2
    assert float(rows["a"]["inside_px"]) == 2048
    assert float(rows["a"]["inside_mm2"]) == pytest.approx(area)
    assert float(rows["a"]["objects_per_mm2"]) == pytest.approx(1 / area, rel=1e-4)
    assert float(rows["a"]["area_share"]) == pytest.approx((found > 0).sum() / 2048, abs=0.01)
    assert rows["b"]["inside_px"] == "0"
    assert rows["b"]["objects_per_mm2"] == ""
    record = json.loads((out / "autosam_run.json").read_text(encoding="utf-8"))
    assert record["images"]["a"]["inside_px"] == 2048
    assert inside.sha256 in json.dumps(record)


def test_regions_of_qupath(segmenter, sources, tmp_path):
    drawn = tmp_path / "regions"
    drawn.mkdir()
    # The first spot of a; the whole of b without what is ignored, where its first spot lies.
    (drawn / "a.tif.geojson").write_text(
        collection(square("r", 0, 0, 36), square("cell", 40, 30, 20, kind="detection")), encoding="utf-8"
    )
    with gzip.open(drawn / "b.geojson.gz", "wt", encoding="utf-8") as file:
        file.write(collection(square("hole", 0, 0, 32, "Ignore*"), square("all", 0, 0, 64, "Tissue")))
    outcomes = run(sources, segmenter, tmp_path / "out", open_inside(str(drawn), sources))
    assert [outcome.instances for outcome in outcomes] == [1, 2]
    record = json.loads((tmp_path / "out" / "autosam_run.json").read_text(encoding="utf-8"))
    assert [record["images"][name]["inside_px"] for name in "ab"] == [36 * 36, 64 * 64 - 32 * 32]


def test_one_file_is_that_of_all_pages_of_one_image(segmenter, tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([SPOTS, SPOTS]), photometric="minisblack")
    (tmp_path / "roi.geojson").write_text(collection(square("r", 0, 0, 36)), encoding="utf-8")
    sources = find_sources([str(tmp_path / "stack.tif")])
    outcomes = run(sources, segmenter, tmp_path / "out", open_inside(str(tmp_path / "roi.geojson"), sources))
    assert [outcome.instances for outcome in outcomes] == [1, 1]


def test_another_area_is_another_run(segmenter, sources, tmp_path):
    masks = tmp_path / "m"
    masks.mkdir()
    for name in "ab":
        tifffile.imwrite(masks / f"{name}.tif", np.ones((64, 64), dtype=np.uint8))
    whole = open_inside(str(masks), sources)
    assert [one.instances for one in run(sources, segmenter, tmp_path / "out", whole)] == [2, 2]
    assert [one.state for one in run(sources, segmenter, tmp_path / "out", whole)] == ["skipped", "skipped"]
    tifffile.imwrite(masks / "a.tif", np.zeros((64, 64), dtype=np.uint8))
    other = open_inside(str(masks), sources)
    assert other.sha256 != whole.sha256


def test_what_fits_no_image_is_refused(segmenter, sources, tmp_path):
    with pytest.raises(InputError, match=r"gone"):
        open_inside(str(tmp_path / "gone"), sources)
    with pytest.raises(InputError, match=r"gone\.geojson: no such file"):
        open_inside(str(tmp_path / "gone.geojson"), sources)
    one = tmp_path / "one.geojson"
    one.write_text(collection(square("r", 0, 0, 36)), encoding="utf-8")
    with pytest.raises(InputError, match=r"one\.geojson is one file, and the images are of several"):
        open_inside(str(one), sources)
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    (drawn / "a.geojson").write_text(collection(square("r", 0, 0, 36)), encoding="utf-8")
    with pytest.raises(InputError, match=r"holds no regions for b; wanted .*b\.geojson"):
        open_inside(str(drawn), sources)
    (drawn / "b.geojson").write_text(collection(), encoding="utf-8")
    with pytest.raises(InputError, match=r"b\.geojson holds no region drawn as an area"):
        open_inside(str(drawn), sources)
    masks = tmp_path / "masks"
    masks.mkdir()
    tifffile.imwrite(masks / "a.tif", np.ones((64, 64), dtype=np.uint8))
    with pytest.raises(InputError, match=r"--inside .* holds no mask for b; wanted"):
        open_inside(str(masks), sources)
    tifffile.imwrite(masks / "b.tif", np.ones((32, 64), dtype=np.uint8))
    outcomes = run(sources, segmenter, tmp_path / "out", open_inside(str(masks), sources))
    assert [outcome.state for outcome in outcomes] == ["done", "failed"]
    assert "the mask of --inside has 32 × 64 pixels and the image 64 × 64" in outcomes[1].message

"""Many images into one folder, as a Python user does it; `autosam segment` is tested in test_cli_segment.py."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from fake_networks import (
    BrightPixels,
    DescribedPixels,
    build_small_sam,
    colors_of,
    draw_ellipses,
    use_component_sam,
)

from autosam.config import load_config
from autosam.errors import ConfigError, InputError
from autosam.images import find_sources, read_labels, write_text
from autosam.models.networks import Networks
from autosam.pipeline.batch import segment_batch
from autosam.pipeline.outputs import BatchOptions, Outputs
from autosam.pipeline.segmenter import Segmenter
from autosam.prompts import Prompt
from autosam.prompts.user_prompts import PromptTables

SPOTS, TRUTH = draw_ellipses((64, 64), [(18, 20, 9, 12), (45, 40, 10, 9)])


@pytest.fixture(scope="module")
def networks():
    return Networks(build_small_sam(), BrightPixels())


@pytest.fixture
def segmenter(networks, monkeypatch):
    use_component_sam(monkeypatch)
    return Segmenter(networks, load_config(), name="by rule")


@pytest.fixture
def sources(tmp_path):
    for name, image in (("a", SPOTS), ("b", SPOTS[::-1]), ("c", np.full_like(SPOTS, 9))):
        tifffile.imwrite(tmp_path / f"{name}.tif", image, photometric="minisblack")
    return find_sources([str(tmp_path / "*.tif")])


def point(row: float, col: float) -> Prompt:
    return Prompt(np.array([[row, col]]), np.ones(1, dtype=np.int64))


def test_every_image_gives_one_outcome_in_order(segmenter, sources, tmp_path):
    shares: list[float] = []
    outcomes = list(segment_batch(sources, segmenter, tmp_path / "out", progress=shares.append))
    assert [(item.source.name, item.state, item.instances, item.prompts) for item in outcomes] == [
        ("a", "done", 2, 2),
        ("b", "done", 2, 2),
        ("c", "done", 0, 0),
    ]
    assert all(item.seconds > 0 and item.message == "" for item in outcomes)
    assert shares
    assert max(shares) == 1
    for source, truth in zip(sources, (TRUTH, TRUTH[::-1], np.zeros_like(TRUTH)), strict=True):
        outputs = Outputs.of(source, tmp_path / "out", "tif")
        assert all(path.exists() for path in outputs.always)
        assert not outputs.prompts.exists()
        np.testing.assert_array_equal(read_labels(outputs.labels) > 0, truth > 0)
    again = list(segment_batch(sources, segmenter, tmp_path / "out"))
    assert [item.state for item in again] == ["skipped"] * 3


def test_the_record_says_where_the_time_went(segmenter, sources, tmp_path):
    outcomes = list(segment_batch(sources, segmenter, tmp_path / "out"))
    record = json.loads((tmp_path / "out" / "autosam_run.json").read_text(encoding="utf-8"))
    assert list(record)[-2:] == ["timings", "images"]
    for outcome in outcomes:
        told = record["images"][outcome.name]["timings"]
        assert told == {stage: pytest.approx(took, abs=1e-4) for stage, took in outcome.timings.items()}
        assert {"read", "view", "predict", "propose", "merge", "measure", "overlay", "write"} <= told.keys()
        assert ("encode" in told) == (outcome.instances > 0)
        assert all(took >= 0 for took in told.values())
        assert sum(told.values()) <= outcome.seconds + 0.001
    assert list(record["timings"]) == list(outcomes[0].timings)
    whole = sum(sum(outcome.timings.values()) for outcome in outcomes)
    assert sum(record["timings"].values()) == pytest.approx(whole, abs=0.02)
    # An image that was finished before keeps what it took then.
    assert [item.timings for item in segment_batch(sources, segmenter, tmp_path / "out")] == [{}] * 3
    again = json.loads((tmp_path / "out" / "autosam_run.json").read_text(encoding="utf-8"))
    assert again["timings"] == record["timings"]


def test_images_unlike_the_training_images_are_named(networks, sources, tmp_path, monkeypatch):
    use_component_sam(monkeypatch)
    tifffile.imwrite(tmp_path / "d.tif", 255 - SPOTS, photometric="minisblack")
    sources = find_sources([str(tmp_path / "*.tif")])
    # Bright spots cover 15 % of a and b.
    known = replace(networks, generator=DescribedPixels(), statistics=colors_of(0.15, 0.3, limit=0.2))
    for number, subject in enumerate((known, networks)):
        out = tmp_path / str(number)
        outcomes = list(segment_batch(sources, Segmenter(subject, load_config()), out))
        assert [item.out_of_distribution for item in outcomes] == [False, False, False, subject is known]
        images = json.loads((out / "autosam_run.json").read_text(encoding="utf-8"))["images"]
        told = {name: entry.get("out_of_distribution") for name, entry in images.items()}
        # The generator was not asked about c, which is constant.
        told_of_known = {"a": False, "b": False, "c": None, "d": True}
        assert told == (told_of_known if subject is known else dict.fromkeys("abcd"))
        assert ("novelty" in images["d"], "novelty" in images["c"]) == (subject is known, False)
        if subject is known:
            assert images["a"]["novelty"] < 0.5
            assert images["d"]["novelty"] == pytest.approx((0.85 - 0.15) / 0.2, abs=0.2)


def test_prompts_by_hand_are_asked_for_each_image_and_its_shape(segmenter, sources, tmp_path):
    asked: list[tuple[str, tuple[int, int]]] = []

    def prompts_for(source, shape):
        asked.append((source.name, shape))
        return {"a": [point(18, 20)], "b": [point(900, 3)], "c": []}[source.name]

    outcomes = list(segment_batch(sources, segmenter, tmp_path / "out", prompts=PromptTables(prompts_for, "")))
    assert asked == [("a", (64, 64)), ("b", (64, 64)), ("c", (64, 64))]
    assert [(item.state, item.instances) for item in outcomes] == [("done", 2), ("failed", 0), ("done", 0)]
    assert outcomes[1].message.startswith(f"{sources[1]}: prompt 0 lies outside the image of 64 × 64 pixels")
    record = json.loads((tmp_path / "out" / "autosam_run.json").read_text(encoding="utf-8"))
    assert record["images"]["b"]["error"] == outcomes[1].message
    assert record["images"]["a"]["instances_of_generator_alone"] == 0
    assert not list((tmp_path / "out").glob("b_*"))


def test_a_clash_of_settings_ends_the_batch(networks, sources, tmp_path):
    subject = Segmenter(networks, load_config(overrides=["decode.sam=false"]))
    batch = segment_batch(sources, subject, tmp_path / "out", prompts=PromptTables(lambda *_: [point(18, 20)], ""))
    with pytest.raises(ConfigError, match=r"decode\.sam=false"):
        list(batch)
    assert not list((tmp_path / "out").glob("*_labels.*"))


def test_no_image_at_all(segmenter, tmp_path):
    assert list(segment_batch([], segmenter, tmp_path / "out")) == []


def test_the_record_says_exactly_how_an_image_was_zoomed(networks, sources, tmp_path, monkeypatch):
    # `autosam evaluate --diagnose` sees the image again at what the record says.
    use_component_sam(monkeypatch)
    segmenter = Segmenter(networks, load_config(overrides=["images.diameter=10"]), name="by rule")
    list(segment_batch(sources, segmenter, tmp_path / "out", BatchOptions(diameter=7.0)))
    images = json.loads((tmp_path / "out" / "autosam_run.json").read_text(encoding="utf-8"))["images"]
    assert images["a"]["zoom"] == 10 / 7


class Sizes:
    """Writes the number of pixels of each object."""

    ending = "_sizes.txt"

    def write(self, path, segmented):
        if segmented.source.name == "b":
            raise InputError("the sizes of b cannot be told")
        sizes = np.bincount(segmented.result.labels.ravel())[1:]
        write_text(path, f"{segmented.image.shape} {sizes.tolist()}")


def test_a_further_file_of_each_image(segmenter, sources, tmp_path):
    options = BatchOptions(further=(Sizes(),))
    outcomes = list(segment_batch(sources, segmenter, tmp_path / "out", options))
    assert [item.state for item in outcomes] == ["done", "failed", "done"]
    assert outcomes[1].message == f"{sources[1]}: the sizes of b cannot be told"
    sizes = np.bincount(TRUTH.ravel())[1:].tolist()
    assert (tmp_path / "out" / "a_sizes.txt").read_text(encoding="utf-8") == f"(64, 64) {sizes}"
    assert (tmp_path / "out" / "c_sizes.txt").read_text(encoding="utf-8") == "(64, 64) []"
    # It can be made from the results (`export_results`), so that an image without it is finished all the same.
    (tmp_path / "out" / "a_sizes.txt").unlink()
    again = list(segment_batch(sources, segmenter, tmp_path / "out", options))
    assert [item.state for item in again] == ["skipped", "failed", "skipped"]


def test_channels_that_nobody_chose_are_told(segmenter, tmp_path):
    # A channel axis of two, colors of a picture, and one channel of the first.
    tifffile.imwrite(tmp_path / "axis.tif", np.stack([SPOTS, SPOTS]), imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "color.tif", np.stack([SPOTS] * 3, axis=-1), photometric="rgb")
    axis, color = find_sources([str(tmp_path / name) for name in ("axis.tif", "color.tif")])
    sources = [axis, color, replace(axis, path=axis.path.rename(tmp_path / "one.tif"), channel=1)]
    tifffile.imwrite(axis.path, np.stack([SPOTS, SPOTS]), imagej=True, metadata={"axes": "CYX"})
    told = {item.source.name: item.warnings for item in segment_batch(sources, segmenter, tmp_path / "out")}
    assert told["color"] == told["one"] == ()
    (warning,) = told["axis"]
    assert warning.startswith("2 channels were taken for red, green and blue; --channel takes one")

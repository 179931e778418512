import numpy as np
import pytest
import yaml
from fake_networks import BrightPixels, ComponentSam, build_small_sam, draw_ellipses, use_component_sam

from autosam.config import load_config
from autosam.data import LabeledImage
from autosam.errors import ConfigError
from autosam.models.networks import Networks
from autosam.pipeline.segmenter import Segmenter
from autosam.studies.axes import Axis, parse_axes
from autosam.studies.tune import CANDIDATES, Tried, Tuned, axes_for, check_axes, tune, tuned_yaml

IMAGE, LABELS = draw_ellipses((100, 150), [(20, 30, 9, 12), (50, 100, 14, 10), (80, 40, 3, 4)])
IMAGES = [LabeledImage("a/0", "a", np.repeat(IMAGE[..., None], 3, axis=2), LABELS)]


@pytest.fixture
def segmenter(monkeypatch: pytest.MonkeyPatch) -> Segmenter:
    use_component_sam(monkeypatch)
    networks = Networks(build_small_sam(), BrightPixels())  # type: ignore[arg-type]
    return Segmenter(networks, load_config())


def test_the_better_value_is_found(segmenter: Segmenter) -> None:
    # the third object has 37 pixels
    start = load_config(overrides=["merge.min_size=60"])
    seen: list[tuple[str, str]] = []
    tuned = tune(
        segmenter,
        start,
        parse_axes(["merge.min_size=10,60,5000", "merge.iou=0.4,0.6"]),
        IMAGES,
        report=lambda key, value, tried: seen.append((key, value)),
    )
    assert tuned.before.mean_ap == pytest.approx(2 / 3)
    assert tuned.after.mean_ap == tuned.after.ap75 == 1
    assert tuned.after.config.merge.min_size == 10
    assert tuned.after.config.merge.iou == 0.5, "what is no better does not change"
    assert seen[:3] == [("", ""), ("merge.min_size", "10"), ("merge.min_size", "5000")]
    assert tuned.tried == len(seen)
    assert (tuned.images, tuned.objects) == (1, 3)
    assert tuned.keys == ("merge.min_size", "merge.iou")


def test_nothing_worse_than_the_start(segmenter: Segmenter) -> None:
    start = load_config(overrides=["merge.min_size=10"])
    tuned = tune(segmenter, start, parse_axes(["merge.min_size=1000,5000"]), IMAGES)
    assert tuned.after == tuned.before
    assert tuned.after.config == start


def test_of_equals_the_nearest_is_taken(segmenter: Segmenter) -> None:
    start = load_config(overrides=["merge.min_size=60"])
    tuned = tune(segmenter, start, parse_axes(["merge.min_size=5,10,30"]), IMAGES)
    assert tuned.after.config.merge.min_size == 30


def test_images_without_objects(segmenter: Segmenter) -> None:
    empty = LabeledImage("a/0", "a", np.zeros((20, 30, 3), np.uint8), np.zeros((20, 30), np.int32))
    tuned = tune(segmenter, load_config(), parse_axes(["merge.iou=0.4,0.6"]), [empty])
    assert tuned.after.mean_ap == 0
    assert np.isnan(tuned.after.from_sam)
    assert tuned.after == tuned.before


def test_whose_outlines_the_objects_have(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    start, axes = load_config(overrides=["merge.min_size=10"]), parse_axes(["merge.iou=0.4,0.6"])
    assert tune(segmenter, start, axes, IMAGES).after.from_sam == 1
    monkeypatch.setattr(ComponentSam, "iou", 0.2)
    tuned = tune(segmenter, start, axes, IMAGES)
    assert (tuned.after.mean_ap, tuned.after.from_sam) == (1, 0), "the generator's regions stand in"


def test_networks_answer_once(segmenter: Segmenter) -> None:
    generator = segmenter.networks.generator
    assert generator is not None
    plain = type(generator).forward
    asked = []

    def counting(self: object, image: object) -> object:
        asked.append(1)
        return plain(self, image)  # type: ignore[arg-type]

    type(generator).forward = counting  # type: ignore[method-assign,assignment]
    try:
        segmenter.segment(IMAGES[0].image)
        once = len(asked)
        tune(segmenter, load_config(), parse_axes(["merge.min_size=5,10,20"]), IMAGES)
    finally:
        type(generator).forward = plain  # type: ignore[method-assign]
    assert len(asked) == 2 * once


def test_what_is_searched() -> None:
    centers = load_config(overrides=["model.generator.channels=[foreground, boundary, center]"])
    by_threshold = [key for key in CANDIDATES if key != "prompts.min_region_score"]
    assert [axis.key for axis in axes_for(centers)] == by_threshold
    assert [axis.key for axis in axes_for(load_config())] == [
        key for key in by_threshold if key != "prompts.center"
    ]
    by_classifier = [key for key in CANDIDATES if key not in ("prompts.boundary", "prompts.center")]
    assert [axis.key for axis in axes_for(centers, region_classifier=True)] == by_classifier
    without = centers.model_copy(
        update={"prompts": centers.prompts.model_copy(update={"region_classifier": False})}
    )
    assert [axis.key for axis in axes_for(without, region_classifier=True)] == by_threshold
    alone = load_config(overrides=["decode.sam=false"])
    assert [axis.key for axis in axes_for(alone)] == ["prompts.foreground", "prompts.boundary", "prompts.min_size"]
    grid = [axis.key for axis in axes_for(load_config(overrides=["prompts.method=grid"]))]
    assert grid == ["merge.min_score", "merge.iou", "merge.overlap", "merge.min_size"]
    boundary = load_config(overrides=["model.generator.channels=[boundary]"])
    assert not {"prompts.foreground", "merge.fallback"} & {axis.key for axis in axes_for(boundary)}


def test_values_of_ones_own() -> None:
    axes = axes_for(
        load_config(), parse_axes(["merge.iou=0.2,0.3", "merge.overlap=0.8", "prompts.box=true,false"])
    )
    assert Axis("merge.iou", ("0.2", "0.3")) in axes
    assert axes[-1] == Axis("prompts.box", ("true", "false"))
    assert "merge.overlap" not in [axis.key for axis in axes]


def test_every_bad_value_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        check_axes(load_config(), parse_axes(["merge.iou=0.5,2", "prompts.pints=1,2"]))
    for fault in ("merge.iou=2: ", "prompts.pints=1: ", "did you mean prompts.points?"):
        assert fault in str(caught.value)
    with pytest.raises(ConfigError, match="nothing is left to tune"):
        check_axes(load_config(), [])


def test_the_file_gives_what_was_found_again() -> None:
    own = load_config(overrides=["merge.min_score=0.6", "tiles.overlap=0.1"])
    start = load_config(overrides=["merge.min_score=0.6", "tiles.overlap=0.3"])
    after = load_config(overrides=["merge.min_score=0.7", "tiles.overlap=0.3"])
    tuned = Tuned(
        Tried(start, 0, 0, 0, from_sam=0),
        Tried(after, 1, 1, 1, from_sam=1),
        ("merge.min_score", "merge.iou"),
        tried=2,
        images=1,
        objects=1,
    )
    text = tuned_yaml(tuned, own, ["one\nline", "two"])
    assert text.splitlines()[:2] == ["# one line", "# two"]
    values = yaml.safe_load(text)
    assert values == {"tiles": {"overlap": 0.3}, "merge": {"min_score": 0.7, "iou": 0.5}}
    assert load_config(defaults={**own.model_dump(mode="json"), **values}).merge.min_score == 0.7

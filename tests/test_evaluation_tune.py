import numpy as np
import pytest
import yaml
from fake_networks import BrightPixels, ComponentSam, build_small_sam, draw_ellipses, use_component_sam

from autosam.config import Config, load_config
from autosam.data import LabeledImage
from autosam.errors import ConfigError
from autosam.evaluation.axes import Axis, parse_axes
from autosam.evaluation.tune import CANDIDATES, Tried, axes_for, tune, tuned_yaml
from autosam.models.networks import Networks
from autosam.pipeline.segmenter import Segmenter

IMAGE, LABELS = draw_ellipses((100, 150), [(20, 30, 9, 12), (50, 100, 14, 10), (80, 40, 3, 4)])
IMAGES = [LabeledImage("a/0", "a", np.repeat(IMAGE[..., None], 3, axis=2), LABELS)]


@pytest.fixture
def segmenter(monkeypatch: pytest.MonkeyPatch) -> Segmenter:
    use_component_sam(monkeypatch)
    networks = Networks(build_small_sam(), BrightPixels())  # type: ignore[arg-type]
    return Segmenter(networks, load_config())


def search(segmenter: Segmenter, start: Config, *settings: str) -> tuple[list[Tried], Tried]:
    tried = list(tune(segmenter, start, parse_axes(settings), IMAGES))
    return tried, max(tried, key=lambda one: one.mean_ap)


def test_the_better_value_is_found(segmenter: Segmenter) -> None:
    # the third object has 37 pixels
    start = load_config(overrides=["merge.min_size=60"])
    tried, best = search(segmenter, start, "merge.min_size=10,60,5000", "merge.iou=0.4,0.6")
    assert tried[0].config == start
    assert tried[0].mean_ap == pytest.approx(2 / 3)
    assert best.mean_ap == best.ap75 == 1
    assert best.config.merge.min_size == 10
    assert best.config.merge.iou == 0.5, "what is no better does not change"
    assert [one.change for one in tried[:3]] == ["", "merge.min_size=10", "merge.min_size=5000"]
    assert len({one.config for one in tried}) == len(tried), "settings are scored twice"


def test_only_valid_pixels_are_scored(segmenter: Segmenter) -> None:
    # The third object is missed at the start; it lies where nothing counts.
    start = load_config(overrides=["merge.min_size=60"])
    valid = np.ones(LABELS.shape, bool)
    valid[60:] = False
    labels = np.where(valid, LABELS, 0).astype(np.int32)
    masked = [LabeledImage("a/0", "a", IMAGES[0].image, labels, valid=valid)]
    first, *_ = tune(segmenter, start, parse_axes(["merge.iou=0.4,0.6"]), masked)
    assert first.mean_ap == 1


def test_nothing_worse_than_the_start(segmenter: Segmenter) -> None:
    start = load_config(overrides=["merge.min_size=10"])
    tried, best = search(segmenter, start, "merge.min_size=1000,5000")
    assert best is tried[0]
    assert best.config == start


def test_of_equals_the_nearest_is_taken(segmenter: Segmenter) -> None:
    start = load_config(overrides=["merge.min_size=60"])
    _, best = search(segmenter, start, "merge.min_size=5,10,30")
    assert best.config.merge.min_size == 30


def test_the_search_goes_on_from_what_was_better(segmenter: Segmenter) -> None:
    start = load_config(overrides=["merge.min_size=60"])
    tried, best = search(segmenter, start, "merge.min_size=10,60", "merge.iou=0.4,0.6")
    assert [one.change for one in tried] == ["", "merge.min_size=10", "merge.iou=0.4", "merge.iou=0.6"]
    assert [one.config.merge.min_size for one in tried] == [60, 10, 10, 10]
    assert best is tried[1]


def test_images_without_objects(segmenter: Segmenter) -> None:
    empty = LabeledImage("a/0", "a", np.zeros((20, 30, 3), np.uint8), np.zeros((20, 30), np.int32))
    first, *others = tune(segmenter, load_config(), parse_axes(["merge.iou=0.4,0.6"]), [empty])
    assert np.isnan(first.from_sam)
    assert [one.mean_ap for one in (first, *others)] == [0, 0, 0]


def test_whose_outlines_the_objects_have(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    start = load_config(overrides=["merge.min_size=10"])
    assert search(segmenter, start, "merge.iou=0.4,0.6")[1].from_sam == 1
    monkeypatch.setattr(ComponentSam, "iou", 0.2)
    _, best = search(segmenter, start, "merge.iou=0.4,0.6")
    assert (best.mean_ap, best.from_sam) == (1, 0), "the generator's regions stand in"


def test_what_is_searched() -> None:
    centers = load_config(overrides=["model.generator.channels=[foreground, boundary, center]"])
    by_threshold = [key for key in CANDIDATES if key not in ("prompts.min_region_score", "prompts.join")]
    assert [axis.key for axis in axes_for(centers)] == by_threshold
    assert [axis.key for axis in axes_for(load_config())] == [
        key for key in by_threshold if key != "prompts.center"
    ]
    by_classifier = [
        key for key in CANDIDATES if key not in ("prompts.boundary", "prompts.center", "prompts.join")
    ]
    assert [axis.key for axis in axes_for(centers, region_classifier=True)] == by_classifier
    without = centers.model_copy(
        update={"prompts": centers.prompts.model_copy(update={"region_classifier": False})}
    )
    assert [axis.key for axis in axes_for(without, region_classifier=True)] == by_threshold
    dense = load_config(overrides=["prompts.join=0.5", "decode.sam=false"], defaults=centers.model_dump())
    assert [axis.key for axis in axes_for(dense)] == [
        "prompts.foreground",
        "prompts.boundary",
        "prompts.join",
        "prompts.min_size",
    ]
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
        axes_for(load_config(), parse_axes(["merge.iou=0.5,2", "prompts.pints=1,2"]))
    for fault in ("merge.iou=2: ", "prompts.pints=1: ", "did you mean prompts.points?"):
        assert fault in str(caught.value)
    with pytest.raises(ConfigError, match="nothing is left to tune"):
        axes_for(load_config(), [Axis(key, ("1",)) for key in CANDIDATES])


def test_the_file_gives_what_was_found_again() -> None:
    own = load_config(overrides=["merge.min_score=0.6", "tiles.overlap=0.1"])
    found = load_config(overrides=["merge.min_score=0.7", "tiles.overlap=0.3"])
    text = tuned_yaml(found, own, ["merge.min_score", "merge.iou"], ["one\nline", "two"])
    assert text.splitlines()[:2] == ["# one line", "# two"]
    values = yaml.safe_load(text)
    assert values == {"tiles": {"overlap": 0.3}, "merge": {"min_score": 0.7, "iou": 0.5}}
    assert load_config(defaults={**own.model_dump(mode="json"), **values}).merge.min_score == 0.7

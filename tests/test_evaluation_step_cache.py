from collections import Counter

import numpy as np
import pytest
from blobs import discs, small_config
from fake_networks import BrightPixels, build_small_sam, use_component_sam

from autosam.config import Config, load_config
from autosam.evaluation.step_cache import StepCache
from autosam.models.networks import Networks, build_networks
from autosam.pipeline import find_zoom
from autosam.pipeline.segmenter import Segmenter

IMAGES = [discs(seed)[0] for seed in range(2)]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the calls of the expensive steps."""
    counted: Counter[str] = Counter()

    def count(name: str) -> None:
        plain = getattr(Segmenter, name)

        def counting(self: Segmenter, *arguments: object) -> object:
            counted[name] += 1
            return plain(self, *arguments)

        monkeypatch.setattr(Segmenter, name, counting)

    for name in ("predict", "decode"):
        count(name)
    return counted


@pytest.fixture
def segmenter(monkeypatch: pytest.MonkeyPatch) -> Segmenter:
    use_component_sam(monkeypatch)
    return Segmenter(Networks(build_small_sam(), BrightPixels()), load_config())  # type: ignore[arg-type]


def with_diameter(*overrides: str) -> Config:
    """Settings with which the generator finds the zoom: the discs' diameter is near 19."""
    return load_config(overrides=["images.diameter=38", *overrides])


def test_only_what_a_change_touches_is_computed(segmenter: Segmenter, calls: Counter[str]) -> None:
    steps = StepCache(segmenter, IMAGES)
    for overrides, predicted, decoded in [
        ([], 1, 1),
        (["merge.min_size=5"], 1, 1),
        (["prompts.foreground=0.6"], 1, 2),
        (["decode.batch_size=2"], 1, 3),
        (["decode.flips=true"], 2, 4),
        (["images.zoom=2"], 3, 5),
        ([], 3, 5),
    ]:
        steps.segment(0, load_config(overrides=overrides))
        assert (calls["predict"], calls["decode"]) == (predicted, decoded), overrides
    steps.segment(1, load_config())
    assert (calls["predict"], calls["decode"]) == (4, 6), "another image was taken for the first"


def test_the_zoom_is_searched_for_once(
    segmenter: Segmenter, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    plain = find_zoom.find_zoom
    monkeypatch.setattr(find_zoom, "find_zoom", lambda *given, **named: looks.append(1) or plain(*given, **named))
    steps = StepCache(segmenter, IMAGES)
    first = steps.segment(0, with_diameter())
    assert first.zoom == pytest.approx(2, abs=0.2)
    assert len(looks) == 1
    assert steps.segment(0, with_diameter("merge.min_size=5", "decode.batch_size=2")).zoom == first.zoom
    assert len(looks) == 1
    # Thresholds decide what is sure.
    assert steps.segment(0, with_diameter("prompts.foreground=0.6")).zoom == first.zoom
    assert len(looks) == 2
    assert calls["predict"] == 1


def test_a_zoom_that_is_known_is_not_searched_for(segmenter: Segmenter) -> None:
    steps = StepCache(segmenter, IMAGES, zooms=[1.5, None])
    assert steps.segment(0, with_diameter()).zoom == 1.5
    assert steps.segment(1, with_diameter()).zoom == pytest.approx(2, abs=0.2)


def test_results_are_those_of_the_segmenter() -> None:
    networks = build_networks(small_config().model, seed=1)
    for part in networks.parts:
        part.eval()
    own = ("merge.min_score=0", "merge.min_size=1", "prompts.foreground=0.45", "prompts.boundary=0.9")
    segmenter = Segmenter(networks, small_config(*own))
    image = discs(0, 64)[0]
    caches = [StepCache(segmenter, [image], limit=limit) for limit in (2**31, 0)]
    found = 0
    for change in [
        "seed=1",
        "merge.iou=0.3",
        "prompts.box=false",
        "decode.flips=true",
        "images.zoom=1.5",
        "seed=1",
    ]:
        config = small_config(*own, change)
        plain = segmenter.with_settings(config).segment(image, normalized=True)
        found += len(plain.scores)
        for steps in caches:
            kept = steps.segment(0, config)
            assert np.array_equal(kept.labels, plain.labels)
            assert np.array_equal(kept.scores, plain.scores)
            assert np.array_equal(kept.prompt_of, plain.prompt_of)
    assert found
    assert caches[1].held == 0


def test_the_longest_unused_results_go_first(segmenter: Segmenter, calls: Counter[str]) -> None:
    one = StepCache(segmenter, IMAGES)
    one.segment(0, load_config())
    steps = StepCache(segmenter, IMAGES, limit=int(1.5 * one.held))
    calls.clear()
    steps.segment(0, load_config())
    steps.segment(1, load_config())
    steps.segment(1, load_config())
    assert (calls["predict"], calls["decode"]) == (2, 2)
    assert steps.held <= 1.5 * one.held
    steps.segment(0, load_config())
    assert calls["decode"] == 3


def test_an_image_without_objects(segmenter: Segmenter) -> None:
    steps = StepCache(segmenter, [np.zeros((20, 30, 3), np.uint8)])
    assert steps.segment(0, load_config()).labels.shape == (20, 30)
    assert not steps.segment(0, load_config()).labels.any()

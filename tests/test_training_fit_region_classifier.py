"""Fitting a region classifier: what it learns from, that it is scikit-learn's forest, that it divides better."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from blobs import labeled_image, small_config
from fake_networks import BrightPixels
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.ensemble import GradientBoostingRegressor
from torch import Tensor

from autosam.config import Config
from autosam.data import LabeledImage
from autosam.errors import ConfigError, InputError
from autosam.metrics import average_precision
from autosam.models.files.checkpoint import ModelHeader, load_model, save_model
from autosam.models.files.model_file import load_networks, network_tensors
from autosam.models.networks import Networks, build_networks
from autosam.pipeline.segmenter import Segmenter
from autosam.pipeline.view import View
from autosam.regions import FEATURES
from autosam.training.fit import fit_region_classifier as judging
from autosam.training.fit.fit_region_classifier import (
    add_region_classifier,
    complete_region_classifier,
    fit_region_classifier,
    from_forest,
)
from autosam.training.loop import train

pytestmark = pytest.mark.usefixtures("few_windows")


class ColorsAreMaps(BrightPixels):
    """A generator whose foreground is the red of the image, and its center the green."""

    def __init__(self) -> None:
        super().__init__("foreground", "center")

    def forward(self, image: Tensor) -> Tensor:
        return (image[:, :2].clamp(0.01, 0.99)).logit()


def pairs(seed: int, side: int = 128) -> LabeledImage:
    """Give a labeled image of which thresholds make nonsense, and shapes make sense.

    Some ellipses have two centers, and are one object; some discs touch with one center, as if they were one.
    """
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:side, :side]
    labels, center = np.zeros((side, side), dtype=np.int32), np.zeros((side, side))
    for row in range(16, side, 32):
        for col in range(16, side, 32):
            middle = np.array([row, col]) + rng.integers(-2, 3, size=2)
            if rng.random() < 0.5:
                inside = ((rows - middle[0]) / 7) ** 2 + ((cols - middle[1]) / 12) ** 2 < 1
                labels[inside] = labels.max() + 1
                depth = 0.5
            else:
                for shift in (-6.5, 6.5):
                    inside = (rows - middle[0]) ** 2 + (cols - middle[1] - shift) ** 2 < 49
                    labels[inside & (labels == 0)] = labels.max() + 1
                depth = 0.08
            # Two peaks in both; deep between the two halves of one object, shallow between two objects.
            peaks = [np.hypot(rows - middle[0], cols - middle[1] - shift) < 4 for shift in (-6, 6)]
            center[peaks[0] | peaks[1]] = 0.9
            center[(np.abs(rows - middle[0]) < 3) & (np.abs(cols - middle[1]) < 2)] = 0.9 - depth
    image = np.zeros((side, side, 3), dtype=np.uint8)
    image[..., 0] = np.where(labels > 0, 230, 10)
    image[..., 1] = (255 * ndimage.gaussian_filter(center, 0.7)).clip(0, 255) * (labels > 0)
    return LabeledImage(f"pairs/{seed}", "pairs", image, labels)


def settings(*overrides: str) -> Config:
    # The colors of these images are maps, not those of a lookup table.
    own = ("images.diameter=15", "images.lookup_tables=false", "prompts.min_size=10")
    return small_config("model.sam=null", "decode.sam=false", *own, *overrides)


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks(None, ColorsAreMaps().eval())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def taught(networks: Networks) -> Networks:
    region_classifier = fit_region_classifier(
        networks, settings(), [pairs(seed) for seed in range(16)], images=100
    )
    assert region_classifier is not None
    return replace(networks, region_classifier=region_classifier)


def mean_precision(networks: Networks, *overrides: str) -> float:
    segmenter = Segmenter(networks, settings(*overrides))
    labeled_images = [pairs(seed) for seed in range(100, 104)]
    return float(
        np.mean(
            [average_precision(segmenter.segment(item.image).labels, item.labels).mean for item in labeled_images]
        )
    )


def test_a_region_classifier_divides_where_thresholds_cannot(taught: Networks) -> None:
    judged = mean_precision(taught)
    assert judged > 0.9
    assert judged > mean_precision(taught, "prompts.region_classifier=false") + 0.3


def test_its_word_is_the_score_and_its_threshold_decides(taught: Networks) -> None:
    item = pairs(200)
    result = Segmenter(taught, settings()).segment(item.image)
    assert [prompt.region_score for prompt in result.prompts] == result.scores.tolist()
    assert result.scores.min() > 0.3
    assert np.array_equal(np.unique(result.labels), np.arange(len(result.scores) + 1))
    # In raster order, as all labels are.
    firsts = np.unique(result.labels, return_index=True)[1][1:]
    assert (np.diff(firsts) > 0).all()
    middle = (result.scores.min() + result.scores.max()) / 2
    picky = Segmenter(taught, settings(f"prompts.min_region_score={middle}")).segment(item.image)
    assert 0 < len(picky.scores) < len(result.scores)
    none = Segmenter(taught, settings("prompts.min_region_score=1")).segment(item.image)
    assert none.labels.max() == 0


def test_small_regions_are_no_regions(taught: Networks) -> None:
    areas = np.bincount(Segmenter(taught, settings()).segment(pairs(200).image).labels.ravel())[1:]
    limit = int(np.median(areas)) + 1
    large = Segmenter(taught, settings(f"prompts.min_size={limit}")).segment(pairs(200).image)
    assert large.labels.max() > 0
    assert np.bincount(large.labels.ravel())[1:].min() >= limit


def test_an_empty_image_has_no_regions(taught: Networks) -> None:
    result = Segmenter(taught, settings()).segment(np.zeros((40, 50, 3), np.uint8))
    assert result.labels.shape == (40, 50)
    assert len(result.scores) == 0
    # Not constant, but without foreground.
    faint = np.zeros((40, 50, 3), np.uint8)
    faint[:, :, 2] = np.arange(50)
    assert Segmenter(taught, settings()).segment(faint).labels.max() == 0


def test_the_scale_is_found_without_the_region_classifier(
    taught: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        type(taught.region_classifier),
        "score",
        lambda region_classifier, described: asked.append(1) or np.ones(len(described)),
    )
    item = pairs(201)
    large = LabeledImage(item.name, item.source, item.image.repeat(2, axis=0).repeat(2, axis=1), item.labels)
    result = Segmenter(taught, settings("images.zoom_tolerance=1.1")).segment(large.image)
    assert result.zoom < 0.7
    assert len(asked) == 1


# What it learns from


def test_it_is_the_forest_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    described = rng.normal(size=(400, len(FEATURES))).astype(np.float32)
    described[:, 3] = rng.integers(0, 4, 400)  # equal values, which thresholds lie between
    forest = GradientBoostingRegressor(n_estimators=40, max_depth=4, subsample=0.5, random_state=0)
    forest.fit(described, rng.random(400) * (described[:, 3] > 1))
    region_classifier = from_forest(forest, diameter=20.0)
    more = np.concatenate([described, rng.normal(size=(400, len(FEATURES))).astype(np.float32)])
    assert region_classifier.score(more) == pytest.approx(forest.predict(more).clip(0, 1), abs=1e-5)
    assert region_classifier.diameter == 20


def test_sources_have_at_most_so_many_images_each(networks: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[NDArray[np.uint8]] = []
    real = Segmenter.view

    def view(segmenter: Segmenter, image: NDArray[np.uint8], zoom: float | None, **how: bool) -> View:
        seen.append(image)
        return real(segmenter, image, zoom, **how)

    monkeypatch.setattr(Segmenter, "view", view)
    labeled_images = [replace(pairs(seed), source="b" if seed < 10 else "a") for seed in range(12)]
    done: list[tuple[int, int]] = []
    assert (
        fit_region_classifier(networks, settings(), labeled_images, images=5, report=lambda *at: done.append(at))
        is not None
    )
    names = [next(item.source for item in labeled_images if item.image is image) for image in seen]
    assert names == ["a"] * 2 + ["b"] * 5
    assert done == [(number, 7) for number in range(1, 8)]


def test_the_same_images_and_seed_give_the_same_region_classifier(networks: Networks) -> None:
    labeled_images = [pairs(seed) for seed in range(6)]
    first, again = (
        fit_region_classifier(networks, settings("seed=3"), labeled_images, images=9) for _ in range(2)
    )
    other = fit_region_classifier(networks, settings("seed=4"), labeled_images, images=9)
    assert first is not None
    assert again is not None
    assert other is not None
    np.testing.assert_array_equal(first.value, again.value)
    assert not np.array_equal(first.value, other.value)


def test_an_image_without_candidates_teaches_nothing(networks: Networks) -> None:
    blank = LabeledImage("pairs/x", "pairs", np.zeros((50, 70, 3), np.uint8), np.zeros((50, 70), np.int32))
    labeled_images = [pairs(seed) for seed in range(6)]
    with_blank = fit_region_classifier(
        networks, settings(), [*labeled_images[:3], blank, *labeled_images[3:]], images=9
    )
    without = fit_region_classifier(networks, settings(), labeled_images, images=9)
    assert with_blank is not None
    assert without is not None
    np.testing.assert_array_equal(with_blank.value, without.value)


def test_an_earlier_region_classifier_has_no_say(taught: Networks, networks: Networks) -> None:
    labeled_images = [pairs(seed) for seed in range(6)]
    again, first = (
        fit_region_classifier(given, settings(), labeled_images, images=9) for given in (taught, networks)
    )
    assert again is not None
    assert first is not None
    np.testing.assert_array_equal(again.value, first.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ["prompts.method=grid"],
        ["model.generator.channels=[foreground]"],
        ["model.generator.channels=[boundary]", "prompts.mask=false"],
        ["model.generator=null", "prompts.method=grid"],
    ],
)
def test_a_region_classifier_that_cannot_be_is_refused_before_training(overrides: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"training\.region_classifier_images asks for"):
        small_config("training.region_classifier_images=5", *overrides)


@pytest.mark.parametrize("why", ["no generator", "no center", "no diameter", "few objects", "not asked"])
def test_without_candidates_there_is_no_region_classifier(networks: Networks, why: str) -> None:
    labeled_images = [pairs(seed) for seed in range(4)]
    config = settings()
    if why == "no generator":
        config = small_config("model.generator=null", "prompts.method=grid", "images.diameter=15")
    elif why == "no center":
        config = settings("model.generator.channels=[foreground]")
    elif why == "not asked":
        config = small_config("prompts.method=user", "images.diameter=15")
    elif why == "no diameter":
        config = settings("images.diameter=null")
    else:
        labeled_images = labeled_images[:1]
    assert fit_region_classifier(networks, config, labeled_images, images=9) is None


# In a model file


def saved(path: Path) -> Config:
    config = small_config(
        "model.sam=null", "decode.sam=false", "images.diameter=18", "prompts.foreground=0.4", "prompts.min_size=4"
    )
    built = build_networks(config.model)
    sections = {"model", "images", "decode", "prompts", "tiles", "merge"}
    header = ModelHeader(config.model_dump(mode="json", include=sections), license="of the test")
    save_model(path, tensors=network_tensors(built, config.model), metadata=header, half=True)
    return config


def test_a_model_file_gets_one_and_keeps_everything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Random weights give few regions.
    monkeypatch.setattr(judging, "LEAST_CANDIDATES", 2)
    monkeypatch.setattr(judging, "LEAST_IN_LEAF", 1)
    path = tmp_path / "model.safetensors"
    saved(path)
    before, header = load_model(path)
    region_classifier = add_region_classifier(path, [labeled_image(seed) for seed in range(6)], images=4)
    after, same = load_model(path)
    assert header == same
    assert {name for name in after if not name.startswith("region_classifier.")} == set(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    loaded, _ = load_networks(path)
    assert loaded.region_classifier is not None
    np.testing.assert_array_equal(loaded.region_classifier.value, region_classifier.value)
    assert loaded.region_classifier.diameter == 18
    # Once more: replaced, not added to.
    add_region_classifier(path, [labeled_image(seed) for seed in range(6)], images=4)
    assert load_model(path)[0].keys() == after.keys()


def test_a_run_ends_with_a_region_classifier_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "LEAST_CANDIDATES", 2)
    monkeypatch.setattr(judging, "LEAST_IN_LEAF", 1)
    short = (
        "model.sam=null",
        "decode.sam=false",
        "tiles.size=64",
        "training.steps=1",
        "prompts.foreground=0.4",
        "images.diameter=18",
    )
    labeled_images = [labeled_image(seed) for seed in range(4)]
    plain = train(small_config(*short), labeled_images, [], out=tmp_path / "plain")
    judged = train(
        small_config(*short, "training.region_classifier_images=3"), labeled_images, [], out=tmp_path / "judged"
    )
    assert load_networks(plain)[0].region_classifier is None
    assert load_networks(judged)[0].region_classifier is not None
    # Where there can be none, the run says so and keeps its model.
    monkeypatch.setattr(judging, "LEAST_CANDIDATES", 10**6)
    told: list[str] = []
    none = train(
        small_config(*short, "training.region_classifier_images=3"),
        labeled_images,
        [],
        out=tmp_path / "none",
        report=lambda progress: told.append(progress.message),
    )
    assert load_networks(none)[0].region_classifier is None
    assert "the model has no region classifier" in told[-1]
    # One that is there stays.
    content = judged.read_bytes()
    complete_region_classifier(judged, labeled_images, images=2, seed=9)
    assert judged.read_bytes() == content


def test_a_model_file_that_can_have_none_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved(path)
    content = path.read_bytes()
    with pytest.raises(InputError, match=r"1 training images give no region classifier for .*model\.safetensors"):
        add_region_classifier(path, [labeled_image(0)], images=4)
    assert path.read_bytes() == content

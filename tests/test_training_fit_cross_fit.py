"""Cross-fitting a region classifier: whose candidates it learns from, how folds count, and how right it is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from blobs import labeled_image
from test_training_fit_region_classifier import ColorsAreMaps, mean_precision, pairs, saved, settings
from torch import Tensor

from autosam.config import Config
from autosam.data import LabeledImage
from autosam.errors import InputError
from autosam.models.files.checkpoint import ModelHeader, load_model
from autosam.models.files.model_file import load_networks
from autosam.models.networks import Networks
from autosam.training.fit import cross_fit, fit_region_classifier
from autosam.training.fit.cross_fit import (
    Fold,
    add_cross_fitted_region_classifier,
    fit_to_folds,
    fold_regions,
    held_out_reliability,
    reliability,
)
from autosam.training.fit.training_regions import TrainingRegions, training_regions


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks(None, ColorsAreMaps().eval())  # type: ignore[arg-type]


@pytest.fixture
def models(networks: Networks, monkeypatch: pytest.MonkeyPatch) -> dict[str, Networks]:
    """Model files by name, all with the settings of this test."""
    own = {"any": networks}
    header = ModelHeader(settings().model_dump(mode="json", include={"model", "images", "decode", "prompts"}))
    monkeypatch.setattr(cross_fit, "load_networks", lambda path: (own[path.stem], header))
    return own


def named(stem: str) -> Path:
    return Path(f"{stem}.safetensors")


class Inverted(ColorsAreMaps):
    """Knows nothing of the images: its center is the brighter, the farther a pixel is from one."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.stack([image[:, 0], 1 - image[:, 1]], dim=1).clamp(0.01, 0.99).logit()


def test_regions_of_a_fold_are_those_of_its_images(networks: Networks, models: dict[str, Networks]) -> None:
    labeled_images = [pairs(seed) for seed in range(2)]
    plain = training_regions(networks, settings(), labeled_images, images=9)
    (crossed,) = fold_regions(settings(), [Fold(named("any"), labeled_images)], images=9)
    assert plain is not None
    assert crossed is not None
    assert len(plain) > 50
    np.testing.assert_array_equal(plain.features, crossed.features)
    np.testing.assert_array_equal(plain.scores, crossed.scores)


def test_candidates_of_a_fold_are_those_of_its_own_model(networks: Networks, models: dict[str, Networks]) -> None:
    models["inverted"] = Networks(None, Inverted().eval())  # type: ignore[arg-type]
    labeled_images = [pairs(seed) for seed in range(6)]
    right, wrong = (
        fit_to_folds(fold_regions(settings(), [Fold(named(name), labeled_images)], images=9), settings())
        for name in ("any", "inverted")
    )
    with_right, with_wrong = (replace(networks, region_classifier=of) for of in (right, wrong))
    assert mean_precision(with_right) > mean_precision(with_wrong) + 0.2


def test_folds_count_the_same_whatever_they_hold(
    models: dict[str, Networks], monkeypatch: pytest.MonkeyPatch
) -> None:
    blank = LabeledImage("pairs/x", "pairs", np.zeros((50, 70, 3), np.uint8), np.zeros((50, 70), np.int32))
    images = [pairs(seed) for seed in range(5)], [pairs(5)], [blank]
    parts = fold_regions(settings(), [Fold(named("any"), of) for of in images], images=9)
    many, few, none = parts
    assert many is not None
    assert few is not None
    assert none is None
    assert len(many) > 3 * len(few)
    fitted: list[TrainingRegions] = []
    monkeypatch.setattr(cross_fit, "fit_to_regions", lambda given, config: fitted.append(given))
    fit_to_folds(parts, settings())
    weights = fitted[0].weights
    assert len(weights) == len(many) + len(few)
    assert weights[: len(many)].sum() == pytest.approx(weights[len(many) :].sum())


def test_own_candidates_count_a_quarter_of_a_fold(
    models: dict[str, Networks], monkeypatch: pytest.MonkeyPatch
) -> None:
    folds = [Fold(named("any"), [pairs(0)]), Fold(named("any"), [pairs(1)])]
    parts = fold_regions(settings(), folds, images=9)
    own = fold_regions(settings(), [Fold(named("any"), [pairs(seed)]) for seed in (2, 3)], images=9)
    fitted: list[TrainingRegions] = []
    monkeypatch.setattr(cross_fit, "fit_to_regions", lambda given, config: fitted.append(given))
    fit_to_folds(parts, settings(), [*own, None])
    lengths = [len(part) for part in (*parts, *own) if part is not None]
    of_fold, _, *of_own = (part.sum() for part in np.split(fitted[0].weights, np.cumsum(lengths)[:-1]))
    assert of_own == pytest.approx([of_fold / 4, of_fold / 4])


def test_a_generator_of_other_channels_is_refused(models: dict[str, Networks]) -> None:
    config = settings("model.generator.channels=[foreground,center]")
    with pytest.raises(
        InputError, match=r"of any\.safetensors has the channels foreground, boundary, wanted foreground, center"
    ):
        fold_regions(config, [Fold(named("any"), [pairs(0)])], images=9)


def test_nothing_to_fit_to(models: dict[str, Networks]) -> None:
    assert fold_regions(settings(), [], images=9) == []
    assert fold_regions(settings(), [Fold(named("any"), [])], images=9) == [None]
    assert fit_to_folds([None], settings()) is None
    assert fit_to_folds([], settings()) is None
    assert held_out_reliability([], settings()) == []


def test_reliability_by_hand() -> None:
    expected = np.array([0.05, 0.1, 0.29, 0.3, 0.8, 1.0, 0.9])
    found = reliability(expected, np.array([0.0, 0.2, 0.4, 1.0, 0.9, 0.6, 0.0]))
    assert found.regions.tolist() == [1, 2, 1, 0, 3]
    assert found.expected == pytest.approx([0.05, 0.195, 0.3, np.nan, 0.9], nan_ok=True)
    assert found.reached == pytest.approx([0, 0.3, 1, np.nan, 0.5], nan_ok=True)
    none = reliability(np.zeros(0), np.zeros(0))
    assert none.regions.tolist() == [0] * 5
    assert np.isnan(none.reached).all()


def test_a_fold_is_scored_by_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_region_classifier, "LEAST_CANDIDATES", 50)
    rng = np.random.default_rng(0)

    def regions(worth: float) -> TrainingRegions:
        features = rng.random((100, 3)).astype(np.float32)
        return TrainingRegions(features, np.where(features[:, 1] > 0.5, worth, 0), np.ones(100))

    # Nothing but the others: they say .4 of what is worth .9, and the other way round.
    first, second, empty = held_out_reliability([regions(0.9), regions(0.4), None], settings())
    assert first is not None
    assert second is not None
    assert empty is None
    assert first.expected[2] == pytest.approx(0.4, abs=0.05)
    assert first.reached[2] == pytest.approx(0.9, abs=0.1)
    assert second.expected[4] == pytest.approx(0.9, abs=0.05)
    assert second.reached[4] == pytest.approx(0.4, abs=0.05)
    alone, _ = held_out_reliability([regions(0.9), None], settings())
    assert alone is None
    # A fold whose candidates all lie where labels are not known.
    nothing = TrainingRegions(np.zeros((0, 3), np.float32), np.zeros(0), np.zeros(0))
    assert held_out_reliability([regions(0.9), nothing], settings()) == [None, None]


def test_a_model_file_gets_one_of_other_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_region_classifier, "LEAST_CANDIDATES", 2)
    monkeypatch.setattr(fit_region_classifier, "LEAST_IN_LEAF", 1)
    path, other = tmp_path / "model.safetensors", tmp_path / "other.safetensors"
    saved(path)
    saved(other)
    before, header = load_model(path)
    folds = [Fold(other, [labeled_image(seed) for seed in range(6)])]
    measured = add_cross_fitted_region_classifier(path, folds, images=4)
    # With one fold, there are no others to score it.
    assert measured == [None]
    after, same = load_model(path)
    assert header == same
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    loaded, _ = load_networks(path)
    assert loaded.region_classifier is not None
    assert loaded.region_classifier.diameter == 18
    with pytest.raises(InputError, match=r"0 training images give no region classifier for .*model\.safetensors"):
        add_cross_fitted_region_classifier(path, [], images=4)


def test_own_candidates_are_those_of_the_model_itself(
    models: dict[str, Networks], monkeypatch: pytest.MonkeyPatch
) -> None:
    models["other"] = Networks(None, Inverted().eval())  # type: ignore[arg-type]
    fold = [pairs(9)]
    own = [replace(pairs(seed), source=f"source {seed % 2}") for seed in range(4)]
    asked: list[tuple[Networks, list[LabeledImage]]] = []

    def spied(
        networks: Networks, config: Config, labeled_images: list[LabeledImage], **kind: Any
    ) -> TrainingRegions | None:
        asked.append((networks, list(labeled_images)))
        return training_regions(networks, config, labeled_images, **kind)

    given: list[list[int]] = []

    def fitted(parts: list[TrainingRegions], config: Config, own: list[TrainingRegions]) -> None:
        given.extend([len(part) for part in of] for of in (parts, own))

    monkeypatch.setattr(cross_fit, "training_regions", spied)
    monkeypatch.setattr(cross_fit, "fit_to_folds", fitted)
    with pytest.raises(InputError, match="5 training images give no region classifier"):
        add_cross_fitted_region_classifier(named("any"), [Fold(named("other"), fold)], images=4, own=own)
    assert [networks for networks, _ in asked] == [models["other"], models["any"], models["any"]]
    assert [images for _, images in asked] == [fold, own[::2], own[1::2]]
    (of_fold,), of_own = given
    assert min(of_fold, *of_own) > 0
    assert len(of_own) == 2

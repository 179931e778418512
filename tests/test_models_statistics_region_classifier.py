"""A region classifier of candidates: trees walked by hand, and files that hold something else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from blobs import small_config

from autosam.errors import ModelError
from autosam.models.files.checkpoint import ModelHeader, save_model
from autosam.models.files.model_file import load_networks, network_tensors
from autosam.models.networks import Networks, build_networks
from autosam.models.statistics.region_classifier import RegionClassifier, target_score
from autosam.regions import FEATURES

FITTING = len(FEATURES)


def by_hand(features: int = 2) -> RegionClassifier:
    """Start at .3; one tree asks for feature 0, then 1, the other one is a leaf."""
    grid = {"feature": [[0, -1, 1, -1, -1], [-1] * 5], "left": [[1, 0, 3, 0, 0], [0] * 5]}
    grid |= {"right": [[2, 0, 4, 0, 0], [0] * 5]}
    short = {name: np.array(values, dtype=np.int16) for name, values in grid.items()}
    return RegionClassifier(
        **short,
        threshold=np.array([[0.5, 0, -1, 0, 0], [0] * 5], dtype=np.float32),
        value=np.array([[0, -0.2, 0, 0.1, 0.9], [0.05, 0, 0, 0, 0]], dtype=np.float32),
        start=np.float32(0.3),
        features=np.int64(features),
        diameter=np.float32(12),
    )


def test_candidates_go_left_where_the_feature_is_at_most_the_threshold() -> None:
    described = np.array([[0.5, 9], [0.6, -1], [0.6, -0.9], [0.4, -5]], dtype=np.float32)
    assert by_hand().score(described) == pytest.approx([0.15, 0.45, 1.0, 0.15])


def test_no_candidates() -> None:
    assert by_hand().score(np.zeros((0, 2), dtype=np.float32)).shape == (0,)


def test_the_target_score_counts_the_first_threshold_half_and_all_ten_half() -> None:
    ious = np.array([0.0, 0.499, 0.5, 0.55, 0.74, 0.75, 0.95, 1.0])
    assert target_score(ious) == pytest.approx([0, 0, 0.55, 0.6, 0.75, 0.8, 1, 1])
    # Of whole numbers of pixels, as exactly as they can be divided.
    assert target_score(np.array([11 / 20, 13 / 20, 17 / 20])) == pytest.approx([0.6, 0.7, 0.9])


def test_numbers_of_many_nodes_take_two_bytes() -> None:
    short = by_hand()
    assert {short.state_dict()[name].dtype for name in ("feature", "left", "right")} == {torch.int8}
    many = replace(
        short,
        **{
            name: np.pad(getattr(short, name), ((0, 0), (0, 300)), constant_values=-1 if name == "feature" else 0)
            for name in ("feature", "threshold", "left", "right", "value")
        },
    )
    far = replace(many, right=np.where(many.right == 4, 304, many.right).astype(np.int16))
    assert far.state_dict()["right"].dtype == torch.int16
    again = RegionClassifier.from_state_dict(far.state_dict(), features=2)
    assert again.right.tolist() == far.right.tolist()


def test_it_comes_back_from_its_tensors() -> None:
    region_classifier = by_hand()
    again = RegionClassifier.from_state_dict(region_classifier.state_dict(), features=2)
    described = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    np.testing.assert_array_equal(again.score(described), region_classifier.score(described))
    assert again.diameter == 12


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("value", None, "wanted"),
        ("other", torch.zeros(2), "wanted"),
        ("start", torch.zeros(2), "start"),
        ("threshold", torch.zeros(2, 4), "threshold"),
        ("feature", torch.zeros(2, 5), "feature"),
        ("left", torch.zeros(2, 5, dtype=torch.int16), "left"),
        ("right", torch.full((2, 5), 5, dtype=torch.int16), "right"),
        ("diameter", torch.tensor(0.0), "diameter"),
        ("diameter", torch.tensor(float("nan")), "diameter"),
        ("features", torch.tensor(3), r"knows 3 features, this autosam gives 2: use the version"),
        ("feature", torch.full((2, 5), 2, dtype=torch.int16), "damaged|features"),
    ],
)
def test_a_damaged_classifier_is_refused(name: str, tensor: torch.Tensor | None, message: str) -> None:
    tensors = by_hand().state_dict()
    if tensor is None:
        del tensors[name]
    else:
        tensors[name] = tensor
    with pytest.raises(ModelError, match=message):
        RegionClassifier.from_state_dict(tensors, features=2)


def test_a_loop_in_a_tree_is_refused() -> None:
    region_classifier = by_hand()
    left = region_classifier.left.copy()
    left[0, 2] = 2
    with pytest.raises(ModelError, match="left"):
        RegionClassifier.from_state_dict(replace(region_classifier, left=left).state_dict(), features=2)


# In a model file


def save(path: Path, region_classifier: RegionClassifier | None) -> Networks:
    config = small_config("model.sam=null", "decode.sam=false")
    networks = replace(build_networks(config.model), region_classifier=region_classifier)
    settings = config.model_dump(mode="json", include={"model", "images", "decode", "prompts", "tiles", "merge"})
    save_model(path, tensors=network_tensors(networks, config.model), metadata=ModelHeader(settings), half=True)
    return networks


def test_a_model_file_keeps_it_exactly(tmp_path: Path) -> None:
    threshold = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    wide = {name: np.tile(getattr(by_hand(), name), (300, 1)) for name in ("feature", "left", "right", "value")}
    region_classifier = replace(by_hand(FITTING), threshold=np.tile(threshold, (300, 1)), **wide)
    save(tmp_path / "model.safetensors", region_classifier)
    loaded, _ = load_networks(tmp_path / "model.safetensors")
    assert loaded.region_classifier is not None
    np.testing.assert_array_equal(loaded.region_classifier.threshold, region_classifier.threshold)
    np.testing.assert_array_equal(loaded.region_classifier.value, region_classifier.value)
    described = np.random.default_rng(1).normal(size=(9, FITTING)).astype(np.float32)
    np.testing.assert_array_equal(loaded.region_classifier.score(described), region_classifier.score(described))


def test_a_model_file_without_one_has_none(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors", None)
    assert load_networks(tmp_path / "model.safetensors")[0].region_classifier is None


def test_a_model_file_of_other_features_names_itself(tmp_path: Path) -> None:
    save(tmp_path / "old.safetensors", by_hand(features=3))
    with pytest.raises(ModelError, match=rf"the region classifier knows 3 features, .* gives {FITTING}"):
        load_networks(tmp_path / "old.safetensors")

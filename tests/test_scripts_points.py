"""The runs of the series of points: SAM is told in training what it is told at inference, and nothing else."""

from pathlib import Path

import numpy as np
import pytest
import torch

from autosam.config import load_config
from autosam.models.files.model_file import load_networks
from autosam.models.files.zoo import resolve_model
from autosam.models.networks import build_networks
from autosam.prompts import MaskPrompt, Prompt
from autosam.training.prompting.vary import drop_parts, vary_points

FOLDER = Path(__file__).parents[1] / "scripts" / "points"


@pytest.mark.parametrize(("name", "box"), [("points_alone", False), ("points_and_box", True)])
def test_a_series_has_one_way_of_prompting_in_training_and_at_inference(name: str, box: bool) -> None:
    config = load_config(FOLDER / f"{name}.yaml")
    training = config.training
    assert (config.prompts.box, config.prompts.mask) == (box, False)
    whole = Prompt(
        np.array([[6.0, 6.0], [8.0, 8.0]]),
        np.ones(2, dtype=np.int64),
        box=np.array([5.0, 5.0, 14.0, 14.0]),
        mask=MaskPrompt(5, 5, np.ones((9, 9), dtype=np.float32)),
    )
    numbers = set()
    for seed in range(300):
        rng = np.random.default_rng(seed)
        numbers.add(vary_points(config.prompts, training.simulate.points_per_object, rng).points)
        (varied,) = drop_parts([whole], training, rng)
        assert (len(varied.points), varied.box is not None, varied.mask is not None) == (2, box, False)
    assert {1, 5, 10, 20} <= numbers <= set(range(1, 21))


@pytest.mark.parametrize("name", ["points_alone", "points_and_box"])
def test_a_run_starts_from_the_bundled_model_of_today(name: str) -> None:
    started = build_networks(load_config(FOLDER / f"{name}.yaml").model)
    mito, _ = load_networks(resolve_model("mito"))
    for part in ("sam", "generator"):
        ours, theirs = (getattr(networks, part).state_dict() for networks in (started, mito))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(value, theirs[key]) for key, value in ours.items())

"""Fitting thresholds: which images are held out, thresholds with a known answer, and what is in the model file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from blobs import labeled_image, small_config
from fake_networks import BrightPixels
from torch import Tensor

from autosam.config import Config, load_config
from autosam.data import LabeledImage
from autosam.errors import ConfigError, InputError
from autosam.evaluation.tune import Metric
from autosam.models.files.checkpoint import load_model, read_header
from autosam.models.networks import Networks
from autosam.training import loop
from autosam.training.fit.fit_thresholds import FITTED, complete_thresholds, fit_thresholds, hold_out
from autosam.training.loop import train
from autosam.training.run.validation import Validation

pytestmark = pytest.mark.usefixtures("few_windows")

SCENES = [labeled_image(seed) for seed in range(4)]
SHORT = ("training.steps=1", "training.validate_every=1", "model.sam=null", "decode.sam=false", "tiles.size=64")


class RedIsForeground(BrightPixels):
    """A generator whose foreground is the red of the image, and its boundary the green."""

    def forward(self, image: Tensor) -> Tensor:
        return (image[:, :2].clamp(0.01, 0.99)).logit()


NETWORKS = Networks(None, RedIsForeground())  # type: ignore[arg-type]


def settings(*overrides: str) -> Config:
    return load_config(overrides=["model.sam=null", "decode.sam=false", "decode.precision=float32", *overrides])


def drawn(labels: np.ndarray[Any, Any], red: np.ndarray[Any, Any], green: np.ndarray[Any, Any]) -> LabeledImage:
    image = np.stack([red, green, np.zeros_like(red)], axis=-1)
    return LabeledImage("drawn/0", "drawn", (255 * image).round().astype(np.uint8), labels.astype(np.int32))


def joined_squares() -> LabeledImage:
    """Draw four squares of foreground .75, and bridges of .55 between them: only .6 and .7 part them."""
    labels = np.zeros((64, 64), np.int32)
    for number, (row, col) in enumerate([(8, 8), (8, 36), (36, 8), (36, 36)], start=1):
        labels[row : row + 20, col : col + 20] = number
    red = np.where(labels > 0, 0.75, 0.02)
    red[14:20, 28:36] = red[42:48, 28:36] = 0.55
    return drawn(labels, red, np.full(labels.shape, 0.02))


def two_neurites() -> LabeledImage:
    """Draw two cells whose membrane has boundary .55 only, and a vesicle's rim of .4 right across one of them."""
    labels = np.ones((64, 96), np.int32)
    labels[:, 32:] = 2
    labels[:, 30:34] = 0
    red = np.full(labels.shape, 0.95)
    green = np.where(labels > 0, 0.02, 0.55)
    green[:, 62:66] = 0.4
    return drawn(labels, red, green)


def test_the_last_images_of_each_source_are_held_out() -> None:
    images = [replace(SCENES[0], name=f"{name}/{n}", source=name) for name in "ab" for n in range(7)]
    images.append(replace(SCENES[0], name="c/0", source="c"))
    learnt, held = hold_out(images, 5)
    assert [one.name for one in held] == ["a/5", "a/6", "b/5", "b/6"], "one of three, and none of a single image"
    assert [one.name for one in learnt] == [*(f"a/{n}" for n in range(5)), *(f"b/{n}" for n in range(5)), "c/0"]
    assert [one.name for one in hold_out(images, 1)[1]] == ["a/6", "b/6"]
    assert hold_out(images, 0) == (images, [])
    assert hold_out([], 0) == ([], [])


def test_too_few_images_are_refused() -> None:
    with pytest.raises(InputError, match="no source has so many: add images, or set it to 0") as caught:
        hold_out(SCENES[:2], 3)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"training\.threshold_images fits thresholds"):
        load_config(overrides=["training.threshold_images=3", "prompts.method=user"])


@pytest.mark.parametrize("metric", ["mean_ap", "a_rand"])
def test_the_foreground_that_parts_joined_squares(metric: Metric) -> None:
    before, after = fit_thresholds(NETWORKS, settings(), [joined_squares()], metric=metric)
    assert before.config.prompts.foreground == 0.5
    assert after.config.prompts.foreground == 0.6
    assert (after.mean_ap, after.a_rand) == (1, 0)
    assert before.mean_ap < 0.5
    assert before.a_rand > 0.2


def test_the_contact_that_parts_two_neurites() -> None:
    start = settings("prompts.boundary=0.3", "prompts.join=0.7")
    before, after = fit_thresholds(NETWORKS, start, [two_neurites()], metric="a_rand")
    assert before.a_rand > 0.2
    assert after.a_rand < 1e-3
    assert after.config.prompts.join == 0.5, "above the rim of .4 and below the membrane of .55; the nearest to .7"


def test_nothing_better_is_nothing_changed() -> None:
    start = settings("prompts.foreground=0.65")
    before, after = fit_thresholds(NETWORKS, start, [joined_squares()], metric="mean_ap")
    assert after is before
    assert after.config == start


def test_off_by_default(tmp_path: Path) -> None:
    model = train(small_config(*SHORT), SCENES, [SCENES[3]], out=tmp_path / "run")
    header = read_header(model)
    assert FITTED not in header.training
    assert header.settings["prompts"]["foreground"] == 0.5
    content = model.read_bytes()
    # The metric alone changes which step is kept, and there is only one.
    other = train(small_config(*SHORT, "training.metric=a_rand"), SCENES, [SCENES[3]], out=tmp_path / "other")
    assert other.read_bytes() == content


def test_train_fits_on_what_it_did_not_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    make_batches = loop.make_batches

    def watched(config: Config, images: list[LabeledImage], *others: Any, **named: Any) -> Any:
        seen.extend(one.name for one in images)
        return make_batches(config, images, *others, **named)

    monkeypatch.setattr(loop, "make_batches", watched)
    told: list[str] = []
    config = small_config(*SHORT, "training.threshold_images=3", "training.metric=a_rand")
    plain = train(small_config(*SHORT), SCENES[:3], [SCENES[3]], out=tmp_path / "plain")
    model = train(
        config, SCENES, [SCENES[3]], out=tmp_path / "run", report=lambda progress: told.append(progress.message)
    )
    assert seen == ["discs/0", "discs/1", "discs/2"] * 2
    header = read_header(model)
    fitted = header.training[FITTED]
    # A model is given away: it has no names of files.
    assert fitted["images"] == {"discs": 1}
    assert fitted["metric"] == "a_rand"
    assert fitted["after"] <= fitted["before"]
    assert told[-1].startswith("a_rand of held-out images (1 of discs): ")
    assert "fitting thresholds to 1 held-out images" in told
    searched = [message for message in told if message.startswith("thresholds: ")]
    assert searched
    assert searched[0].startswith("thresholds: 10 settings tried, the best has a_rand 0.")
    weights, unfitted = load_model(model)[0], load_model(plain)[0]
    for name, tensor in unfitted.items():
        assert torch.equal(weights[name], tensor), name
    # Once is enough: a run that is resumed after its end changes nothing.
    content = model.read_bytes()
    device = torch.device("cpu")
    assert complete_thresholds(model, config, SCENES[3:], [], device=device) == ""
    assert model.read_bytes() == content


def test_fitted_thresholds_are_the_settings_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = train(small_config(*SHORT), SCENES, [], out=tmp_path / "run")
    # Random weights see nothing, so what would be best is said here.
    monkeypatch.setattr(
        "autosam.training.fit.fit_thresholds.load_networks", lambda path: (NETWORKS, read_header(path))
    )
    config = small_config(*SHORT)
    said = complete_thresholds(model, config, [joined_squares()], [joined_squares()], device=torch.device("cpu"))
    assert "mean_ap of held-out images (1 of drawn): 0." in said
    assert "-> 1.000 by prompts.foreground=0.6" in said
    assert "validation with that: ap50 1.000" in said
    header = read_header(model)
    assert header.settings["prompts"]["foreground"] == 0.6
    assert load_config(defaults=header.settings).prompts.foreground == 0.6
    assert header.training[FITTED]["after"] == 1


def test_what_weights_are_chosen_by() -> None:
    scores = {"mean_ap": 0.3, "a_rand": 0.2}
    assert Validation(scores, []).score == 0.3
    assert Validation(scores, [], "a_rand").score == pytest.approx(0.8)
    assert Validation({"mean_ap": 0.0, "a_rand": float("nan")}, [], "a_rand").score == 0
    boxed = {f"box_{name}": value for name, value in scores.items()}
    assert Validation(boxed, []).score == 0.3
    assert Validation(boxed, [], "a_rand").score == pytest.approx(0.8)

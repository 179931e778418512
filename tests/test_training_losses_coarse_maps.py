"""Deep supervision: coarse targets by hand, and a model that learns from them and does not keep their layers."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from blobs import disc_tiles, labeled_image, small_config

from autosam.models.files.model_file import network_tensors
from autosam.models.networks import Networks, build_networks
from autosam.training import step
from autosam.training.joint import JointModel
from autosam.training.loop import train
from autosam.training.losses.batch_loss import BatchLoss
from autosam.training.losses.coarse_maps import coarse_loss
from autosam.training.losses.pixel_losses import bce, bce_dice
from autosam.training.optimizer import make_optimizer
from autosam.training.samples.targets import generator_targets

SETTINGS = ("model.sam=null", "decode.sam=false", "model.generator.encoder=tu-resnet18")


def model_of(*overrides: str) -> tuple[JointModel, Networks]:
    config = small_config(*SETTINGS, *overrides)
    networks = build_networks(config.model)
    return JointModel(networks, prompts=config.prompts, training=config.training), networks


def learn(model: JointModel) -> BatchLoss:
    image, labels = disc_tiles(1)
    loss: BatchLoss = model(image, labels, user_prompts=[[]], predicted_share=0.0, seed=(0, 0))
    return loss


def test_coarse_targets_by_hand() -> None:
    # Of the left coarse pixel half is covered, of the right one nothing.
    targets = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]).view(1, 1, 2, 4)
    logits = torch.tensor([math.log(3), 0.0]).view(1, 1, 1, 2)
    left, right = -(math.log(0.75) + math.log(0.25)) / 2, math.log(2)
    assert coarse_loss(bce, logits, targets, None).item() == pytest.approx((left + right) / 2)
    # A pixel that is not known takes its coarse pixel out.
    weights = torch.ones(1, 1, 2, 4)
    weights[..., 1, 3] = 0
    assert coarse_loss(bce, logits, targets, weights).item() == pytest.approx(left)
    # Losses of tiles are summed, those of maps averaged.
    many = coarse_loss(bce, logits.expand(3, 2, 1, 2), targets.expand(3, 2, 2, 4), None)
    assert many.item() == pytest.approx(3 * (left + right) / 2)


def test_the_loss_of_the_first_step_is_that_of_empty_maps_more() -> None:
    plain, _ = model_of()
    deep, networks = model_of("training.deep_supervision=0.5")
    without, found = learn(plain).generator.item(), learn(deep).generator.item()
    labels = disc_tiles(1)[1][0].numpy()
    assert networks.generator is not None
    targets = torch.from_numpy(generator_targets(labels, networks.generator.channels))[None]
    maps = targets.shape[1]
    expected = [
        coarse_loss(bce_dice, torch.zeros(1, maps, 64 // k, 64 // k), targets, None).item() for k in (4, 2)
    ]
    assert found == pytest.approx(without + 0.5 * sum(expected) / 2, rel=1e-5)


def test_stages_learn_and_the_layers_are_not_kept() -> None:
    deep, networks = model_of("training.deep_supervision=0.5")
    plain, same = model_of()
    config = small_config(*SETTINGS)
    assert networks.generator is not None
    assert same.generator is not None
    start, known = networks.generator.state_dict(), same.generator.state_dict()
    assert all(torch.equal(tensor, known[name]) for name, tensor in start.items())
    assert network_tensors(networks, config.model).keys() == network_tensors(same, config.model).keys()
    assert plain.coarse_maps is None
    groups = make_optimizer(deep, config.training).param_groups
    assert {group["part"] for group in groups} == {"generator"}
    assert deep.coarse_maps is not None
    stepped = {id(parameter) for group in groups for parameter in group["params"]}
    assert all(id(parameter) in stepped for parameter in deep.coarse_maps.parameters())
    learn(deep).generator.backward()
    for parameter in deep.coarse_maps.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


def test_what_is_trained_is_clipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clipped, stepped = set(), set()
    plain = step.clip_gradients

    def clip(fabric: Any, optimizer: Any, parts: Any, limit: float) -> float:
        clipped.update(id(one) for part in parts if part is not None for one in part.parameters())
        stepped.update(id(one) for group in optimizer.param_groups for one in group["params"])
        return plain(fabric, optimizer, parts, limit)

    monkeypatch.setattr(step, "clip_gradients", clip)
    settings = ("training.steps=1", "training.deep_supervision=0.5")
    train(small_config(*SETTINGS, *settings), [labeled_image(0)], [], out=tmp_path / "run")
    assert stepped
    assert stepped <= clipped

"""The joint loss: its parts by hand, and where its gradient goes."""

import copy
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from blobs import discs, small_config
from torch import Tensor
from torch.nn import functional as F

from autosam.config import Config
from autosam.models.lora import merge_lora
from autosam.models.sam import Embedding, render_mask_prompt
from autosam.models.variants import build_sam
from autosam.networks import Networks, build_networks
from autosam.prompts import find_basins
from autosam.training.joint import JointLoss, JointModel, soft_mask_prompts, tile_losses
from autosam.training.loop import make_optimizer
from autosam.training.losses import mask_bce_dice
from autosam.training.prompting import TilePrompts, emitted_prompts, truth_prompts


def joint(*overrides: str) -> tuple[JointModel, Networks, Config]:
    config = small_config(*overrides)
    networks = build_networks(config.model)
    model = JointModel(networks.sam, networks.generator, prompts=config.prompts, training=config.training)
    return model, networks, config


def batch(*, objects: bool = True) -> tuple[Tensor, Tensor]:
    images, labels = zip(*(discs(seed, 64) for seed in (0, 1)), strict=True)
    return (
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255,
        torch.from_numpy(np.stack(labels)) * int(objects),
    )


def gradient(parameters: Sequence[Tensor]) -> float:
    return sum(float(parameter.grad.abs().sum()) for parameter in parameters if parameter.grad is not None)


# Mask prompts that carry a gradient


def smooth_logits(amplitude: float) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    coarse = torch.randn(1, 1, 9, 9, generator=generator)
    fine = F.interpolate(coarse, (64, 64), mode="bicubic", align_corners=True)[0, 0]
    return amplitude * fine / fine.abs().max()


def prompts_for(kind: str, logits: Tensor) -> TilePrompts:
    foreground, (_, labels) = logits.sigmoid().numpy(), discs(0, 64)
    rng = np.random.default_rng(0)
    if kind == "truth":
        return truth_prompts(
            labels, foreground, count=16, min_size=1, points=1, negatives=0, box_margin=0.3, rng=rng
        )
    return emitted_prompts(
        labels,
        foreground,
        np.where(np.arange(64) % 16 == 0, 0.9, 0.1).astype(np.float32)[None].repeat(64, 0),
        count=16,
        threshold=0.5,
        boundary_threshold=0.5,
        min_size=1,
        method="distance",
        points=1,
        negatives=0,
        box_margin=0.3,
        rng=rng,
    )


@pytest.mark.parametrize("kind", ["truth", "emitted"])
# float32 probabilities near 0 and 1 do not hold their logits any closer
@pytest.mark.parametrize(("amplitude", "tolerance"), [(3.0, 1e-5), (20.0, 1e-3)])
def test_soft_mask_prompts_are_those_that_inference_draws(kind: str, amplitude: float, tolerance: float) -> None:
    logits = smooth_logits(amplitude).requires_grad_()
    tile = prompts_for(kind, logits.detach())
    assert len(tile.prompts) >= 4
    soft = soft_mask_prompts(tile.prompts, tile.basins, logits)
    sam = build_sam("tiny", image_size=64)
    whole = Embedding(torch.zeros(1, 128, 4, 4), (64, 64), (64, 64))
    drawn = torch.cat([render_mask_prompt(sam, prompt.mask, whole) for prompt in tile.prompts if prompt.mask])
    assert soft.shape == drawn.shape == (len(tile.prompts), 1, 16, 16)
    assert torch.allclose(soft, drawn, atol=tolerance)
    assert drawn.std() > 1
    soft.sum().backward()
    assert logits.grad is not None
    reached = logits.grad != 0
    own = torch.from_numpy(np.isin(tile.basins, [prompt.basin for prompt in tile.prompts]))
    assert (reached[own] | (logits[own].abs() > 8)).all()


def test_the_mask_loss_reaches_the_generator_through_the_mask_prompt_alone() -> None:
    for overrides, reached in (
        (("training.mask_prompt=1.0",), True),
        (("training.mask_prompt=1.0", "training.soft_mask=false"), False),
        (("training.mask_prompt=0.0",), False),
    ):
        model, _, _ = joint(*overrides)
        loss = model(*batch(), emitted_share=0.0, seed=(0, 0))
        (loss.mask + loss.iou).backward()
        assert gradient(list(model.sam.mask_decoder.parameters())) > 0
        assert gradient(list(model.sam.image_encoder.parameters())) > 0
        assert (gradient(list(model.generator.parameters())) > 0) is reached, overrides


# The loss of one tile


def test_the_first_mask_and_the_best_alternative_learn() -> None:
    torch.manual_seed(0)
    answer, target = torch.randn(3, 4, 8, 8), (torch.rand(3, 1, 8, 8) > 0.5).float()
    matched = torch.tensor([True, False, True])
    mask_loss, iou_loss, iou = tile_losses(answer, torch.zeros(3, 4), target, matched)
    alone = mask_bce_dice(answer, target.expand_as(answer))
    wanted = [float(alone[index, 0] + alone[index, 1:].min()) for index in (0, 2)]
    assert mask_loss.tolist() == pytest.approx(wanted)
    assert iou_loss.shape == (3,)
    assert iou.shape == (2,)
    one, _, _ = tile_losses(answer[:, :1], torch.zeros(3, 1), target, matched)
    assert one.tolist() == pytest.approx(alone[[0, 2], 0].tolist())


def test_a_prompt_without_an_object_teaches_the_iou_head_zero() -> None:
    # A mask that equals the "target" of an unmatched prompt: still worth nothing.
    target = torch.zeros(2, 1, 4, 4)
    target[:, :, :2] = 1
    answer = (target * 2 - 1) * 10
    predicted = torch.tensor([[0.7], [0.7]])
    mask_loss, iou_loss, iou = tile_losses(answer, predicted, target, torch.tensor([True, False]))
    assert len(mask_loss) == 1
    assert iou.tolist() == [1.0]
    assert iou_loss.tolist() == pytest.approx([(0.7 - 1) ** 2, 0.7**2])


# Whole batches


def test_loss_of_a_batch_is_finite_and_reaches_every_part() -> None:
    model, networks, _ = joint()
    loss = model(*batch(), emitted_share=0.0, seed=(0, 0))
    assert isinstance(loss, JointLoss)
    assert loss.matched == 1.0
    assert 0 <= loss.mask_iou <= 1
    for part in (loss.generator, loss.mask, loss.iou):
        assert part.shape == ()
        assert torch.isfinite(part)
        assert part.item() > 0
    (loss.generator + loss.mask + loss.iou).backward()
    assert gradient(list(networks.generator.parameters())) > 0
    assert gradient(list(networks.sam.prompt_encoder.parameters())) > 0


def test_all_that_is_random_follows_from_the_seed() -> None:
    model, _, _ = joint()
    model.eval()
    losses = []
    for seed in ((0, 0), (0, 0), (0, 1), (1, 0)):
        torch.rand(1)
        np.random.default_rng().random()
        losses.append(model(*batch(), emitted_share=0.5, seed=seed).mask.item())
    assert losses[0] == losses[1]
    assert len(set(losses)) == 3


@pytest.mark.parametrize("emitted_share", [0.0, 1.0])
def test_tiles_without_objects(emitted_share: float) -> None:
    model, networks, _ = joint()
    with torch.no_grad():
        # A generator that is sure of one object as large as the tile.
        head = networks.generator.unet.segmentation_head[0]
        head.weight.zero_()
        head.bias.copy_(torch.tensor([4.0, -4.0]))
    loss = model(*batch(objects=False), emitted_share=emitted_share, seed=(0, 0))
    assert math.isnan(loss.mask_iou)
    total = loss.generator + loss.mask + loss.iou
    assert torch.isfinite(total)
    assert loss.mask.item() == 0
    if emitted_share:
        assert loss.matched == 0
        assert loss.iou.item() > 0
    else:
        assert math.isnan(loss.matched)
        assert loss.iou.item() == 0
    total.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_one_tile_with_and_one_without_objects() -> None:
    model, _, _ = joint()
    images, labels = batch()
    labels[1] = 0
    loss = model(images, labels, emitted_share=0.0, seed=(0, 0))
    assert loss.matched == 1.0
    assert torch.isfinite(loss.mask)
    assert loss.mask.item() > 0


@pytest.mark.parametrize("channel", ["foreground", "boundary"])
@pytest.mark.parametrize("method", ["distance", "centroid"])
def test_generators_of_one_channel(channel: str, method: str) -> None:
    model, networks, _ = joint(
        f"model.generator.channels=[{channel}]", f"prompts.method={method}", "prompts.min_size=1"
    )
    # Something to emit: the untrained map, centred on even odds.
    with torch.no_grad():
        networks.generator.unet.segmentation_head[0].bias.zero_()
    for step, share in enumerate((0.0, 1.0, 1.0)):
        loss = model(*batch(), emitted_share=share, seed=(0, step))
        total = loss.generator + loss.mask + loss.iou
        assert torch.isfinite(total)
        total.backward()


# What stays frozen


def test_lora_leaves_keys_base_and_statistics_alone(tmp_path: Path) -> None:
    torch.manual_seed(2)
    published = build_sam("tiny", image_size=64).state_dict()
    torch.save(published, tmp_path / "base.pth")
    model, networks, _ = joint(
        f"model.sam.base={tmp_path / 'base.pth'}", "model.sam.encoder=lora", "model.sam.prompt_encoder=frozen"
    )
    optimizer = make_optimizer(model, weight_decay=0.02)
    for group in optimizer.param_groups:
        group["lr"] = 1e-2
    for step in range(3):
        model.train()
        loss = model(*batch(), emitted_share=0.0, seed=(0, step))
        (loss.generator + loss.mask + loss.iou).backward()
        optimizer.step()
        optimizer.zero_grad()

    trained = networks.sam.state_dict()
    for name, tensor in published.items():
        if not name.startswith("mask_decoder."):
            assert torch.equal(trained[name], tensor), name
    assert any(not torch.equal(trained[name], published[name]) for name in published if "mask_decoder." in name)
    merged = copy.deepcopy(networks.sam.image_encoder)
    assert merge_lora(merged) == 8
    for block in range(8):
        name = f"blocks.{block}.attn.qkv.weight"
        query, key, value = merged.state_dict()[name].split(192)
        query_before, key_before, value_before = published[f"image_encoder.{name}"].split(192)
        assert torch.equal(key, key_before)
        assert not torch.equal(query, query_before)
        assert not torch.equal(value, value_before)


def test_statistics_of_what_trains_move() -> None:
    model, networks, _ = joint()
    before = {name: buffer.clone() for name, buffer in networks.sam.named_buffers() if "running_mean" in name}
    model.train()(*batch(), emitted_share=0.0, seed=(0, 0))
    after = dict(networks.sam.named_buffers())
    assert before
    assert all(not torch.equal(before[name], after[name]) for name in before)
    model.eval()
    assert not any(module.training for module in model.modules())


def test_what_decays_and_what_does_not() -> None:
    model, _, _ = joint()
    optimizer = make_optimizer(model, weight_decay=0.3)
    groups = {(group["part"], group["weight_decay"]): group["params"] for group in optimizer.param_groups}
    assert groups.keys() == {("sam", 0.3), ("sam", 0.0), ("generator", 0.3), ("generator", 0.0)}
    assert sum(len(params) for params in groups.values()) == len(list(model.parameters()))
    decaying = {id(parameter) for key, params in groups.items() if key[1] for parameter in params}
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or "pos_embed" in name or "rel_pos" in name or "token" in name:
            assert id(parameter) not in decaying, name
    assert id(model.sam.image_encoder.blocks[0].attn.qkv.weight) in decaying
    assert id(model.generator.unet.segmentation_head[0].weight) in decaying


def test_basins_of_the_prompts_are_those_of_inference() -> None:
    logits = smooth_logits(5.0)
    tile = prompts_for("emitted", logits)
    boundary = np.where(np.arange(64) % 16 == 0, 0.9, 0.1).astype(np.float32)[None].repeat(64, 0)
    np.testing.assert_array_equal(tile.basins, find_basins(logits.sigmoid().numpy(), boundary, min_size=1))

"""The joint loss: its parts and counts, what is asked in which tile, and where its gradient goes."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from blobs import disc_tiles, small_config, total_loss, write_base
from torch import Tensor

from autosam.config import Config, PromptsConfig, TrainingConfig
from autosam.models.files.checkpoint import load_model
from autosam.models.networks import Networks, build_networks
from autosam.models.sam.lora import merge_lora
from autosam.prompts import Prompt
from autosam.training import joint as module
from autosam.training.joint import JointModel
from autosam.training.losses.batch_loss import BatchLoss
from autosam.training.optimizer import make_optimizer
from autosam.training.prompting import tile_prompts
from autosam.training.prompting.simulate import mask_box

WITHOUT_GENERATOR = ("model.generator=null", "prompts.method=user", "training.simulate.box_only=1.0")
WITHOUT_GENERATOR += ("training.simulate.point_only=0.0",)


def joint(*overrides: str) -> tuple[JointModel, Networks, Config]:
    config = small_config(*overrides)
    networks = build_networks(config.model)
    return JointModel(networks, prompts=config.prompts, training=config.training), networks, config


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "base.safetensors", seed=2)


def run(
    model: JointModel,
    images: Tensor,
    labels: Tensor,
    *,
    share: float = 0.0,
    seed: tuple[int, int] = (0, 0),
    user_prompts: Sequence[Sequence[Prompt]] | None = None,
    first: int = 0,
) -> BatchLoss:
    user_prompts = [()] * len(images) if user_prompts is None else user_prompts
    loss: BatchLoss = model(
        images, labels, user_prompts=user_prompts, predicted_share=share, seed=seed, first=first
    )
    return loss


def empty_tiles() -> tuple[Tensor, Tensor]:
    images, labels = disc_tiles()
    return images, torch.zeros_like(labels)


def values(loss: BatchLoss) -> list[float]:
    return [float(torch.as_tensor(part).detach()) for part in loss]


def gradient(parameters: Sequence[Tensor]) -> float:
    return sum(float(parameter.grad.abs().sum()) for parameter in parameters if parameter.grad is not None)


# Counts and sums


@pytest.mark.parametrize("corrections", [0, 1, 2])
def test_a_batch_in_numbers(corrections: int) -> None:
    model, networks, _ = joint(f"training.corrections={corrections}")
    loss = run(model, *disc_tiles())
    # Two tiles of four objects, four prompts each.
    assert (loss.tiles, loss.prompts, loss.matched) == (2, 8, 8)
    assert loss.masks == loss.answers == 8 * (1 + corrections)
    assert 0 <= loss.mask_iou <= loss.masks
    for part in loss[:3]:
        assert part.shape == ()
        assert torch.isfinite(part)
        assert part.item() > 0
    total_loss(loss).backward()
    assert gradient(list(networks.generator.parameters())) > 0
    assert gradient(list(networks.sam.image_encoder.parameters())) > 0
    assert gradient(list(networks.sam.prompt_encoder.parameters())) > 0
    assert gradient(list(networks.sam.mask_decoder.parameters())) > 0


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_batch_is_the_sum_of_its_tiles(share: float) -> None:
    # So it makes no difference in how many batches, on how many devices, the tiles of a step are.
    model, _, _ = joint()
    model.eval()
    images, labels = disc_tiles(3)
    whole = run(model, images, labels, share=share)
    parts = [
        run(model, images[at : at + 1], labels[at : at + 1], share=share, first=at) for at in range(len(images))
    ]
    for name, both, *alone in zip(BatchLoss._fields, values(whole), *map(values, parts), strict=True):
        assert both == pytest.approx(sum(alone), rel=1e-4), name
    if not share:
        other = run(model, images[1:2], labels[1:2], share=share)
        assert other.mask.item() != pytest.approx(parts[1].mask.item(), rel=1e-3)


def test_all_that_is_random_follows_from_the_seed() -> None:
    model, _, _ = joint()
    model.eval()
    losses = []
    for seed in ((0, 0), (0, 0), (0, 1), (1, 0)):
        torch.rand(1)
        np.random.default_rng().random()
        losses.append(run(model, *disc_tiles(), share=0.5, seed=seed).mask.item())
    assert losses[0] == losses[1]
    assert len(set(losses)) == 3


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_tiles_without_objects(share: float) -> None:
    model, networks, _ = joint()
    with torch.no_grad():
        # A generator that is sure of one object as large as the tile.
        head = networks.generator.unet.segmentation_head[0]
        head.weight.zero_()
        head.bias.copy_(torch.tensor([4.0, -4.0]))
    loss = run(model, *empty_tiles(), share=share)
    assert (loss.tiles, loss.masks, loss.mask_iou, loss.matched) == (2, 0, 0, 0)
    assert loss.mask.item() == 0
    assert loss.prompts == loss.answers == (2 if share else 0)
    assert (loss.iou.item() > 0) is bool(share)
    total_loss(loss).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_one_tile_with_and_one_without_objects() -> None:
    model, _, _ = joint("training.corrections=0")
    images, labels = disc_tiles()
    labels[1] = 0
    loss = run(model, images, labels)
    assert (loss.tiles, loss.masks, loss.matched, loss.prompts) == (2, 4, 4, 4)
    assert torch.isfinite(loss.mask)
    assert loss.mask.item() > 0


@pytest.mark.parametrize("channel", ["foreground", "boundary"])
@pytest.mark.parametrize("method", ["distance", "centroid"])
def test_generators_of_one_channel(channel: str, method: str) -> None:
    model, networks, _ = joint(
        f"model.generator.channels=[{channel}]", f"prompts.method={method}", "prompts.min_size=1"
    )
    # Something to emit: the untrained map, centered on even odds.
    with torch.no_grad():
        networks.generator.unet.segmentation_head[0].bias.zero_()
    for step, share in enumerate((0.0, 1.0, 1.0)):
        loss = run(model, *disc_tiles(), share=share, seed=(0, step))
        total = total_loss(loss)
        assert torch.isfinite(total)
        total.backward()


# Who prompts


def watch(monkeypatch: pytest.MonkeyPatch, name: str) -> list[dict[str, Any]]:
    """Note the arguments of a function that the model calls."""
    calls: list[dict[str, Any]] = []
    wrapped = getattr(module, name)

    def watched(*given: Any, **named: Any) -> Any:
        calls.append({"given": given, **named})
        return wrapped(*given, **named)

    monkeypatch.setattr(module, name, watched)
    return calls


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_tiles_is_prompted_by_the_generator(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    model, _, _ = joint("training.corrections=0", "training.prompts_per_tile=1")
    predicted, truth = (watch(monkeypatch, f"{who}_prompts") for who in ("predicted", "simulated"))
    images, labels = disc_tiles(1)
    with torch.no_grad():
        for step in range(30):
            run(model, images, labels, share=share, seed=(0, step))
    assert len(predicted) + len(truth) == 30
    assert len(predicted) / 30 == pytest.approx(share, abs=0.2 if 0 < share < 1 else 0)


def test_settings_reach_the_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _, config = joint(
        "training.matching=overlap",
        "training.unmatched=false",
        "training.simulate={points: core, box_jitter: 0.2, max_jitter: 7, box_only: 0.1, point_only: 0.6}",
        "training.mask_prompt=0.25",
        "prompts.points=3",
        "prompts.negatives=2",
    )
    predicted, truth, varied = (
        watch(monkeypatch, name) for name in ("predicted_prompts", "simulated_prompts", "drop_parts")
    )
    with torch.no_grad():
        run(model, *disc_tiles(1), share=1.0)
        run(model, *disc_tiles(1), share=0.0)
    whole = {**config.prompts.model_dump(), "box": True, "mask": True}
    for call in (predicted[0], truth[0]):
        prompts, training = call["given"][2:4]
        assert prompts.model_dump() == whole
        assert training == config.training
    assert [call["given"][1] for call in varied] == [config.training] * 2


def test_prompts_are_made_whole_and_only_then_vary(monkeypatch: pytest.MonkeyPatch) -> None:
    # A model that is asked with masks alone at inference learns points and boxes too.
    model, _, _ = joint("prompts={points: 0, box: false, mask: true, min_size: 1}", "training.mask_prompt=1.0")
    varied = watch(monkeypatch, "drop_parts")
    with torch.no_grad():
        run(model, *disc_tiles(1), share=1.0)
    prompts = varied[0]["given"][0]
    assert prompts
    for prompt in prompts:
        assert len(prompt.points) == 1
        assert prompt.box is not None
        assert prompt.mask is not None


def user_prompts(labels: Tensor, ids: Sequence[int]) -> tuple[Prompt, ...]:
    def boxed(number: int) -> Prompt:
        box = mask_box((labels == number).numpy())
        return Prompt(points=np.zeros((0, 2)), point_labels=np.zeros(0, np.int64), box=box)

    return tuple(boxed(number) for number in ids)


@pytest.mark.parametrize(("how", "prompts"), [("add", 4 + 3 + 4), ("instead", 3 + 4)])
def test_prompts_of_an_user(how: str, prompts: int) -> None:
    model, _, _ = joint(f"training.user_prompts={how}", "training.corrections=0")
    images, labels = disc_tiles()
    loss = run(model, images, labels, user_prompts=[user_prompts(labels[0], [1, 2, 4]), ()])
    assert loss.prompts == loss.matched == loss.masks == prompts


def test_an_user_prompts_prompt_for_nothing_teaches_zero() -> None:
    model, _, _ = joint("training.user_prompts=instead")
    nothing = Prompt(np.array([[0.0, 0.0]]), np.array([1]))
    loss = run(model, *disc_tiles(1), user_prompts=[(nothing,)])
    assert (loss.prompts, loss.answers, loss.masks, loss.matched) == (1, 1, 0, 0)
    assert loss.mask.item() == 0
    assert loss.iou.item() > 0


# One network alone


def test_a_sam_without_generator_has_the_truth_alone(base: Path) -> None:
    model, _, _ = joint(*WITHOUT_GENERATOR, f"model.sam.base={base}")
    model.eval()
    one, other = (run(model, *disc_tiles(), share=share) for share in (0.0, 1.0))
    assert one.generator.item() == 0
    assert (one.tiles, one.prompts, one.matched) == (2, 8, 8)
    assert values(one) == values(other)
    total_loss(one).backward()
    assert gradient(list(model.parameters())) > 0


def test_a_mask_prompt_without_generator_is_made_of_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _, _ = joint(*WITHOUT_GENERATOR, "training.mask_prompt=1.0", "training.corrections=0")
    asked = watch(monkeypatch, "learn")
    run(model, *disc_tiles(1))
    assert asked
    for call in asked:
        assert call["foreground"] is None
        assert all(prompt.mask is not None for prompt in call["given"][2])


def test_a_generator_alone() -> None:
    model, _, _ = joint("model.sam=null", "decode.sam=false")
    loss = run(model, *disc_tiles(), share=0.7)
    assert loss.tiles == 2
    assert loss.generator.item() > 0
    assert not any(values(loss)[index] for index in (1, 2, 4, 5, 6, 7, 8))
    total_loss(loss).backward()
    assert gradient(list(model.parameters())) > 0


def test_the_generators_loss_is_the_one_that_is_named() -> None:
    values = {}
    for name in ("bce", "bce_dice"):
        model, _, _ = joint("model.sam=null", "decode.sam=false", f"training.generator_loss={name}")
        values[name] = run(model.eval(), *disc_tiles()).generator.item() / 2
    # Dice lies between 0 and 1.
    assert values["bce"] < values["bce_dice"] < values["bce"] + 1


@pytest.mark.parametrize("frozen", [True, False])
def test_statistics_of_batch_normalization_can_stay_as_they_came(frozen: bool) -> None:
    setting = f"training.freeze_statistics={frozen}"
    model, networks, _ = joint("model.sam=null", "decode.sam=false", setting)
    before = {name: value.clone() for name, value in networks.generator.named_buffers()}
    assert before
    images, labels = disc_tiles()
    total_loss(run(model.train(), images, labels)).backward()
    same = [torch.equal(value, before[name]) for name, value in networks.generator.named_buffers()]
    assert all(same) if frozen else not any(same)
    # They normalize, too: a tile's loss does not depend on what else is in the batch.
    alone = [run(model, images[[index]], labels[[index]]).generator.item() for index in range(2)]
    together = run(model, images, labels).generator.item()
    assert (together == pytest.approx(sum(alone), rel=1e-4)) is frozen
    # The scales and offsets learn all the same.
    decoder = networks.generator.unet.decoder
    norms = [layer for layer in decoder.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert norms
    assert all(gradient(list(layer.parameters())) > 0 for layer in norms)


def test_maps_that_are_no_numbers_prompt_nothing() -> None:
    model, networks, _ = joint()
    with torch.no_grad():
        networks.generator.unet.segmentation_head[0].bias.fill_(float("nan"))
    loss = run(model, *disc_tiles(), share=1.0)
    assert torch.isnan(loss.generator)
    assert (loss.prompts, loss.mask.item()) == (0, 0)


# Where the gradient goes


@pytest.mark.parametrize(
    ("overrides", "reached"),
    [
        (("training.mask_prompt=1.0",), True),
        (("training.mask_prompt=1.0", "training.soft_mask=false"), False),
        (("training.mask_prompt=0.0",), False),
    ],
)
@pytest.mark.parametrize("corrections", [0, 1])
def test_how_the_mask_loss_reaches_the_generator(
    overrides: tuple[str, ...], reached: bool, corrections: int
) -> None:
    overrides += ("training.simulate={box_only: 0.0, point_only: 0.0}",)
    model, _, _ = joint(*overrides, f"training.corrections={corrections}")
    loss = run(model, *disc_tiles())
    (loss.mask + loss.iou).backward()
    assert gradient(list(model.sam.mask_decoder.parameters())) > 0
    assert gradient(list(model.sam.image_encoder.parameters())) > 0
    assert (gradient(list(model.generator.parameters())) > 0) is reached


@pytest.mark.parametrize("recipe", ["sam", "generator"])
def test_checkpointed_blocks_change_nothing_but_memory(base: Path, recipe: str) -> None:
    overrides: tuple[str, ...] = (f"model.sam.base={base}", "model.sam.encoder=lora")
    if recipe == "generator":
        overrides += ("model.sam.prompt_encoder=none", "model.sam.mask_decoder=none", "decode.sam=false")
        overrides += ("model.generator={encoder: sam, depth: 4, decoder_channels: [16, 8, 8, 8]}",)
    else:
        overrides += ("model.sam.prompt_encoder=frozen",)
    found = []
    for checkpointed in ("false", "true"):
        model, _, _ = joint(*overrides, f"training.checkpoint_blocks={checkpointed}")
        loss = run(model.train(), *disc_tiles())
        total_loss(loss).backward()
        found.append(({name: p.grad for name, p in model.named_parameters() if p.requires_grad}, loss))
    (plain, loss), (again, same) = found
    assert values(loss) == values(same)
    assert any("lora" in name for name in plain)
    for name, value in plain.items():
        if value is None:
            assert again[name] is None
        else:
            assert torch.equal(value, again[name]), name


# What stays frozen


def test_lora_leaves_keys_base_and_statistics_alone(base: Path) -> None:
    published = {name.removeprefix("sam."): tensor for name, tensor in load_model(base)[0].items()}
    model, networks, _ = joint(
        f"model.sam.base={base}", "model.sam.encoder=lora", "model.sam.prompt_encoder=frozen"
    )
    optimizer = make_optimizer(model, TrainingConfig())
    for group in optimizer.param_groups:
        group["lr"] = 1e-2
    for step in range(3):
        model.train()
        total_loss(run(model, *disc_tiles(), seed=(0, step))).backward()
        optimizer.step()
        optimizer.zero_grad()

    trained = networks.sam.state_dict()
    for name, tensor in published.items():
        if not name.startswith("mask_decoder."):
            assert torch.equal(trained[name], tensor), name
    assert any(not torch.equal(trained[name], published[name]) for name in published if "mask_decoder." in name)
    merged = copy.deepcopy(networks.sam.image_encoder)
    merge_lora(merged)
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
    run(model.train(), *disc_tiles())
    after = dict(networks.sam.named_buffers())
    assert before
    assert all(not torch.equal(before[name], after[name]) for name in before)
    model.eval()
    assert not any(module.training for module in model.modules())


def test_the_tile_is_seen_as_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    # Pixels of 0 to 1 come to SAM as 0 to 255, and its prompts in the tile's own pixels.
    model, networks, _ = joint("training.corrections=0")
    images, labels = disc_tiles(1)
    asked = watch(monkeypatch, "learn")
    run(model.eval(), images, labels)
    sam = networks.sam
    with torch.no_grad():
        wanted = sam.image_encoder(sam.preprocess(images * 255))
    assert asked
    for call in asked:
        embedding = call["given"][1]
        assert torch.equal(embedding.features, wanted)
        assert embedding.input_size == embedding.original_size == (64, 64)


# Batches that teach nothing


def test_a_sam_that_is_asked_nothing_can_still_step() -> None:
    model, _, _ = joint(*WITHOUT_GENERATOR)
    loss = run(model, *empty_tiles())
    assert loss.prompts == 0
    total_loss(loss).backward()
    assert gradient(list(model.parameters())) == 0


# SAM alone, on the prompts of a generator that stays


def test_a_frozen_generator_prompts_and_does_not_learn() -> None:
    config = small_config("training.freeze_generator=true", "model.generator.base=of-some-model")
    networks = build_networks(small_config().model)
    free, _, _ = joint()
    expected = run(free.eval(), *disc_tiles(), share=1.0)
    model = JointModel(networks, prompts=config.prompts, training=config.training)
    model.eval()
    loss = run(model, *disc_tiles(), share=1.0)
    assert loss.generator.item() == expected.generator.item()
    assert loss.mask.item() == expected.mask.item()
    assert not loss.generator.requires_grad
    statistics = copy.deepcopy(networks.generator.state_dict())
    model.train()
    total_loss(run(model, *disc_tiles(), share=1.0)).backward()
    assert gradient(list(networks.generator.parameters())) == 0
    assert gradient(list(networks.sam.mask_decoder.parameters())) > 0
    for name, values in networks.generator.state_dict().items():
        assert torch.equal(values, statistics[name]), name
    parts = {group["part"] for group in make_optimizer(model, TrainingConfig()).param_groups}
    assert parts == {"sam"}


@pytest.mark.parametrize("stages", [0, 2])
def test_frozen_stages_stay_as_they_are_and_the_rest_learns(stages: int) -> None:
    config = small_config(
        "model.generator.encoder=tu-resnet18",
        "model.generator.base=of-some-model",
        f"training.freeze_stages={stages}",
    )
    built = config.model.generator.model_copy(update={"base": None})
    networks = build_networks(config.model.model_copy(update={"generator": built}))
    model = JointModel(networks, prompts=config.prompts, training=config.training)
    model.train()
    before = copy.deepcopy(networks.generator.state_dict())
    total_loss(run(model, *disc_tiles(), share=1.0)).backward()
    frozen = ("conv1", "bn1", "layer1")[: 3 if stages else 0]
    for name, parameter in networks.generator.named_parameters():
        still = name.startswith(tuple(f"unet.encoder.model.{layer}." for layer in frozen))
        assert (parameter.grad is None) == still, name
    for name, values in networks.generator.state_dict().items():
        if name.endswith("running_mean"):
            still = name.startswith(tuple(f"unet.encoder.model.{layer}." for layer in frozen))
            assert torch.equal(values, before[name]) == still, name
    stepped = {
        id(parameter)
        for group in make_optimizer(model, config.training).param_groups
        for parameter in group["params"]
    }
    assert all((id(one) in stepped) == one.requires_grad for one in networks.generator.parameters())


def test_the_thresholds_of_predicted_prompts_are_varied(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    real = tile_prompts.vary_thresholds

    def watched(settings: PromptsConfig, *, reach: float, rng: np.random.Generator) -> PromptsConfig:
        asked.append(reach)
        return real(settings, reach=reach, rng=rng)

    monkeypatch.setattr(tile_prompts, "vary_thresholds", watched)
    model, _, _ = joint("training.vary_thresholds=2")
    with torch.no_grad():
        run(model, *disc_tiles(), share=1.0)
    assert asked == [2.0] * 2


# Second passes, wrong prompts and numbers of points


@pytest.mark.parametrize(
    "override",
    [
        "training.second_pass=1.0",
        "training.simulate.wrong=4",
        "training.simulate.points_per_object=[3, 3]",
    ],
)
def test_what_else_sam_may_learn_changes_its_loss(override: str) -> None:
    images, labels = disc_tiles()
    with torch.no_grad():
        usual, more = (run(joint(*settings)[0], images, labels) for settings in ((), (override,)))
    assert torch.isfinite(more.mask)
    assert torch.isfinite(more.iou)
    assert float(more.mask + more.iou) != float(usual.mask + usual.iou)
    assert float(more.generator) == float(usual.generator)
    assert more.matched == usual.matched
    if "second_pass" in override:
        assert more.masks > usual.masks
        assert more.prompts == usual.prompts
    if "wrong" in override:
        assert more.masks == usual.masks, "wrong prompts teach the IoU head alone"
        assert usual.prompts < more.prompts <= usual.prompts + 4 * len(images)

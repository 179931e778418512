"""Which weights are stepped, at whose rate, and which of them decay."""

import pytest
import torch
from blobs import small_config, write_base

from autosam.config import TrainingConfig
from autosam.errors import ConfigError
from autosam.models.networks import build_networks
from autosam.models.parameters import PartParameters
from autosam.training.joint import JointModel
from autosam.training.optimizer import make_optimizer, part_table, trainable_parameters


def joint(*overrides: str) -> JointModel:
    config = small_config(*overrides)
    return JointModel(build_networks(config.model), prompts=config.prompts, training=config.training)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"model.sam.base={write_base(tmp_path_factory.mktemp('base') / 'base.safetensors')}"


@pytest.fixture(scope="module")
def model() -> JointModel:
    return joint()


def test_what_decays_and_what_does_not(model: JointModel) -> None:
    optimizer = make_optimizer(model, TrainingConfig(optimizer="adamw", weight_decay=0.3))
    groups = {(group["part"], group["weight_decay"]): group["params"] for group in optimizer.param_groups}
    assert groups.keys() == {("sam", 0.3), ("sam", 0.0), ("generator", 0.3), ("generator", 0.0)}
    assert sum(len(params) for params in groups.values()) == len(list(model.parameters()))
    decaying = {id(parameter) for key, params in groups.items() if key[1] for parameter in params}
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or "pos_embed" in name or "rel_pos" in name or "token" in name:
            assert id(parameter) not in decaying, name
    assert id(model.sam.image_encoder.blocks[0].attn.qkv.weight) in decaying
    assert id(model.generator.unet.segmentation_head[0].weight) in decaying


def test_the_encoder_of_the_unet_has_a_rate_of_its_own(model: JointModel) -> None:
    settings = TrainingConfig(encoder_rate=0.3)
    relative = {
        id(parameter): group["relative"]
        for group in make_optimizer(model, settings).param_groups
        for parameter in group["params"]
    }
    for name, parameter in model.named_parameters():
        assert relative[id(parameter)] == (0.3 if name.startswith("generator.unet.encoder.") else 1.0), name
    # By default the groups, and the order in them, are those of old checkpoints.
    assert {group["relative"] for group in make_optimizer(model, TrainingConfig()).param_groups} == {1.0}
    assert len(make_optimizer(model, TrainingConfig()).param_groups) == 4


def test_the_optimizer_is_the_one_that_is_named(model: JointModel) -> None:
    adamw = make_optimizer(model, TrainingConfig(optimizer="adamw", weight_decay=0.1))
    adam = make_optimizer(model, TrainingConfig(optimizer="adam", weight_decay=0.0, betas=(0.8, 0.999)))
    assert type(adamw) is torch.optim.AdamW
    assert type(adam) is torch.optim.Adam
    assert {group["weight_decay"] for group in adam.param_groups} == {0.0}
    assert {group["betas"] for group in adamw.param_groups} == {TrainingConfig().betas}
    assert {group["betas"] for group in adam.param_groups} == {(0.8, 0.999)}
    # Rates come with the step: until then nothing moves.
    assert {group["lr"] for group in [*adam.param_groups, *adamw.param_groups]} == {0.0}


def test_what_is_frozen_is_not_stepped(base: str) -> None:
    model = joint(base, "model.sam.encoder=lora", "model.sam.prompt_encoder=frozen")
    groups = make_optimizer(model, TrainingConfig(optimizer="adamw", weight_decay=0.1)).param_groups
    stepped = {id(parameter) for group in groups for parameter in group["params"]}
    for name, parameter in model.named_parameters():
        adapter_or_decoder = "lora_" in name or name.startswith(("sam.mask_decoder.", "generator."))
        assert (id(parameter) in stepped) is adapter_or_decoder, name


def test_sams_encoder_keeps_sams_rate_inside_a_generator(base: str) -> None:
    model = joint(
        base,
        "model.sam.encoder=adapter",
        "model.sam.prompt_encoder=none",
        "model.sam.mask_decoder=none",
        "model.generator={encoder: sam, depth: 4, decoder_channels: [16, 8, 8, 8]}",
        "decode.sam=false",
    )
    parts = {
        id(parameter): group["part"]
        for group in make_optimizer(model, TrainingConfig(optimizer="adamw", weight_decay=0.1)).param_groups
        for parameter in group["params"]
    }
    found = {name: parts.get(id(parameter)) for name, parameter in model.named_parameters()}
    assert {part for name, part in found.items() if "_adapter." in name} == {"sam"}
    assert {part for name, part in found.items() if name.startswith("generator.decoder.")} == {"generator"}
    assert {part for name, part in found.items() if "image_encoder" in name and "_adapter." not in name} == {None}


def test_nothing_trainable_is_refused() -> None:
    model = joint()
    model.requires_grad_(False)
    with pytest.raises(ConfigError, match="nothing is trainable") as error:
        make_optimizer(model, TrainingConfig(optimizer="adamw", weight_decay=0.0))
    assert "\n" not in str(error.value)


# Tables


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_by_part(base: str) -> None:
    model = joint(base, "model.sam.encoder=lora", "model.sam.lora_rank=2", "model.sam.prompt_encoder=frozen")
    sam, generator = model.sam, model.generator
    # On the queries and values of 8 blocks of width 192: A is (2 × 2, 192), B (2 × 192, 2).
    adapter = 8 * (4 * 192 + 2 * 192 * 2)
    assert part_table(model) == [
        PartParameters("image_encoder", count(sam.image_encoder) - adapter, 0),
        PartParameters("image_encoder (LoRA)", adapter, adapter),
        PartParameters("prompt_encoder", count(sam.prompt_encoder), 0),
        PartParameters("mask_decoder", count(sam.mask_decoder), count(sam.mask_decoder)),
        PartParameters("generator", count(generator), count(generator)),
    ]
    said = trainable_parameters(model)
    assert said.startswith("trained parameters: image_encoder 0 of ")
    assert f"image_encoder (LoRA) {adapter:,} of {adapter:,}, prompt_encoder 0 of" in said


def test_parameters_of_one_network() -> None:
    alone = joint("model.sam=null", "decode.sam=false")
    assert [row.part for row in part_table(alone)] == ["generator"]
    sam = joint("model.generator=null", "prompts.method=user")
    assert [row.part for row in part_table(sam)] == ["image_encoder", "prompt_encoder", "mask_decoder"]


def test_parameters_of_sams_encoder_as_generator(base: str) -> None:
    model = joint(
        base,
        "model.sam.encoder=lora",
        "model.sam.prompt_encoder=none",
        "model.sam.mask_decoder=none",
        "model.generator={encoder: sam, depth: 4, decoder_channels: [16, 8, 8, 8]}",
        "decode.sam=false",
    )
    rows = {row.part: row for row in part_table(model)}
    assert list(rows) == ["image_encoder", "image_encoder (LoRA)", "decoder"]
    assert sum(row.total for row in rows.values()) == count(model)
    assert rows["image_encoder"].trainable == 0
    assert rows["decoder"].trainable == rows["decoder"].total

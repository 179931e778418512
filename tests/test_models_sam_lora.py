import pytest
import torch
from loralib import MergedLinear
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn

from autosam.errors import ModelError
from autosam.models.files.checkpoint import ModelHeader, join_parts, load_model, save_model, split_parts
from autosam.models.files.strict import copy_tensors
from autosam.models.parameters import adapter_state_dict, parameter_table
from autosam.models.sam.lora import add_lora, lora_layers, merge_lora
from autosam.models.variants import build_sam

WIDTH, BLOCKS = 192, 8


@pytest.fixture
def encoder() -> ImageEncoderViT:
    torch.manual_seed(0)
    # Evaluation mode: the stem's batch norms would otherwise answer differently to each call.
    return build_sam("tiny", image_size=64).image_encoder.eval()


@pytest.fixture
def image() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def train(encoder: nn.Module, image: Tensor, *, steps: int = 5, autocast: bool = False) -> None:
    """Train everything that may be trained."""
    target = torch.randn(2, 128, 4, 4, generator=torch.Generator().manual_seed(2))
    optimizer = torch.optim.Adam([p for p in encoder.parameters() if p.requires_grad], lr=0.01)
    for _ in range(steps):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            output = encoder(image)
        loss = (output.float() - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def outputs_differ(before: Tensor, after: Tensor) -> bool:
    return float((before - after).abs().max()) > 0.01


def fused_weights(encoder: nn.Module) -> list[Tensor]:
    return [block.attn.qkv.weight.detach().clone() for block in encoder.blocks]


def test_every_block_is_adapted_and_its_parameters_are_counted(encoder):
    add_lora(encoder, rank=4, alpha=8)
    assert list(lora_layers(encoder)) == [f"blocks.{index}.attn.qkv" for index in range(BLOCKS)]
    # A: (2 * rank, C), B: (2 * C, rank), in each block.
    added = sum(tensor.numel() for tensor in adapter_state_dict(encoder).values())
    assert added == BLOCKS * (2 * 4 * WIDTH + 2 * WIDTH * 4)


def test_only_the_last_blocks_are_adapted_when_asked(encoder):
    add_lora(encoder, rank=2, alpha=2, blocks=3)
    assert list(lora_layers(encoder)) == ["blocks.5.attn.qkv", "blocks.6.attn.qkv", "blocks.7.attn.qkv"]


def test_the_output_is_unchanged_at_initialization(encoder, image):
    with torch.no_grad():
        before = encoder(image)
        add_lora(encoder, rank=4, alpha=4)
        assert torch.equal(encoder(image), before)


@pytest.mark.parametrize("autocast", [False, True])
def test_training_moves_queries_and_values_and_leaves_keys_bit_equal(encoder, image, autocast):
    before = fused_weights(encoder)
    biases = [block.attn.qkv.bias.detach().clone() for block in encoder.blocks]
    with torch.no_grad():
        output = encoder(image)
    add_lora(encoder, rank=4, alpha=4)
    encoder.requires_grad_(False)
    for layer in lora_layers(encoder).values():
        layer.lora_A.requires_grad_(True)
        layer.lora_B.requires_grad_(True)
    train(encoder, image, autocast=autocast)
    assert all(torch.equal(a, b) for a, b in zip(before, fused_weights(encoder), strict=True))
    with torch.no_grad():
        assert outputs_differ(output, encoder(image))
    merge_lora(encoder)
    for old, new in zip(before, fused_weights(encoder), strict=True):
        query, key, value = ((new - old).reshape(3, WIDTH, WIDTH)).unbind(0)
        assert torch.equal(old[WIDTH : 2 * WIDTH], new[WIDTH : 2 * WIDTH])
        assert float(key.abs().max()) == 0
        assert float(query.abs().max()) > 1e-3
        assert float(value.abs().max()) > 1e-3
    assert all(torch.equal(a, block.attn.qkv.bias) for a, block in zip(biases, encoder.blocks, strict=True))


def test_the_fused_weights_are_frozen_and_the_rest_is_left_as_it_was(encoder):
    add_lora(encoder, rank=4, alpha=4, blocks=2)
    trainable = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert "blocks.7.attn.qkv.weight" not in trainable
    assert "blocks.7.attn.qkv.bias" not in trainable
    assert {"blocks.7.attn.qkv.lora_A", "blocks.7.attn.qkv.lora_B"} <= trainable
    assert {"blocks.0.attn.qkv.weight", "blocks.7.attn.proj.weight"} <= trainable


def test_merged_equals_unmerged(encoder, image):
    add_lora(encoder, rank=4, alpha=16)
    train(encoder, image)
    state = torch.get_rng_state()
    with torch.no_grad():
        unmerged = encoder(image)
        merge_lora(encoder)
        merged = encoder(image)
    assert torch.equal(torch.get_rng_state(), state), "torch's own generator was moved"
    assert not any(isinstance(module, MergedLinear) for module in encoder.modules())
    assert not any(parameter.is_meta for parameter in encoder.parameters())
    assert float((merged - unmerged).abs().max()) < 1e-5


def test_alpha_scales_the_update(encoder, image):
    torch.manual_seed(3)
    add_lora(encoder, rank=4, alpha=2)
    layer = lora_layers(encoder)["blocks.0.attn.qkv"]
    with torch.no_grad():
        layer.lora_B.normal_()
    tokens = torch.randn(5, WIDTH)
    expected = tokens @ layer.weight.T + layer.bias
    # Rows 0..C-1 are queries, with the first `rank` rows of A; the values come last, with the other rows.
    expected[:, :WIDTH] += 2 / 4 * tokens @ layer.lora_A[:4].T @ layer.lora_B[:WIDTH].T
    expected[:, 2 * WIDTH :] += 2 / 4 * tokens @ layer.lora_A[4:].T @ layer.lora_B[WIDTH:].T
    assert torch.allclose(layer(tokens), expected, atol=1e-4)


def test_changing_the_mode_never_changes_weights_or_outputs(encoder, image):
    add_lora(encoder, rank=4, alpha=4)
    train(encoder, image)
    state = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    with torch.no_grad():
        before = encoder(image)
        for _ in range(3):
            encoder.train()
            encoder.eval()
        assert torch.equal(encoder(image), before)
        tokens = torch.randn(2, WIDTH)
        for layer in lora_layers(encoder).values():
            evaluated = layer(tokens)
            layer.train()
            assert torch.equal(layer(tokens), evaluated)
    after = encoder.state_dict()
    assert state.keys() == after.keys()
    assert all(torch.equal(state[name], after[name]) for name in state)


def test_saved_in_one_mode_and_loaded_in_the_other_the_adapter_counts_once(encoder, image):
    add_lora(encoder, rank=4, alpha=4)
    train(encoder, image)
    with torch.no_grad():
        expected = encoder(image)
    torch.manual_seed(0)
    other = build_sam("tiny", image_size=64).image_encoder.train()
    add_lora(other, rank=4, alpha=4)
    other.load_state_dict(encoder.eval().state_dict())
    with torch.no_grad():
        assert torch.equal(other.eval()(image), expected)


def test_save_load_merge_round_trip_of_the_adapter_alone(encoder, image, tmp_path):
    add_lora(encoder, rank=4, alpha=4, blocks=6)
    added = sum(tensor.numel() for tensor in adapter_state_dict(encoder).values())
    encoder.requires_grad_(False)
    for layer in lora_layers(encoder).values():
        layer.lora_A.requires_grad_(True)
        layer.lora_B.requires_grad_(True)
    train(encoder, image)
    with torch.no_grad():
        expected = encoder(image)
    path = tmp_path / "adapter.safetensors"
    save_model(
        path, tensors=join_parts({"adapter": adapter_state_dict(encoder)}), metadata=ModelHeader(settings={})
    )
    assert 0 <= path.stat().st_size - 4 * added < 4096, "the file holds the adapter and a header, nothing else"

    torch.manual_seed(0)
    other = build_sam("tiny", image_size=64).image_encoder.eval()
    add_lora(other, rank=4, alpha=4, blocks=6)
    copy_tensors(
        adapter_state_dict(other), split_parts(load_model(path)[0])["adapter"], what="adapter", advice="none"
    )
    with torch.no_grad():
        assert torch.equal(other(image), expected)
        merge_lora(other)
        assert float((other(image) - expected).abs().max()) < 1e-5


def test_an_encoder_without_adapter(encoder, image):
    with torch.no_grad():
        before = encoder(image)
        merge_lora(encoder)
        assert adapter_state_dict(encoder) == {}
        assert torch.equal(encoder(image), before)


def test_the_adapter_takes_type_and_mode_of_the_layer(encoder):
    encoder.to(torch.bfloat16)
    add_lora(encoder, rank=4, alpha=4)
    layer = lora_layers(encoder)["blocks.0.attn.qkv"]
    assert layer.lora_A.dtype == layer.lora_B.dtype == torch.bfloat16
    assert not layer.training
    merge_lora(encoder)
    assert encoder.blocks[0].attn.qkv.weight.dtype == torch.bfloat16


def test_nothing_stays_behind_when_the_model_changes_device(encoder):
    add_lora(encoder, rank=4, alpha=4)
    encoder.to("meta")
    tensors = [v for layer in lora_layers(encoder).values() for v in vars(layer).values() if isinstance(v, Tensor)]
    assert tensors == []
    assert all(buffer.device.type == "meta" for buffer in encoder.buffers())
    assert not any("lora_ind" in name for name in encoder.state_dict())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "rank is 0"),
        ({"alpha": 0.0}, "alpha is 0"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"blocks": 0}, "last 0 blocks, wanted 1 to 8"),
        ({"blocks": 9}, "last 9 blocks, wanted 1 to 8"),
    ],
)
def test_settings_out_of_range(encoder, settings, message):
    with pytest.raises(ModelError, match=message):
        add_lora(encoder, **({"rank": 4, "alpha": 4.0} | settings))
    assert lora_layers(encoder) == {}


def test_a_second_adapter_is_refused(encoder):
    add_lora(encoder, rank=4, alpha=4, blocks=1)
    with pytest.raises(ModelError, match="already has a LoRA adapter"):
        add_lora(encoder, rank=4, alpha=4)


def test_the_parameter_table_counts_adapters_apart():
    sam = build_sam("tiny", image_size=64)
    before = {row.part: row for row in parameter_table(sam)}
    assert list(before) == ["image_encoder", "prompt_encoder", "mask_decoder"]
    assert all(
        row.trainable == sum(p.numel() for p in getattr(sam, name).parameters() if p.requires_grad)
        for name, row in before.items()
    )
    sam.image_encoder.requires_grad_(False)
    sam.prompt_encoder.requires_grad_(False)
    add_lora(sam.image_encoder, rank=4, alpha=4)
    added = BLOCKS * (2 * 4 * WIDTH + 2 * WIDTH * 4)
    after = {row.part: row for row in parameter_table(sam)}
    assert after["image_encoder"].total == before["image_encoder"].total
    assert after["image_encoder"].trainable == 0
    assert (after["image_encoder (LoRA)"].total, after["image_encoder (LoRA)"].trainable) == (added, added)
    assert after["prompt_encoder"].trainable == 0
    assert after["mask_decoder"].trainable == after["mask_decoder"].total == before["mask_decoder"].total
    assert parameter_table(nn.Identity()) == []

"""SAM's image encoder block by block: what it gives is what it gives as a whole."""

import copy

import pytest
import torch
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor

from autosam.models.sam import encoder as module
from autosam.models.sam.adapter import add_adapters
from autosam.models.sam.encoder import encode_tokens
from autosam.models.sam.lora import add_lora
from autosam.models.variants import build_sam


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def encoder(kind: str = "plain") -> ImageEncoderViT:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = build_sam("tiny", image_size=64).image_encoder
        if kind == "lora":
            add_lora(made, rank=2, alpha=2.0)
        if kind == "adapter":
            add_adapters(made, ratio=0.25)
        for name, parameter in made.named_parameters():
            if name.endswith(("lora_B", "up.weight")):
                torch.nn.init.normal_(parameter, std=0.1)
    return made


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", ["plain", "lora", "adapter"])
def test_the_features_are_those_of_the_encoders_own_forward(kind: str, training: bool, pixels: Tensor) -> None:
    one = encoder(kind).train(training)
    other = copy.deepcopy(one)
    features, kept = encode_tokens(one, pixels)
    assert torch.equal(features, other(pixels))
    assert features.shape == (2, 128, 4, 4)
    assert kept == []
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), other.buffers(), strict=True))


def test_an_encoder_without_position_codes(pixels: Tensor) -> None:
    made = encoder().eval()
    made.pos_embed = None
    assert torch.equal(encode_tokens(made, pixels)[0], made(pixels))


def test_tokens_are_those_after_each_block(pixels: Tensor) -> None:
    made, seen = encoder().eval(), []
    for block in made.blocks:
        block.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    _, kept = encode_tokens(made, pixels, keep=(6, 0, 3))
    assert [tokens.shape for tokens in kept] == [(2, 192, 4, 4)] * 3
    for tokens, block in zip(kept, (0, 3, 6), strict=True):
        assert torch.equal(tokens, seen[block].permute(0, 3, 1, 2))


@pytest.mark.parametrize("kind", ["plain", "lora"])
def test_checkpointed_blocks_give_the_same_gradients(kind: str, pixels: Tensor) -> None:
    gradients = []
    for checkpointed in (False, True):
        made = encoder(kind).train()
        if kind == "lora":
            for name, parameter in made.named_parameters():
                parameter.requires_grad_("lora" in name)
        features, kept = encode_tokens(made, pixels, keep=(2,), checkpointed=checkpointed)
        (features.square().sum() + kept[0].sum()).backward()
        gradients.append(
            (
                {name: p.grad for name, p in made.named_parameters() if p.requires_grad},
                features.detach(),
                list(made.buffers()),
            )
        )
    (plain, features, buffers), (again, same_features, same_buffers) = gradients
    assert torch.equal(features, same_features)
    # The stem lies outside the blocks: its statistics are not updated twice.
    assert all(torch.equal(a, b) for a, b in zip(buffers, same_buffers, strict=True))
    assert len(plain) >= 16
    for name, gradient in plain.items():
        assert gradient is not None, name
        assert torch.equal(gradient, again[name]), name


def test_blocks_are_computed_again_only_where_a_gradient_is_wanted(
    pixels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, calls = encoder().eval(), []
    made.blocks[0].register_forward_pre_hook(lambda *_: calls.append(1))
    features, _ = encode_tokens(made, pixels, checkpointed=True)
    assert len(calls) == 1
    features.sum().backward()
    assert len(calls) == 2
    monkeypatch.setattr(module, "checkpoint", None)  # would be called
    with torch.no_grad():
        encode_tokens(made, pixels, checkpointed=True)

"""The fused attention of SAM's image encoder gives what segment_anything's own attention gives."""

import copy
from functools import partial
from typing import Any

import pytest
import torch
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.image_encoder import Attention
from torch import Tensor, nn

from autosam.models.sam import attention as module
from autosam.models.sam.adapter import add_adapters
from autosam.models.sam.attention import FusedAttention, fuse_attention
from autosam.models.sam.encoder import encode_tokens
from autosam.models.sam.lora import add_lora
from autosam.models.variants import build_sam


def vit(**settings: Any) -> ImageEncoderViT:
    """Build a small relative of ViT-B: 10 × 10 tokens, which windows of 7 cover with padding."""
    usual = {"num_heads": 2, "use_rel_pos": True, "window_size": 7, "global_attn_indexes": (1,), "out_chans": 16}
    norm = partial(nn.LayerNorm, eps=1e-6)
    made = ImageEncoderViT(img_size=160, embed_dim=48, depth=3, norm_layer=norm, **usual | settings)
    spread(made)
    return made.eval()


def spread(encoder: ImageEncoderViT) -> None:
    """Give everything that starts at zero values that count, the same for one encoder and its copy."""
    for name, parameter in encoder.named_parameters():
        if "rel_pos" in name or "pos_embed" in name or name.endswith(("lora_B", "up.weight")):
            torch.nn.init.normal_(parameter, std=0.3)


def fused(encoder: ImageEncoderViT) -> ImageEncoderViT:
    made = copy.deepcopy(encoder)
    fuse_attention(made)
    return made


def pixels(side: int = 160, count: int = 2) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def close(one: Tensor, other: Tensor, *, relative: float = 1e-5) -> bool:
    return bool((one - other).norm() <= relative * other.norm())


@pytest.fixture(autouse=True)
def _random() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_two_tokens_by_hand() -> None:
    """One head of one channel; values 1 and 3, and a key's column says log 3 to a query left of it."""
    own = Attention(1, num_heads=1, qkv_bias=True, use_rel_pos=True, input_size=(1, 2))
    with torch.no_grad():
        # Queries are 1, keys 0, values those of the tokens; the output is not mixed.
        own.qkv.weight.copy_(torch.tensor([[0.0], [0.0], [1.0]]))
        own.qkv.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
        own.proj.weight.fill_(1)
        own.proj.bias.fill_(0)
        # Places are those of query minus key, from -1 to 1.
        own.rel_pos_w.copy_(torch.tensor([[3.0], [1.0], [1.0]]).log())
        tokens = torch.tensor([1.0, 3.0]).reshape(1, 1, 2, 1)
        wanted = torch.tensor([(1 * 1 + 3 * 3) / 4, (1 + 3) / 2])
        assert torch.allclose(FusedAttention(own)(tokens).ravel(), wanted)
    assert torch.allclose(FusedAttention(own)(tokens).ravel(), wanted)


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="windows with padding"),
        pytest.param({"use_rel_pos": False}, id="without relative positions"),
        pytest.param({"window_size": 5}, id="windows that fit"),
        pytest.param({"window_size": 0}, id="global attention alone"),
        pytest.param({"use_abs_pos": False, "qkv_bias": False}, id="without absolute positions and bias"),
        pytest.param({"num_heads": 6}, id="heads of 8 channels"),
    ],
)
def test_the_encoders_features_are_those_of_segment_anything(settings: dict[str, Any], gradients: bool) -> None:
    own = vit(**settings)
    made = fused(own)
    with torch.set_grad_enabled(gradients):
        assert close(encode_tokens(made, pixels())[0], own(pixels()))


@pytest.mark.parametrize("kind", ["plain", "lora", "adapter"])
@pytest.mark.parametrize("gradients", [False, True])
def test_the_tiny_encoder_with_adapters(kind: str, gradients: bool) -> None:
    own = build_sam("tiny", image_size=64).image_encoder.eval()
    for block in own.blocks:
        given = block.attn
        side = (given.rel_pos_h.shape[0] + 1) // 2
        block.attn = Attention(192, num_heads=3, qkv_bias=True, use_rel_pos=True, input_size=(side, side))
        block.attn.load_state_dict(given.state_dict())
    if kind == "lora":
        add_lora(own, rank=2, alpha=2.0)
    if kind == "adapter":
        add_adapters(own, ratio=0.25)
    spread(own)
    made = fused(own)
    assert any(isinstance(layer, FusedAttention) for layer in made.modules())
    with torch.set_grad_enabled(gradients):
        assert close(encode_tokens(made, pixels(64))[0], own(pixels(64)))


def test_gradients_are_those_of_segment_anything() -> None:
    own = vit().double()
    made = fused(own)
    given = pixels().double()
    weights = torch.randn(2, 16, 10, 10, dtype=torch.float64)
    for encoder in (own, made):
        (encoder(given) * weights).sum().backward()
    theirs = dict(own.named_parameters())
    assert {"blocks.0.attn.rel_pos_h", "blocks.1.attn.rel_pos_w"} < theirs.keys()
    for name, parameter in made.named_parameters():
        wanted = theirs[name].grad
        assert parameter.grad is not None
        assert wanted is not None
        # A key's bias changes nothing, and its gradient is zero but for rounding.
        assert (parameter.grad - wanted).norm() <= 1e-10 * (1 + wanted.norm()), name


def test_bfloat16_is_as_close_to_float32_as_their_attention() -> None:
    own = vit()
    made = fused(own)
    with torch.no_grad():
        exact = own(pixels())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            theirs, ours = own(pixels()).float(), made(pixels()).float()
    assert (ours - exact).norm() <= 1.1 * (theirs - exact).norm()


@pytest.mark.parametrize("few", [0, 256], ids=["fused kernel", "plain products"])
def test_bfloat16_gradients_are_as_close_as_theirs(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEW_TOKENS", few)
    own = vit()
    made = fused(own)
    weights = torch.randn(2, 16, 10, 10)

    def learnt(encoder: ImageEncoderViT, *, rounded: bool) -> Tensor:
        encoder.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=rounded):
            features = encoder(pixels())
        (features.float() * weights).sum().backward()
        known = [parameter.grad for parameter in encoder.parameters()]
        assert all(gradient is not None for gradient in known)
        return torch.cat([gradient.ravel() for gradient in known if gradient is not None])

    exact = learnt(own, rounded=False)
    theirs, ours = learnt(own, rounded=True), learnt(made, rounded=True)
    assert (ours - exact).norm() <= 1.1 * (theirs - exact).norm() < 0.1 * exact.norm()


def test_biases_in_parts_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fused(vit())
    with torch.no_grad():
        whole = made(pixels())
        monkeypatch.setattr(module, "BIAS_BUDGET", 2 * 49**2)
        assert torch.allclose(made(pixels()), whole, rtol=0, atol=1e-6)


def test_the_state_dict_keeps_its_keys_and_their_order() -> None:
    own = vit()
    made = fused(own)
    assert list(made.state_dict()) == list(own.state_dict())
    assert all(
        torch.equal(a, b) for a, b in zip(made.state_dict().values(), own.state_dict().values(), strict=True)
    )
    assert not any(layer.training for layer in made.modules())


def test_what_is_fused_already_stays() -> None:
    made = fused(vit())
    before = [block.attn for block in made.blocks]
    fuse_attention(made)
    assert [block.attn for block in made.blocks] == before

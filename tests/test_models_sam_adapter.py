from copy import deepcopy

import pytest
import torch
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from autosam.errors import ModelError
from autosam.models.files.strict import copy_tensors
from autosam.models.parameters import adapter_state_dict
from autosam.models.sam.adapter import Adapter, adapter_layers, add_adapters
from autosam.models.sam.lora import add_lora, lora_layers
from autosam.models.variants import build_sam

WIDTH, BLOCKS, HIDDEN = 192, 8, 48


@pytest.fixture(scope="module")
def built() -> ImageEncoderViT:
    torch.manual_seed(0)
    # Evaluation mode: the stem's batch norms would otherwise move with each call.
    return build_sam("tiny", image_size=64).image_encoder.eval()


@pytest.fixture
def encoder(built: ImageEncoderViT) -> ImageEncoderViT:
    return deepcopy(built)


@pytest.fixture
def image() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def train(encoder: ImageEncoderViT, image: Tensor, *, steps: int = 3, autocast: bool = False) -> None:
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


def randomize(encoder: ImageEncoderViT) -> None:
    """Give the adapters weights that change the output."""
    with torch.no_grad():
        for tensor in adapter_state_dict(encoder).values():
            tensor.normal_(std=0.1)


def trainable(encoder: ImageEncoderViT) -> set[str]:
    return {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}


def test_an_adapter_by_hand():
    adapter = Adapter(2, 1)
    with torch.no_grad():
        adapter.down.weight.copy_(torch.tensor([[1.0, -1.0]]))
        adapter.down.bias.copy_(torch.tensor([0.0]))
        adapter.up.weight.copy_(torch.tensor([[2.0], [-1.0]]))
        adapter.up.bias.copy_(torch.tensor([0.5, 0.0]))
        # gelu(1) = Φ(1) = 0.8413; gelu(0) = 0.
        torch.testing.assert_close(adapter(torch.tensor([2.0, 1.0])), torch.tensor([2.18269, -0.84134]))
        torch.testing.assert_close(adapter(torch.tensor([1.0, 1.0])), torch.tensor([0.5, 0.0]))


def test_every_block_has_two_adapters(encoder):
    add_adapters(encoder, ratio=0.25)
    places = [f"blocks.{i}.{place}" for i in range(BLOCKS) for place in ("attention_adapter", "mlp_adapter")]
    assert list(adapter_layers(encoder)) == places
    shapes = {
        "down.weight": (HIDDEN, WIDTH),
        "down.bias": (HIDDEN,),
        "up.weight": (WIDTH, HIDDEN),
        "up.bias": (WIDTH,),
    }
    assert {name: tuple(tensor.shape) for name, tensor in adapter_state_dict(encoder).items()} == {
        f"{place}.{part}": shape for place in places for part, shape in shapes.items()
    }


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_the_output_is_unchanged_at_initialization(encoder, image, autocast, training):
    encoder.train(training)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        before = encoder(image)
        add_adapters(encoder, ratio=0.25)
        assert all(layer.training == training for layer in adapter_layers(encoder).values())
        assert torch.equal(encoder(image), before)


@pytest.mark.parametrize("index", [0, 3], ids=["window", "global"])
def test_where_the_corrections_are_added(encoder, index):
    block = encoder.blocks[index]
    assert (block.window_size > 0) == (index == 0)
    tokens = torch.randn(1, 5, 4, WIDTH, generator=torch.Generator().manual_seed(3))
    inner: dict[str, Tensor] = {}
    if index == 3:
        tokens = tokens[:, :4]
    with torch.no_grad():
        plain = block(tokens)
        block.mlp.register_forward_hook(lambda _, inputs, output: inner.update(normalized=inputs[0], mlp=output))
        block(tokens)
        middle = plain - inner["mlp"]
        add_adapters(encoder, ratio=0.25)
        adapted = encoder.blocks[index]

        # The one beside the MLP adds half its correction of what the MLP sees.
        adapted.mlp_adapter.up.weight.normal_()
        torch.testing.assert_close(
            adapted(tokens), plain + 0.5 * adapted.mlp_adapter(inner["normalized"]), atol=1e-4, rtol=1e-4
        )
        adapted.mlp_adapter.up.weight.zero_()

        # The one behind the attention corrects its output whole, before the MLP sees the sum.
        adapted.attention_adapter.up.weight.normal_()
        attended = middle - tokens
        middle = middle + adapted.attention_adapter(attended)
        expected = middle + adapted.mlp(adapted.norm2(middle))
        torch.testing.assert_close(adapted(tokens), expected, atol=1e-3, rtol=1e-3)


def test_the_base_keeps_its_names_and_its_marks(encoder):
    encoder.neck.requires_grad_(False)
    base, marked = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}, trainable(encoder)
    add_adapters(encoder, ratio=0.25)
    adapters = adapter_state_dict(encoder).keys()
    assert encoder.state_dict().keys() - adapters == base.keys()
    assert all(torch.equal(encoder.state_dict()[name], tensor) for name, tensor in base.items())
    assert trainable(encoder) == marked | adapters


@pytest.mark.parametrize("autocast", [False, True])
def test_training_moves_every_adapter_and_leaves_the_frozen_base_bit_equal(encoder, image, autocast):
    encoder.requires_grad_(False)
    base = deepcopy(encoder.state_dict())
    add_adapters(encoder, ratio=0.25)
    assert trainable(encoder) == adapter_state_dict(encoder).keys()
    before = deepcopy(adapter_state_dict(encoder))
    train(encoder, image, autocast=autocast)
    after = encoder.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in base.items())
    assert [name for name, tensor in before.items() if torch.equal(after[name], tensor)] == []


def test_a_checkpointed_block_has_the_same_gradients(encoder, image):
    encoder.requires_grad_(False)
    add_adapters(encoder, ratio=0.25)
    randomize(encoder)
    with torch.no_grad():
        tokens = encoder.patch_embed(image) + encoder.pos_embed
    for index in (0, 3):
        block = encoder.blocks[index]
        gradients = []
        for recompute in (False, True):
            output = checkpoint(block, tokens, use_reentrant=False) if recompute else block(tokens)
            output.square().mean().backward()
            gradients.append({n: p.grad for n, p in block.named_parameters() if p.grad is not None})
            block.zero_grad()
        assert len(gradients[0]) == 8
        assert gradients[0].keys() == gradients[1].keys()
        assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])


def test_state_dict_round_trip_into_another_encoder_of_the_same_base(encoder, image):
    other = deepcopy(encoder)
    add_adapters(encoder, ratio=0.25)
    add_adapters(other, ratio=0.25)
    randomize(encoder)
    with torch.no_grad():
        expected = encoder(image)
        assert float((other(image) - expected).abs().max()) > 0.01
        copy_tensors(adapter_state_dict(other), adapter_state_dict(encoder), what="adapters", advice="none")
        assert torch.equal(other(image), expected)


def test_an_encoder_without_adapters(encoder):
    assert adapter_layers(encoder) == {}
    assert adapter_state_dict(encoder) == {}


def test_a_second_call_is_refused(encoder):
    add_adapters(encoder, ratio=0.25)
    before = deepcopy(encoder.state_dict())
    with pytest.raises(ModelError, match="already has adapters"):
        add_adapters(encoder, ratio=0.5)
    after = encoder.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("ratio", [0.0, -0.25, 1.5, float("nan")])
def test_a_ratio_out_of_range(encoder, ratio):
    with pytest.raises(ModelError, match=r"adapter ratio is .*, wanted a number above 0, up to 1"):
        add_adapters(encoder, ratio=ratio)
    assert adapter_layers(encoder) == {}


def test_a_ratio_that_leaves_no_channel(encoder):
    with pytest.raises(
        ModelError, match=r"ratio is 0\.005, which leaves no channel of 192: wanted at least 0\.00521"
    ):
        add_adapters(encoder, ratio=0.005)
    assert adapter_layers(encoder) == {}


def test_the_adapters_take_the_type_of_the_block(encoder):
    encoder.to(torch.bfloat16)
    add_adapters(encoder, ratio=0.25)
    assert {tensor.dtype for tensor in adapter_state_dict(encoder).values()} == {torch.bfloat16}


def test_lora_goes_with_adapters(encoder, image):
    with torch.no_grad():
        before = encoder(image)
        add_adapters(encoder, ratio=0.25)
        add_lora(encoder, rank=2, alpha=2)
        assert len(lora_layers(encoder)) == BLOCKS
        assert torch.equal(encoder(image), before)
    assert sum("lora" in name for name in adapter_state_dict(encoder)) == 2 * BLOCKS
    assert sum("_adapter." in name for name in adapter_state_dict(encoder)) == 8 * BLOCKS

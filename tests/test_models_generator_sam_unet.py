from copy import deepcopy

import pytest
import torch
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn
from torch.nn import functional as F

from autosam.errors import ModelError
from autosam.models.files.strict import copy_tensors
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.networks import generator_state_dict
from autosam.models.parameters import parameter_table
from autosam.models.sam.adapter import add_adapters
from autosam.models.sam.lora import add_lora
from autosam.models.variants import build_sam

CHANNELS = ("foreground", "boundary")
WIDTHS = (32, 24, 16, 8)


@pytest.fixture(scope="module")
def built() -> ImageEncoderViT:
    torch.manual_seed(0)
    return build_sam("tiny", image_size=64).image_encoder


@pytest.fixture
def encoder(built: ImageEncoderViT) -> ImageEncoderViT:
    return deepcopy(built)


@pytest.fixture
def image() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def build(encoder: ImageEncoderViT, *, channels=CHANNELS, decoder_channels=WIDTHS, skips=None) -> SamGenerator:
    torch.manual_seed(2)
    return SamGenerator(encoder, channels=channels, decoder_channels=decoder_channels, skips=skips)


def settle(generator: SamGenerator, image: Tensor) -> SamGenerator:
    """Give the decoder's batch norms the statistics of an image, as training does, and switch to evaluation."""
    for module in generator.decoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    generator.eval().decoder.train()
    with torch.no_grad():
        generator(image)
    return generator.eval()


@pytest.mark.parametrize("channels", [CHANNELS, (*CHANNELS, "affinity_row", "affinity_col")])
def test_logits_have_the_size_of_the_image(encoder, image, channels):
    generator = build(encoder, channels=channels)
    assert (generator.channels, generator.stride, generator.tile_size) == (channels, 16, 64)
    logits = generator(image)
    assert logits.shape == (2, len(channels), 64, 64)
    assert bool(logits.isfinite().all())


@pytest.mark.parametrize(
    ("variant", "side", "skips"),
    [("tiny", 512, (1, 3, 5)), ("vit_b", 1024, (2, 5, 8)), ("vit_l", 1024, (5, 11, 17))],
)
def test_the_shapes_of_the_variants(variant, side, skips):
    # On the meta device nothing is computed; for the published variants the skips are global-attention blocks.
    with torch.device("meta"):
        encoder = build_sam(variant).image_encoder
        generator = build(encoder, decoder_channels=(96, 48, 24, 8))
        assert generator(torch.rand(1, 3, side, side)).shape == (1, 2, side, side)
    assert generator.skips == skips
    assert generator.tile_size == side
    if variant != "tiny":
        assert all(encoder.blocks[index].window_size == 0 for index in skips)


def test_the_encoder_sees_the_pixels_as_sam_standardizes_them(encoder, image):
    sam = build_sam("tiny", image_size=64)
    generator = build(encoder).eval()
    seen: dict[str, Tensor] = {}
    encoder.patch_embed.register_forward_hook(lambda _, inputs, output: seen.update(pixels=inputs[0]))
    encoder.neck.register_forward_hook(lambda _, inputs, output: seen.update(features=output))
    with torch.no_grad():
        generator(image)
        expected = sam.preprocess(255 * image)
        torch.testing.assert_close(seen["pixels"], expected)
        torch.testing.assert_close(seen["features"].clone(), encoder(expected))


def test_a_gradient_reaches_the_encoder_and_every_part_of_the_decoder(encoder, image):
    generator = build(encoder)
    generator(image).square().mean().backward()
    without = [
        name
        for name, parameter in generator.named_parameters()
        if parameter.grad is None or float(parameter.grad.abs().max()) == 0
    ]
    assert without == []


def test_a_frozen_encoder_gets_no_gradient_and_the_decoder_does(encoder, image):
    encoder.requires_grad_(False)
    generator = build(encoder)
    generator(image).square().mean().backward()
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert all(parameter.grad is not None for parameter in generator.decoder.parameters())
    table = {row.part: row for row in parameter_table(generator)}
    assert list(table) == ["image_encoder", "decoder"]
    assert table["image_encoder"].trainable == 0
    assert table["decoder"].trainable == table["decoder"].total


def test_each_skip_joins_the_decoder_at_its_own_stage(encoder, image):
    generator = settle(build(encoder), image)
    sizes = []
    with torch.no_grad():
        expected = generator(image)
        for skip in generator.decoder.skips:
            # Zeros take the place of a block's tokens on the way into the decoder alone.
            hook = skip.register_forward_pre_hook(lambda _, inputs: torch.zeros_like(inputs[0]))
            other = skip.register_forward_hook(lambda _, inputs, output: sizes.append(tuple(output.shape)))
            assert float((generator(image) - expected).abs().max()) > 0.01
            hook.remove()
            other.remove()
        assert torch.equal(generator(image), expected)
    # The deepest first: an eighth, a quarter and a half of the image's side.
    assert sizes == [(2, 32, 8, 8), (2, 24, 16, 16), (2, 16, 32, 32)]


def test_the_deepest_block_joins_first(encoder, image):
    generator = build(encoder, skips=(0, 2, 6)).eval()
    kept: dict[int, Tensor] = {}
    joined: list[Tensor] = []
    for index, block in enumerate(encoder.blocks):
        block.register_forward_hook(lambda _, inputs, output, index=index: kept.update({index: output}))
    for skip in generator.decoder.skips:
        skip.register_forward_hook(lambda _, inputs, output: joined.append(inputs[0]))
    with torch.no_grad():
        generator(image)
    assert len(kept) == 8
    assert all(torch.equal(a, kept[b].permute(0, 3, 1, 2)) for a, b in zip(joined, (6, 2, 0), strict=True))


def test_the_choice_of_skips_changes_the_logits(encoder, image):
    default, same, other = (settle(build(encoder, skips=skips), image) for skips in (None, (1, 3, 5), (0, 3, 5)))
    assert same.state_dict().keys() == other.state_dict().keys()
    with torch.no_grad():
        assert torch.equal(default(image), same(image))
        assert float((other(image) - same(image)).abs().max()) > 0.01


def test_the_stem_carries_single_pixels(encoder, image):
    generator = build(encoder).eval()
    # With a blind encoder, only the stem can tell two images apart, and only where they differ.
    encoder.patch_embed.register_forward_hook(lambda _, inputs, output: torch.zeros_like(output))
    changed = image.clone()
    changed[:, :, 20, 30] += 0.5
    with torch.no_grad():
        difference = (generator(changed) - generator(image)).abs().amax((0, 1))
    rows, columns = torch.nonzero(difference > 1e-6, as_tuple=True)
    # Four 3 × 3 convolutions: at most four pixels away.
    assert len(rows) > 0
    assert 16 <= int(rows.min()) <= int(rows.max()) <= 24
    assert 26 <= int(columns.min()) <= int(columns.max()) <= 34


@pytest.mark.parametrize("adapt", [None, "lora", "adapters"])
def test_bfloat16_and_channels_last_stay_close_with_every_kind_of_encoder(encoder, image, adapt):
    generator = build(encoder)
    encoder.requires_grad_(False)
    if adapt == "lora":
        add_lora(encoder, rank=2, alpha=2)
    if adapt == "adapters":
        add_adapters(encoder, ratio=0.25)
    generator.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = generator(image)
    logits.float().square().mean().backward()
    # At the start only an adapter's up-projection, or LoRA's B, has a gradient other than zero.
    name = {"lora": "attn.qkv.lora_B", "adapters": "mlp_adapter.up.weight"}.get(str(adapt))
    if name is not None:
        assert float(encoder.get_parameter(f"blocks.0.{name}").grad.abs().max()) > 0
    generator.eval()
    with torch.no_grad():
        expected = generator(image)
        torch.testing.assert_close(
            generator(image.contiguous(memory_format=torch.channels_last)), expected, atol=1e-4, rtol=1e-4
        )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert float((generator(image).float() - expected).abs().mean()) < 0.05 * float(expected.abs().mean())


def test_it_learns_one_image(encoder):
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    inside = ((rows - 24) ** 2 + (columns - 36) ** 2 < 14**2).float()
    noise = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    image = (0.7 - 0.3 * inside + 0.05 * noise).clamp(0, 1)
    boundary = inside - (1 - F.max_pool2d(1 - inside[None], 3, stride=1, padding=1)[0])
    target = torch.stack([inside, boundary])[None]
    generator = build(encoder)
    optimizer = torch.optim.AdamW(generator.parameters(), lr=0.03)
    losses = []
    for _ in range(40):
        loss = F.binary_cross_entropy_with_logits(generator(image), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0]


def test_the_decoder_alone_goes_round(encoder, image):
    generator, other = (
        build(encoder),
        SamGenerator(encoder, channels=CHANNELS, decoder_channels=WIDTHS, skips=None),
    )
    generator(image)
    saved = deepcopy(generator_state_dict(generator))
    names = set(generator.state_dict())
    assert {name for name in names if name.startswith("image_encoder.")} == names - saved.keys()
    assert {name.removeprefix("image_encoder.") for name in names - saved.keys()} == set(encoder.state_dict())
    assert not any("pixel" in name for name in names)
    generator.eval(), other.eval()
    with torch.no_grad():
        assert not torch.equal(other(image), generator(image))
        copy_tensors(generator_state_dict(other), saved, what="decoder", advice="none")
        assert torch.equal(other(image), generator(image))
    # The batch norms' statistics are among it.
    assert int(other.decoder.stem[1].num_batches_tracked) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": ()}, r"channels are \[\]; name one or more of foreground"),
        ({"channels": ("foreground", "foreground")}, "each once"),
        ({"channels": ("foreground", "middle")}, "middle.*; name one or more of .*affinity_col"),
        ({"decoder_channels": (32, 16, 8)}, r"decoder_channels is \[32, 16, 8\].*4 decoder stages"),
        ({"decoder_channels": ()}, r"decoder_channels is \[\]"),
        ({"decoder_channels": (32, 24, 16, 0)}, "a number above 0"),
        ({"skips": (1, 3)}, r"blocks \[1, 3\]; wanted three rising numbers of 0 to 7"),
        ({"skips": (1, 3, 8)}, "the encoder has 8 blocks"),
        ({"skips": (-1, 3, 5)}, "three rising numbers"),
        ({"skips": (3, 1, 5)}, "three rising numbers"),
        ({"skips": (1, 1, 5)}, "three rising numbers"),
        ({"skips": ()}, r"blocks \[\]"),
    ],
)
def test_settings_that_do_not_fit(encoder, settings, message):
    with pytest.raises(ModelError, match=message):
        build(encoder, **settings)


def test_an_encoder_with_too_few_blocks_for_the_skips():
    shallow = ImageEncoderViT(img_size=32, embed_dim=8, depth=3, num_heads=2, out_chans=4)
    with pytest.raises(ModelError, match=r"blocks \[-1, 0, 1\]; wanted three rising numbers of 0 to 2"):
        build(shallow)

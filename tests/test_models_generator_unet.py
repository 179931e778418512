"""The UNet: its maps by name, its sizes, and what it refuses."""

import pytest
import torch

from autosam.errors import ModelError
from autosam.models.generator.unet import CHANNELS, Generator


def build(**changes: object) -> Generator:
    settings = {"encoder": "resnet18", "channels": ("foreground",), "depth": 3, "decoder_channels": (16, 8, 8)}
    torch.manual_seed(0)
    return Generator(**(settings | changes)).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [("boundary",), ("boundary", "foreground"), CHANNELS])
def test_one_map_of_logits_for_each_channel_at_any_size(channels: tuple[str, ...]) -> None:
    generator = build(channels=channels)
    assert (generator.channels, generator.stride, generator.tile_size) == (channels, 8, None)
    for shape in ((8, 8), (16, 40)):
        with torch.no_grad():
            logits = generator(torch.rand(2, 3, *shape))
        assert logits.shape == (2, len(channels), *shape)
        assert bool(logits.isfinite().all())


def test_the_encoder_sees_intensities_around_zero() -> None:
    generator = build()
    seen: list[torch.Tensor] = []
    generator.unet.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        generator(torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1).expand(1, 3, 8, 8))
    assert seen[0][0, :, 0, 0].tolist() == [-2, 0, 2]


def test_downsampled_the_unet_sees_means_and_its_logits_fill_the_image() -> None:
    generator, whole = build(downsample=2), build()
    assert (generator.downsample, generator.stride) == (2, 16)
    image = torch.zeros(1, 3, 16, 32)
    image[..., ::2, ::2] = 1.0  # one pixel of every 2 × 2: a quarter of the light
    with torch.no_grad():
        logits, smaller = generator(image), whole(torch.full((1, 3, 8, 16), 0.25))
    assert logits.shape == (1, 1, 16, 32)
    # The image's corners lie beyond the outermost centers of the smaller pixels, which they repeat.
    assert torch.equal(logits[..., [0, 0, -1, -1], [0, -1, 0, -1]], smaller[..., [0, 0, -1, -1], [0, -1, 0, -1]])
    between = 0.75 * smaller[0, 0, 0, 3] + 0.25 * smaller[0, 0, 0, 4]
    torch.testing.assert_close(logits[0, 0, 0, 7], between)


def test_an_image_that_is_smaller_already_is_not_shrunk_again() -> None:
    generator, whole = build(downsample=2), build()
    image = torch.rand(1, 3, 16, 24)
    with torch.no_grad():
        assert torch.equal(generator(image, reduced=True), whole(image))


def test_an_image_is_seen_once_or_more_times_smaller() -> None:
    with pytest.raises(ModelError, match="downsample is 0; the image is seen 1 or more times smaller"):
        build(downsample=0)


@pytest.mark.parametrize(
    "channels",
    [(), ("foreground", "foreground"), ("foreground", "middle"), ("affinity_row", "affinity_row")],
)
def test_channels_that_are_none_twice_or_unknown(channels: tuple[str, ...]) -> None:
    with pytest.raises(
        ModelError, match="name one or more of foreground, boundary, center, affinity_row, affinity_col"
    ):
        build(channels=channels)


def test_stages_and_depth_go_together() -> None:
    with pytest.raises(ModelError, match="has depth 3 and 2 decoder stages"):
        build(decoder_channels=(16, 8))


@pytest.mark.parametrize("encoder", ["resnet17", "tu-resnet17"])
def test_an_unknown_encoder_is_named(encoder: str) -> None:
    with pytest.raises(
        ModelError, match=f"no generator can be built on encoder '{encoder}' with depth 3"
    ) as error:
        build(encoder=encoder)
    assert "\n" not in str(error.value)

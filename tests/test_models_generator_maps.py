"""The generator's maps are the same, however the image is cut."""

from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from with_defaults import predict_maps

from autosam.errors import AutosamError, ConfigError
from autosam.models.generator import maps as generator_maps
from autosam.models.generator.maps import ORIENTATIONS
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.generator.unet import Generator
from autosam.models.variants import build_sam


class Pointwise(nn.Module):
    """A generator that looks at one pixel at a time: foreground = red, boundary = 1 - blue, as logits."""

    channels = ("foreground", "boundary")
    stride = 16
    downsample = 1
    tile_size: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 2, kernel_size=1)
        with torch.no_grad():
            self.convolution.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 0, -1.0]])[:, :, None, None])
            self.convolution.bias.copy_(torch.tensor([0.0, 1.0]))
        self.seen: list[tuple[int, ...]] = []

    def forward(self, image: Tensor) -> Tensor:
        self.seen.append(tuple(image.shape))
        logits: Tensor = self.convolution(image)
        return logits


def picture(height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((height, width, 3), dtype=np.float32)


def maps_of(
    network: nn.Module, image: NDArray[np.float32], *, tile_size: int = 64, overlap: float = 0.25
) -> dict[str, NDArray[np.float32]]:
    return predict_maps(cast(Generator, network), image, tile_size=tile_size, overlap=overlap, precision="float32")


def sigmoid(values: NDArray[np.float32]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-values.astype(np.float64)))


@pytest.mark.parametrize("tile_size", [64, 100, 400])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.6])
def test_maps_do_not_depend_on_the_tiles(tile_size, overlap):
    image = picture(150, 333)
    maps = maps_of(Pointwise(), image, tile_size=tile_size, overlap=overlap)
    assert list(maps) == ["foreground", "boundary"]
    np.testing.assert_allclose(maps["foreground"], sigmoid(image[..., 0]), atol=2e-6)
    np.testing.assert_allclose(maps["boundary"], sigmoid(1 - image[..., 2]), atol=2e-6)


@pytest.mark.parametrize("shape", [(1, 1), (10, 300), (10, 3000), (300, 10), (64, 64), (65, 63), (37, 1)])
def test_maps_have_the_image_s_shape(shape):
    image = picture(*shape)
    for values in maps_of(Pointwise(), image).values():
        assert values.shape == shape
        assert values.dtype == np.float32
        assert values.min() >= 0
        assert values.max() <= 1


@pytest.mark.parametrize(
    ("tile_size", "sides"),
    # Of 70 x 90 pixels, and tiles that share a quarter of the size or more.
    [(1, (16, 16)), (17, (32, 32)), (50, (80, 96)), (64, (80, 96)), (80, (80, 96)), (200, (208, 208))],
)
def test_the_network_sees_multiples_of_its_stride(tile_size, sides):
    network = Pointwise()
    maps_of(network, picture(70, 90), tile_size=tile_size)
    assert {shape[2:] for shape in network.seen} == {sides}


@pytest.mark.parametrize("shape", [(256, 256), (257, 383), (360, 360), (520, 696), (1000, 1000), (384, 5000)])
def test_little_of_an_image_is_seen_twice(shape):
    network = Pointwise()
    maps_of(network, picture(*shape), tile_size=256, overlap=0.25)
    seen = sum(batch * rows * cols for batch, _, rows, cols in network.seen)
    assert seen <= 1.6 * shape[0] * shape[1]
    assert {256 <= side <= 384 and side % 16 == 0 for tile in network.seen for side in tile[2:]} == {True}
    network.seen.clear()
    maps_of(network, picture(700, 800), tile_size=512, overlap=0.25)
    assert {side <= generator_maps.GROWN for tile in network.seen for side in tile[2:]} == {True}


def test_tiles_are_seen_in_batches_that_memory_bounds(monkeypatch):
    monkeypatch.setattr(generator_maps, "BATCH_CPU", 3 * 32 * 32)
    network, image = Pointwise(), picture(32, 224)
    answer = maps_of(network, image, tile_size=32, overlap=0)
    assert [shape[0] for shape in network.seen] == [3, 3, 1]
    np.testing.assert_allclose(answer["foreground"], sigmoid(image[..., 0]), atol=2e-6)
    # Orientations of one tile can be in two batches.
    mirrored = predict_maps(
        cast(Generator, network),
        image,
        tile_size=32,
        overlap=0,
        orientations=ORIENTATIONS[True],
        precision="float32",
    )
    np.testing.assert_allclose(mirrored["foreground"], answer["foreground"], atol=2e-6)
    # A tile that is too large is seen alone.
    network.seen.clear()
    maps_of(network, image, tile_size=64, overlap=0)
    assert {shape[0] for shape in network.seen} == {1}


def test_tiles_of_one_color_are_seen_once():
    image = np.zeros((32, 320, 3), dtype=np.float32)
    image[:, 64:192] = (0.2, 0.4, 0.6)
    image[:, 256:] = picture(32, 64)
    network = Pointwise()
    maps = maps_of(network, image, tile_size=32, overlap=0)
    assert sum(shape[0] for shape in network.seen) == 4
    np.testing.assert_allclose(maps["foreground"], sigmoid(image[..., 0]), atol=2e-6)
    gray = np.broadcast_to(image[..., 1:2], image.shape)
    network.seen.clear()
    maps = maps_of(network, gray, tile_size=32, overlap=0)
    assert sum(shape[0] for shape in network.seen) == 4
    np.testing.assert_allclose(maps["foreground"], sigmoid(gray[..., 0]), atol=2e-6)


def test_a_generator_of_one_size_gets_that_size():
    network = Pointwise()
    network.tile_size = 32
    image = picture(70, 90)
    maps = maps_of(network, image, tile_size=64)
    assert {shape[2:] for shape in network.seen} == {(32, 32)}
    np.testing.assert_allclose(maps["foreground"], sigmoid(image[..., 0]), atol=2e-6)


def test_sams_own_encoder_gives_maps_of_an_image_of_any_size():
    torch.manual_seed(0)
    encoder = build_sam("tiny", image_size=64).image_encoder
    channels = ("foreground", "affinity_row", "affinity_col")
    network = SamGenerator(encoder, channels=channels, decoder_channels=(16, 8, 8, 8), skips=None).eval()
    image = picture(40, 70)
    maps = predict_maps(network, image, tile_size=512, overlap=0.25, precision="float32")
    assert list(maps) == list(channels)
    assert all(values.shape == (40, 70) for values in maps.values())
    assert maps["foreground"].min() >= 0
    assert maps["foreground"].max() <= 1


def test_neighbors_are_blended_and_not_cut():
    class TileMean(Pointwise):
        """Gives every tile one value, so that a hard cut between tiles would be a step."""

        def forward(self, image: Tensor) -> Tensor:
            return (8 * image.mean(dim=(1, 2, 3), keepdim=True) - 4).expand(-1, 2, *image.shape[2:])

    image = np.zeros((64, 112, 3), dtype=np.float32)
    image[:, 56:] = 1
    # Two tiles, columns 0 to 63 (an eighth of it bright) and 48 to 111 (seven eighths), share columns 48 to 63.
    values = maps_of(TileMean(), image)["foreground"]
    np.testing.assert_allclose(values[:, :48], sigmoid(np.float32(-3)), atol=1e-6)
    np.testing.assert_allclose(values[:, 64:], sigmoid(np.float32(3)), atol=1e-6)
    steps = np.diff(values, axis=1)
    assert (steps >= -1e-6).all()
    assert steps.max() < 0.2


def test_a_real_generator_gives_every_channel_by_name():
    network = Generator(encoder="resnet18", channels=("boundary",), depth=3, decoder_channels=(16, 8, 8)).eval()
    maps = maps_of(network, picture(40, 70))
    assert list(maps) == ["boundary"]
    assert maps["boundary"].shape == (40, 70)


def test_an_image_at_the_networks_own_scale_is_cut_into_smaller_tiles():
    class Smaller(Pointwise):
        stride = 32
        downsample = 2

        def forward(self, image: Tensor, *, reduced: bool = False) -> Tensor:
            assert reduced
            return super().forward(image)

    network, image = Smaller(), picture(70, 90)
    maps = predict_maps(
        cast(Generator, network), image, tile_size=100, overlap=0.25, reduced=True, precision="float32"
    )
    # 100 pixels of the larger image are rounded up to 128, which are 64 of this one. Half as many again fit it.
    assert {shape[2:] for shape in network.seen} == {(80, 96)}
    np.testing.assert_allclose(maps["foreground"], sigmoid(image[..., 0]), atol=2e-6)


def test_bfloat16_is_near_float32():
    image = picture(80, 80)
    network = cast(Generator, Pointwise())
    maps = predict_maps(network, image, tile_size=64, overlap=0.25, precision="bfloat16")
    assert maps["foreground"].dtype == np.float32
    np.testing.assert_allclose(maps["foreground"], sigmoid(image[..., 0]), atol=1e-2)


def test_out_of_gpu_memory_says_what_to_set():
    class Full(Pointwise):
        def forward(self, image: Tensor) -> Tensor:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(AutosamError, match=r"64 × 64 pixels; set tiles\.size to less") as caught:
        maps_of(Full(), picture(10, 20))
    assert "\n" not in str(caught.value)


def test_batches_are_halved_where_the_gpus_memory_is_too_small():
    class Small(Pointwise):
        def forward(self, image: Tensor) -> Tensor:
            if len(image) > 2:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return super().forward(image)

    network, image = Small(), picture(32, 160)
    maps = maps_of(network, image, tile_size=32, overlap=0)
    assert [shape[0] for shape in network.seen] == [2, 2, 1]
    np.testing.assert_allclose(maps["foreground"], sigmoid(image[..., 0]), atol=2e-6)


class UpperLeft(Pointwise):
    """Foreground in the upper left quarter of a tile, whatever it shows."""

    def forward(self, image: Tensor) -> Tensor:
        logits = torch.full((image.shape[0], 2, *image.shape[2:]), -20.0)
        logits[:, 0, : image.shape[2] // 2, : image.shape[3] // 2] = 20.0
        return logits


def test_mirrored_tiles_are_averaged():
    image = picture(64, 64)
    maps = predict_maps(
        cast(Generator, UpperLeft()),
        image,
        tile_size=64,
        overlap=0,
        orientations=ORIENTATIONS[True],
        precision="float32",
    )
    np.testing.assert_allclose(maps["foreground"], 0.25, atol=1e-6)
    rotated = predict_maps(
        cast(Generator, UpperLeft()),
        image,
        tile_size=64,
        overlap=0,
        orientations=ORIENTATIONS["rotated"],
        precision="float32",
    )["foreground"]
    np.testing.assert_allclose(rotated, 0.5 * np.kron(np.eye(2), np.ones((32, 32))), atol=1e-6)
    plain = maps_of(Pointwise(), image)
    seen = Pointwise()
    mirrored = predict_maps(
        cast(Generator, seen), image, tile_size=64, overlap=0, orientations=ORIENTATIONS[True], precision="float32"
    )
    assert seen.seen == [(4, 3, 64, 64)]
    # What looks at single pixels sees the same in a mirror.
    np.testing.assert_allclose(mirrored["foreground"], plain["foreground"], atol=1e-6)


def test_affinities_have_a_direction():
    network = Pointwise()
    network.channels = ("affinity_row", "affinity_col")
    with pytest.raises(ConfigError, match="affinities have a direction"):
        predict_maps(
            cast(Generator, network),
            picture(8, 8),
            tile_size=64,
            overlap=0,
            orientations=ORIENTATIONS[True],
            precision="float32",
        )

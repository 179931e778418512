"""The statistics of training labeled images: which tiles they are of, and how they come into a model file."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from blobs import labeled_image, small_config
from numpy.typing import NDArray
from with_defaults import normalize, predict_maps

from autosam.config import Config
from autosam.data import LabeledImage
from autosam.errors import InputError
from autosam.images import to_uint8
from autosam.models.files.checkpoint import ModelHeader, load_model, save_model
from autosam.models.files.model_file import load_networks, network_tensors
from autosam.models.generator.unet import Generator
from autosam.models.networks import Networks, build_networks
from autosam.models.statistics.novelty import TILES_OF_A_KIND, NoveltyStatistics, describe_tiles
from autosam.models.variants import parameter_device
from autosam.pipeline.segmenter import Segmenter
from autosam.training.fit import fit_novelty as statistics
from autosam.training.fit.fit_novelty import add_statistics, complete_statistics, describe, measure_statistics

WITHOUT_SAM = ("model.sam=null", "decode.sam=false", "tiles.size=32")
WITH_SAMS_ENCODER = (
    "model.sam.prompt_encoder=none",
    "model.sam.mask_decoder=none",
    "model.generator.encoder=sam",
    "model.generator.depth=4",
    "model.generator.decoder_channels=[16, 8, 8, 8]",
    "decode.sam=false",
)


def make(*overrides: str) -> tuple[Networks, Config]:
    config = small_config(*overrides)
    networks = build_networks(config.model)
    for network in networks.parts:
        network.eval()
    return networks, config


def labeled_images(count: int = 4) -> list[LabeledImage]:
    return [labeled_image(seed) for seed in range(count)]


def measured(*overrides: str, given: list[LabeledImage] | None = None) -> NoveltyStatistics:
    statistics = measure_statistics(*make(*WITHOUT_SAM, *overrides), labeled_images() if given is None else given)
    assert statistics is not None
    return statistics


def seen_tiles(
    monkeypatch: pytest.MonkeyPatch, *overrides: str, given: list[LabeledImage]
) -> list[NDArray[np.float32]]:
    """Give the tiles that are described."""
    tiles: list[NDArray[np.float32]] = []

    def look(generator: Generator, given: Iterable[NDArray[np.float32]], **how: Any) -> NDArray[np.float32]:
        own = list(given)
        tiles.extend(own)
        return describe(generator, own, **how)

    with monkeypatch.context() as patch:
        patch.setattr(statistics, "describe", look)
        measure_statistics(*make(*WITHOUT_SAM, *overrides), given)
    return tiles


def test_sources_have_equal_shares_and_kinds_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "TILES", 80)
    first = [replace(item, source="a", image=item.image // 4) for item in labeled_images(5)]
    second = [replace(item, source="b", image=255 - item.image // 4) for item in labeled_images(2)]
    tiles = seen_tiles(monkeypatch, given=[*second, *first])
    dark = np.array([tile.mean() < 0.5 for tile in tiles])
    assert len(tiles) == 80
    assert dark.sum() == 40
    # Source by source, in order of their names.
    assert not np.diff(dark.astype(int)).clip(min=0).any()
    kinds = measured(given=[*second, *first]).means
    assert len(kinds) == 2 * (40 // TILES_OF_A_KIND)


@pytest.mark.parametrize(
    ("side", "scenes_there", "overrides", "count"),
    [
        (64, 1, (), 64),
        (64, 1, ("images.zoom=0.5",), 16),
        (64, 1, ("images.zoom=2",), 256),
        (32, 1, (), 16),
        # Each fills a tile, as it is mirrored.
        (16, 10, (), 160),
    ],
)
def test_images_give_sixteen_tiles_for_each_tiles_area(
    monkeypatch: pytest.MonkeyPatch, side: int, scenes_there: int, overrides: tuple[str, ...], count: int
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (scenes_there, side, side, 3)).astype(np.uint8)
    given = [
        LabeledImage(f"s/{at}", "s", image, np.ones((side, side), np.int32)) for at, image in enumerate(images)
    ]
    tiles = seen_tiles(monkeypatch, *overrides, given=given)
    # Of a labeled image that is no larger than a tile there are not always so many different ones.
    assert 0.9 * count <= len(tiles) <= count


def test_tiles_of_a_single_pixel() -> None:
    networks, config = make(*WITHOUT_SAM, "tiles.size=1")
    measure_statistics(networks, config, labeled_images())


def test_tiles_are_parts_of_the_images_turned_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    coded = np.arange(40 * 48, dtype=np.uint32).reshape(40, 48)
    image = np.stack([coded // 256, coded % 256, np.zeros_like(coded)], axis=-1).astype(np.uint8)
    tiles = seen_tiles(monkeypatch, given=[LabeledImage("s/a", "s", image, np.ones((40, 48), np.int32))])
    steps = set()
    for tile in tiles:
        assert tile.shape in {(32, 32, 3), (16, 16, 3)}
        codes = (np.rint(tile * 255).astype(int) * [256, 1, 0]).sum(axis=-1)
        down, right = np.unique(np.diff(codes, axis=0)), np.unique(np.diff(codes, axis=1))
        assert len(down) == len(right) == 1
        steps.add((int(down[0]), int(right[0])))
    assert steps == {(a, b) for s in (1, -1) for t in (48, -48) for a, b in ((s, t), (t, s))}
    # Two of five are small, as images can be, or more where there are not so many different large ones.
    assert 0.25 < np.mean([len(tile) == 16 for tile in tiles]) < 0.65


def test_tiles_are_seen_at_the_scale_of_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, 1::2] = 255
    given = [LabeledImage(f"s/{name}", "s", image, np.ones((40, 40), np.int32)) for name in "abc"]
    fine = seen_tiles(monkeypatch, given=given)
    coarse = seen_tiles(monkeypatch, "images.zoom=0.5", given=given)
    assert min(tile.std() for tile in fine) > 0.45
    assert max(tile.std() for tile in coarse) < 0.2
    # 20 × 20 pixels do not fill a tile: mirrored at their border, as in segmentation.
    assert {tile.shape for tile in coarse} == {(32, 32, 3), (16, 16, 3)}


def test_what_the_generator_sees_smaller_is_cut_at_its_own_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    stripes = np.zeros((80, 80, 3), np.uint8)
    stripes[:, 1::2] = 255
    given = [LabeledImage(f"s/{name}", "s", stripes, np.ones((80, 80), np.int32)) for name in "abc"]
    own = ("images.zoom=2", "model.generator.downsample=2", "tiles.size=64")
    tiles = seen_tiles(monkeypatch, *own, given=given)
    # Half of 64 pixels at the scale of SAM, and not blurred by twice the size and back.
    assert {tile.shape for tile in tiles} == {(32, 32, 3), (16, 16, 3)}
    assert min(tile.std() for tile in tiles) > 0.45


def test_the_same_seed_gives_the_same_statistics_and_moves_nothing() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one, other, third = measured(), measured(), measured("seed=5")
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
    assert not np.array_equal(one.means, third.means)


def test_training_images_are_known_and_noise_is_not() -> None:
    networks, config = make(*WITHOUT_SAM)
    given = [replace(item, image=to_uint8(normalize(item.image, low=0.5, high=99.5))) for item in labeled_images()]
    statistics = measure_statistics(networks, config, given)
    segmenter = Segmenter(replace(networks, statistics=statistics), config)
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 1)).astype(np.uint8).repeat(3, axis=2)
    known, unknown = segmenter.segment(labeled_image(9).image), segmenter.segment(noise)
    assert known.novelty is not None
    assert unknown.novelty is not None
    assert known.novelty < 1 < unknown.novelty
    assert (known.out_of_distribution, unknown.out_of_distribution) == (False, True)


def test_sams_encoder_as_the_generator() -> None:
    networks, config = make(*WITH_SAMS_ENCODER)
    statistics = measure_statistics(networks, config, labeled_images())
    assert statistics is not None
    assert networks.generator is not None
    assert statistics.means.shape[1] == 2 * networks.generator.deepest_channels


def test_no_generator_no_image_and_images_without_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    networks, config = make("model.generator=null", "prompts.method=user")
    assert measure_statistics(networks, config, labeled_images()) is None
    networks, config = make(*WITHOUT_SAM)
    assert measure_statistics(networks, config, []) is None
    # A network tells small blank tiles from large ones.
    monkeypatch.setattr(statistics, "SMALL", 0)
    blank = LabeledImage("s/a", "s", np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.int32))
    assert measure_statistics(networks, config, [blank]) is None


# As in segmentation


@pytest.mark.parametrize(
    "overrides",
    [
        WITHOUT_SAM,
        (*WITHOUT_SAM, "model.generator.downsample=2"),
        WITH_SAMS_ENCODER,
    ],
    ids=["unet", "downsample", "sam"],
)
def test_tiles_are_described_as_in_segmentation(
    monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    generator = make(*overrides)[0].generator
    assert generator is not None
    # Some do not fill a window, one needs several, and two windows are seen at a time.
    shapes = [(32, 32), (16, 16), (32, 32), (5, 9), (16, 16), (32, 70), (16, 16)]
    rng = np.random.default_rng(0)
    tiles = [rng.random((*shape, 3), dtype=np.float32) for shape in shapes]
    how: dict[str, Any] = {"tile_size": 32 * generator.downsample, "precision": "float32"}
    with describe_tiles(generator) as wanted:
        for tile in tiles:
            predict_maps(generator, tile, overlap=0.0, reduced=True, **how)
    monkeypatch.setattr(statistics, "BATCH_CPU", 2 * how["tile_size"] ** 2)
    found = describe(generator, tiles, **how)
    assert found.shape == (len(wanted), 2 * generator.deepest_channels)
    assert len(wanted) > len(tiles)
    np.testing.assert_allclose(found, np.stack(wanted), rtol=1e-4, atol=1e-5)


def test_no_layer_after_the_deepest_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    networks, config = make(*WITHOUT_SAM)
    assert isinstance(networks.generator, Generator)
    monkeypatch.setattr(networks.generator.unet, "decoder", None)
    assert measure_statistics(networks, config, labeled_images()) is not None


# Into a file


def write(path: Path, *overrides: str) -> Path:
    networks, config = make(*overrides)
    header = ModelHeader(
        settings=config.model_dump(mode="json", include={"images", "model", "tiles", "prompts", "decode"})
    )
    save_model(path, tensors=network_tensors(networks, config.model), metadata=header, half=True)
    return path


def test_a_model_file_gets_statistics_and_keeps_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", *WITHOUT_SAM)
    before, header = load_model(path)
    assert load_networks(path)[0].statistics is None
    added = add_statistics(path, labeled_images(), seed=3)
    after, header_after = load_model(path)
    assert header_after == header
    assert {name for name in after if name not in before} == {
        f"statistics.{name}" for name in ("means", "components", "variances", "rest", "limit")
    }
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    loaded = load_networks(path)[0].statistics
    assert loaded is not None
    for name, tensor in added.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name
    content = path.read_bytes()
    add_statistics(path, labeled_images(), seed=3)
    assert path.read_bytes() == content
    add_statistics(path, labeled_images(2), seed=3)
    assert path.read_bytes() != content


def test_a_model_without_a_generator_gets_none(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", "model.generator=null", "prompts.method=user")
    content = path.read_bytes()
    with pytest.raises(InputError, match=r"4 training images give no statistics .*its generator") as error:
        add_statistics(path, labeled_images())
    assert "\n" not in str(error.value)
    assert path.read_bytes() == content


def test_a_finished_run_completes_its_model_once(tmp_path: Path) -> None:
    path = write(tmp_path / "m.safetensors")
    complete_statistics(path, labeled_images(), seed=0)
    loaded, _ = load_networks(path)
    assert loaded.statistics is not None
    written = path.read_bytes()
    complete_statistics(path, labeled_images(2), seed=5)
    assert path.read_bytes() == written
    # Without statistics to be had, the file stays as it is.
    alone = write(tmp_path / "n.safetensors", "model.generator=null", "prompts.method=user")
    before = alone.read_bytes()
    complete_statistics(alone, labeled_images(), seed=0)
    assert alone.read_bytes() == before


def test_tiles_are_described_on_the_device_of_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def look(networks: Networks, *_: object) -> None:
        assert networks.generator is not None
        seen.append(parameter_device(networks.generator).type)

    monkeypatch.setattr(statistics, "measure_statistics", look)
    path = write(tmp_path / "m.safetensors")
    complete_statistics(path, labeled_images(), seed=0)
    complete_statistics(path, labeled_images(), seed=0, device=torch.device("meta"))
    assert seen == ["cpu", "meta"]

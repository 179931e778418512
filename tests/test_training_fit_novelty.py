"""The statistics of training labeled images: which tiles they are of, and how they come into a model file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from blobs import labeled_image, small_config
from numpy.typing import NDArray
from with_defaults import normalize

from autosam.config import Config
from autosam.data import LabeledImage
from autosam.errors import InputError
from autosam.images import to_uint8
from autosam.models.files.checkpoint import ModelHeader, load_model, save_model
from autosam.models.files.model_file import load_networks, network_tensors
from autosam.models.networks import Networks, build_networks
from autosam.models.statistics.novelty import NoveltyStatistics
from autosam.models.variants import parameter_device
from autosam.pipeline.probability_maps import MapSettings
from autosam.pipeline.segmenter import Segmenter
from autosam.pipeline.view import View
from autosam.training.fit import fit_novelty as statistics
from autosam.training.fit.fit_novelty import add_statistics, complete_statistics, measure_statistics
from autosam.training.fit.kinds import Described

NAMES = (
    "means",
    "components",
    "variances",
    "rest",
    "limit",
    "growth",
    "uncertain_rate",
    "uncertain_growth",
)
WITHOUT_SAM = ("model.sam=null", "decode.sam=false", "tiles.size=32")
WITH_SAMS_ENCODER = (
    "model.sam.prompt_encoder=none",
    "model.sam.mask_decoder=none",
    "model.generator.encoder=sam",
    "model.generator.depth=4",
    "model.generator.decoder_channels=[16, 8, 8, 8]",
    "decode.sam=false",
)


@pytest.fixture
def _few_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "WINDOWS", 24)


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


def seen_windows(
    monkeypatch: pytest.MonkeyPatch, *overrides: str, given: list[LabeledImage]
) -> list[NDArray[np.uint8]]:
    """Give the windows that are described."""
    windows: list[NDArray[np.uint8]] = []

    def look(
        segmenter: Segmenter, image: NDArray[np.uint8], settings: MapSettings, *, zoom: float | None
    ) -> Described | None:
        windows.append(image)
        return Described(np.zeros((1, 4), np.float32), 0.0, 1.0)

    with monkeypatch.context() as patch:
        patch.setattr(statistics, "describe", look)
        measure_statistics(*make(*WITHOUT_SAM, *overrides), given)
    return windows


def test_sources_have_equal_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "WINDOWS", 80)
    first = [replace(item, source="a", image=item.image // 4) for item in labeled_images(5)]
    second = [replace(item, source="b", image=255 - item.image // 4) for item in labeled_images(2)]
    windows = seen_windows(monkeypatch, given=[*second, *first])
    dark = np.array([window.mean() < 128 for window in windows])
    assert len(windows) == 80
    assert dark.sum() == 40
    # Source by source, in order of their names.
    assert not np.diff(dark.astype(int)).clip(min=0).any()


@pytest.mark.parametrize(
    ("side", "images_there", "overrides", "count"),
    [
        (64, 1, (), 64),
        (64, 1, ("images.zoom=0.5",), 16),
        # The most of a source; there would be 256.
        (64, 1, ("images.zoom=2",), 200),
        (32, 1, (), 16),
        # Each fills a tile, as it is mirrored.
        (16, 10, (), 160),
    ],
)
def test_images_give_sixteen_windows_for_each_tiles_area(
    monkeypatch: pytest.MonkeyPatch, side: int, images_there: int, overrides: tuple[str, ...], count: int
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (images_there, side, side, 3)).astype(np.uint8)
    given = [
        LabeledImage(f"s/{at}", "s", image, np.ones((side, side), np.int32)) for at, image in enumerate(images)
    ]
    windows = seen_windows(monkeypatch, *overrides, given=given)
    # Of a labeled image that is no larger than a tile there are not always so many different ones.
    assert (0.4 if side < 32 else 0.9) * count <= len(windows) <= count


def test_windows_of_a_single_pixel() -> None:
    networks, config = make(*WITHOUT_SAM, "tiles.size=1")
    measure_statistics(networks, config, labeled_images())


def test_windows_are_parts_of_the_images_turned_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    coded = np.arange(100 * 120, dtype=np.uint32).reshape(100, 120)
    image = np.stack([coded // 256, coded % 256, np.zeros_like(coded)], axis=-1).astype(np.uint8)
    windows = seen_windows(monkeypatch, given=[LabeledImage("s/a", "s", image, np.ones((100, 120), np.int32))])
    steps, sides = set(), []
    for window in windows:
        assert window.shape[0] == window.shape[1]
        sides.append(len(window))
        codes = (window.astype(int) * [256, 1, 0]).sum(axis=-1)
        down, right = np.unique(np.diff(codes, axis=0)), np.unique(np.diff(codes, axis=1))
        assert len(down) == len(right) == 1
        steps.add((int(down[0]), int(right[0])))
    assert steps == {(a, b) for s in (1, -1) for t in (120, -120) for a, b in ((s, t), (t, s))}
    # From 7/16 of a tile's side of 32 pixels to one and a half, as many of each ratio.
    assert 14 <= min(sides) < 16
    assert 45 < max(sides) <= 48
    assert 0.5 < np.mean(np.array(sides) < 32) < 0.85


def test_windows_are_no_larger_than_their_image(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 90, 3)).astype(np.uint8)
    windows = seen_windows(monkeypatch, given=[LabeledImage("s/a", "s", image, np.ones((20, 90), np.int32))])
    shapes = {tuple(sorted(window.shape[:2])) for window in windows}
    assert max(shorter for shorter, _ in shapes) == 20
    assert max(longer for _, longer in shapes) > 40


def test_windows_have_the_size_that_fills_a_tile_at_the_zoom_of_the_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = labeled_images()
    at_zoom = {zoom: seen_windows(monkeypatch, f"images.zoom={zoom}", given=given) for zoom in (1, 0.5)}
    largest = {zoom: max(len(window) for window in windows) for zoom, windows in at_zoom.items()}
    assert 44 < largest[1] <= 48
    assert 88 < largest[0.5] <= 96


def test_an_image_of_known_zoom_gives_windows_that_fill_a_tile_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """At half the size, windows are twice as large, and the image holds a quarter of the tiles."""
    item = labeled_image(0)
    windows = {zoom: seen_windows(monkeypatch, given=[replace(item, zoom=zoom)]) for zoom in (None, 1.0, 0.5)}
    assert len(windows[None]) == len(windows[1.0]) == 144
    assert len(windows[0.5]) == 36
    assert 44 < max(map(len, windows[1.0])) <= 48
    assert 88 < max(map(len, windows[0.5])) <= 96


@pytest.mark.usefixtures("_few_windows")
def test_windows_are_seen_at_the_zoom_of_their_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has the zoom of its own image, and that of an unknown one is found."""
    seen = []
    view = Segmenter.view

    def look(segmenter: Segmenter, image: NDArray[np.uint8], zoom: float | None = None) -> View:
        found = view(segmenter, image, zoom)
        seen.append((bool(image.mean() < 128), zoom, found.zoom))
        return found

    monkeypatch.setattr(Segmenter, "view", look)
    dark, bright = (labeled_image(seed) for seed in range(2))
    given = [
        replace(dark, image=dark.image // 4, zoom=0.5),
        replace(bright, image=255 - bright.image // 4),
    ]
    measure_statistics(*make(*WITHOUT_SAM), given)
    assert len(seen) == 24
    assert set(seen) == {(True, 0.5, 0.5), (False, None, 1.0)}


@pytest.mark.usefixtures("_few_windows")
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


@pytest.mark.usefixtures("_few_windows")
def test_sams_encoder_as_the_generator() -> None:
    networks, config = make(*WITH_SAMS_ENCODER)
    statistics = measure_statistics(networks, config, labeled_images())
    assert statistics is not None
    assert networks.generator is not None
    assert statistics.means.shape[1] == 2 * networks.generator.deepest_channels


def test_no_generator_no_image_and_images_without_difference() -> None:
    networks, config = make("model.generator=null", "prompts.method=user")
    assert measure_statistics(networks, config, labeled_images()) is None
    networks, config = make(*WITHOUT_SAM)
    assert measure_statistics(networks, config, []) is None
    blank = LabeledImage("s/a", "s", np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.int32))
    assert measure_statistics(networks, config, [blank]) is None


# As in segmentation


@pytest.mark.usefixtures("_few_windows")
@pytest.mark.parametrize(
    "overrides",
    [
        WITHOUT_SAM,
        (*WITHOUT_SAM, "model.generator.downsample=2"),
        WITH_SAMS_ENCODER,
    ],
    ids=["unet", "downsample", "sam"],
)
def test_windows_are_described_as_in_segmentation(overrides: tuple[str, ...]) -> None:
    """What a window is described by gives the novelty of an image of the same pixels, to the last bit."""
    networks, config = make(*overrides)
    known = measure_statistics(networks, config, labeled_images())
    assert known is not None
    size = config.tiles.size or networks.tile_size
    settings = MapSettings.of(config, tile_size=size, combine="avg")._replace(flips=False)
    for item in labeled_images(3):
        window = item.image[8:48, 5:70]
        described = statistics.describe(Segmenter(networks, config), window, settings)
        assert described is not None
        tiles, uncertain, area = described
        wanted = known.novelty(tiles, uncertain=uncertain, area=area)
        found = Segmenter(replace(networks, statistics=known), config).segment(window)
        assert found.novelty == wanted


def test_a_constant_window_is_not_described() -> None:
    networks, config = make(*WITHOUT_SAM)
    settings = MapSettings.of(config, tile_size=32, combine="avg")
    assert statistics.describe(Segmenter(networks, config), np.full((40, 40), 7, np.uint8), settings) is None


# Into a file


def write(path: Path, *overrides: str) -> Path:
    networks, config = make(*overrides)
    header = ModelHeader(
        settings=config.model_dump(mode="json", include={"images", "model", "tiles", "prompts", "decode"})
    )
    save_model(path, tensors=network_tensors(networks, config.model), metadata=header, half=True)
    return path


@pytest.mark.usefixtures("_few_windows")
def test_a_model_file_gets_statistics_and_keeps_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", *WITHOUT_SAM)
    before, header = load_model(path)
    assert load_networks(path)[0].statistics is None
    added = add_statistics(path, labeled_images(), seed=3)
    after, header_after = load_model(path)
    assert header_after == header
    assert {name for name in after if name not in before} == {f"statistics.{name}" for name in NAMES}
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    loaded = load_networks(path)[0].statistics
    assert loaded is not None
    for name, tensor in added.state_dict().items():
        stored = loaded.state_dict()[name]
        rounded = tensor.ndim == 2 and tensor.numel() >= 1024
        assert torch.equal(stored, tensor.half().float() if rounded else tensor), name
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


@pytest.mark.usefixtures("_few_windows")
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


def test_windows_are_described_on_the_device_of_the_training(
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

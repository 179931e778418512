"""The way of one image, from pixels to labeled instances."""

from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_networks import BrightPixels, build_small_sam, draw_ellipses, use_component_sam
from numpy.typing import NDArray
from torch import nn

from autosam import Segmentation, Segmenter, read_image
from autosam.config import Config, make_config
from autosam.errors import ConfigError, InputError
from autosam.metrics import contingency_table, match_objects
from autosam.models.generator.unet import Generator
from autosam.models.networks import Networks
from autosam.prompts import Prompt

EXAMPLES = Path(__file__).parents[1] / "examples"
ONE = np.ones(1, dtype=np.int64)


@pytest.fixture(scope="module")
def sam():
    return build_small_sam()


def settings(**sections: dict[str, Any]) -> Config:
    """Keep the defaults, but one number format on every machine, and no mask dropped for its score."""
    values: dict[str, dict[str, Any]] = {"decode": {"precision": "float32"}, "merge": {"min_score": 0.0}}
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section
    return make_config(values)


def small_generator(*channels: str) -> Generator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Generator(
            encoder="resnet18",
            channels=channels or ("foreground", "boundary"),
            depth=3,
            decoder_channels=(16, 8, 8),
        ).eval()


def silent(generator: Generator) -> Generator:
    """Let a generator answer with probability 0 everywhere."""
    head = generator.unet.segmentation_head[0]
    nn.init.zeros_(head.weight)
    nn.init.constant_(head.bias, -20.0)
    return generator


def segmenter(sam, generator: nn.Module, **sections: dict[str, Any]) -> Segmenter:
    return Segmenter(Networks(sam, generator), settings(**sections))  # type: ignore[arg-type]


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


SPOTS, SPOT_LABELS = draw_ellipses((100, 150), [(20, 30, 9, 12), (50, 100, 14, 10), (80, 40, 8, 16)])


def check(result: Segmentation, shape: tuple[int, int]) -> None:
    """Hold a result against everything that `Segmentation` promises."""
    count = int(result.labels.max(initial=0))
    assert result.labels.shape == shape
    assert result.labels.dtype == np.int32
    assert set(np.unique(result.labels)) - {0} == set(range(1, count + 1))
    firsts = [np.flatnonzero(result.labels == number)[0] for number in range(1, count + 1)]
    assert firsts == sorted(firsts)
    assert result.scores.shape == (count,)
    assert result.scores.dtype == np.float64
    assert ((result.scores >= 0) & (result.scores <= 1)).all()
    assert result.prompt_of.shape == (count,)
    assert result.prompt_of.dtype == np.int64
    assert ((result.prompt_of >= -1) & (result.prompt_of < len(result.prompts))).all()
    assert result.regions.shape == shape
    assert result.regions.dtype == np.int32
    for values in result.maps.values():
        assert values.shape == shape
        assert values.dtype == np.float32


def same_bytes(one: Segmentation, other: Segmentation) -> bool:
    names = [f.name for f in fields(Segmentation) if f.name not in ("prompts", "maps", "zoom")]
    return (
        all(np.asarray(getattr(one, n)).tobytes() == np.asarray(getattr(other, n)).tobytes() for n in names)
        and all(one.maps[name].tobytes() == other.maps[name].tobytes() for name in one.maps)
        and len(one.prompts) == len(other.prompts)
    )


SHAPES = [(1, 1), (1, 70), (10, 600), (100, 130), (64, 64), (64, 64, 3), (45, 150, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_any_size_gray_or_rgb(sam, shape):
    result = segmenter(sam, small_generator()).segment(noise(*shape))
    check(result, shape[:2])
    # A single pixel is a constant image, of which the generator is not asked.
    assert list(result.maps) == ([] if shape == (1, 1) else ["foreground", "boundary"])
    assert result.picture.shape == (*shape[:2], 3)


@pytest.mark.parametrize("colors", [(), (3,)])
def test_any_size_from_one_pixel(sam, colors):
    subject = segmenter(sam, small_generator())
    for shape in [*product(range(1, 10), range(1, 10)), (256, 3), (3, 256)]:
        check(subject.segment(noise(*shape, *colors)), shape)


@pytest.mark.parametrize("shape", [(10, 3000), (3000, 10)])
def test_a_long_strip(sam, shape):
    image = np.full(shape, 20, dtype=np.uint8)
    long = np.s_[2:8, 1400:1500] if shape[0] == 10 else np.s_[1400:1500, 2:8]
    image[long] = 200
    result = segmenter(sam, BrightPixels()).segment(image)
    check(result, shape)
    assert result.regions.max() == 1
    assert (result.regions[long] == 1).all()
    assert np.count_nonzero(result.regions) == 600


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_intensities_of_any_type_give_the_same(sam, dtype):
    subject = segmenter(sam, BrightPixels())
    zoomed = (SPOTS.astype(np.float64) / 255 * (1 if np.dtype(dtype).kind == "f" else 255)).astype(dtype)
    expected, result = subject.segment(SPOTS), subject.segment(zoomed)
    assert expected.regions.max() == 3
    np.testing.assert_array_equal(result.regions, expected.regions)
    np.testing.assert_array_equal(result.labels, expected.labels)


def test_gray_is_rgb_with_three_equal_channels(sam):
    subject = segmenter(sam, BrightPixels())
    assert same_bytes(subject.segment(SPOTS), subject.segment(np.stack([SPOTS] * 3, axis=2)))


def test_the_input_is_left_as_it_was(sam):
    for image in (SPOTS.copy(), SPOTS.astype(np.float32), np.stack([SPOTS] * 3, axis=2)):
        before = image.copy()
        segmenter(sam, BrightPixels()).segment(image)
        np.testing.assert_array_equal(image, before)


def test_the_same_input_gives_the_same_bytes(sam):
    image = noise(100, 150)
    subject = segmenter(sam, small_generator(), prompts={"foreground": 0.45, "min_size": 60})
    first = subject.segment(image)
    assert len(first.prompts) > 0
    assert same_bytes(first, subject.segment(image.copy()))
    again = segmenter(build_small_sam(), small_generator(), prompts={"foreground": 0.45, "min_size": 60})
    assert same_bytes(first, again.segment(image))


@pytest.mark.parametrize("shape", [(1, 1), (70, 90), (70, 90, 3)])
@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_blank_image_holds_nothing(sam, shape, value):
    # The random generator does see objects in it, and is not believed.
    result = segmenter(sam, small_generator()).segment(np.full(shape, value, dtype=np.uint8))
    check(result, shape[:2])
    assert not result.labels.any()
    assert not result.regions.any()
    assert result.prompts == []
    assert result.scores.shape == (0,)
    assert result.prompt_of.shape == (0,)


def test_nothing_found_is_the_same_shape_whatever_is_asked(sam):
    image = noise(30, 40)
    for decode in ({}, {"sam": False}):
        check(segmenter(sam, silent(small_generator()), decode=decode).segment(image), (30, 40))
    manual = segmenter(sam, small_generator(), prompts={"method": "user"}).segment(image, prompts=[])
    check(manual, (30, 40))
    assert not manual.labels.any()


def test_a_silent_generator_asks_sam_nothing(sam, monkeypatch):
    fake = use_component_sam(monkeypatch)
    segmenter(sam, silent(small_generator())).segment(noise(100, 150))
    assert fake.windows == []


def test_every_object_once_with_the_prompt_that_it_answers(sam, monkeypatch):
    use_component_sam(monkeypatch)
    result = segmenter(sam, BrightPixels()).segment(SPOTS)
    check(result, SPOTS.shape)
    np.testing.assert_array_equal(result.labels, SPOT_LABELS)
    np.testing.assert_array_equal(result.regions, SPOT_LABELS)
    assert result.prompt_of.tolist() == [0, 1, 2]
    for number, index in enumerate(result.prompt_of, start=1):
        (row, col) = result.prompts[index].points[0].astype(int)
        assert result.labels[row, col] == number
    # The fake SAM is sure and its masks are stable; what is left is the generator's probability, nearly 1.
    assert (result.scores > 0.99).all()


def test_without_sam_the_regions_are_the_result(sam):
    result = segmenter(sam, BrightPixels(), decode={"sam": False}).segment(SPOTS)
    check(result, SPOTS.shape)
    np.testing.assert_array_equal(result.labels, SPOT_LABELS)
    assert result.prompt_of.tolist() == [-1, -1, -1]
    assert result.scores.tolist() == [prompt.foreground for prompt in result.prompts]


def test_sam_that_is_prompted_alone_leaves_the_regions_as_they_are(sam, monkeypatch):
    fake = use_component_sam(monkeypatch)
    alone = segmenter(sam, BrightPixels(), decode={"sam": False}).segment(SPOTS)
    result = segmenter(sam, BrightPixels(), decode={"sam": "prompted"}).segment(SPOTS)
    assert fake.windows == []
    assert same_bytes(result, alone)


def test_sam_answers_user_prompts_beside_the_regions(sam, monkeypatch):
    fake = use_component_sam(monkeypatch)
    subject = segmenter(sam, BrightPixels(), decode={"sam": "prompted"})
    automatic = subject.segment(SPOTS)
    row, col = automatic.prompts[1].points[0]
    result = subject.segment(SPOTS, prompts=[Prompt(np.array([[row, col]]), ONE)])
    assert fake.windows
    np.testing.assert_array_equal(result.labels, SPOT_LABELS)
    # The prompt of the same object has made way: two are predicted, and the third one is the user's.
    assert result.prompt_of.tolist() == [-1, 2, -1]
    assert result.scores[[0, 2]].tolist() == automatic.scores[[0, 2]].tolist()


@pytest.mark.parametrize("method", ["grid", "user"])
def test_sam_that_is_prompted_alone_answers_a_grid_and_user_prompts(sam, monkeypatch, method):
    use_component_sam(monkeypatch)
    asked = [Prompt(np.argwhere(SPOT_LABELS == 2)[:1].astype(np.float64), ONE)] if method == "user" else None
    prompts = {"method": method, "grid": 16}
    results = [
        segmenter(sam, small_generator(), prompts=prompts, decode={"sam": way}).segment(SPOTS, prompts=asked)
        for way in (True, "prompted")
    ]
    assert len(results[0].scores) >= 1
    assert same_bytes(*results)


@pytest.mark.parametrize("method", ["grid", "user"])
def test_without_sam_there_must_be_a_generator(sam, method):
    with pytest.raises(ConfigError, match=rf"decode\.sam=false .* prompts\.method={method}"):
        segmenter(sam, BrightPixels(), decode={"sam": False}, prompts={"method": method})


def test_what_sam_rejects_the_generator_keeps(sam):
    # No random mask scores 1, so that all are dropped and the regions are left.
    subject = segmenter(sam, BrightPixels(), merge={"min_score": 1.0, "fallback": 0.5})
    result = subject.segment(SPOTS)
    check(result, SPOTS.shape)
    np.testing.assert_array_equal(result.labels, SPOT_LABELS)
    assert result.prompt_of.tolist() == [-1, -1, -1]
    nothing = segmenter(sam, BrightPixels(), merge={"min_score": 1.0, "fallback": 1.0}).segment(SPOTS)
    assert not nothing.labels.any()
    assert nothing.regions.max() == 3


@pytest.mark.parametrize("channel", ["foreground", "boundary"])
def test_one_channel_is_enough(sam, monkeypatch, channel):
    use_component_sam(monkeypatch)
    generator = BrightPixels(channel)
    if channel == "boundary":
        # A boundary map is bright between dark regions: rings here, one pixel thick and more.
        ring, inner = draw_ellipses((100, 150), [(50, 70, 30, 40)]), draw_ellipses((100, 150), [(50, 70, 24, 34)])
        image = ring[0] - inner[0] + 30
        generator.channels = ("boundary",)
        monkeypatch.setattr(BrightPixels, "forward", lambda self, pixels: (pixels[:, :1] - 0.5) * 40)
    else:
        image = SPOTS
    result = segmenter(sam, generator).segment(image)
    check(result, (100, 150))
    assert list(result.maps) == [channel]
    if channel == "foreground":
        np.testing.assert_array_equal(result.labels, SPOT_LABELS)
        assert all(prompt.mask is not None for prompt in result.prompts)
    else:
        (prompt,) = result.prompts
        assert prompt.mask is None
        assert prompt.box is not None
        assert result.regions[50, 70] == 1
        assert result.regions[0, 0] == 0
        assert np.count_nonzero(inner[1] & (result.regions == 0)) == 0


@pytest.mark.parametrize("channels", [("foreground",), ("boundary",), ("boundary", "foreground")])
@pytest.mark.parametrize("method", ["centroid", "distance"])
def test_real_generators_of_any_channels_run(sam, channels, method):
    subject = segmenter(sam, small_generator(*channels), prompts={"method": method, "points": 3, "negatives": 2})
    result = subject.segment(noise(70, 90))
    check(result, (70, 90))
    assert list(result.maps) == list(channels)


def test_the_grid_needs_no_generator(sam, monkeypatch):
    use_component_sam(monkeypatch)
    result = segmenter(sam, silent(small_generator()), prompts={"method": "grid", "grid": 12}).segment(SPOTS)
    check(result, SPOTS.shape)
    assert len(result.prompts) == 144
    assert result.maps == {}
    assert not result.regions.any()
    np.testing.assert_array_equal(result.labels, SPOT_LABELS)


@pytest.mark.parametrize("shape", [(1, 1), (40, 64), (64, 20), (130, 70)])
def test_the_grid_runs_with_a_real_sam(sam, shape):
    check(segmenter(sam, small_generator(), prompts={"method": "grid", "grid": 5}).segment(noise(*shape)), shape)


def test_manual_prompts_find_just_their_objects(sam, monkeypatch):
    use_component_sam(monkeypatch)
    subject = segmenter(sam, small_generator(), prompts={"method": "user"})
    box = Prompt(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), box=np.array([70.0, 20, 90, 60]))
    point = Prompt(np.array([[20.0, 30.0]]), ONE)
    result = subject.segment(SPOTS, prompts=[box, point])
    check(result, SPOTS.shape)
    np.testing.assert_array_equal(result.labels > 0, (SPOT_LABELS == 1) | (SPOT_LABELS == 3))
    assert result.labels[20, 30] == 1
    assert result.prompt_of.tolist() == [1, 0]
    assert result.prompts == [box, point]
    assert result.maps == {}


def test_manual_without_prompts_is_refused(sam):
    subject = segmenter(sam, small_generator(), prompts={"method": "user"})
    with pytest.raises(InputError, match=r"without prompts; give a table with --prompts"):
        subject.segment(SPOTS)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        pytest.param(Prompt(np.zeros((0, 2)), np.zeros(0, dtype=np.int64)), "is empty", id="empty"),
        pytest.param(Prompt(np.array([[100.0, 20.0]]), ONE), r"outside the image of 100 × 150", id="below"),
        pytest.param(Prompt(np.array([[20.0, 150.0]]), ONE), "outside", id="right"),
        pytest.param(Prompt(np.array([[-1.0, 20.0]]), ONE), "outside", id="above"),
        pytest.param(Prompt(np.array([[np.nan, 20.0]]), ONE), "outside", id="no number"),
        pytest.param(
            Prompt(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), box=np.array([5.0, 5, 40, 160])),
            "outside",
            id="box",
        ),
        pytest.param(
            Prompt(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), box=np.array([40.0, 5, 30, 60])),
            "first row, first column, last row",
            id="box that ends before it begins",
        ),
    ],
)
def test_a_prompt_that_cannot_be_asked_is_named(sam, prompt, message):
    subject = segmenter(sam, small_generator(), prompts={"method": "user"})
    with pytest.raises(InputError, match=message) as caught:
        subject.segment(SPOTS, prompts=[Prompt(np.array([[20.0, 30.0]]), ONE), prompt])
    assert "prompt 1" in str(caught.value)


def test_nan_is_refused_with_a_count_and_taken_for_background_on_request(sam, monkeypatch):
    use_component_sam(monkeypatch)
    image = SPOTS.astype(np.float32)
    image[0, :3] = np.nan
    image[5, 5] = np.inf
    with pytest.raises(InputError, match="4 of 15000 pixels are NaN or infinite"):
        segmenter(sam, BrightPixels()).segment(image)
    result = segmenter(sam, BrightPixels(), images={"non_finite": "background"}).segment(image)
    np.testing.assert_array_equal(result.labels, SPOT_LABELS)


@pytest.mark.parametrize("shape", [(0, 10), (10, 10, 2), (10, 10, 4), (5,), (2, 3, 4, 3)])
def test_images_of_other_shapes_are_refused(sam, shape):
    with pytest.raises(InputError, match="the image has shape"):
        segmenter(sam, BrightPixels()).segment(np.zeros(shape, dtype=np.uint8))


def test_progress_ends_with_everything_done(sam, monkeypatch):
    use_component_sam(monkeypatch)
    calls: list[tuple[int, int]] = []
    segmenter(sam, BrightPixels()).segment(SPOTS, progress=lambda done, total: calls.append((done, total)))
    assert calls
    assert calls[-1][0] == calls[-1][1]


def crowd() -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Draw 62 objects; with tiles of 64, some lie across borders and corners, and two are larger than a tile."""
    rng = np.random.default_rng(3)
    ellipses = [(100.0, 150.0, 45.0, 70.0), (250.0, 62.0, 40.0, 20.0)]
    while len(ellipses) < 62:
        high, wide = rng.uniform(5, 17, 2)
        row, col = rng.uniform(0, 300), rng.uniform(0, 420)
        if all(
            np.hypot(row - r, col - c) > np.hypot(high, wide) * 0.8 + np.hypot(h, w) * 0.8 + 2
            or abs(row - r) > high + h + 2
            or abs(col - c) > wide + w + 2
            for r, c, h, w in ellipses
        ):
            ellipses.append((row, col, high, wide))
    return draw_ellipses((300, 420), ellipses)


def shared_objects(one: NDArray[np.int32], other: NDArray[np.int32], threshold: float) -> int:
    """Count the objects that are in both, matched one to one."""
    return len(match_objects(contingency_table(one, other), threshold).iou)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
@pytest.mark.parametrize(
    "prompts",
    [
        pytest.param({}, id="box, point and mask"),
        pytest.param({"box": False, "mask": False}, id="points alone"),
        pytest.param({"points": 0, "mask": False}, id="boxes alone"),
        pytest.param({"method": "centroid", "negatives": 2, "points": 4}, id="negatives"),
    ],
)
@pytest.mark.parametrize("tile", [64, 100])
def test_no_seams(sam, monkeypatch, tile, overlap, prompts):
    """Whole or tiled, the same instances: none cut, doubled or lost at a seam."""
    fake = use_component_sam(monkeypatch)
    image, _ = crowd()
    results = {}
    for size in (420, tile):
        fake.windows.clear()
        subject = segmenter(sam, BrightPixels(), tiles={"size": size, "overlap": overlap}, prompts=prompts)
        results[size] = subject.segment(image)
        check(results[size], image.shape)
        assert len(fake.windows) == 1 if size == 420 else len(fake.windows) > 9
    whole, tiled = results[420].labels, results[tile].labels
    assert whole.max() == tiled.max() > 50
    assert shared_objects(whole, tiled, 0.9) == whole.max()
    np.testing.assert_array_equal(results[420].regions, results[tile].regions)
    assert (results[tile].prompt_of >= 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vnc_12.png", "vnc_13.png"])
def test_no_seams_with_the_bundled_model_on_a_real_image(name):
    """Whole or tiled, a real network sees other surroundings: nearly all objects must agree, not every one."""
    image = read_image(EXAMPLES / name)[:768, :768]
    whole, tiled = (
        Segmenter.from_model("mito", overrides=[f"tiles.size={size}"], device="cpu").segment(image).labels
        for size in (768, 512)
    )
    assert whole.max() >= 5
    assert tiled.max() >= 5
    assert shared_objects(whole, tiled, 0.5) >= 0.8 * max(whole.max(), tiled.max())

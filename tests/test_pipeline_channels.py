"""Several aligned channels of one scene, through networks that answer by rule, so that the objects are known."""

from itertools import permutations

import numpy as np
import pytest
import torch
from fake_networks import BrightPixels, build_small_sam, draw_ellipses, use_component_sam

from autosam import Segmenter
from autosam.config import make_config
from autosam.errors import InputError
from autosam.models.combine import combine_decoded, combine_maps
from autosam.models.networks import Networks
from autosam.models.sam.interface import Decoded
from autosam.prompts import Prompt

SHAPE = (60, 60)
PLACES = [(15, 15, 8, 9), (42, 40, 10, 8), (15, 45, 7, 7)]
BOTH, TRUTH = draw_ellipses(SHAPE, PLACES[:2])
FIRST, _ = draw_ellipses(SHAPE, PLACES[:1])
SECOND, _ = draw_ellipses(SHAPE, PLACES[1:2])
THIRD, _ = draw_ellipses(SHAPE, PLACES[2:])
ONE = np.ones(1, dtype=np.int64)


@pytest.fixture(scope="module")
def sam():
    return build_small_sam()


def segmenter(sam, combine="input", **sections) -> Segmenter:
    values = {"images": {"combine": combine}, "decode": {"precision": "float32"}, "merge": {"min_score": 0.0}}
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section
    return Segmenter(Networks(sam, BrightPixels()), make_config(values))  # type: ignore[arg-type]


def same(one, other) -> None:
    for name in ("labels", "scores", "prompt_of", "regions", "picture"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.maps.keys() == other.maps.keys()
    for name, values in one.maps.items():
        np.testing.assert_array_equal(values, other.maps[name], err_msg=name)


# What is found where


def test_max_finds_what_any_channel_shows(sam, monkeypatch):
    fake = use_component_sam(monkeypatch)
    result = segmenter(sam, "max").segment([FIRST, SECOND])
    np.testing.assert_array_equal(result.labels, TRUTH)
    assert len(result.prompts) == 2
    assert (result.prompt_of >= 0).all()
    # One window holds the image; each channel is encoded in it once.
    assert len(fake.windows) == 2


def test_avg_finds_what_most_channels_show(sam, monkeypatch):
    use_component_sam(monkeypatch)
    result = segmenter(sam, "avg").segment([BOTH, FIRST, FIRST])
    np.testing.assert_array_equal(result.labels, TRUTH == 1)
    assert result.maps["foreground"][TRUTH == 2] == pytest.approx(1 / 3, abs=1e-3)


@pytest.mark.parametrize("combine", ["avg", "max"])
def test_the_order_of_the_channels_does_not_matter(sam, combine):
    noise = np.random.default_rng(0).integers(0, 256, (3, 50, 70), dtype=np.uint8)
    channels = [np.maximum(noise[number], 200 * (np.arange(70) // 12 % 3 == number)) for number in range(3)]
    subject = segmenter(sam, combine, prompts={"foreground": 0.3})
    expected = subject.segment(channels)
    assert len(expected.prompts) > 0
    for order in permutations(channels):
        same(subject.segment(list(order)), expected)


# One image, one channel, equal channels


@pytest.mark.parametrize("combine", ["avg", "max"])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("scale", [1, 1.5])
def test_equal_channels_give_what_one_gives(sam, combine, count, scale):
    alone = segmenter(sam, "input", images={"zoom": scale}).segment(BOTH)
    assert len(alone.prompts) == 2
    same(segmenter(sam, combine, images={"combine": combine, "scale": scale}).segment([BOTH] * count), alone)


@pytest.mark.parametrize("combine", ["input", "avg", "max"])
def test_one_image_is_the_same_under_every_setting(sam, combine):
    for image in (BOTH, np.stack([BOTH, FIRST, SECOND], axis=2)):
        same(segmenter(sam, combine).segment(image), segmenter(sam).segment(image))


def test_input_makes_colors_each_normalized_on_its_own(sam, monkeypatch):
    use_component_sam(monkeypatch)
    dim = FIRST.astype(np.uint16) + 7
    result = segmenter(sam).segment([dim, SECOND])
    assert result.picture[..., 0].tolist() == np.where(TRUTH == 1, 255, 0).tolist()
    assert result.picture[..., 1].tolist() == np.where(TRUTH == 2, 255, 0).tolist()
    assert not result.picture[..., 2].any()
    # These networks look at red alone.
    np.testing.assert_array_equal(result.labels, TRUTH == 1)


def test_the_picture_of_several_is_their_mean(sam):
    picture = segmenter(sam, "max").segment([FIRST, SECOND]).picture
    # 127.5 is rounded to the even number.
    np.testing.assert_array_equal(picture, np.where(TRUTH > 0, 128, 0)[..., None].repeat(3, axis=2))


# Channels in which there is nothing


@pytest.mark.parametrize("combine", ["avg", "max"])
def test_a_constant_channel_is_left_out(sam, combine):
    subject = segmenter(sam, combine)
    same(subject.segment([BOTH, np.full(SHAPE, 9, np.uint8)]), subject.segment(BOTH))


@pytest.mark.parametrize("combine", ["input", "avg", "max"])
def test_constant_channels_alone_hold_no_object(sam, combine):
    result = segmenter(sam, combine).segment([np.zeros(SHAPE, np.uint8)] * 2)
    assert not result.labels.any()
    assert result.scores.shape == (0,)
    assert result.maps == {}
    assert result.picture.shape == (*SHAPE, 3)


# With other ways of prompting


@pytest.mark.parametrize("method", ["user", "distance"])
def test_a_persons_prompt_is_decoded_in_every_channel(sam, monkeypatch, method):
    use_component_sam(monkeypatch)
    prompt = Prompt(np.array([[42.0, 40.0]]), ONE)
    result = segmenter(sam, "max", prompts={"method": method}).segment([FIRST, SECOND], prompts=[prompt])
    found = np.unique(TRUTH[result.labels > 0]).tolist()
    assert found == ([2] if method == "user" else [1, 2])
    assert len(result.prompts) == len(found)


def test_the_grid_and_windows_of_a_larger_image(sam, monkeypatch):
    fake = use_component_sam(monkeypatch)
    wide = [np.concatenate([FIRST, SECOND], axis=1), np.concatenate([SECOND, FIRST], axis=1)]
    truth = np.concatenate([TRUTH, TRUTH], axis=1)
    result = segmenter(sam, "max", prompts={"method": "grid", "grid": 12}).segment(wide)
    np.testing.assert_array_equal(result.labels > 0, truth > 0)
    assert len(fake.windows) % 2 == 0


# What is refused


@pytest.mark.parametrize(
    ("channels", "combine", "message"),
    [
        ([], "max", "no channel"),
        ([BOTH, BOTH[:-1]], "max", r"shapes \(60, 60\), \(59, 60\); wanted one"),
        ([BOTH, np.stack([BOTH] * 3, axis=2)], "avg", r"channel 1 has shape \(60, 60, 3\)"),
        ([BOTH] * 4, "input", "4 channels came.*images.combine=max"),
        ([BOTH, np.full(SHAPE, np.nan)], "max", "channel 1: 3600 of 3600 pixels"),
    ],
)
def test_channels_that_do_not_fit(sam, channels, combine, message):
    with pytest.raises(InputError, match=message):
        segmenter(sam, combine).segment(channels)


# The arithmetic


def decoded(*logits: float, iou: float = 0.5) -> Decoded:
    values = torch.tensor(logits, dtype=torch.float32).reshape(1, 1, 1, -1)
    return Decoded(np.array([4]), values, torch.tensor([[iou]]), np.zeros((1, 2), np.int64))


def test_probabilities_are_combined_not_logits():
    # Odds of 1:3 and 3:1, of 1:1 and 3:1: means 1/2 and 5/8, which are odds of 1:1 and 5:3.
    one, two = decoded(-np.log(3), 0.0, iou=0.2), decoded(np.log(3), np.log(3), iou=0.6)
    mean = combine_decoded([one, two], "avg")
    assert mean.logits.flatten().tolist() == pytest.approx([0, np.log(5 / 3)], abs=1e-6)
    assert mean.iou.item() == pytest.approx(0.4)
    assert mean.indices.tolist() == [4]
    largest = combine_decoded([two, one], "max")
    assert largest.logits.flatten().tolist() == pytest.approx([np.log(3)] * 2)
    assert largest.iou.item() == pytest.approx(0.6)


def test_the_mean_is_finite_and_that_of_the_sigmoids():
    values = np.array([[-200, -30, 3, 200, 0.1], [-90, 25, -2, 100, 0.2], [-150, 7, 1, -100, 0.3]])
    mean = combine_decoded([decoded(*row) for row in values], "avg").logits.flatten().numpy().astype(float)
    exact = np.logaddexp.reduce(-np.logaddexp(0, -values)) - np.logaddexp.reduce(-np.logaddexp(0, values))
    np.testing.assert_allclose(mean, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("how", ["avg", "max"])
def test_equal_answers_are_kept_to_the_last_bit(count, how):
    values = np.random.default_rng(1).normal(0, 15, 500).tolist()
    part = decoded(*values, iou=0.7)
    result = combine_decoded([part] * count, how)
    assert torch.equal(result.logits, part.logits)
    assert torch.equal(result.iou, part.iou)
    maps = {"foreground": np.random.default_rng(2).random((9, 11), dtype=np.float32)}
    np.testing.assert_array_equal(combine_maps([maps] * count, how)["foreground"], maps["foreground"])

"""The networks at another zoom: results come back in pixels of the image."""

import numpy as np
import pytest
from fake_networks import BrightPixels, build_small_sam, use_component_sam
from test_pipeline_segmenter import (
    ONE,
    SPOT_LABELS,
    SPOTS,
    check,
    crowd,
    noise,
    same_bytes,
    segmenter,
    shared_objects,
    small_generator,
)

from autosam.config import MergeConfig
from autosam.errors import ConfigError, InputError
from autosam.instances import Merged
from autosam.pipeline import merging
from autosam.pipeline.oracle import segment_with_oracle
from autosam.pipeline.probability_maps import Maps
from autosam.pipeline.propose import Proposals, Regions
from autosam.prompts import Prompt

SMALLER = {"min_size": 8}
"""Smallest region and instance, counted after shrinking."""


@pytest.fixture(scope="module")
def sam():
    return build_small_sam()


def zoomed(sam, scale, generator=None, **sections):
    sections = {"prompts": {}, "merge": {}} | sections
    for name in ("prompts", "merge"):
        sections[name] = SMALLER | sections[name]
    return segmenter(sam, generator or BrightPixels(), images={"zoom": scale}, **sections)


def at(labels, place) -> int:
    row, col = np.rint(place).astype(int)
    return int(labels[row, col])


@pytest.mark.parametrize(("scale", "overlap"), [(2.0, 0.999), (1.3, 0.95), (0.5, 0.85)])
def test_objects_prompts_and_maps_lie_in_pixels_of_the_image(sam, monkeypatch, scale, overlap):
    fake = use_component_sam(monkeypatch)
    result = zoomed(sam, scale).segment(SPOTS)
    check(result, SPOTS.shape)
    assert shared_objects(result.labels, SPOT_LABELS, overlap) == 3
    assert result.labels.max() == result.regions.max() == len(result.prompts) == 3
    assert sorted(result.prompt_of.tolist()) == [0, 1, 2]
    for number, index in enumerate(result.prompt_of, start=1):
        prompt = result.prompts[index]
        assert at(result.labels, prompt.points[0]) == number
        assert at(result.regions, prompt.points[0]) == prompt.region
        rows, cols = np.nonzero(result.labels == number)
        assert prompt.box is not None
        corners = np.array([rows.min(), cols.min(), rows.max(), cols.max()])
        np.testing.assert_allclose(prompt.box, corners, atol=4)
        mask = prompt.mask
        assert mask is not None
        inside = mask.logits[int(rows.mean()) - mask.row, int(cols.mean()) - mask.col]
        assert inside > 0
    assert np.mean((result.maps["foreground"] > 0.5) == (result.regions > 0)) > 0.98
    expected = segmenter(sam, BrightPixels()).segment(SPOTS)
    np.testing.assert_array_equal(result.picture, expected.picture)
    # A window grows only with an object that it cannot hold: here one of 34 pixels, zoomed twice.
    assert min(min(window) for window in fake.windows) == 64, "tiles are counted after scaling"
    assert max(max(window) for window in fake.windows) <= max(64, 1.25 * 34 * scale)


def test_scores_follow_their_objects(sam, monkeypatch):
    use_component_sam(monkeypatch)
    shade = np.where(SPOT_LABELS == 1, 0.55, np.where(SPOT_LABELS == 2, 1.0, 0.6))
    image = np.where(SPOT_LABELS > 0, 255 * shade, 0).astype(np.uint8)
    plain = segmenter(sam, BrightPixels(), images={"low": 0.0, "high": 100.0}).segment(image)
    large = segmenter(sam, BrightPixels(), images={"low": 0.0, "high": 100.0, "zoom": 2.0}).segment(image)
    assert plain.scores.argsort().tolist() == [0, 2, 1]
    np.testing.assert_allclose(large.scores, plain.scores, atol=0.1)
    assert large.scores.argsort().tolist() == [0, 2, 1]


def test_without_sam_scores_and_ids_are_those_of_the_regions(sam):
    result = zoomed(sam, 2.0, decode={"sam": False}).segment(SPOTS)
    check(result, SPOTS.shape)
    np.testing.assert_array_equal(result.labels, SPOT_LABELS)
    assert result.prompt_of.tolist() == [-1, -1, -1]
    assert (result.scores > 0.9).all()


@pytest.mark.parametrize("scale", [0.6, 1.3, 2.0])
def test_ids_of_a_crowd_have_no_gaps_and_rise_in_raster_order(sam, scale):
    check(zoomed(sam, scale, decode={"sam": False}).segment(crowd()[0]), (300, 420))


def test_ids_rise_in_raster_order_where_resampling_swaps_the_first_pixels(sam):
    # At twice the size object 1 begins a row above object 2; in the image both begin in row 0, 2 on the left.
    # Object 3 is smaller than a pixel of the image.
    found = np.zeros((4, 8), dtype=np.int32)
    found[0:4, 6:8], found[1:4, 0:2], found[2, 4] = 1, 2, 3
    asked = [Prompt(np.array([[float(row), 3.5]]), ONE) for row in range(3)]
    view = zoomed(sam, 2.0).view(noise(2, 4))
    proposals = Proposals(Regions(found), asked, first_user=3)
    merged = Merged(found, np.array([1, 0, 2]), np.array([0.1, 0.2, 0.3]))
    result = merging.to_own_grid(view, Maps({}), proposals, merged, MergeConfig())
    np.testing.assert_array_equal(result.labels, [[1, 0, 0, 2], [1, 0, 0, 2]])
    assert result.scores.tolist() == [0.2, 0.1]
    assert result.prompt_of.tolist() == [0, 1]
    assert len(result.prompts) == 3
    places = [prompt.points[0] for prompt in result.prompts]
    np.testing.assert_allclose(places, [[-0.25, 1.5], [0.25, 1.5], [0.75, 1.5]])


def test_scale_1_changes_no_byte_and_resamples_nothing(sam, monkeypatch):
    def never(*_: object) -> None:
        raise AssertionError("nothing is resampled at scale 1")

    image = noise(70, 90)
    before = segmenter(sam, small_generator()).segment(image)
    for name in ("resize_labels", "resize_map", "zoom_prompts"):
        monkeypatch.setattr(merging, name, never)
    monkeypatch.setattr("autosam.images.zoom._resize", never)
    assert same_bytes(before, segmenter(sam, small_generator(), images={"zoom": 1.0}).segment(image))


@pytest.mark.parametrize("scale", [0.5, 2.0, 3.0])
def test_prompts_by_hand_are_in_pixels_of_the_image(sam, monkeypatch, scale):
    use_component_sam(monkeypatch)
    box = Prompt(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), box=np.array([70.0, 20, 90, 60]))
    point = Prompt(np.array([[20.0, 30.0]]), ONE)
    result = zoomed(sam, scale, prompts={"method": "user"}).segment(SPOTS, prompts=[box, point])
    check(result, SPOTS.shape)
    assert result.prompt_of.tolist() == [1, 0]
    wanted = np.where(SPOT_LABELS == 2, 0, SPOT_LABELS)
    assert shared_objects(result.labels, wanted, 0.85) == result.labels.max() == 2
    np.testing.assert_allclose(result.prompts[0].box, box.box, atol=1e-9)
    np.testing.assert_allclose(result.prompts[1].points, point.points, atol=1e-9)


def test_a_prompt_is_checked_against_the_image_and_not_its_zoom(sam):
    subject = zoomed(sam, 2.0, prompts={"method": "user"})
    with pytest.raises(InputError, match="prompt 0 lies outside the image of 100 × 150 pixels"):
        subject.segment(SPOTS, prompts=[Prompt(np.array([[120.0, 20.0]]), ONE)])


@pytest.mark.parametrize("scale", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("shape", [(1, 1), (70, 45, 3)])
def test_a_blank_image_holds_nothing(sam, scale, shape):
    result = zoomed(sam, scale, small_generator()).segment(np.full(shape, 7, dtype=np.uint8))
    check(result, shape[:2])
    assert not result.labels.any()
    assert result.prompts == []
    assert result.picture.shape == (*shape[:2], 3)


@pytest.mark.parametrize(("shape", "scale"), [((1, 1), 20.0), ((1, 9), 0.05), ((3, 2), 0.3)])
def test_an_image_of_a_few_pixels(sam, shape, scale):
    subject = zoomed(sam, scale, prompts={"method": "user"})
    result = subject.segment(noise(*shape), prompts=[Prompt(np.zeros((1, 2)), ONE)])
    check(result, shape)
    np.testing.assert_allclose(result.prompts[0].points, [[0, 0]], atol=1e-9)


def test_a_zoom_multiplies_the_models_own(sam):
    twice = zoomed(sam, 2.0).segment(SPOTS)
    assert same_bytes(zoomed(sam, 1.0).segment(SPOTS, zoom=2.0), twice)
    assert same_bytes(zoomed(sam, 4.0).segment(SPOTS, zoom=0.5), twice)
    assert twice.labels.shape == SPOTS.shape


@pytest.mark.parametrize(
    ("known", "image", "wanted"),
    [
        ({"pixel_size": 5.0}, {"pixel_size_nm": 10.0}, 2.0),
        ({"pixel_size": 5.0}, {"pixel_size_nm": 2.5}, 0.5),
        ({"diameter": 30.0}, {"diameter": 10.0}, 3.0),
        # What a person says of the objects counts before the file's pixels.
        ({"pixel_size": 5.0, "diameter": 30.0}, {"pixel_size_nm": 10.0, "diameter": 60.0}, 0.5),
        # Too little to resample an image for.
        ({"pixel_size": 5.0}, {"pixel_size_nm": 6.0}, 1.0),
        ({"pixel_size": 5.0}, {"pixel_size_nm": 4.1}, 1.0),
        # Unless the model takes little for far.
        ({"pixel_size": 5.0, "zoom_tolerance": 1.1}, {"pixel_size_nm": 6.0}, 1.2),
        ({"diameter": 30.0, "zoom_tolerance": 1.1}, {"diameter": 25.0}, 1.2),
        ({"diameter": 30.0, "zoom_tolerance": 1.1}, {"diameter": 28.0}, 1.0),
        ({"diameter": 30.0, "zoom_tolerance": 3.0}, {"diameter": 20.0}, 1.5),
        ({"diameter": 30.0}, {"pixel_size_nm": 10.0}, None),
        ({"pixel_size": 5.0}, {}, None),
    ],
)
def test_the_zoom_brings_an_image_to_the_training_images(sam, known, image, wanted):
    assert segmenter(sam, BrightPixels(), images=known).known_zoom(**image) == wanted


def test_a_diameter_that_the_model_cannot_compare(sam):
    with pytest.raises(ConfigError, match="does not say how large the objects were"):
        segmenter(sam, BrightPixels()).known_zoom(diameter=10.0)


def test_a_scale_that_can_only_be_a_mistake(sam):
    with pytest.raises(InputError, match="would be zoomed 2000 times"):
        segmenter(sam, BrightPixels(), images={"pixel_size": 5.0}).known_zoom(pixel_size_nm=10_000)


class CountingPixels(BrightPixels):
    """Counts the tiles that it was asked about, mirror images too, and the pixels of all batches."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def forward(self, image):
        self.asked += len(image)
        return super().forward(image)


@pytest.mark.parametrize("times", [1.0, 2.0])
def test_the_scale_is_found_before_sam_is_asked(sam, monkeypatch, times):
    fake = use_component_sam(monkeypatch)
    image, labels = crowd()
    diameter = times * 2 * np.sqrt(np.median(np.bincount(labels.ravel())[1:]) / np.pi)
    subject = segmenter(sam, network := CountingPixels(), images={"diameter": diameter})
    subject.segment(image, zoom=times)
    once, windows = network.asked, len(fake.windows)
    result = subject.segment(image)
    assert len(fake.windows) == 2 * windows
    assert result.zoom == pytest.approx(times, abs=0.15)
    if times == 1:
        # The generator's maps are those by which the scale was found.
        assert network.asked == 2 * once
    # Mirror images and further zooms are seen at the scale that was found, only.
    network.asked = 0
    mirrored = segmenter(sam, network, images={"diameter": diameter}, decode={"flips": True})
    again = mirrored.segment(image)
    assert again.zoom == result.zoom
    np.testing.assert_array_equal(again.labels, result.labels)
    # An image that was looked at as a whole is not seen as it is again.
    looks = network.asked - (4 if times == 2 else 3) * once
    plain = segmenter(sam, network, images={"diameter": diameter}, decode={"sam": False})
    network.asked = 0
    plain.segment(image)
    # At twice the size only the middle was looked at, so that all of the image is seen once more.
    assert looks == network.asked - (once if times == 2 else 0)


def test_objects_off_the_scale_of_the_training_are_seen_zoomed(sam, monkeypatch):
    use_component_sam(monkeypatch)
    image, labels = crowd()
    median = np.median(np.bincount(labels.ravel())[1:])
    diameter = 2 * np.sqrt(median / np.pi)
    subject = segmenter(sam, BrightPixels(), images={"diameter": 2 * diameter})
    result = subject.segment(image)
    assert result.zoom == pytest.approx(2.0, abs=0.15)
    assert same_bytes(result, subject.segment(image, zoom=result.zoom))
    assert subject.segment(image, zoom=1.0).zoom == 1
    for images in ({"diameter": 1.2 * diameter}, {"diameter": 2 * diameter, "find_zoom": False}, {}):
        plain = segmenter(sam, BrightPixels(), images=images)
        assert same_bytes(plain.segment(image), plain.segment(image, zoom=1.0))
    # Alone, the generator's word counts where it is sure.
    alone = {"images": {"diameter": 2 * diameter}, "decode": {"sam": False}}
    for fallback in (0.5, 1.0):
        sure = segmenter(sam, BrightPixels(), **alone, merge={"fallback": fallback}).segment(image)
        assert sure.zoom == pytest.approx(2.0, abs=0.15)
    with monkeypatch.context() as nobody:
        nobody.setattr("autosam.pipeline.look.SURE", 1.0)
        assert segmenter(sam, BrightPixels(), **alone).segment(image).zoom == 1
    # How far off is far.
    bold = segmenter(sam, BrightPixels(), images={"diameter": 1.5 * diameter, "zoom_tolerance": 1.3})
    assert bold.segment(image).zoom == pytest.approx(1.5, abs=0.15)
    # Whoever points at objects, or brings the truth, means the image as it is.
    assert subject.segment(image, prompts=result.prompts[:1]).zoom == 1
    assert segment_with_oracle(subject, image, labels).zoom == 1


def test_maps_are_averaged_over_zooms(sam):
    plain, larger, several = (
        segmenter(sam, BrightPixels(), decode={"sam": False, "zooms": scales}).segment(SPOTS)
        for scales in ((1.0,), (2.0,), (1.0, 2.0))
    )
    check(several, SPOTS.shape)
    assert shared_objects(several.labels, SPOT_LABELS, 0.95) == 3
    assert np.abs(plain.maps["foreground"] - larger.maps["foreground"]).max() > 0.1
    mean = (plain.maps["foreground"] + larger.maps["foreground"]) / 2
    np.testing.assert_allclose(several.maps["foreground"], mean, atol=1e-6)


def test_affinities_of_several_zooms_are_refused(sam):
    network = BrightPixels("foreground", "affinity_row", "affinity_col")
    with pytest.raises(ConfigError, match=r"decode\.zooms averages maps over zooms"):
        segmenter(sam, network, decode={"sam": False, "zooms": (1.0, 1.5)}).segment(SPOTS)


def test_a_generator_that_sees_the_image_smaller_gets_its_own_pixels(sam):
    class Smaller(BrightPixels):
        downsample = 2
        stride = 16

        def forward(self, image, *, reduced=False):
            assert reduced
            self.seen = image
            return super().forward(image)

    network = Smaller()
    image = noise(48, 64)
    result = segmenter(
        sam, network, images={"zoom": 2.0, "low": 0.0, "high": 100.0}, decode={"sam": False}, tiles={"size": 128}
    ).segment(image)
    check(result, (48, 64))
    whole = (image - image.min()) / (image.max() - image.min())
    np.testing.assert_allclose(network.seen[0, 0, :48, :64], whole, atol=1e-6)
    assert result.maps["foreground"].shape == (48, 64)

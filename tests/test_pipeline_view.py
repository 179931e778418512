"""The five steps alone: what a view holds, what each step reads, and what may change between them."""

from dataclasses import replace

import numpy as np
import pytest
from fake_networks import BrightPixels, build_small_sam, draw_ellipses, use_component_sam

from autosam import Segmenter
from autosam.config import ImagesConfig, load_config
from autosam.errors import InputError
from autosam.models.networks import Networks
from autosam.pipeline.view import make_view

SPOTS, TRUTH = draw_ellipses((100, 150), [(20, 30, 9, 12), (50, 100, 14, 10), (80, 40, 8, 16)])


class CountingPixels(BrightPixels):
    """Count the tiles that the generator is asked about."""

    asked = 0

    def forward(self, image):
        self.asked += 1
        return super().forward(image)


def segmenter(*overrides: str, generator=None) -> Segmenter:
    config = load_config(overrides=["decode.precision=float32", *overrides])
    return Segmenter(Networks(build_small_sam(), generator or BrightPixels()), config)


def test_a_view_is_the_normalized_image_on_both_grids() -> None:
    image = np.arange(12, dtype=np.uint16).reshape(3, 4) * 1000
    view = make_view(image, ImagesConfig(low=0, high=100, zoom=2.0), zoom=1.5)
    assert (view.shape, view.grid, view.factors) == ((3, 4), (9, 12), (3.0, 3.0))
    assert (view.zoom, view.base_zoom, view.total_zoom) == (1.5, 2.0, 3.0)
    assert view.picture[..., 0].tolist() == [[0, 23, 46, 70], [93, 116, 139, 162], [185, 209, 232, 255]]
    assert view.seen.shape == (9, 12, 3)
    assert not view.blank
    assert make_view(np.full((5, 6), 7), ImagesConfig()).blank


def test_another_zoom_starts_from_the_images_own_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 40), dtype=np.uint8)
    settings = ImagesConfig(zoom=2.0)
    straight, again = make_view(image, settings, zoom=1.5), make_view(image, settings, zoom=0.3).at(1.5)
    assert again.zoom == 1.5
    np.testing.assert_array_equal(again.zoomed[0], straight.zoomed[0])


def test_a_normalized_image_is_taken_as_it_is() -> None:
    gray = np.full((4, 5, 3), 51, dtype=np.uint8)
    gray[0, 0] = 102
    view = make_view(gray, ImagesConfig(), normalized=True)
    np.testing.assert_array_equal(view.picture, gray)
    assert view.channels[0][:][0, 0, 0] == np.float32(0.4)
    for wrong in (gray[..., 0], gray.astype(np.uint16), [gray[..., 0], gray[..., 1]]):
        with pytest.raises(InputError, match=r"uint8 of shape \(H, W, 3\)"):
            make_view(wrong, ImagesConfig(), normalized=True)


def test_a_view_knows_whether_it_is_mostly_dark() -> None:
    image = np.zeros((100, 100), np.uint8)
    image[:20, :20] = 255
    assert make_view(image, ImagesConfig(low=0, high=100)).mostly == "dark"
    assert make_view(image, ImagesConfig(low=0, high=100, invert=True)).mostly == "bright"
    image[:30, :30] = 100
    assert make_view(image, ImagesConfig(low=0, high=100)).mostly is None


def test_next_to_nothing_in_a_dark_image_is_a_warning() -> None:
    image = np.zeros((200, 200), np.uint16)
    image[50:70, 50:70] = 60_000
    image[100:140, 20:180] = 3000
    plain = ("decode.sam=false", "images.limits=plain")
    (warning,) = segmenter(*plain).segment(image).warnings
    assert warning == (
        "most of the image is dark after scaling, and only 1 object was found; try --set images.high=97"
    )
    assert len(segmenter("decode.sam=false").segment(image).scores) == 2
    assert len(segmenter(*plain, "images.high=97").segment(image).scores) == 2
    nothing = segmenter(*plain, "merge.min_size=5000").segment(image)
    assert "and nothing was found" in nothing.warnings[0]
    image[20:30, 100:110] = 60_000
    assert segmenter(*plain).segment(image).warnings == ()
    assert segmenter("decode.sam=false").segment(np.zeros((50, 50))).warnings == ()


def test_segment_is_the_five_steps(monkeypatch) -> None:
    use_component_sam(monkeypatch)
    subject = segmenter("images.zoom=2")
    view = subject.view(SPOTS)
    maps = subject.predict(view)
    proposals = subject.propose(view, maps)
    masks = subject.decode(view, proposals)
    whole, stepwise = subject.segment(SPOTS), subject.merge(view, maps, proposals, masks)
    np.testing.assert_array_equal(whole.labels, stepwise.labels)
    np.testing.assert_array_equal(whole.scores, stepwise.scores)
    assert whole.labels.max() == 3
    assert maps.probabilities["foreground"].shape == proposals.regions.labels.shape == view.grid == (200, 300)
    assert [mask.prompt for mask in masks or []] == [0, 1, 2]


def test_maps_need_not_be_kept(monkeypatch) -> None:
    use_component_sam(monkeypatch)
    subject = segmenter()
    kept, left = subject.segment(SPOTS), subject.segment(SPOTS, keep_maps=False)
    assert set(kept.maps) == {"foreground", "boundary"}
    assert left.maps == {}
    np.testing.assert_array_equal(left.labels, kept.labels)
    np.testing.assert_array_equal(left.regions, kept.regions)
    np.testing.assert_array_equal(left.scores, kept.scores)


def test_later_steps_take_changed_settings(monkeypatch) -> None:
    use_component_sam(monkeypatch)
    subject = segmenter(generator=(network := CountingPixels()))
    view = subject.view(SPOTS)
    maps = subject.predict(view)
    asked = network.asked
    sizes = np.bincount(TRUTH.ravel())[1:]
    strict = subject.with_settings(
        load_config(overrides=["decode.precision=float32", f"merge.min_size={sizes.min() + 1}"])
    )
    proposals = strict.propose(view, maps)
    result = strict.merge(view, maps, proposals, strict.decode(view, proposals))
    assert result.labels.max() == 2
    assert network.asked == asked
    # Without masks, every region of that size is an instance.
    assert strict.merge(view, maps, proposals, None).labels.max() == 2


def test_maps_of_the_search_for_the_zoom_serve_only_the_settings_that_they_were_made_with() -> None:
    subject = segmenter("images.diameter=20", "decode.sam=false", generator=(network := CountingPixels()))
    crowd, _ = draw_ellipses((90, 150), [(20 + 45 * (n % 2), 15 + 24 * (n // 2), 10, 10) for n in range(10)])
    view = subject.view(crowd)
    asked = network.asked
    assert asked > 0
    assert view.maps is not None
    assert subject.predict(view) is view.maps
    assert network.asked == asked
    flipped = load_config(overrides=["images.diameter=20", "decode.sam=false", "decode.flips=true"])
    both = subject.with_settings(flipped).predict(view)
    assert network.asked > asked
    # They are averaged with those of the mirror images.
    whole = subject.with_settings(flipped).predict(replace(view, maps=None))
    for name, values in whole.probabilities.items():
        np.testing.assert_allclose(both.probabilities[name], values, atol=1e-6)
    assert both.settings == whole.settings
    assert both.novelty == view.maps.novelty
    zoomed = load_config(overrides=["images.diameter=20", "decode.sam=false", "decode.zooms=[1.0,0.5]"])
    assert subject.with_settings(zoomed).predict(view).settings != view.maps.settings

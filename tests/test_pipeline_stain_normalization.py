"""Images whose stain is unlike that of the training images, through the pipeline."""

import numpy as np
import pytest
from fake_networks import BrightPixels, build_small_sam, use_component_sam
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from test_pipeline_segmenter import segmenter
from with_defaults import normalize

from autosam.images.stain_normalization import stain_of
from autosam.pipeline.one_image import entry_of


@pytest.fixture(scope="module")
def sam() -> Sam:
    return build_small_sam()


def slide() -> NDArray[np.uint8]:
    """Two dark squares in pink tissue."""
    rng = np.random.default_rng(0)
    image = np.array([230, 150, 200]) + rng.integers(-12, 13, (64, 64, 1))
    image[10:24, 10:24] = image[34:50, 30:46] = (120, 60, 150)
    return image.astype(np.uint8)


def references(shift: float) -> list[list[float]]:
    own = np.array(stain_of(normalize(slide())))
    rng = np.random.default_rng(1)
    return (own + [0, shift, 0, 0, 0, 0] + rng.normal(size=(30, 6))).tolist()


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_networks_see_an_unlike_stain_as_the_others(sam, monkeypatch, scale):
    fake = use_component_sam(monkeypatch)
    plain = segmenter(sam, BrightPixels(), images={"zoom": scale}).segment(slide())
    near = segmenter(sam, BrightPixels(), images={"zoom": scale, "stain_references": references(0)}).segment(
        slide()
    )
    assert not plain.stain_normalized
    assert not near.stain_normalized
    np.testing.assert_array_equal(near.labels, plain.labels)
    assert "stain_normalized" not in entry_of(near)
    # Redder references: what is brightest in red grows, and so does the foreground of these networks.
    far = segmenter(sam, BrightPixels(), images={"zoom": scale, "stain_references": references(6)}).segment(
        slide()
    )
    assert far.stain_normalized
    assert entry_of(far)["stain_normalized"] is True
    assert (far.maps["foreground"] > plain.maps["foreground"] + 1e-3).any()
    # What people see is their own image.
    np.testing.assert_array_equal(far.picture, plain.picture)
    assert fake.windows


def test_channels_and_gray_images_have_no_stain(sam, monkeypatch):
    use_component_sam(monkeypatch)
    subject = segmenter(sam, BrightPixels(), images={"stain_references": references(6)})
    assert not subject.segment([slide()[..., channel] for channel in range(3)]).stain_normalized
    assert not subject.segment(slide()[..., 0]).stain_normalized
    assert subject.segment(slide()).stain_normalized

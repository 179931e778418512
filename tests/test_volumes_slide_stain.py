"""The stain of a slide: measured once in its tissue, the same for every tile, and not changed twice."""

from dataclasses import replace

import numpy as np
import pytest
from volume_job import ArraySource, rule_model

from autosam.images.stain_normalization import normalize_stain, stain_of
from autosam.volumes.contrast import Contrast, is_flat
from autosam.volumes.prepare import prepare_job
from autosam.volumes.segment_pass import loaded_model, segment_tile
from autosam.volumes.slide_stain import find_slide_stain

SCALE = Contrast((0,), (0.0,), (255.0,))


def tissue(shape, *, seed=0):
    """Paint pink tissue with violet spots."""
    rng = np.random.default_rng(seed)
    picture = rng.normal((225, 150, 200), 12, (*shape, 3))
    spots = np.kron(rng.random((-(-shape[0] // 8), -(-shape[1] // 8))) < 0.3, np.ones((8, 8)))
    picture[spots[: shape[0], : shape[1]] > 0] -= (110, 80, 40)
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def references():
    """Give stains of forty training images, all of them darker and bluer than the tissue."""
    rng = np.random.default_rng(1)
    own = np.array(stain_of((tissue((128, 128)) / 255).astype(np.float32)))
    return tuple(map(tuple, (own + (-14, 6, -7, 1, 1, 1) + rng.normal(0, 2.5, (40, 6))).tolist()))


@pytest.fixture(scope="module")
def slide():
    """Give a slide of which a sixth is tissue, and the rest glass with noise."""
    rng = np.random.default_rng(2)
    pixels = np.clip(rng.normal(244, 2, (1, 700, 900, 3)), 0, 255).astype(np.uint8)
    pixels[0, :256, :256] = tissue((256, 256), seed=3)
    return pixels


def test_a_slide_has_the_stain_of_its_tissue(slide, references):
    image = (slide[0, :256, :256] / 255).astype(np.float32)
    alone = normalize_stain(image, references)
    assert alone is not None
    change = find_slide_stain(ArraySource(slide), SCALE, references)
    assert change is not None
    # As of an image that is this tissue alone, up to the eight bits of a picture.
    found = replace(SCALE, stain=change).picture(slide[0, :256, :256], 0)
    assert np.abs(found / 255 - alone).mean() < 0.01


def test_every_tile_is_changed_the_same(slide, references):
    contrast = replace(SCALE, stain=find_slide_stain(ArraySource(slide), SCALE, references))
    whole = contrast.picture(slide[0], 0)
    for rows, cols in ((slice(0, 64), slice(32, 300)), (slice(100, 260), slice(0, 90))):
        assert np.array_equal(contrast.picture(slide[0, rows, cols], 0), whole[rows, cols])


def test_gray_slides_usual_stains_and_no_references_change_nothing(slide, references):
    assert find_slide_stain(ArraySource(slide[..., 0]), SCALE, references) is None
    assert find_slide_stain(ArraySource(slide), SCALE, ()) is None
    usual = np.array(stain_of((slide[0, :256, :256] / 255).astype(np.float32)))
    near = usual + np.random.default_rng(0).normal(0, 2.5, (40, 6))
    assert find_slide_stain(ArraySource(slide), SCALE, tuple(map(tuple, near.tolist()))) is None


def test_a_job_keeps_the_stain_and_changes_it_once(slide, references, tmp_path, monkeypatch):
    model = rule_model(window=256, overlap=32)
    images = model.settings.images.model_copy(update={"stain_references": references})
    model = type(model)(model.settings.model_copy(update={"images": images}))
    jobs = [
        prepare_job(ArraySource(slide), model, model_sha256="", device="cpu", folder=tmp_path) for _ in range(2)
    ]
    assert jobs[0].contrast.stain is not None
    assert jobs[0].contrast == jobs[1].contrast
    assert jobs[0].keys == jobs[1].keys
    loaded_model.cache_clear()
    found = segment_tile(jobs[0], 0, jobs[0].grid.tiles[0])
    assert not found.stain_normalized
    assert np.array_equal(found.picture, jobs[0].contrast.picture(slide[0, :256, :256], 0))


@pytest.mark.parametrize(
    ("spread", "flat"), [(0, True), (3, True), (20, False)], ids=["constant", "glass", "texture"]
)
def test_glass_is_flat(spread, flat):
    picture = np.random.default_rng(0).normal(200, spread, (101, 130, 3)).clip(0, 255).astype(np.uint8)
    assert is_flat(picture) == flat
    gray = np.broadcast_to(picture[..., :1], picture.shape)
    assert is_flat(gray) == flat
    picture[40:52, 60:72] = (150, 90, 170)
    assert not is_flat(picture)

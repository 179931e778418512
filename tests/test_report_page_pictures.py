"""Pictures of pages are shrunk until they fit."""

from io import BytesIO

import numpy as np
import PIL.Image
from results_folders import discs, image_of

from autosam.report.page_pictures import SIDES, encode_jpeg, fit_picture


def test_a_small_picture_stays_as_it_is():
    labels = discs([(40, 40, 9)])
    found = fit_picture(np.repeat(image_of(labels)[..., None], 3, axis=2), {"objects": labels}, most=10**6)
    assert (found.width, found.height, found.scale) == (128, 96, 1.0)
    picture = PIL.Image.open(BytesIO(found.jpeg))
    assert (picture.size, picture.mode) == ((128, 96), "L")
    assert list(found.layers["objects"]) == [1]
    assert found.uri.startswith("data:image/jpeg;base64,")


def test_noise_is_shrunk_to_the_size_that_is_wanted_and_outlines_with_it():
    noise = np.random.default_rng(0).integers(0, 256, (900, 1800, 3), np.uint8)
    labels = discs([(400, 900, 200)], noise.shape[:2])
    found = fit_picture(noise, {"objects": labels}, most=300_000)
    assert found.size <= 300_000
    assert found.width in SIDES
    assert abs(found.width / found.height - 2) < 0.01
    assert abs(found.scale - found.width / 1800) < 1e-9


def test_without_a_picture_the_outlines_are_alone():
    found = fit_picture(None, {"objects": discs([(40, 40, 9)])}, most=10**6)
    assert (found.jpeg, found.uri) == (b"", "")
    assert found.layers["objects"]


def test_what_cannot_be_small_enough_is_as_small_as_it_gets():
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    assert fit_picture(noise, {}, most=10).width == SIDES[-1]


def test_equal_pictures_give_equal_bytes():
    colors = np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8)
    assert encode_jpeg(colors) == encode_jpeg(colors.copy())
    assert PIL.Image.open(BytesIO(encode_jpeg(colors))).mode == "RGB"

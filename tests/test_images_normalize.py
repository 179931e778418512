"""Normalization: percentiles of the whole image, 0 to 1, whatever the type."""

from itertools import product

import numpy as np
import pytest
from synthetic import free_place, nuclei
from with_defaults import normalize

from autosam.errors import InputError
from autosam.images import to_uint8
from autosam.images.limits import percentiles


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (37, 53), (1100, 1000), (40, 31, 3)])
def test_histogram_percentiles_are_numpys(dtype: type, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    for top in (3, 255, np.iinfo(dtype).max):
        image = rng.integers(0, top + 1, shape).astype(dtype)
        for low, high in ((0.5, 99.5), (0, 100), (33.3, 66.7), (2, 99.9)):
            assert percentiles(image, low, high) == tuple(np.percentile(image, [low, high]))


def test_a_ramp_by_hand() -> None:
    # 0..200: the 10th percentile is 20, the 90th is 180.
    image = np.arange(201, dtype=np.uint16)[None] * 3
    zoomed = normalize(image, low=10, high=90)[0, :, 0]
    np.testing.assert_allclose(zoomed, np.clip((np.arange(201) - 20) / 160, 0, 1), atol=1e-7)
    assert zoomed.dtype == np.float32


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "i4", "f2", "f4", "f8"])
def test_all_types_give_the_same(dtype: str) -> None:
    image = np.arange(100).reshape(10, 10)
    np.testing.assert_allclose(normalize(image.astype(dtype)), normalize(image), atol=1e-6)


def test_offset_and_gain_do_not_matter() -> None:
    image = np.random.default_rng(0).normal(size=(30, 40))
    np.testing.assert_allclose(normalize(image * 1e-4 + 1e6), normalize(image), atol=1e-5)
    np.testing.assert_allclose(normalize(image * 1e300), normalize(image), atol=1e-6)


def test_large_integers_are_not_rounded_first() -> None:
    image = np.uint32(4_000_000_000) + np.arange(5, dtype=np.uint32)[None]
    np.testing.assert_allclose(normalize(image, low=0, high=100)[0, :, 0], [0, 0.25, 0.5, 0.75, 1])


def test_gray_is_a_view_of_one_plane() -> None:
    zoomed = normalize(np.arange(6, dtype=np.uint8).reshape(2, 3))
    assert zoomed.shape == (2, 3, 3)
    assert zoomed.strides[2] == 0
    assert not zoomed.flags.writeable


def test_colors_keep_their_ratios() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0] = (200, 100, 50)
    np.testing.assert_allclose(normalize(image, low=0, high=100)[0, 0], [1, 0.5, 0.25])


@pytest.mark.parametrize("image", [np.full((4, 5), 7, np.uint8), np.full((4, 5, 3), 0.3), np.ones((1, 1), bool)])
def test_a_constant_image_becomes_zeros(image: np.ndarray) -> None:
    zoomed = normalize(image)
    assert zoomed.shape == (*image.shape[:2], 3)
    assert not zoomed.any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_few_bright_pixels_survive(dtype: type) -> None:
    image = np.zeros((100, 100), dtype)
    image[3, 4], image[5, 6] = 200, 100
    zoomed = normalize(image)
    assert zoomed[3, 4, 0] == 1
    assert zoomed[5, 6, 0] == 0.5
    assert np.count_nonzero(zoomed[..., 0]) == 2


def test_non_finite_pixels_are_counted_and_refused() -> None:
    image = np.ones((4, 5, 3))
    image[0, 0], image[1, 1, 2] = np.nan, np.inf
    with pytest.raises(InputError) as error:
        normalize(image)
    assert "2 of 20 pixels are NaN or infinite" in str(error.value)
    assert "--set images.non_finite=background" in str(error.value)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_non_finite_pixels_become_background(dtype: type) -> None:
    image = np.arange(12, dtype=dtype).reshape(3, 4)
    image[0, 0], image[2, 3], image[1, 1] = np.nan, np.inf, -np.inf
    zoomed = normalize(image, low=0, high=100, non_finite="background")[..., 0]
    assert zoomed[0, 0] == zoomed[2, 3] == zoomed[1, 1] == 0
    assert zoomed[0, 1] == 0
    assert zoomed[2, 2] == 1
    assert not normalize(np.full((2, 2), np.nan), non_finite="background").any()


@pytest.mark.parametrize("shape", [(10, 3000), (1, 1), (2, 700_001)])
def test_odd_shapes(shape: tuple[int, int]) -> None:
    zoomed = normalize(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
    assert zoomed.shape == (*shape, 3)
    assert zoomed.min() == 0
    assert zoomed.max() <= 1


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_strips_leave_no_seams(dtype: str) -> None:
    image = np.random.default_rng(5).integers(0, 250, (2500, 1001)).astype(dtype)
    low, high = np.percentile(image, [0.5, 99.5])
    expected = np.clip((image.astype(float) - low) / (high - low), 0, 1).astype(np.float32)
    np.testing.assert_array_equal(normalize(image)[..., 1], expected)


@pytest.mark.parametrize("shape", [(0, 5), (4,), (4, 5, 2), (4, 5, 4), (2, 4, 5, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="wanted"):
        normalize(np.zeros(shape))


@pytest.mark.parametrize(("low", "high"), [(-1, 99), (50, 50), (60, 40), (1, 101), (np.nan, 99)])
def test_percentiles_out_of_range_are_refused(low: float, high: float) -> None:
    with pytest.raises(InputError, match="percentiles"):
        normalize(np.zeros((2, 2)), low=low, high=high)


def test_other_values_are_refused() -> None:
    with pytest.raises(InputError, match="complex"):
        normalize(np.zeros((2, 2), complex))
    with pytest.raises(InputError, match="range"):
        normalize(np.array([[-1.7e308, 1.7e308]]), low=0, high=100)


def test_to_uint8_rounds() -> None:
    values = np.array([[0, 0.4 / 255, 0.6 / 255, 254.6 / 255, 1]], np.float32)
    assert to_uint8(values).tolist() == [[0, 0, 1, 255, 255]]
    every = np.arange(256, dtype=np.float32) / 255
    assert to_uint8(every).tolist() == list(range(256))


def test_to_uint8_of_a_gray_view() -> None:
    eight = to_uint8(normalize(np.arange(6, dtype=np.uint8).reshape(2, 3), low=0, high=100))
    assert eight[..., 2].tolist() == [[0, 51, 102], [153, 204, 255]]
    assert eight.flags.writeable
    assert to_uint8(np.zeros((0, 4, 3))).shape == (0, 4, 3)


@pytest.mark.parametrize("value", [-0.01, 1.01, np.nan])
def test_to_uint8_refuses_other_ranges(value: float) -> None:
    with pytest.raises(InputError, match="wanted 0 to 1"):
        to_uint8(np.array([[0.5, value]]))


def test_inverted_is_one_minus_the_image() -> None:
    image = np.random.default_rng(0).integers(0, 255, (1030, 1001)).astype(np.uint8)
    np.testing.assert_allclose(normalize(image, invert=True), 1 - normalize(image), atol=1e-6)
    holed = np.array([[0.0, np.nan, 4.0]])
    found = normalize(holed, low=0, high=100, invert=True, non_finite="background")[0, :, 0]
    assert found.tolist() == [1, 0, 0]


def test_plain_limits_are_the_percentiles_of_all_pixels() -> None:
    image, labels = nuclei()
    image[free_place(labels, 11)] = 30_000
    plain, robust = normalize(image, limits="plain"), normalize(image)
    low, high = np.percentile(image, [0.5, 99.5])
    np.testing.assert_allclose(plain[..., 0], np.clip((image - low) / (high - low), 0, 1), atol=1e-6)
    assert plain[labels > 0].mean() < 0.02
    assert robust[labels > 0].mean() > 0.4


@pytest.mark.parametrize("dtype", ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
def test_any_size_from_one_pixel(dtype: str) -> None:
    rng = np.random.default_rng(0)
    for rows, columns in [*product(range(1, 10), range(1, 10)), (256, 3), (3, 256)]:
        for colors in ((), (3,)):
            image = rng.integers(0, 2 if dtype == "?" else 100, (rows, columns, *colors)).astype(dtype)
            limits = (image.min(), image.max())
            scaled = normalize(image)
            assert scaled.shape == (rows, columns, 3)
            assert (scaled.min(), scaled.max()) == ((0, 1) if limits[0] < limits[1] else (0, 0))

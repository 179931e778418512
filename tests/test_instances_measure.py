"""Measurements: by hand, and against scikit-image."""

from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import label, regionprops_table

from autosam.errors import InputError
from autosam.instances import InstanceTable, measure_instances

OF_SCIKIT_IMAGE = [
    "label",
    "area",
    "centroid",
    "bbox",
    "perimeter",
    "axis_major_length",
    "axis_minor_length",
    "eccentricity",
    "orientation",
    "feret_diameter_max",
    "solidity",
    "intensity_mean",
    "intensity_std",
    "intensity_min",
    "intensity_max",
]


def example() -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros((10, 12), np.int32)
    labels[2:6, 3:9] = 1
    labels[9, 11] = 3
    image = np.arange(120, dtype=np.uint8).reshape(10, 12)
    return labels, image


def row(table: InstanceTable, number: int) -> dict[str, float]:
    return {name: values[number].item() for name, values in table.columns.items()}


def test_by_hand() -> None:
    labels, image = example()
    table = measure_instances(labels, image, np.array([0.9, 0.1, 0.5]), pixel_size_nm=500)
    assert len(table) == 2
    first, last = row(table, 0), row(table, 1)
    assert (first["label"], first["score"], first["area"], first["area_um2"]) == (1, 0.9, 24, 6.0)
    assert (first["centroid-0"], first["centroid-1"]) == (3.5, 5.5)
    # As in scikit-image, the ends are outside.
    assert [first[f"bbox-{i}"] for i in range(4)] == [2, 3, 6, 9]
    # The border pixels' centers span a rectangle of 3 × 5.
    assert first["perimeter"] == pytest.approx(16)
    assert first["perimeter_um"] == pytest.approx(8)
    assert first["circularity"] == pytest.approx(4 * np.pi * 24 / 16**2)
    # Second moments of a 4 × 6 block: (16 - 1) / 12 and (36 - 1) / 12.
    assert first["axis_minor_length"] == pytest.approx(4 * np.sqrt(15 / 12))
    assert first["axis_major_length_um"] == pytest.approx(2 * np.sqrt(35 / 12))
    assert first["eccentricity"] == pytest.approx(np.sqrt(1 - 15 / 35))
    # It lies along the columns.
    assert abs(first["orientation"]) == pytest.approx(np.pi / 2)
    # The outline passes half a pixel beside the outermost centers, in one direction at a time.
    assert first["feret_diameter_max"] == pytest.approx(np.hypot(3, 6))
    assert first["feret_diameter_max_um"] == pytest.approx(np.hypot(3, 6) / 2)
    assert first["solidity"] == 1
    inside = image[2:6, 3:9]
    assert first["intensity_mean"] == pytest.approx(3.5 * 12 + 5.5)
    assert first["intensity_std"] == pytest.approx(inside.std())
    assert (first["intensity_min"], first["intensity_max"]) == (inside.min(), inside.max())
    assert (last["label"], last["area"], last["eccentricity"], last["perimeter"]) == (3, 1, 0, 0)
    assert [last["bbox-0"], last["bbox-2"], last["intensity_mean"], last["intensity_std"]] == [9, 10, 119, 0]
    assert np.isnan(last["circularity"])


def random_labels(rng: np.random.Generator, kind: int) -> np.ndarray:
    shape = rng.integers(3, 70, 2)
    if kind == 0:
        # Scattered over the image, many of them in parts.
        return rng.integers(0, 6, shape)
    if kind == 1:
        return np.asarray(label(rng.random(shape) < 0.5, connectivity=1))
    labels = np.asarray(label(ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(0.8, 4)) > 0.02))
    if kind == 2:
        # Ids with gaps, and one in many small parts.
        labels = labels * 37
        labels[rng.random(shape) < 0.1] = 5
    return labels


@pytest.mark.parametrize("kind", range(4))
def test_equal_to_scikit_image(kind: int) -> None:
    rng = np.random.default_rng(kind)
    for turn in range(12):
        labels = random_labels(rng, kind)
        image: np.ndarray = rng.normal(100, 20, labels.shape)
        if turn % 2:
            image = rng.integers(0, 60_000, (*labels.shape, 3)).astype(np.uint16)
        wanted: dict[str, Any] = regionprops_table(labels, image, properties=OF_SCIKIT_IMAGE)
        found = measure_instances(labels, image, None)
        for name, values in wanted.items():
            if name == "orientation":
                # Directions; a round object has none.
                apart = np.sin(found[name] - values) * (wanted["eccentricity"] > 1e-6)
                np.testing.assert_allclose(apart, 0, atol=1e-9)
            else:
                np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=1e-9, err_msg=name)


def test_large_images_are_measured_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    labels = random_labels(rng, 3)
    image = rng.normal(size=labels.shape)
    whole = measure_instances(labels, image, None)
    monkeypatch.setattr("autosam.instances.perimeters._ROWS", 3)
    monkeypatch.setattr("autosam.instances.intensities._PIXELS", 10)
    monkeypatch.setattr("autosam.instances.hulls._PAIRS", 100)
    monkeypatch.setattr("autosam.instances.runs._MOST", 20)
    parts = measure_instances(labels, image, None)
    assert len(parts) > 3
    for name, values in whole.columns.items():
        np.testing.assert_allclose(parts[name], values, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64])
def test_label_types(dtype: type) -> None:
    labels, image = example()
    assert measure_instances(labels.astype(dtype), image, np.ones(3))["label"].tolist() == [1, 3]


def test_ids_of_any_size() -> None:
    labels = np.zeros((4, 5), np.uint64)
    labels[1, 1:3] = 2**63
    table = measure_instances(labels, np.ones((4, 5)), None)
    assert (table["label"].tolist(), table["area"].tolist()) == ([2**63], [2])


def test_what_is_not_known_is_nan() -> None:
    labels, image = example()
    table = measure_instances(labels, None, None)
    for name in ("score", "area_um2", "perimeter_um", "feret_diameter_max_um", "intensity_mean", "intensity_max"):
        assert np.isnan(table[name]).all(), name
    assert list(table.columns) == list(measure_instances(labels, image, None).columns)


def test_channels_and_missing_intensities() -> None:
    labels, _ = example()
    image = np.zeros((10, 12, 3), np.float32)
    image[...] = (1, 2, 6)
    image[2, 3] = np.nan
    image[9, 11] = np.inf
    table = measure_instances(labels, image, np.ones(3))
    assert "intensity_mean" not in table.columns
    for channel, value in enumerate((1, 2, 6)):
        for kind in ("mean", "min", "max"):
            found = table[f"intensity_{kind}-{channel}"]
            assert found[0] == value
            assert np.isnan(found[1])
        assert table[f"intensity_std-{channel}"][0] == 0


def test_a_deviation_far_from_zero_keeps_its_digits() -> None:
    labels = np.ones((4, 4), int)
    image = 1e9 + np.tile([0.0, 1.0], (4, 2))
    assert measure_instances(labels, image, None)["intensity_std"].tolist() == [0.5]


def test_no_instances() -> None:
    full = list(measure_instances(*example(), None).columns)
    for shape in ((4, 5), (0, 5)):
        table = measure_instances(np.zeros(shape, int), np.zeros(shape), np.zeros(0))
        assert len(table) == 0
        assert list(table.columns) == full
        assert all(values.shape == (0,) for values in table.columns.values())


def test_what_does_not_fit_is_refused() -> None:
    labels, image = example()
    for arguments, says in (
        ((labels, image, np.ones(2)), "2 scores"),
        ((labels - 1, image, np.ones(3)), "lowest id is -1"),
        ((labels, image[1:], np.ones(3)), "same rows"),
        ((labels[None], None, None), "no image"),
        ((labels.astype(float), image, np.ones(3)), "float64"),
    ):
        with pytest.raises(InputError, match=says):
            measure_instances(*arguments)
    for size in (0, -1, np.nan):
        with pytest.raises(InputError, match="pixel size"):
            measure_instances(labels, image, np.ones(3), pixel_size_nm=size)

"""Sizes, first pixels and new numbers of ids, against the long way, also of labels that take several strips."""

import numpy as np
import pytest

from autosam.regions import means_in_regions, number_regions, numbering, sizes_and_first_pixels


@pytest.fixture(params=[1 << 20, 40])
def _strips(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "_STRIP", request.param)


@pytest.mark.usefixtures("_strips")
@pytest.mark.parametrize("seed", range(4))
def test_random_labels_as_the_long_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 9, (23, 17)).astype(np.int32) * rng.integers(0, 2, (23, 17), dtype=np.int32)
    labels[labels == 4] = 0
    values = rng.random((23, 17)).astype(np.float32)
    sizes, first = sizes_and_first_pixels(labels)
    means = means_in_regions(labels, values)
    assert len(sizes) == len(first) == len(means) == labels.max() + 1
    assert (sizes[0], first[0], first[4], sizes[4]) == (0, -1, -1, 0)
    assert np.isnan(means[[0, 4]]).all()
    for number in (1, 2, 3, 5, 6, 7, 8):
        assert sizes[number] == np.count_nonzero(labels == number)
        assert first[number] == np.flatnonzero(labels == number)[0]
        assert means[number] == pytest.approx(values[labels == number].mean(dtype=np.float64), rel=1e-12)
    large = [n for n in np.argsort(first, kind="stable") if sizes[n] >= 12]
    wanted = np.zeros_like(labels)
    for new, number in enumerate(large, start=1):
        wanted[labels == number] = new
    np.testing.assert_array_equal(number_regions(labels, min_size=12), wanted)


@pytest.mark.parametrize("strip", [1 << 20, 6, 1])
def test_stretches_end_with_their_row(monkeypatch: pytest.MonkeyPatch, strip: int) -> None:
    monkeypatch.setattr(numbering, "_STRIP", strip)
    labels = np.array([[0, 2, 2], [2, 2, 2], [2, 0, 1]])
    begins, lengths, ids = (
        np.concatenate(part).tolist() for part in zip(*numbering.flat_runs(labels), strict=True)
    )
    assert (begins, lengths, ids) == ([1, 3, 6, 8], [2, 3, 1, 1], [2, 2, 2, 1])


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (3, 4)])
def test_nothing(shape: tuple[int, int]) -> None:
    labels = np.zeros(shape, dtype=np.int32)
    assert [part.tolist() for part in sizes_and_first_pixels(labels)] == [[0], [-1]]
    assert number_regions(labels).shape == shape
    assert np.isnan(means_in_regions(labels, labels.astype(np.float32))).all()

"""Objects pasted between tiles: on background alone, whole, and fitted to their new surroundings."""

import numpy as np
import pytest
from scipy import ndimage

from autosam.training.samples.paste import MARGIN, MOST_PASTED, paste_objects


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def donor(*, level: float = 0.2, ground: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Give one whole square of 10 pixels, and one that the border cuts off."""
    labels = np.zeros((40, 40), np.int32)
    labels[15:25, 15:25] = 3
    labels[30:, 30:] = 7
    image = np.where(labels > 0, level, ground)[..., None] + 0.02 * rng(9).standard_normal((40, 40, 1))
    return image.astype(np.float32), labels


def target(height: int = 60, width: int = 50) -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros((height, width), np.int32)
    labels[:, :12] = 5
    labels[:, 40:] = -1
    image = 0.4 + 0.02 * rng(8).standard_normal((height, width, 1))
    return image.astype(np.float32), labels


@pytest.mark.parametrize("seed", range(10))
def test_a_whole_object_is_pasted_on_background_and_nowhere_else(seed: int) -> None:
    image, labels = target()
    changed, ids = paste_objects(image, labels, *donor(), rng=rng(seed))
    pasted = ids != labels
    # There are 28 columns of background, and the object needs 22.
    if not pasted.any():
        np.testing.assert_array_equal(changed, image)
        return
    assert (labels[pasted] == 0).all()
    assert set(ids[pasted]) == {6}
    assert pasted.sum() == 100
    assert (labels[ndimage.binary_dilation(pasted, iterations=MARGIN)] == 0).all()
    far = ~ndimage.binary_dilation(pasted, iterations=2 * MARGIN + 2)
    np.testing.assert_array_equal(changed[far], image[far])
    # Darker than its ground by 0.4 before, and by as much as the tile's contrast is less after.
    inner = ndimage.binary_erosion(pasted, iterations=3)
    assert changed[inner].mean() == pytest.approx(0.4 - 0.6 * 0.4, abs=0.03)


def test_most_draws_find_a_place_and_the_tiles_given_stay() -> None:
    image, labels = target()
    before = image.copy(), labels.copy()
    found = [(paste_objects(image, labels, *donor(), rng=rng(seed))[1] == 6).any() for seed in range(20)]
    assert sum(found) > 10
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(labels, before[1])
    one, other = (paste_objects(image, labels, *donor(), rng=rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def test_several_objects_do_not_touch() -> None:
    labels = np.zeros((90, 90), np.int32)
    for number in range(9):
        row, col = 30 * (number // 3) + 8, 30 * (number % 3) + 8
        labels[row : row + 9, col : col + 9] = number + 1
    image = np.where(labels > 0, 0.9, 0.1)[..., None].repeat(3, axis=-1).astype(np.float32)
    empty = np.full((90, 90, 3), 0.3, np.float32), np.zeros((90, 90), np.int32)
    counts = set()
    for seed in range(12):
        changed, ids = paste_objects(*empty, image, labels, rng=rng(seed))
        regions, count = ndimage.label(ids > 0, np.ones((3, 3)))
        assert count == ids.max() == len(np.unique(regions)) - 1
        assert 0 <= changed.min() <= changed.max() <= 1
        counts.add(int(count))
    assert counts <= set(range(1, MOST_PASTED + 1))
    assert len(counts) > 1


def test_nothing_to_paste_or_no_room_changes_nothing() -> None:
    image, labels = target()
    cut = np.zeros((40, 40), np.int32)
    cut[:10] = 1
    unknown = donor()[1]
    unknown[10, 20] = -1
    for others in (np.zeros((40, 40), np.int32), cut, unknown):
        changed, ids = paste_objects(image, labels, donor()[0], others, rng=rng())
        np.testing.assert_array_equal(changed, image)
        np.testing.assert_array_equal(ids, labels)
    full = np.full((60, 50), 2, np.int32)
    np.testing.assert_array_equal(paste_objects(image, full, *donor(), rng=rng())[1], full)
    # A tile smaller than the object.
    small = image[:12, 12:22], labels[:12, 12:22]
    np.testing.assert_array_equal(paste_objects(*small, *donor(), rng=rng())[0], small[0])


def test_an_object_with_no_background_beside_it_is_pasted_too() -> None:
    labels = np.ones((40, 40), np.int32)
    labels[15:25, 15:25] = 3
    changed, ids = paste_objects(*target(), donor()[0], labels, rng=rng())
    assert (ids == 6).sum() == 100
    assert np.isfinite(changed).all()

"""Training tiles: labels that stay ids, images that stay beside them, and the same tile every time."""

import numpy as np
import pytest
import torch
from blobs import discs, scene
from scipy import ndimage
from torch.utils.data import DataLoader

from autosam.data import Scene
from autosam.training.prompting import match_regions
from autosam.training.tiles import (
    OBJECT_SHARE,
    Augmentation,
    TileDataset,
    change_intensity,
    cut_tile,
    part_mirrored,
)

STRONG = Augmentation(scale=(0.5, 2.0), contrast=0.3, brightness=0.15, noise=0.06, blur=1.2)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def of_labels(labels: np.ndarray) -> Scene:
    """Make a scene whose image says which label every pixel has: 20 for each id."""
    labels = labels.astype(np.int32)
    return Scene("s/a", "s", np.repeat((labels * 20).astype(np.uint8)[..., None], 3, axis=2), labels)


@pytest.mark.parametrize("seed", range(12))
def test_image_and_labels_are_turned_together(seed: int) -> None:
    image, labels = cut_tile(of_labels(rng(1).integers(0, 12, (50, 70))), 32, (1, 1), rng(seed))
    assert image.shape == (32, 32, 3)
    assert image.dtype == np.float32
    assert labels.shape == (32, 32)
    assert labels.dtype == np.int32
    np.testing.assert_allclose(image[..., 0], labels * 20 / 255, atol=1e-6)


def test_all_eight_turns_come_up() -> None:
    whole = of_labels(np.arange(12).reshape(3, 4)[:, :3])
    seen = {cut_tile(whole, 3, (1, 1), rng(seed))[1].tobytes() for seed in range(100)}
    square = whole.labels
    wanted = {np.rot90(s, k).tobytes() for s in (square, square[:, ::-1]) for k in range(4)}
    assert seen == wanted


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.3, 2.0])
def test_magnified_labels_keep_their_ids_and_place(scale: float) -> None:
    image, labels = discs(0)
    ids = set(np.unique(labels)) | {0}
    tile, cut = cut_tile(Scene("s/a", "s", image, labels), 64, (scale, scale), rng(3))
    # At 0.5 the window is larger than the image, and mirror images get ids of their own.
    assert scale < 1 or set(np.unique(cut)) <= ids
    # discs are 200 on 50: thresholding the tile gives the labels but for the rim
    assert ((tile[..., 0] > 125 / 255) == (cut > 0)).mean() > 0.97
    # a disc's area grows with the square
    assert (cut > 0).mean() == pytest.approx((labels > 0).mean(), abs=0.15)


@pytest.mark.parametrize("shape", [(10, 30), (1, 1), (1, 200), (300, 2), (63, 64)])
@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.7, 1.4)])
def test_images_smaller_than_a_tile(shape: tuple[int, int], scale: tuple[float, float]) -> None:
    labels = np.zeros(shape, dtype=np.int32)
    labels[: max(1, shape[0] // 2), : max(1, shape[1] // 2)] = 1
    for seed in range(5):
        image, cut = cut_tile(of_labels(labels), 64, scale, rng(seed))
        assert image.shape == (64, 64, 3)
        assert np.isfinite(image).all()
        if scale == (1.0, 1.0):
            # mirrored, not padded with background: the image still agrees with the labels
            np.testing.assert_allclose(image[..., 0], (cut > 0) * 20 / 255, atol=1e-6)


def test_the_mirror_image_of_an_object_is_another_object() -> None:
    labels = np.zeros((24, 24), dtype=np.int32)
    labels[4:9, 5:12] = 1
    labels[14:20, 10:15] = 2
    for seed in range(5):
        cut = cut_tile(of_labels(labels), 64, (1, 1), rng(seed))[1]
        boxes = ndimage.find_objects(cut)
        assert len(boxes) > 4
        # Whole or cut by the tile's border, none is larger than the objects are.
        assert max(max(s.stop - s.start for s in box) for box in boxes) <= 7
        # A generator that finds them all is told that it did.
        basins, count = ndimage.label(cut > 0)
        assert count == len(boxes)
        assert (match_regions(basins.astype(np.int32), cut)[1:] > 0).all()


def test_an_object_that_touches_its_mirror_image_stays_one() -> None:
    labels = np.array([[1, 1, 0, 0], [0, 0, 2, 2]], dtype=np.int32)
    mirrored = np.concatenate([labels, labels[:, ::-1]], axis=1)
    assert part_mirrored(mirrored).tolist() == [[1, 1, 0, 0, 0, 0, 2, 2], [0, 0, 3, 3, 3, 3, 0, 0]]


def test_most_tiles_have_an_object_in_the_middle() -> None:
    labels = np.zeros((400, 400), dtype=np.int32)
    labels[20:30, 20:30] = 1  # a tile of 64 at random finds it in about 1 of 20
    tiles = [cut_tile(of_labels(labels), 64, (1, 1), rng(seed))[1] for seed in range(200)]
    assert np.mean([tile.any() for tile in tiles]) == pytest.approx(OBJECT_SHARE + 0.01, abs=0.08)


def test_scenes_without_objects_and_with_gaps_give_tiles() -> None:
    assert not cut_tile(of_labels(np.zeros((40, 40))), 32, (1, 1), rng())[1].any()
    gap = np.zeros((40, 40))
    gap[0, 0] = 9  # ids 1 to 8 are not there
    for seed in range(20):
        cut_tile(of_labels(gap), 32, (1, 1), rng(seed))


# Intensities


def test_no_augmentation_changes_nothing() -> None:
    image = rng().random((16, 16, 3), dtype=np.float32)
    np.testing.assert_allclose(change_intensity(image, Augmentation(), rng()), image, atol=1e-6)


def test_intensities_stay_in_range_and_gray_stays_gray() -> None:
    gray = np.repeat(rng().random((24, 24, 1), dtype=np.float32), 3, axis=2)
    changed = [change_intensity(gray, STRONG, rng(seed)) for seed in range(30)]
    for image in changed:
        assert image.dtype == np.float32
        assert image.min() >= 0
        assert image.max() <= 1
        assert (image == image[..., :1]).all()
    assert np.std([image.mean() for image in changed]) > 0.03
    assert not any(np.allclose(image, gray, atol=1e-3) for image in changed)
    for level in (0.0, 1.0):
        assert np.isfinite(change_intensity(np.full((4, 4, 3), level, np.float32), STRONG, rng())).all()


# The data set


def tiles(length: int = 12, seed: int = 0) -> TileDataset:
    return TileDataset([scene(0), scene(1)], size=64, length=length, seed=seed, augmentation=STRONG)


def test_tiles_are_what_the_networks_take() -> None:
    image, labels = tiles()[0]
    assert image.shape == (3, 64, 64)
    assert image.dtype == torch.float32
    assert 0 <= float(image.min()) <= float(image.max()) <= 1
    assert labels.shape == (64, 64)
    assert labels.dtype == torch.int32


def test_tile_i_is_the_same_whenever_and_however_long_the_run() -> None:
    one, other = tiles(), tiles(length=500)
    other[3], other[400]
    for index in (7, 0, 11):
        for before, after in zip(one[index], other[index], strict=True):
            assert torch.equal(before, after)
    assert not torch.equal(one[0][0], one[1][0])
    assert not torch.equal(one[0][0], tiles(seed=1)[0][0])


def test_the_data_set_ends() -> None:
    assert len(tiles(3)) == len(list(tiles(3))) == 3
    for index in (-1, 3):
        with pytest.raises(IndexError):
            tiles(3)[index]


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_workers_change_nothing() -> None:
    batches = [list(DataLoader(tiles(6), batch_size=2, num_workers=workers)) for workers in (0, 2)]
    for alone, together in zip(*batches, strict=True):
        assert torch.equal(alone[0], together[0])
        assert torch.equal(alone[1], together[1])


def test_sources_have_equal_shares() -> None:
    def plain(source: str, level: int) -> Scene:
        return Scene(f"{source}/a", source, np.full((64, 64, 3), level, np.uint8), np.zeros((64, 64), np.int32))

    many = [plain("many", 0)] * 30 + [plain("few", 255)]
    data = TileDataset(many, size=16, length=300, seed=0, augmentation=Augmentation())
    assert np.mean([float(image.mean()) for image, _ in data]) == pytest.approx(0.5, abs=0.1)

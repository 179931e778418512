"""Training tiles: labels that stay ids, images that stay beside them, and the same tile every time."""

import pickle
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from blobs import discs, labeled_image, tile_config
from scipy import ndimage
from torch.utils.data import DataLoader, Subset

from autosam.config import Config, SourceConfig
from autosam.data import LabeledImage
from autosam.errors import InputError
from autosam.prompts.prompt import Prompt
from autosam.training.prompting.prompt_targets import match_regions
from autosam.training.samples.deform import bend_tile
from autosam.training.samples.others import OtherPictures
from autosam.training.samples.tiles import (
    Tile,
    TileBatch,
    TileDataset,
    collate_tiles,
    cut_tile,
    draw_zoom,
    median_diameter,
)

CHANGES = {"zoom": (0.5, 2.0), "contrast": 0.3, "brightness": 0.15, "noise": 0.06, "blur": 1.2}
STRONG, BENT = tile_config(**CHANGES), tile_config(**CHANGES, elastic=4.0)


def with_settings(config: Config, section: str, **settings: Any) -> Config:
    return config.model_copy(update={section: getattr(config, section).model_copy(update=settings)})


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def of_labels(labels: np.ndarray) -> LabeledImage:
    """Make a labeled image whose image says which label every pixel has: 20 for each id."""
    labels = labels.astype(np.int32)
    return LabeledImage("s/a", "s", np.repeat((labels * 20).astype(np.uint8)[..., None], 3, axis=2), labels)


@pytest.mark.parametrize("seed", range(12))
def test_image_and_labels_are_turned_together(seed: int) -> None:
    image, labels, prompts = cut_tile(
        of_labels(rng(1).integers(0, 12, (50, 70))), 32, 1.0, rng(seed), object_share=0.8
    )
    # Gray has one channel, until the tile is whole.
    assert image.shape == (32, 32, 1)
    assert image.dtype == np.float32
    assert labels.shape == (32, 32)
    assert labels.dtype == np.int32
    np.testing.assert_allclose(image[..., 0], labels * 20 / 255, atol=1e-6)
    assert prompts == []


def test_all_eight_turns_come_up() -> None:
    whole = of_labels(np.arange(12).reshape(3, 4)[:, :3])
    seen = {cut_tile(whole, 3, 1.0, rng(seed), object_share=0.8)[1].tobytes() for seed in range(100)}
    square = whole.labels
    wanted = {np.rot90(s, k).tobytes() for s in (square, square[:, ::-1]) for k in range(4)}
    assert seen == wanted


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.3, 2.0])
def test_zoomed_labels_keep_their_ids_and_place(scale: float) -> None:
    image, labels = discs(0)
    ids = set(np.unique(labels)) | {0}
    tile, cut, _ = cut_tile(LabeledImage("s/a", "s", image, labels), 64, scale, rng(3), object_share=0.8)
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
        draw = rng(seed)
        image, cut, _ = cut_tile(of_labels(labels), 64, draw_zoom(scale, draw), draw, object_share=0.8)
        assert image.shape == (64, 64, 1)
        assert np.isfinite(image).all()
        if scale == (1.0, 1.0):
            # mirrored, not padded with background: the image still agrees with the labels
            np.testing.assert_allclose(image[..., 0], (cut > 0) * 20 / 255, atol=1e-6)


def test_the_mirror_image_of_an_object_is_another_object() -> None:
    labels = np.zeros((24, 24), dtype=np.int32)
    labels[4:9, 5:12] = 1
    labels[14:20, 10:15] = 2
    for seed in range(5):
        cut = cut_tile(of_labels(labels), 64, 1.0, rng(seed), object_share=0.8)[1]
        boxes = ndimage.find_objects(cut)
        assert len(boxes) > 4
        # Whole or cut by the tile's border, none is larger than the objects are.
        assert max(max(s.stop - s.start for s in box) for box in boxes) <= 7
        # A generator that finds them all is told that it did.
        regions, count = ndimage.label(cut > 0)
        assert count == len(boxes)
        assert (match_regions(regions.astype(np.int32), cut, matching="overlap")[1:] > 0).all()


@pytest.mark.parametrize("share", [0.0, 0.8, 1.0])
def test_that_share_of_the_tiles_has_an_object_in_the_middle(share: float) -> None:
    labels = np.zeros((400, 400), dtype=np.int32)
    labels[20:30, 20:30] = 1  # a tile of 64 at random finds it in about 1 of 20
    cut = [cut_tile(of_labels(labels), 64, 1.0, rng(seed), object_share=share)[1] for seed in range(200)]
    found = np.mean([tile.any() for tile in cut])
    assert found == pytest.approx(share + 0.05 * (1 - share), abs=0.08)
    assert found == 1 or share < 1


def test_images_without_objects_and_with_gaps_give_tiles() -> None:
    assert not cut_tile(of_labels(np.zeros((40, 40))), 32, 1.0, rng(), object_share=0.8)[1].any()
    gap = np.zeros((40, 40))
    gap[0, 0] = 9  # ids 1 to 8 are not there
    for seed in range(20):
        cut_tile(of_labels(gap), 32, 1.0, rng(seed), object_share=0.8)


# Prompts


def dots(scene_of: LabeledImage) -> LabeledImage:
    """Give every object a prompt: its innermost pixel, a negative at the corner of the image, and its box."""
    prompts = []
    for object_id, (rows, cols) in enumerate(ndimage.find_objects(scene_of.labels), start=1):
        depth = ndimage.distance_transform_edt(np.pad(scene_of.labels == object_id, 1))[1:-1, 1:-1]
        point = np.unravel_index(depth.argmax(), depth.shape)
        prompts.append(
            Prompt(
                points=np.array([point, (0, 0)], dtype=np.float64),
                point_labels=np.array([1, 0]),
                box=np.array([rows.start, cols.start, rows.stop - 1, cols.stop - 1], dtype=np.float64),
            )
        )
    return replace(scene_of, prompts=tuple(prompts))


@pytest.mark.parametrize("elastic", [0.0, 4.0])
def test_prompts_lie_on_their_objects_whatever_is_done_to_the_tile(elastic: float) -> None:
    whole, ids, kept, slack = dots(labeled_image(2, 200)), set(), 0, 1.5
    for seed in range(20):
        draw = rng(seed)
        image, labels, prompts = cut_tile(whole, 64, draw_zoom((0.6, 1.6), draw), draw, object_share=0.8)
        if elastic:
            image, labels, prompts = bend_tile(image, labels, prompts, largest=elastic, rng=draw)
        assert image.shape == (64, 64, 1)
        assert labels.shape == (64, 64)
        for prompt in prompts:
            assert prompt.points.min() >= -0.5
            assert prompt.points.max() < 63.5
            assert prompt.box is not None
            for row, col in np.rint(prompt.points[prompt.point_labels == 1]).astype(int):
                object_id = labels[row, col]
                assert object_id > 0
                # The box is that of this object as far as it is in the tile.
                found = np.argwhere(labels == object_id)
                assert (prompt.box[:2] <= found.min(axis=0) + slack).all()
                assert (prompt.box[2:] >= found.max(axis=0) - slack).all()
                ids.add(int(object_id))
                kept += 1
    assert kept > 40
    assert len(ids) > 10


def test_a_mirrored_copy_has_no_prompt() -> None:
    labels = np.zeros((24, 24), dtype=np.int32)
    labels[4:9, 5:12] = 1
    for seed in range(5):
        _, cut, prompts = cut_tile(dots(of_labels(labels)), 64, 1.0, rng(seed), object_share=0.8)
        assert cut.max() > 4
        assert len(prompts) == 1
        row, col = np.rint(prompts[0].points[0]).astype(int)
        assert cut[row, col] > 0


# The data set


def tiles(length: int = 12, seed: int = 0, config: Config = BENT) -> TileDataset:
    labeled_images = [dots(labeled_image(0)), labeled_image(1)]
    return TileDataset(labeled_images, config.model_copy(update={"seed": seed}), size=64, length=length)


def assert_same(one: Tile | TileBatch, other: Tile | TileBatch) -> None:
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    # Prompts hold arrays, which have no truth value of their own.
    assert pickle.dumps(one.prompts) == pickle.dumps(other.prompts)


def test_tiles_are_what_the_networks_take() -> None:
    found = 0
    for tile in tiles():
        assert isinstance(tile, Tile)
        assert tile.image.shape == (3, 64, 64)
        assert tile.image.dtype == torch.float32
        assert 0 <= float(tile.image.min()) <= float(tile.image.max()) <= 1
        assert tile.labels.shape == (64, 64)
        assert tile.labels.dtype == torch.int32
        assert isinstance(tile.prompts, tuple)
        found += len(tile.prompts)
    assert found > 5


def test_tiles_that_are_not_bent_are_as_they_always_were() -> None:
    # Numbers of the first version: a run that was begun with it can be resumed.
    plain = tiles(config=STRONG)
    sums = [zlib.crc32(plain[index].labels.numpy().tobytes()) for index in range(4)]
    assert sums == [3678092228, 2366088251, 3493404705, 2253251139]
    means = [float(plain[index].image.mean()) for index in range(4)]
    np.testing.assert_allclose(means, [0.477697, 0.278456, 0.29126, 0.161633], atol=1e-5)


def test_tiles_turned_by_any_angle_keep_objects_and_prompts() -> None:
    config = tile_config(**CHANGES | {"rotate": 1.0, "stretch": 1.3})
    config = with_settings(config, "training", object_tiles=1.0)
    turned = tiles(length=30, config=config)
    prompts = 0
    for tile in turned:
        assert tile.image.shape == (3, 64, 64)
        assert tile.labels.any()
        for prompt in tile.prompts:
            for row, col in np.rint(prompt.points[prompt.point_labels == 1]).astype(int):
                assert tile.labels[row, col] > 0
                prompts += 1
    assert prompts > 20
    assert_same(turned[3], turned[3])


def test_the_networks_zoom_multiplies_that_of_the_augmentation() -> None:
    def cut(scale: float, low: float, high: float) -> TileDataset:
        config = with_settings(tile_config(**{**CHANGES, "zoom": (low, high)}, elastic=4.0), "images", zoom=scale)
        return TileDataset([dots(labeled_image(0))], config, size=64, length=8)

    for one, other in zip(cut(2.0, 0.65, 1.45), cut(1.0, 1.3, 2.9), strict=True):
        assert_same(one, other)
    assert not torch.equal(cut(2.0, 0.65, 1.45)[0].labels, cut(1.0, 0.65, 1.45)[0].labels)


def test_empty_images_are_dropped_where_every_tile_has_an_object() -> None:
    empty = LabeledImage("empty/a", "empty", np.zeros((96, 96, 3), np.uint8), np.zeros((96, 96), np.int32))

    def drawn(labeled_images: list[LabeledImage], share: float) -> list[Tile]:
        config = with_settings(tile_config(), "training", object_tiles=share)
        return list(TileDataset(labeled_images, config, size=64, length=40))

    assert all(tile.labels.any() for tile in drawn([labeled_image(0), empty], 1.0))
    assert 10 < sum(bool(tile.labels.any()) for tile in drawn([labeled_image(0), empty], 0.9)) < 30
    assert not any(tile.labels.any() for tile in drawn([empty], 0.9))
    with pytest.raises(
        InputError, match=r"object_tiles=1 .* none of the 2 training images has one; check"
    ) as error:
        drawn([empty, empty], 1.0)
    assert "\n" not in str(error.value)


def test_tile_i_is_the_same_whenever_and_however_long_the_run() -> None:
    one, other = tiles(), tiles(length=500)
    other[3], other[400]
    for index in (7, 0, 11):
        assert_same(one[index], other[index])
    assert not torch.equal(one[0][0], one[1][0])
    assert not torch.equal(one[0][0], tiles(seed=1)[0][0])


def test_the_data_set_ends() -> None:
    assert len(tiles(3)) == len(list(tiles(3))) == 3
    for index in (-1, 3):
        with pytest.raises(IndexError):
            tiles(3)[index]


def test_workers_that_are_spawned_change_nothing() -> None:
    """On Windows and macOS a worker is a new process, which gets everything as a pickle."""
    loader = DataLoader(
        Subset(tiles(4), [0, 2, 3]),
        batch_size=2,
        num_workers=1,
        collate_fn=collate_tiles,
        multiprocessing_context="spawn",
        generator=torch.Generator().manual_seed(0),
    )
    for alone, spawned in zip(
        DataLoader(Subset(tiles(4), [0, 2, 3]), 2, collate_fn=collate_tiles), loader, strict=True
    ):
        assert_same(alone, spawned)


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_workers_change_nothing() -> None:
    batches = [
        list(DataLoader(tiles(6), batch_size=2, num_workers=workers, collate_fn=collate_tiles))
        for workers in (0, 2)
    ]
    for alone, together in zip(*batches, strict=True):
        assert isinstance(together, TileBatch)
        assert together.images.shape == (2, 3, 64, 64)
        assert together.labels.shape == (2, 64, 64)
        assert len(together.prompts) == 2
        assert_same(alone, together)
    assert any(of_tile for batch in batches[1] for of_tile in batch.prompts)


def test_sources_have_equal_shares_or_their_weights() -> None:
    def plain(source: str, level: int) -> LabeledImage:
        return LabeledImage(
            f"{source}/a", source, np.full((64, 64, 3), level, np.uint8), np.zeros((64, 64), np.int32)
        )

    many = [plain("many", 0)] * 30 + [plain("few", 255)]
    data = TileDataset(many, tile_config(), size=16, length=300)
    assert np.mean([float(tile.image.mean()) for tile in data]) == pytest.approx(0.5, abs=0.1)

    sources = tuple(
        SourceConfig(name=name, images="i", labels="l", weight=weight)
        for name, weight in (("few", 4), ("other", 9))
    )
    weighted = TileDataset(many, with_settings(tile_config(), "data", sources=sources), size=16, length=300)
    assert np.mean([float(tile.image.mean()) for tile in weighted]) == pytest.approx(0.8, abs=0.08)


# Wide randomization

WIDE = {
    "invert": 0.3,
    "share": 1.0,
    "tone": 1.0,
    "local_contrast": 1.0,
    "shading": 0.4,
    "spectrum": 0.8,
    "defocus": 2.0,
    "sharpen": 1.0,
    "coarsen": 2.0,
    "jpeg": 20,
    "shot_noise": 0.1,
    "grain": 0.1,
    "specks": 0.01,
    "scan_lines": 0.05,
    "curtains": 0.05,
}


@pytest.mark.parametrize("stained", [False, True])
def test_wide_randomization_changes_images_and_nothing_else(stained: bool) -> None:
    pixels, labels = discs(3, 80)
    if stained:
        pixels = (pixels * np.array([0.9, 0.5, 0.7])).astype(np.uint8)
    images = [LabeledImage("s/a", "s", pixels, labels), labeled_image(1)]
    plain, wide = (
        TileDataset(images, tile_config(zoom=(0.5, 2.0), **augment), size=64, length=10) for augment in ({}, WIDE)
    )
    for index in range(10):
        tile = wide[index]
        assert_same(tile, wide[index])
        assert torch.equal(tile.labels, plain[index].labels)
        assert tile.image.shape == (3, 64, 64)
        assert tile.image.dtype == torch.float32
        assert bool(((tile.image >= 0) & (tile.image <= 1)).all())
        gray, was_gray = (bool((one.image == one.image[:1]).all()) for one in (tile, plain[index]))
        assert gray == was_gray
        assert (tile.image - plain[index].image).abs().mean() > 0.01


@pytest.mark.parametrize("name", sorted(WIDE.keys() - {"share"}))
def test_each_change_is_off_at_its_default_and_shows_on_its_own(name: str) -> None:
    def first(**augment: Any) -> torch.Tensor:
        return TileDataset([labeled_image(0), labeled_image(1)], tile_config(**augment), size=64, length=1)[
            0
        ].image

    still = first(share=1.0)
    assert torch.equal(still, first(share=0.0))
    changed = first(**{"share": 1.0, name: 1.0 if name == "invert" else WIDE[name]})
    assert (changed - still).abs().max() > 1e-3


def test_amplitudes_come_from_other_sources_and_unlabeled_images() -> None:
    def level(source: str, gray: int) -> LabeledImage:
        return LabeledImage(
            f"{source}/a", source, np.full((40, 50, 3), gray, np.uint8), np.zeros((40, 50), np.int32)
        )

    def drawn(images: list[LabeledImage], unlabeled: list[np.ndarray]) -> set[float]:
        others = OtherPictures(images, unlabeled, size=16, zoom_range=(0.3, 2.0))
        pictures = [others.draw("one", rng(seed)) for seed in range(20)]
        assert all(picture.shape == (16, 16) for picture in pictures)
        return {round(float(picture.mean() * 255), 3) for picture in pictures}

    one, two = level("one", 10), level("two", 20)
    assert drawn([one], []) == {10}
    assert drawn([one, two], []) == {20}
    assert drawn([one, two], [np.full((9, 9), 30, np.uint8)]) == {20, 30}


# Pasted objects


def test_objects_of_another_source_are_pasted_where_no_user_prompts_are() -> None:
    empty = LabeledImage("two/a", "two", np.full((96, 96, 3), 90, np.uint8), np.zeros((96, 96), np.int32))
    source = labeled_image(2)

    def drawn(images: list[LabeledImage], paste: float) -> list[Tile]:
        config = with_settings(tile_config(paste=paste), "training", object_tiles=0.0)
        return list(TileDataset(images, config, size=64, length=40))

    plain, pasted = drawn([source, empty], 0.0), drawn([source, empty], 1.0)
    changed = [index for index in range(40) if not torch.equal(plain[index].labels, pasted[index].labels)]
    # Half of the tiles are of the empty source, and have room for a disc.
    assert sum(not plain[index].labels.any() for index in changed) > 8
    for index in changed:
        own = plain[index].labels > 0
        assert torch.equal(plain[index].labels[own], pasted[index].labels[own])
        assert (pasted[index].labels > 0).sum() > own.sum()
        assert not torch.equal(plain[index].image, pasted[index].image)
    prompted = [dots(source), replace(source, source="two", name="two/a", prompts=dots(source).prompts)]
    for one, other in zip(drawn(prompted, 0.0), drawn(prompted, 1.0), strict=True):
        assert_same(one, other)
    stained = replace(empty, image=empty.image * np.array([1, 2, 1], np.uint8))
    colored = 0
    for one, other in zip(drawn([source, stained], 0.0), drawn([source, stained], 1.0), strict=True):
        if not torch.equal(one.image[0], one.image[1]):
            assert_same(one, other)
            colored += 1
    assert colored > 10
    # No object to be had.
    assert not any(tile.labels.any() for tile in drawn([empty], 1.0))


# One diameter


def squares(side: int, count: int = 9) -> LabeledImage:
    """Squares of one size in the middle of cells of 30 pixels."""
    labels = np.zeros((90, 90), dtype=np.int32)
    for number in range(count):
        row, col = 30 * (number // 3) + 5, 30 * (number % 3) + 5
        labels[row : row + side, col : col + side] = number + 1
    return replace(of_labels(labels), name=f"s/{side}")


def diameters(share: float, *labeled_images: LabeledImage, scale: float = 1.0) -> list[float]:
    config = with_settings(tile_config(same_diameter=share), "training", object_tiles=1.0)
    config = with_settings(config, "images", zoom=scale, diameter=10 * 2 / np.sqrt(np.pi))
    tiles = TileDataset(labeled_images, config, size=64, length=60)
    sides = []
    for tile in tiles:
        labels = tile.labels.numpy()
        inner = set(np.unique(labels)) - set(np.unique(np.concatenate([labels[[0, -1]], labels[:, [0, -1]].T])))
        if inner:
            sides.append(float(np.sqrt(max(np.count_nonzero(labels == number) for number in inner))))
    return sides


def test_objects_of_all_images_are_brought_to_one_diameter() -> None:
    sides = diameters(1.0, squares(6), squares(20))
    assert len(sides) > 30
    np.testing.assert_allclose(sides, 10, atol=1.0)
    # As large as the networks see them.
    np.testing.assert_allclose(diameters(1.0, squares(6), squares(20), scale=1.5), 15, atol=1.5)


def test_pasted_objects_are_brought_to_the_diameter_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autosam.training.samples.tiles.PASTED_ZOOM", 0.0)
    images = [replace(squares(6), source="a"), replace(squares(20), source="b")]
    plain, pasted = (
        TileDataset(
            images,
            with_settings(tile_config(same_diameter=1.0, paste=share), "images", diameter=10 * 2 / np.sqrt(np.pi)),
            size=64,
            length=40,
        )
        for share in (0.0, 1.0)
    )
    sides = []
    for one, other in zip(plain, pasted, strict=True):
        new = other.labels[one.labels != other.labels]
        sides += [float(count) ** 0.5 for count in torch.bincount(new) if count]
    assert len(sides) > 10
    np.testing.assert_allclose(sides, 10, atol=1.0)


def test_a_share_of_the_tiles_is_brought_to_it() -> None:
    sides = np.array(diameters(0.5, squares(6), squares(20)))
    kept = np.isclose(sides, 6) | np.isclose(sides, 20)
    assert 0.25 < kept.mean() < 0.75
    np.testing.assert_allclose(sides[~kept], 10, atol=1.0)
    assert set(np.round(diameters(0.0, squares(6), squares(20)))) == {6, 20}


def test_a_image_of_a_few_objects_keeps_its_size() -> None:
    np.testing.assert_allclose(diameters(1.0, squares(6, count=4)), 6)


def test_a_worker_that_got_a_copy_brings_objects_to_the_same_diameter() -> None:
    config = with_settings(tile_config(same_diameter=1.0), "images", diameter=11.0)
    tiles = TileDataset([squares(6), squares(20)], config, size=64, length=8)
    copy = pickle.loads(pickle.dumps(tiles))
    for index in range(8):
        assert torch.equal(copy[index].labels, tiles[index].labels)


def test_tiles_show_an_image_at_its_known_zoom() -> None:
    np.testing.assert_allclose(diameters(0.0, replace(squares(6), zoom=2.0)), 12, atol=1.0)
    # A diameter that is measured counts before a pixel size.
    np.testing.assert_allclose(diameters(1.0, replace(squares(6), zoom=3.0)), 10, atol=1.0)


def test_the_median_diameter_is_that_of_the_zoomed_images() -> None:
    image, labels = discs(0)
    one = LabeledImage("s/a", "s", image, labels)
    assert median_diameter([replace(one, zoom=2.0)]) == pytest.approx(2 * median_diameter([one]), abs=0.02)


def turned(one: LabeledImage, **augment: Any) -> TileDataset:
    config = with_settings(tile_config(rotate=1.0, stretch=1.3, **augment), "training", object_tiles=1.0)
    return TileDataset([one], config, size=32, length=60)


def test_turned_tiles_show_an_object_in_the_corner_of_the_image() -> None:
    labels = np.zeros((128, 128), np.int32)
    labels[:8, :8] = 1
    assert all((tile.labels > 0).any() for tile in turned(of_labels(labels)))


def test_turned_tiles_show_the_one_corner_that_is_known() -> None:
    one = of_labels(np.zeros((128, 128)))
    valid = np.zeros((128, 128), bool)
    valid[-6:, :6] = True
    config = tile_config(rotate=1.0, stretch=1.3)
    tiles = TileDataset([replace(one, valid=valid)], config, size=32, length=60)
    assert all((tile.labels >= 0).any() for tile in tiles)


@pytest.mark.parametrize("seed", range(10))
def test_a_margin_widens_the_same_window(seed: int) -> None:
    one = of_labels(np.arange(60 * 70).reshape(60, 70) % 12)
    inner = cut_tile(one, 32, 1.0, rng(seed), object_share=0.0)
    wide = cut_tile(one, 32, 1.0, rng(seed), object_share=0.0, margin=9)
    assert wide[1].shape == (50, 50)
    # Ids of a mirrored window are new, the pixels are not.
    np.testing.assert_array_equal(wide[0][9:-9, 9:-9], inner[0])


def test_labels_outside_the_image_can_be_unknown() -> None:
    one = of_labels(np.ones((20, 20)))
    image, labels, _ = cut_tile(one, 32, 1.0, rng(), object_share=0.0, mirrored=False)
    assert (labels == 1).sum() == 400
    assert (labels == -1).sum() == 32 * 32 - 400
    assert (image == image[0, 0]).all()


def test_objects_at_the_border_of_a_small_image_are_not_pasted_doubled() -> None:
    half = np.zeros((24, 24), np.int32)
    half[8:16, :6] = 1
    images = [replace(of_labels(half), source="a"), replace(of_labels(np.zeros((96, 96))), source="b", name="b/a")]
    plain, pasted = (TileDataset(images, tile_config(paste=share), size=96, length=40) for share in (0.0, 1.0))
    without = [index for index in range(40) if not (plain[index].labels > 0).any()]
    # The second image's tiles, into which nothing whole can be pasted.
    assert len(without) > 10
    assert not any((pasted[index].labels > 0).any() for index in without)

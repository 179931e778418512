"""Bent tiles: image, labels and prompts go together, and nothing comes from outside."""

import numpy as np
import pytest
import torch
from blobs import discs
from scipy import ndimage
from skimage.transform import warp

from autosam.images import Window
from autosam.prompts.prompt import MaskPrompt, Prompt
from autosam.training.samples.deform import (
    elastic_field,
    move_prompts,
    part_pieces,
    place_prompts,
    warp_image,
    warp_labels,
    warp_points,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def prompt(*points: tuple[float, float, int], box: tuple[float, ...] | None = None) -> Prompt:
    """Make a prompt of points with their labels, and a box."""
    table = np.array(points, dtype=np.float64).reshape(-1, 3)
    return Prompt(
        points=table[:, :2],
        point_labels=table[:, 2].astype(np.int64),
        box=None if box is None else np.array(box, dtype=np.float64),
    )


def stay(points: np.ndarray) -> np.ndarray:
    return points


# Elastic deformation


@pytest.mark.parametrize(("size", "largest"), [(64, 2.0), (64, 8.0), (96, 30.0), (128, 5.0), (1, 3.0)])
def test_a_field_keeps_its_bound_and_maps_the_tile_onto_itself(size: int, largest: float) -> None:
    fields = [elastic_field(size, largest, rng(seed)) for seed in range(20)]
    lengths = [float(np.hypot(*field).max()) for field in fields]
    assert max(lengths) <= largest
    if size > 1:
        assert np.ptp(lengths) > 0.2 * min(largest, size / 8)  # drawn anew for each tile
    for field in fields:
        assert field.shape == (2, size, size)
        assert not field[0, [0, -1]].any()
        assert not field[1][:, [0, -1]].any()
        rows, cols = np.indices((size, size)) + field
        assert min(rows.min(), cols.min()) >= 0
        assert max(rows.max(), cols.max()) <= size - 1
        if size > 1:
            # The map does not fold: its Jacobian is positive.
            (rr, rc), (cr, cc) = np.gradient(rows), np.gradient(cols)
            assert (rr * cc - rc * cr).min() > 0.2


def test_the_field_is_the_generators_alone() -> None:
    state = torch.get_rng_state()
    np.testing.assert_array_equal(elastic_field(32, 3, rng(4)), elastic_field(32, 3, rng(4)))
    assert not np.array_equal(elastic_field(32, 3, rng(4)), elastic_field(32, 3, rng(5)))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_constant_field_shifts_by_whole_pixels() -> None:
    field = np.zeros((2, 5, 5))
    field[1, :, :3] = 2  # three columns show what is two to the right
    labels = np.arange(25, dtype=np.int32).reshape(5, 5)
    wanted = labels[:, [2, 3, 4, 3, 4]]
    np.testing.assert_array_equal(warp_labels(labels, field), wanted)
    image = np.repeat(labels[..., None] / np.float32(25), 3, axis=2).astype(np.float32)
    np.testing.assert_allclose(warp_image(image, field)[..., 0], wanted / 25, atol=1e-5)


def test_images_are_warped_as_scikit_image_does() -> None:
    image, field = rng().random((48, 48, 3), dtype=np.float32), elastic_field(48, 5, rng(1))
    coordinates = np.indices((48, 48)) + field
    for channel in range(3):
        reference = warp(image[..., channel], coordinates, order=1, mode="edge")
        np.testing.assert_allclose(warp_image(image, field)[..., channel], reference, atol=1e-4)


def test_labels_keep_their_ids_and_go_with_the_image() -> None:
    _, labels = discs(0, 96)
    labels = labels * 20_000_001  # far beyond what float32 tells apart
    image = np.repeat((labels > 0)[..., None], 3, axis=2).astype(np.float32)
    for seed in range(5):
        field = elastic_field(96, 6, rng(seed))
        warped = warp_labels(labels, field)
        assert warped.dtype == np.int32
        assert set(np.unique(warped)) == set(np.unique(labels))
        assert ((warp_image(image, field)[..., 0] > 0.5) == (warped > 0)).mean() > 0.99


def test_points_stay_on_their_objects() -> None:
    _, labels = discs(3, 96)
    moved = 0.0
    for seed in range(10):
        field = elastic_field(96, 8, rng(seed))
        warped = warp_labels(labels, field)
        for object_id in range(1, int(labels.max()) + 1):
            core = np.argwhere(ndimage.binary_erosion(labels == object_id)).astype(np.float64)
            rows, cols = np.rint(warp_points(core, field)).astype(int).T
            assert (warped[rows, cols] == object_id).all()
            moved = max(moved, float(np.abs(np.stack([rows, cols], axis=1) - core).max()))
    assert moved > 3


@pytest.mark.parametrize("largest", [2.0, 10.0])
def test_points_are_where_the_tile_shows_them(largest: float) -> None:
    for seed in range(5):
        field = elastic_field(64, largest, rng(seed))
        points = rng(seed).uniform(0, 63, (100, 2))
        moved = warp_points(points, field)
        shown = moved + np.stack([ndimage.map_coordinates(part, moved.T, order=1) for part in field], axis=1)
        np.testing.assert_allclose(shown, points, atol=1e-6)
    assert warp_points(np.zeros((0, 2)), field).shape == (0, 2)


# Mirrored edges


def test_an_object_that_touches_its_mirror_image_stays_one() -> None:
    labels = np.array([[1, 1, 0, 0], [0, 0, 2, 2]], dtype=np.int32)
    mirrored = np.concatenate([labels, labels[:, ::-1]], axis=1)
    assert part_pieces(mirrored).tolist() == [[1, 1, 0, 0, 0, 0, 2, 2], [0, 0, 3, 3, 3, 3, 0, 0]]


# Prompts


def test_which_prompts_are_kept_and_what_of_them() -> None:
    both = prompt((3, 4, 1), (12, 4, 1), (2, 2, 0), (-3, 2, 0), box=(1, 2, 14, 6))
    outside = prompt((12, 4, 1), (2, 2, 0), box=(8, 2, 14, 6))
    of_its_box = prompt((9.5, 4, 1), (2, 2, 0), box=(4, 2, 12, 6))
    far_box = prompt((3, 4, 1), box=(20, 20, 30, 30))
    kept = move_prompts([both, outside, of_its_box, far_box, prompt((9.49, -0.5, 1))], stay, size=10)
    assert [len(item.points) for item in kept] == [2, 1, 1, 1]
    assert kept[0].points.tolist() == [[3, 4], [2, 2]]
    assert kept[0].point_labels.tolist() == [1, 0]
    assert kept[0].box is not None
    assert kept[0].box.tolist() == [1, 2, 9, 6]
    assert kept[1].box is not None  # its center lies in the tile, its positive point does not
    assert kept[1].point_labels.tolist() == [0]
    assert kept[2].box is None
    assert kept[3].points.tolist() == [[9.49, -0.5]]
    assert move_prompts([], stay, size=10) == []


def test_a_box_alone_is_kept_by_its_center() -> None:
    kept = move_prompts([prompt(box=(-4, 2, 6, 6)), prompt(box=(-6, 2, 4, 6))], stay, size=10)
    assert [item.box.tolist() for item in kept if item.box is not None] == [[0, 2, 6, 6]]
    assert kept[0].points.shape == (0, 2)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("quarter", range(4))
def test_prompts_are_turned_with_the_tile(quarter: int, flip: bool) -> None:
    image = rng().permutation(30 * 20).reshape(30, 20)
    tile = np.rot90(image[5:17, 3:15], quarter)
    tile = tile[:, ::-1] if flip else tile
    window = Window(5, 3, 12, 12)
    (placed,) = place_prompts(
        [prompt((7, 9, 1), (16, 3, 0), (4, 9, 0), box=(6, 8, 9, 13))],
        window=window,
        size=12,
        quarter=quarter,
        flip=flip,
    )
    rows, cols = placed.points.astype(int).T
    assert tile[rows, cols].tolist() == [image[7, 9], image[16, 3]]
    assert placed.box is not None
    first_row, first_col, last_row, last_col = placed.box.astype(int)
    cut = tile[first_row : last_row + 1, first_col : last_col + 1]
    assert sorted(cut.ravel()) == sorted(image[6:10, 8:14].ravel())


def test_prompts_are_zoomed_by_hand() -> None:
    # Pixel 2 of the window becomes pixels 4 and 5, whose middle is 4.5; a box's outline is that of its pixels.
    asked = Prompt(
        points=np.array([[12.0, 21.0]]),
        point_labels=np.array([1]),
        box=np.array([11.0, 20.0, 12.0, 22.0]),
        mask=MaskPrompt(11, 20, np.zeros((2, 3), np.float32)),
    )
    (placed,) = place_prompts([asked], window=Window(10, 20, 8, 8), size=16)
    assert placed.points.tolist() == [[4.5, 2.5]]
    assert placed.box is not None
    assert placed.box.tolist() == [2, 0, 5, 5]
    assert placed.mask is None
    assert place_prompts([asked], window=Window(10, 30, 8, 8), size=16) == []
    assert place_prompts([], window=Window(10, 30, 8, 8), size=16) == []


def test_the_box_of_a_deformed_object_holds_it() -> None:
    _, labels = discs(5, 96)
    for seed in range(5):
        field = elastic_field(96, 8, rng(seed))
        warped = warp_labels(labels, field)
        for object_id, (rows, cols) in enumerate(ndimage.find_objects(labels), start=1):
            box = (rows.start, cols.start, rows.stop - 1, cols.stop - 1)
            (moved,) = move_prompts([prompt(box=box)], lambda points: warp_points(points, field), size=96)  # noqa: B023
            assert moved.box is not None
            found = np.argwhere(warped == object_id)
            # Rounded to pixels; an axis-aligned extent is larger than what it holds by no more than the shear.
            assert (found.min(axis=0) >= moved.box[:2] - 1).all()
            assert (found.max(axis=0) <= moved.box[2:] + 1).all()
            assert (np.ptp(found, axis=0) + 9 >= moved.box[2:] - moved.box[:2]).all()

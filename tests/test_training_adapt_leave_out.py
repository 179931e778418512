"""What is left out of few labels: the last images, or one side of each image with a margin."""

from dataclasses import replace

import numpy as np
import pytest
from blobs import labeled_image

from autosam.data import LabeledImage
from autosam.training.adapt.few_labels import count_empty, count_objects, hash_of
from autosam.training.adapt.leave_out import leave_out


def drawn(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = (100, 300)) -> LabeledImage:
    labels = np.zeros(shape, np.int32)
    for number, (row, col, height, width) in enumerate(boxes, 1):
        labels[row : row + height, col : col + width] = number
    image = np.arange(shape[0] * shape[1] * 3, dtype=np.uint64).astype(np.uint8).reshape(*shape, 3)
    return LabeledImage("labels/0", "labels", image, labels)


def test_of_many_images_the_last_ones_are_left_out() -> None:
    images = [replace(labeled_image(seed), name=f"labels/{seed}") for seed in range(8)]
    empty = replace(images[0], name="labels/9", labels=np.zeros_like(images[0].labels))
    found = leave_out([*images, empty])
    assert found.how == "images"
    assert [one.name for one in found.left_out] == ["labels/6", "labels/7"], "a quarter of 72 objects"
    assert [one.name for one in found.learnt] == [*(f"labels/{number}" for number in range(6)), "labels/9"]


def test_of_one_image_a_side_is_left_out_with_a_margin() -> None:
    four = drawn((10, 10, 20, 20), (50, 60, 20, 20), (10, 120, 20, 20), (50, 260, 20, 20))
    found = leave_out([four])
    assert found.how == "regions"
    (learnt,), (left,) = found.learnt, found.left_out
    assert count_objects([learnt]) == 3
    assert count_objects([left]) == 1
    assert learnt.image.shape[:2] == learnt.labels.shape
    # 22 pixels are as wide as an object; the pixels are those of two ends of the image.
    assert learnt.labels.shape[1] + left.labels.shape[1] <= 300 - 22
    assert np.array_equal(learnt.image, four.image[:, -learnt.labels.shape[1] :])
    assert np.array_equal(left.image, four.image[:, : left.labels.shape[1]])


def test_an_object_that_is_cut_does_not_validate() -> None:
    # Three rows of objects that start everywhere: each cut goes through some.
    boxes = [(row, 3 + col + row // 4, 20, 25) for row in (5, 40, 70) for col in range(0, 250, 45)]
    whole = drawn(*boxes)
    found = leave_out([whole])
    (left,) = found.left_out
    assert left.valid is not None
    assert not left.labels[~left.valid].any()
    sizes = np.bincount(left.labels.ravel())[1:]
    assert set(sizes[sizes > 0]) == {500}, "whole objects alone"
    at_the_end = left.image[0, 0, 0] != whole.image[0, 0, 0]
    kept = whole.labels[:, -left.labels.shape[1] :] if at_the_end else whole.labels[:, : left.labels.shape[1]]
    assert (~left.valid).sum() == np.isin(kept, np.setdiff1d(kept, left.labels)).sum()


def test_where_objects_are_in_one_place_nothing_is_left_out() -> None:
    close = drawn((10, 10, 20, 20), (10, 32, 20, 20))
    found = leave_out([close])
    assert (found.how, found.left_out) == ("nothing", [])
    assert found.learnt == [close]


@pytest.mark.parametrize("part", ["image", "labels", "valid"])
def test_the_hash_follows_pixels_and_not_names(part: str) -> None:
    one = labeled_image(0)
    one = replace(one, valid=np.ones(one.labels.shape, bool))
    assert hash_of([one]) == hash_of([replace(one, name="labels/patient")])
    changed = getattr(one, part).copy()
    changed[3, 3] = 1 - changed[3, 3]
    assert hash_of([one]) != hash_of([replace(one, **{part: changed})])


def test_reviewed_places_without_an_object_are_counted() -> None:
    one = drawn((10, 10, 20, 20), (50, 60, 20, 20))
    assert count_empty([one]) == 0
    valid = np.zeros(one.labels.shape, bool)
    assert count_empty([replace(one, labels=np.zeros_like(one.labels), valid=valid)]) == 0
    valid[5:35, 5:35] = True  # an object with its rim
    valid[60:80, 100:120] = valid[80:90, 120:130] = True  # one place, joined at a corner
    valid[5:10, 200:205] = True
    assert count_empty([replace(one, valid=valid)]) == 2
    assert count_empty([replace(one, labels=np.zeros_like(one.labels))] * 3) == 3

"""Competition on the labels that were left out: the smallest size that labeled objects tell."""

from dataclasses import replace

import numpy as np
import pytest
from blobs import small_config
from fake_networks import BrightPixels

from autosam.data import LabeledImage
from autosam.evaluation.axes import Axis
from autosam.models.networks import Networks
from autosam.training.adapt.few_labels import zoom_by_objects
from autosam.training.adapt.validated import compete, smallest_sizes, with_smallest_size


def squares(*sides: int) -> LabeledImage:
    labels = np.zeros((40, 40 * len(sides)), np.int32)
    for number, side in enumerate(sides, 1):
        labels[:side, 40 * number - 40 : 40 * number - 40 + side] = number
    return LabeledImage("a/0", "a", np.zeros((*labels.shape, 3), np.uint8), labels)


def test_nearly_all_objects_are_four_and_two_times_as_large_as_what_is_tried():
    config = small_config("merge.min_size=50")
    five = squares(20, 30, 30, 30, 30)
    # A twentieth of the objects may be smaller than 500 pixels.
    assert smallest_sizes([five], config) == [Axis("merge.min_size", ("50", "125", "250"))]
    assert smallest_sizes([squares(20, 30, 30), squares(30, 30)], config) == smallest_sizes([five], config)
    # As the networks see it, the image is twice as large.
    twice = [replace(five, zoom=2.0)]
    assert smallest_sizes(twice, config) == [Axis("merge.min_size", ("50", "500", "1000"))]
    # Objects of 30 pixels that the model wants to see at 60.
    found = small_config("merge.min_size=50", "images.diameter=60", "images.find_zoom=true")
    (sizes,) = smallest_sizes([squares(30, 30, 30, 30, 30)], found)
    zoom = zoom_by_objects([squares(30, 30, 30, 30, 30)], found)
    assert zoom > 1.5
    assert sizes.values == ("50", str(round(900 * zoom**2 / 4)), str(round(900 * zoom**2 / 2)))
    assert smallest_sizes([five], small_config("merge.min_size=125")) == [Axis("merge.min_size", ("125", "250"))]


def test_few_or_small_objects_tell_no_size():
    config = small_config("merge.min_size=50")
    assert smallest_sizes([], config) == []
    assert smallest_sizes([squares(30, 30, 30)], config) == []
    assert smallest_sizes([squares(9, 9, 9, 9)], config) == []


def test_small_false_objects_raise_the_smallest_size():
    overrides = ("model.sam=null", "decode.sam=false", "tiles.size=64", "merge.min_size=50")
    config = small_config(*overrides)
    networks = Networks(None, BrightPixels())
    true, specks = squares(30, 30, 30, 30), np.zeros((40, 160), bool)
    for col in (5, 35, 65, 95, 125):
        specks[32:, col : col + 9] = True
    image = np.where((true.labels > 0) | specks, 200, 20).astype(np.uint8)
    one = replace(true, image=np.repeat(image[..., None], 3, axis=2))
    assert compete(networks, config, [one], "mean_ap").score == pytest.approx(4 / 9)
    found = with_smallest_size(networks, config, [one], "mean_ap")
    assert found == config.model_copy(update={"merge": config.merge.model_copy(update={"min_size": 225})})
    assert compete(networks, found, [one], "mean_ap").score == 1
    # Where no false object is known, all sizes are equally good, and the old one stays.
    clean = replace(one, valid=true.labels > 0)
    assert with_smallest_size(networks, config, [clean], "mean_ap") is config

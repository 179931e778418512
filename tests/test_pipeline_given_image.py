"""What is taken for an image in Python, and the one line for what is not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_networks import BrightPixels, build_small_sam, draw_ellipses

from autosam.config import load_config
from autosam.errors import InputError
from autosam.models.networks import Networks
from autosam.pipeline.segmenter import Segmenter

SPOTS, TRUTH = draw_ellipses((64, 64), [(18, 20, 9, 12), (45, 40, 10, 9)])
GENERATOR_ALONE = ["decode.sam=false"]


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter(Networks(build_small_sam(), BrightPixels()), load_config(overrides=GENERATOR_ALONE))


@pytest.mark.parametrize(
    "image",
    [SPOTS, torch.from_numpy(SPOTS), np.ma.masked_array(SPOTS), SPOTS.astype(">u2"), memoryview(SPOTS).obj],
    ids=["array", "tensor", "nothing masked", "big-endian", "view"],
)
def test_arrays_of_any_library(segmenter, image):
    result = segmenter.segment(image)
    np.testing.assert_array_equal(result.labels > 0, TRUTH > 0)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (None, "the image is of type NoneType; wanted an array of shape"),
        ("a.tif", r"the name of a file came as image \('a.tif'\); read it first"),
        (Path("a.tif"), "the name of a file came"),
        (b"a.tif", "the name of a file came"),
        (3, "of type int"),
        ({}, "of type dict"),
        ((row for row in SPOTS), "of type generator"),
        (SPOTS.tolist(), "channel 0 is of type list"),
        ([None], "channel 0 is of type NoneType"),
        ([], "no channel"),
        (np.float32(3), r"shape \(\)"),
        (SPOTS[0], r"shape \(64,\)"),
        (SPOTS[None, None], r"shape \(1, 1, 64, 64\)"),
        (SPOTS.astype(object), "object values"),
        (SPOTS.astype(str), "values; wanted"),
        (SPOTS.astype(complex), "complex128 values"),
        (np.ma.masked_greater(SPOTS, 100), "has masked pixels; say what they are"),
        (torch.from_numpy(SPOTS).float().requires_grad_(), "gives no array .*requires grad"),
    ],
)
def test_what_is_no_image_is_one_line(segmenter, image, words):
    with pytest.raises(InputError, match=words) as error:
        segmenter.segment(image)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("zoom", ["a", 0, -1.0, np.nan, np.inf, None.__class__])
def test_what_is_no_zoom(segmenter, zoom):
    with pytest.raises(InputError, match=r"zoom is .*; wanted a number above 0"):
        segmenter.segment(SPOTS, zoom=zoom)


@pytest.mark.parametrize("prompts", [3, "points", [None], ["x"], {1: 2}])
def test_what_is_no_prompt(segmenter, prompts):
    words = "wanted a Prompt" if isinstance(prompts, Sequence) else "wanted a list of Prompt"
    with pytest.raises(InputError, match=words):
        segmenter.segment(SPOTS, prompts=prompts)

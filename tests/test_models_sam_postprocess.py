"""Masks are made in a part of the image, and are those that SAM makes of the whole."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from test_models_sam_fast_decoder import make_sam
from torch.nn import functional as F
from with_defaults import upsample

from autosam.images import Window
from autosam.instances import MaskCrop
from autosam.models.sam.interface import Decoded, Embedding
from autosam.models.sam.postprocess import FUSION_LIMIT, postprocess_masks
from autosam.prompts import MaskPrompt

LOW, SIDE = 64, 256
CORNERS = np.array([[8, 0], [20, 24], [0, 32]])
"""Of windows of 32 low-resolution pixels: at a border, at none, in a corner."""

SHAPES = [((256, 256), (256, 256)), ((200, 256), (200, 256)), ((256, 111), (600, 260)), ((177, 256), (90, 130))]
"""SAM's input that an image fills, and the image's own shape."""


@pytest.fixture(scope="module")
def sam():
    return make_sam(SIDE)


def smooth_logits(side: int, *, shift: float = 0.0) -> torch.Tensor:
    """Draw logits of a few blobs, (3, 2, side, side)."""
    coarse = torch.randn(3, 2, side // 4, side // 4, generator=torch.Generator().manual_seed(2)) * 4
    return F.interpolate(coarse, (side, side), mode="bicubic") + shift


def drawn(crop: MaskCrop | None, shape: tuple[int, int]) -> NDArray[np.bool_]:
    canvas = np.zeros(shape, dtype=bool)
    if crop is not None:
        assert crop.mask[[0, -1]].any(axis=1).all()
        assert crop.mask[:, [0, -1]].any(axis=0).all()
        assert crop.mask.base is None
        canvas[crop.window] = crop.mask
    return canvas


def ask(sam, logits, corners, given, original, *, added=None, fusion=0.0, window=None, shape=None):
    count = len(logits)
    batch = Decoded(np.arange(count), logits, torch.ones(logits.shape[:2]), corners)
    embedding = Embedding(torch.zeros(1), given, original)
    window = window or Window(0, 0, *original)
    return postprocess_masks(
        sam,
        batch,
        embedding,
        window,
        shape or original,
        generator_logits=added or [None] * count,
        fusion=fusion,
    )


def framed(logits: torch.Tensor, corners: NDArray[np.int64], value: float) -> torch.Tensor:
    """Put windows into the whole frame, with a value outside."""
    whole = torch.full((*logits.shape[:2], LOW, LOW), value)
    for index, (row, col) in enumerate(corners.tolist()):
        whole[index, :, row : row + logits.shape[2], col : col + logits.shape[3]] = logits[index]
    return whole


@pytest.mark.parametrize(("given", "original"), SHAPES)
@pytest.mark.parametrize("shift", [0.0, -6.0, 6.0])
def test_whole_frames_give_the_masks_of_sam(sam, given, original, shift):
    logits = smooth_logits(LOW, shift=shift)
    full = upsample(sam, logits, Embedding(torch.zeros(1), given, original)).numpy()
    found = ask(sam, logits, np.zeros((3, 2), dtype=np.int64), given, original)
    for index, crops in enumerate(found):
        for k, crop in enumerate(crops):
            wrong = drawn(crop, original) != (full[index, k] > 0)
            assert (np.abs(full[index, k][wrong]) < 1e-5).all()
            low = logits[index, k].numpy()
            if crop is not None:
                assert crop.score == pytest.approx((low > 1).sum() / max((low > -1).sum(), 1))


@pytest.mark.parametrize(("given", "original"), SHAPES)
def test_windows_give_the_masks_of_frames_that_are_absent_elsewhere(sam, given, original):
    logits = smooth_logits(32, shift=-2.0)
    # As after `decode`: no mask reaches a border of its window.
    logits[..., [0, -1], :], logits[..., [0, -1]] = -1.0, -1.0
    full = upsample(sam, framed(logits, CORNERS, -1.0), Embedding(torch.zeros(1), given, original)).numpy()
    found = ask(sam, logits, CORNERS, given, original)
    shown = 0
    for index, crops in enumerate(found):
        for k, crop in enumerate(crops):
            wrong = drawn(crop, original) != (full[index, k] > 0)
            assert (np.abs(full[index, k][wrong]) < 1e-5).all()
            shown += crop is not None
    assert shown >= 4


@pytest.mark.parametrize("fusion", [0.1, 0.5, 2.0])
@pytest.mark.parametrize(("given", "original"), SHAPES[:3])
def test_fused_masks_in_windows_are_those_of_the_sum(sam, given, original, fusion):
    logits = smooth_logits(32, shift=-4.0)
    logits[..., [0, -1], :], logits[..., [0, -1]] = -20.0, -20.0
    whole = framed(logits, CORNERS, -20.0)
    full = upsample(sam, whole, Embedding(torch.zeros(1), given, original)).numpy()
    scale = np.array(original) / np.array(given) * 4
    # In each window, away from its borders.
    crops = [(np.round((corner + 6) * scale).astype(int), np.round(18 * scale).astype(int)) for corner in CORNERS]
    rng = np.random.default_rng(0)
    masks = [MaskPrompt(*first, rng.normal(0, 5, size).astype(np.float32)) for first, size in crops]
    found = ask(sam, logits, CORNERS, given, original, added=masks, fusion=fusion)
    plain = ask(sam, logits, CORNERS, given, original, added=masks, fusion=0.0)
    shown = 0
    for index, answers in enumerate(found):
        added = masks[index].drawn(original).clip(-FUSION_LIMIT, FUSION_LIMIT)
        for k, crop in enumerate(answers):
            both = full[index, k] + fusion * added
            wrong = drawn(crop, original) != (both > 0)
            assert (np.abs(both[wrong]) < 1e-4).all()
            if crop is None:
                continue
            shown += 1
            assert crop.score == pytest.approx((both > 1).sum() / (both > -1).sum(), abs=1e-3)
            assert (drawn(plain[index][k], original) != drawn(crop, original)).any()
    assert shown >= 2


def test_a_mask_beyond_the_image_is_cut(sam):
    logits = torch.full((1, 1, 32, 32), -5.0)
    logits[..., 8:24, 8:24] = 5.0
    # Pixels 96 to 159 of the window, which begins 100 rows above the image and ends 20 columns beside it.
    ((crop,),) = ask(
        sam,
        logits,
        np.array([[16, 16]]),
        (SIDE, SIDE),
        (SIDE, SIDE),
        window=Window(-100, 30, SIDE, SIDE),
        shape=(300, 180),
    )
    assert (crop.row, crop.col, crop.mask.shape) == (0, 126, (60, 54))
    # The interpolation rounds the one corner that lies in the image.
    assert crop.mask.sum() == 60 * 54 - 1
    assert not crop.mask[-1, 0]
    ((gone,),) = ask(
        sam,
        logits,
        np.array([[16, 16]]),
        (SIDE, SIDE),
        (SIDE, SIDE),
        window=Window(-200, 30, SIDE, SIDE),
        shape=(300, 180),
    )
    assert gone is None


def test_nothing_is_none_and_no_prompts_are_none(sam):
    logits = torch.full((2, 3, LOW, LOW), -1.0)
    zeros = np.zeros((2, 2), dtype=np.int64)
    assert ask(sam, logits, zeros, (SIDE, SIDE), (SIDE, SIDE)) == [[None] * 3] * 2
    assert ask(sam, logits[:0], zeros[:0], (SIDE, SIDE), (SIDE, SIDE)) == []
    absent = MaskPrompt(400, 400, np.full((4, 4), 9, dtype=np.float32))
    beyond = replace(absent, row=-50, col=-50)
    assert (
        ask(sam, logits, zeros, (SIDE, SIDE), (SIDE, SIDE), added=[absent, beyond], fusion=1.0) == [[None] * 3] * 2
    )

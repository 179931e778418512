"""Prompts in windows of tokens: batches, sizes, and masks that a window would cut."""

import numpy as np
import pytest
import torch
from test_models_sam_fast_decoder import make_sam
from with_defaults import decode

from autosam.models.sam import decode_prompts
from autosam.models.sam.fast_decoder import FastDecoder
from autosam.models.sam.interface import Embedding
from autosam.prompts import MaskPrompt, Prompt

NO_POINTS, NO_LABELS = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
SIDE = 256
"""Pixels of the SAM here, 16 tokens."""


@pytest.fixture(scope="module")
def sam():
    return make_sam(SIDE)


@pytest.fixture(scope="module")
def embedding():
    features = torch.randn(1, 128, 16, 16, generator=torch.Generator().manual_seed(0))
    return Embedding(features, (SIDE, SIDE), (SIDE, SIDE))


def boxed(*box: float, mask: bool = False) -> Prompt:
    logits = np.random.default_rng(1).normal(0, 4, (20, 24)).astype(np.float32)
    drawn = MaskPrompt(int(box[0]), int(box[1]), logits) if mask else None
    return Prompt(NO_POINTS, NO_LABELS, box=np.array(box, dtype=np.float64), mask=drawn)


POINT = Prompt(np.array([[30.0, 200.0]]), np.ones(1, dtype=np.int64))
PROMPTS = [
    boxed(100, 60, 120, 80),
    boxed(30, 30, 60, 50, mask=True),
    POINT,
    boxed(200, 220, 250, 250),
    boxed(10, 20, 170, 60),
    boxed(180, 90, 200, 130, mask=True),
]


def one_object(monkeypatch: pytest.MonkeyPatch, reach: float) -> list[int]:
    """Let the decoder say that there is one square object in the middle; gives the sides asked for."""
    sides: list[int] = []
    answer = FastDecoder.answer

    def rule(self, image, sparse, dense, corners, side, *, masks):
        sides.extend([side[0]] * len(sparse))
        logits, iou = answer(self, image, sparse, dense, corners, side, masks=masks)
        rows, columns = np.mgrid[: 4 * side[0], : 4 * side[1]]
        for index, (row, col) in enumerate(corners):
            far = np.maximum(abs(rows + 4 * row - 32), abs(columns + 4 * col - 32))
            logits[index] = torch.from_numpy(np.where(far <= reach, 5.0, -5.0))
        return logits, iou

    monkeypatch.setattr(FastDecoder, "answer", rule)
    return sides


def test_a_window_as_large_as_the_embedding_is_the_whole(sam, embedding):
    (first, *rest), (same, *others) = (
        list(decode(sam, embedding, PROMPTS, window=window, multimask=True)) for window in (None, 64)
    )
    for one, other in zip([first, *rest], [same, *others], strict=True):
        assert one.indices.tolist() == other.indices.tolist()
        assert torch.equal(one.logits, other.logits)
        assert not one.corners.any()


def test_windows_are_parts_of_the_frame_around_the_objects(sam, embedding, monkeypatch):
    monkeypatch.setattr(decode_prompts, "_cut", lambda answers, *others: np.zeros(len(answers[0].indices), bool))
    found = {}
    for batch in decode(sam, embedding, PROMPTS, window=8):
        for place, index in enumerate(batch.indices.tolist()):
            assert index not in found
            found[index] = (tuple(batch.corners[place]), tuple(batch.logits[place].shape))
    assert found == {
        # Tokens 6 to 7 and 3 to 5, in a window of 8 tokens: rows 3 to 10, columns 0 to 7.
        0: ((12, 0), (1, 32, 32)),
        1: ((0, 0), (1, 32, 32)),
        2: ((0, 0), (1, 64, 64)),
        3: ((32, 32), (1, 32, 32)),
        # 11 tokens and a margin of two on both sides.
        4: ((0, 0), (1, 64, 64)),
        5: ((32, 12), (1, 32, 32)),
    }


@pytest.mark.parametrize(("reach", "asked"), [(3, [8]), (14, [8]), (17, [8, 16]), (100, [8, 16])])
def test_a_mask_that_reaches_its_windows_border_is_asked_again(sam, embedding, monkeypatch, reach, asked):
    sides = one_object(monkeypatch, reach)
    # Around low-resolution pixel 32: tokens 7 and 8, and a window from 4 to 11, pixels 16 to 47.
    (batch,) = decode(sam, embedding, [boxed(124, 124, 131, 131)], window=8)
    assert sides == asked
    assert batch.indices.tolist() == [0]
    assert int((batch.logits > 0).sum()) == min(2 * reach + 1, 64) ** 2


def test_each_prompt_is_answered_once_where_some_are_asked_again(sam, embedding, monkeypatch):
    sides = one_object(monkeypatch, 14)
    # The second one's window begins in the middle of the disc.
    prompts = [boxed(124, 124, 131, 131), boxed(230, 230, 250, 250), boxed(120, 120, 131, 131)]
    answered = [index for batch in decode(sam, embedding, prompts, window=8) for index in batch.indices.tolist()]
    assert sorted(answered) == [0, 1, 2]
    assert len(answered) == 3
    assert sides == [8, 8, 8, 16]


@pytest.mark.parametrize(
    ("batch_size", "cache", "sizes"),
    [
        # 16 × 16 tokens of 128 floats are 128 KiB, and 8 × 8 are 32 KiB.
        (64, 2**23, {16: [12], 8: [12]}),
        (64, 2**19, {16: [4, 4, 4], 8: [12]}),
        (2, 2**23, {16: [2] * 6, 8: [8, 4]}),
        (64, 1, {16: [1] * 12, 8: [1] * 12}),
    ],
)
def test_batches_hold_as_many_as_the_memory(sam, embedding, monkeypatch, batch_size, cache, sizes):
    monkeypatch.setattr(decode_prompts, "CACHE_BYTES", cache)
    asked: dict[int, list[int]] = {16: [], 8: []}
    answer = FastDecoder.answer

    def listening(self, image, sparse, dense, corners, side, *, masks):
        asked[side[0]].append(len(sparse))
        logits, iou = answer(self, image, sparse, dense, corners, side, masks=masks)
        return logits.clamp(max=-1), iou

    monkeypatch.setattr(FastDecoder, "answer", listening)
    prompts = [boxed(100 + k, 60, 120 + k, 80) for k in range(12)]
    for window in (None, 8):
        list(decode(sam, embedding, prompts, window=window, batch_size=batch_size))
    assert asked == sizes

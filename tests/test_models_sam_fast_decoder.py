"""The decoder answers as segment-anything's, asked with the same tokens."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from segment_anything.modeling import MaskDecoder, Sam, TwoWayTransformer
from torch import Tensor

from autosam.models.sam.fast_decoder import FastDecoder
from autosam.models.variants import build_sam

KINDS = {
    "a point": (1, False, False),
    "points": (3, False, False),
    "a box": (0, True, False),
    "a box and points": (2, True, False),
    "a mask": (0, False, True),
    "all of them": (1, True, True),
}
COUNT = 3


def make_sam(side: int, decoder: MaskDecoder | None = None) -> Sam:
    """Build a SAM of random weights whose masks have mixed signs and depend on the prompt."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sam = build_sam("tiny", image_size=side)
        sam.mask_decoder = decoder or sam.mask_decoder
        with torch.no_grad():
            for name, parameter in sam.mask_decoder.named_parameters():
                if parameter.ndim > 1:
                    parameter *= 2
                elif name.endswith("bias"):
                    # Zero in a new layer norm, and of no effect there.
                    parameter += 0.1 * torch.randn_like(parameter)
    return sam.requires_grad_(False).eval()


@pytest.fixture(scope="module", params=[64, 96])
def sam(request) -> Sam:
    return make_sam(request.param)


def ask(sam: Sam, kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """Give image features, and sparse and dense embeddings of prompts of a kind."""
    points, box, mask = KINDS[kind]
    generator = torch.Generator().manual_seed(1)
    grid, side = sam.prompt_encoder.image_embedding_size, sam.image_encoder.img_size
    features = torch.randn(1, 128, *grid, generator=generator)
    corners = torch.rand(COUNT, 4, generator=generator) * side
    places = torch.rand(COUNT, max(points, 1), 2, generator=generator) * side
    drawn = torch.randn(COUNT, 1, 4 * grid[0], 4 * grid[1], generator=generator) * 4
    sparse, dense = sam.prompt_encoder(
        points=(places, torch.tensor([[1, 0, 1][:points]] * COUNT)) if points else None,
        boxes=corners if box else None,
        masks=drawn if mask else None,
    )
    return features, sparse, dense


def reference(
    sam: Sam, features: Tensor, sparse: Tensor, dense: Tensor, corner: tuple[int, int], side: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Ask the package's decoder with a part of the tokens."""
    part = (..., slice(corner[0], corner[0] + side[0]), slice(corner[1], corner[1] + side[1]))
    masks, iou = sam.mask_decoder.predict_masks(
        image_embeddings=features[part],
        image_pe=sam.prompt_encoder.get_dense_pe()[part],
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense[part],
    )
    return masks, iou


def fast(sam: Sam, kind: str, corners: list[tuple[int, int]], side: tuple[int, int], masks: str):
    features, sparse, dense = ask(sam, kind)
    decoder = FastDecoder(sam)
    image = decoder.prepare(features, whole=True)
    own = None
    if KINDS[kind][2]:
        own = torch.stack(
            [one[:, r : r + side[0], c : c + side[1]] for one, (r, c) in zip(dense, corners, strict=True)]
        )
    return decoder.answer(image, sparse, own, np.array(corners), side, masks=masks)


def assert_equal(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    # Rounding grows with the numbers that were added up.
    scale = max(1.0, float(expected.abs().max()))
    assert float((found - expected).abs().max()) < 1e-5 * scale


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_embedding_gives_the_references_masks(sam, kind):
    grid = tuple(sam.prompt_encoder.image_embedding_size)
    expected, iou = reference(sam, *ask(sam, kind), (0, 0), grid)
    assert float(expected.std()) > 0.1
    assert float((expected[0] - expected[1]).abs().max()) > 0.1, "prompts that change nothing prove nothing"
    zeros = [(0, 0)] * COUNT
    single, single_iou = fast(sam, kind, zeros, grid, "single")
    assert_equal(single, expected[:, :1])
    assert_equal(single_iou, iou[:, :1])
    every, every_iou = fast(sam, kind, zeros, grid, "all")
    assert_equal(every, expected)
    assert_equal(every_iou, iou)
    three, three_iou = fast(sam, kind, zeros, grid, "three")
    assert_equal(three, expected[:, 1:])
    assert_equal(three_iou, iou[:, 1:])
    best, best_iou = fast(sam, kind, zeros, grid, "best")
    pick = iou[:, 1:].argmax(dim=1)
    assert_equal(best, expected[:, 1:][range(COUNT), pick][:, None])
    assert_equal(best_iou, iou[:, 1:][range(COUNT), pick][:, None])


def gradients(sam: Sam, features: Tensor, dense: Tensor, masks: Tensor, iou: Tensor) -> dict[str, Tensor]:
    """Differentiate a sum in which every pixel has a weight of its own."""
    weights = torch.sin(0.37 * torch.arange(masks.numel()).view_as(masks))
    named = {"features": features, "dense": dense, **dict(sam.mask_decoder.named_parameters())}
    total = (masks * weights).mean() + iou.square().sum()
    found = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    return {
        name: torch.zeros_like(value) if one is None else one
        for (name, value), one in zip(named.items(), found, strict=True)
    }


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_reference(sam, kind):
    grid = tuple(sam.prompt_encoder.image_embedding_size)
    sam = deepcopy(sam).requires_grad_()
    with torch.enable_grad():
        features, sparse, dense = (part.clone().requires_grad_() for part in ask(sam, kind))
        expected = gradients(sam, features, dense, *reference(sam, features, sparse, dense, (0, 0), grid))
        decoder, masked = FastDecoder(sam), KINDS[kind][2]
        image = decoder.prepare(features, whole=not masked)
        corners = np.zeros((COUNT, 2), dtype=np.int64)
        answer = decoder.answer(image, sparse, dense if masked else None, corners, grid, masks="all")
        found = gradients(sam, features, dense, *answer)
    if not masked:
        # Nothing is learnt from the embedding of "no mask" here: it is the decoder's own.
        del found["dense"]
    assert float(expected["features"].abs().max()) > 1e-4
    for name, one in found.items():
        assert_equal(one, expected[name])


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_gives_what_the_reference_makes_of_its_tokens(sam, kind):
    corners, side = [(0, 1), (1, 0), (2, 2)], (2, 2)
    features, sparse, dense = ask(sam, kind)
    logits, iou = fast(sam, kind, corners, side, "three")
    assert logits.shape == (COUNT, 3, 8, 8)
    for index, corner in enumerate(corners):
        one = slice(index, index + 1)
        expected, expected_iou = reference(sam, features, sparse[one], dense[one], corner, side)
        assert_equal(logits[one], expected[:, 1:])
        assert_equal(iou[one], expected_iou[:, 1:])


@pytest.mark.parametrize("kind", ["points", "all of them"])
def test_a_decoder_of_another_shape(kind):
    torch.manual_seed(3)
    transformer = TwoWayTransformer(
        depth=3, embedding_dim=128, num_heads=4, mlp_dim=64, attention_downsample_rate=4
    )
    other = MaskDecoder(transformer_dim=128, transformer=transformer, activation=torch.nn.ReLU)
    sam = make_sam(64, other)
    expected, iou = reference(sam, *ask(sam, kind), (0, 0), (4, 4))
    logits, found = fast(sam, kind, [(0, 0)] * COUNT, (4, 4), "three")
    assert_equal(logits, expected[:, 1:])
    assert_equal(found, iou[:, 1:])


@pytest.mark.parametrize("tokens", [1, 5, 16, 40])
def test_upscaling_a_few_tokens_at_a_time_changes_nothing(sam, monkeypatch, tokens):
    grid = tuple(sam.prompt_encoder.image_embedding_size)
    expected, _ = fast(sam, "all of them", [(0, 0)] * COUNT, grid, "three")
    monkeypatch.setattr("autosam.models.sam.fast_decoder.UPSCALED_TOKENS", tokens)
    logits, _ = fast(sam, "all of them", [(0, 0)] * COUNT, grid, "three")
    assert_equal(logits, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_is_as_near_as_the_reference_is(sam, kind):
    grid = tuple(sam.prompt_encoder.image_embedding_size)
    features, sparse, dense = ask(sam, kind)
    exact, _ = reference(sam, features, sparse, dense, (0, 0), grid)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        theirs, _ = reference(sam, features, sparse, dense, (0, 0), grid)
        ours, iou = fast(sam, kind, [(0, 0)] * COUNT, grid, "three")
    assert (ours.dtype, iou.dtype) == (torch.float32, torch.float32)
    error, usual = (float((one - exact[:, 1:]).abs().mean()) for one in (ours, theirs[:, 1:].float()))
    assert 0 < error < 1.5 * usual


def test_the_sam_stays_as_it_is():
    sam = make_sam(64)
    before = {name: tensor.clone() for name, tensor in sam.state_dict().items()}
    fast(sam, "all of them", [(0, 0)] * COUNT, (4, 4), "best")
    after = sam.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)

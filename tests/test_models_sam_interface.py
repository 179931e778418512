"""Parity: for the same weights, image and prompts, autosam answers as the segment-anything package does."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segment_anything import SamAutomaticMaskGenerator, SamPredictor, sam_model_registry
from segment_anything.modeling import Sam
from with_defaults import decode, grid_prompts, upsample

from autosam.models.sam import decode_prompts
from autosam.models.sam.fast_decoder import FastDecoder
from autosam.models.sam.interface import Embedding, encode, image_size, render_mask_prompt
from autosam.models.variants import build_sam
from autosam.models.weights import load_sam_weights, load_state_dict_file
from autosam.prompts.prompt import ABSENT, MaskPrompt, Prompt

TOLERANCE = 1e-4
# Rows and columns: square and not, smaller and larger than the model's 64 pixels, and of 64 pixels exactly.
SHAPES = [(64, 64), (100, 100), (48, 64), (90, 130), (131, 57), (20, 30)]


@dataclass(frozen=True)
class Answer:
    logits: NDArray[np.float32]
    full: NDArray[np.float32]
    iou: NDArray[np.float32]


def loud(sam: Sam) -> Sam:
    """Make random weights answer with masks of mixed signs that depend on the prompt."""
    with torch.no_grad():
        for parameter in sam.mask_decoder.parameters():
            if parameter.ndim > 1:
                parameter *= 2
    return sam.eval()


@pytest.fixture(scope="module")
def tiny() -> Sam:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return loud(build_sam("tiny", image_size=64))


@pytest.fixture(scope="module")
def vit_b(tmp_path_factory) -> Iterator[tuple[Sam, Sam]]:
    """Give vit_b loaded from a file by autosam, and by the package that published it."""
    path = tmp_path_factory.mktemp("weights") / "sam_vit_b_random.pth"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(loud(build_sam("vit_b")).state_dict(), path)
        ours, theirs = build_sam("vit_b"), sam_model_registry["vit_b"]()
    load_sam_weights(ours, load_state_dict_file(path), variant="vit_b", source=path)
    theirs.load_state_dict(torch.load(path, weights_only=True))
    path.unlink()
    return ours.eval(), theirs.eval()


def picture(shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw random colored squares."""
    squares = np.random.default_rng(7).integers(0, 256, (-(-shape[0] // 8), -(-shape[1] // 8), 3), dtype=np.uint8)
    return squares.repeat(8, axis=0).repeat(8, axis=1)[: shape[0], : shape[1]]


def kinds_of_prompts(shape: tuple[int, int]) -> dict[str, Prompt]:
    """Give one prompt of every kind, in (row, column) pixels, none of them on the diagonal."""
    size = np.array(shape, dtype=np.float64)
    points = np.array([[0.21, 0.7], [0.35, 0.52], [0.8, 0.13], [0.6, 0.9]]) * size
    labels = np.array([1, 1, 0, 0])
    nothing, no_labels = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
    box = (np.array([[0.1, 0.4], [0.45, 0.95]]) * size).ravel()
    top, left = int(0.1 * size[0]), int(0.4 * size[1])
    crop = np.random.default_rng(3).normal(0, 4, (int(0.4 * size[0]), int(0.5 * size[1]))).astype(np.float32)
    mask = MaskPrompt(row=top, col=left, logits=crop)
    return {
        "one point": Prompt(points[:1], labels[:1]),
        "another point": Prompt(points[3:], np.array([1])),
        "points with negatives": Prompt(points, labels),
        "box": Prompt(nothing, no_labels, box=box),
        "box and points": Prompt(points, labels, box=box),
        "mask": Prompt(nothing, no_labels, mask=mask),
        "all of them": Prompt(points[1:], labels[1:], box=box, mask=mask),
    }


def our_answers(sam: Sam, embedding: Embedding, prompts: list[Prompt], *, multimask: bool) -> list[Answer]:
    """Ask autosam, with all prompts at once."""
    answers: dict[int, Answer] = {}
    for batch in decode(sam, embedding, prompts, multimask=multimask):
        full = upsample(sam, batch.logits, embedding)
        for place, index in enumerate(batch.indices):
            assert index not in answers
            answers[int(index)] = Answer(
                batch.logits[place].numpy(), full[place].numpy(), batch.iou[place].numpy()
            )
    return [answers[index] for index in range(len(prompts))]


def reference(sam: Sam, image: NDArray[np.uint8]) -> SamPredictor:
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    return predictor


def their_answers(predictor: SamPredictor, prompts: list[Prompt], *, multimask: bool) -> list[Answer]:
    """Ask SamPredictor, prompt by prompt."""
    embedding = Embedding(predictor.features, predictor.input_size, predictor.original_size)
    answers = []
    for prompt in prompts:
        mask = prompt.mask
        full, iou, logits = predictor.predict(
            point_coords=prompt.points[:, ::-1] if len(prompt.points) else None,
            point_labels=prompt.point_labels if len(prompt.points) else None,
            box=None if prompt.box is None else prompt.box[[1, 0, 3, 2]],
            mask_input=None if mask is None else render_mask_prompt(predictor.model, mask, embedding)[0].numpy(),
            multimask_output=multimask,
            return_logits=True,
        )
        answers.append(Answer(logits, full, iou))
    return answers


def distance(one: Answer, other: Answer) -> float:
    assert one.logits.shape == other.logits.shape
    assert one.full.shape == other.full.shape
    assert one.iou.shape == other.iou.shape
    return max(
        float(np.abs(one.logits - other.logits).max()),
        float(np.abs(one.full - other.full).max()),
        float(np.abs(one.iou - other.iou).max()),
    )


def assert_parity(ours: Sam, theirs: Sam, shape: tuple[int, int]) -> None:
    prompts = kinds_of_prompts(shape)
    embedding, predictor = encode(ours, picture(shape)), reference(theirs, picture(shape))
    assert float((embedding.features - predictor.features).abs().max()) < TOLERANCE
    for multimask in (False, True):
        expected = their_answers(predictor, list(prompts.values()), multimask=multimask)
        found = our_answers(ours, embedding, list(prompts.values()), multimask=multimask)
        for kind, one, other in zip(prompts, found, expected, strict=True):
            assert one.full.shape == (3 if multimask else 1, *shape)
            assert distance(one, other) < TOLERANCE, (kind, multimask)
            # A comparison of constant masks, or of masks that no prompt moves, would prove nothing.
            assert 0.02 < (other.full > 0).mean() < 0.98, (kind, multimask)
        assert distance(expected[0], expected[1]) > 100 * TOLERANCE


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_equal_those_of_sam_predictor(tiny, shape):
    assert_parity(tiny, tiny, shape)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(300, 300), (200, 330)])
def test_logits_of_a_vit_b_file_equal_those_of_sam_predictor(vit_b, shape):
    ours, theirs = vit_b
    assert_parity(ours, theirs, shape)


@pytest.mark.parametrize("kind", ["one point", "points with negatives", "box", "box and points"])
def test_the_comparison_notices_swapped_axes(tiny, kind):
    image, prompt = picture((64, 64)), kinds_of_prompts((64, 64))[kind]
    swapped = replace(
        prompt,
        points=prompt.points[:, ::-1],
        box=None if prompt.box is None else prompt.box[[1, 0, 3, 2]],
    )
    (expected,) = their_answers(reference(tiny, image), [prompt], multimask=False)
    (found,) = our_answers(tiny, encode(tiny, image), [swapped], multimask=False)
    assert distance(found, expected) > 100 * TOLERANCE


@pytest.mark.parametrize("shape", [(64, 64), (48, 64), (64, 40)])
def test_a_mask_prompt_is_sams_low_resolution_mask(tiny, shape):
    # On an image that needs no resizing, each low-resolution pixel is four pixels wide and high.
    low = np.random.default_rng(5).normal(0, 4, (shape[0] // 4, shape[1] // 4)).astype(np.float32)
    prompt = Prompt(
        np.zeros((0, 2)),
        np.zeros(0, dtype=np.int64),
        mask=MaskPrompt(0, 0, low.repeat(4, axis=0).repeat(4, axis=1)),
    )
    frame = np.full((1, 16, 16), ABSENT, dtype=np.float32)
    frame[0, : low.shape[0], : low.shape[1]] = low
    predictor = reference(tiny, picture(shape))
    full, iou, logits = predictor.predict(mask_input=frame, multimask_output=False, return_logits=True)
    (found,) = our_answers(tiny, encode(tiny, picture(shape)), [prompt], multimask=False)
    assert distance(found, Answer(logits, full, iou)) < TOLERANCE
    full, iou, logits = predictor.predict(mask_input=-frame, multimask_output=False, return_logits=True)
    assert distance(found, Answer(logits, full, iou)) > 100 * TOLERANCE


def test_a_mask_prompt_is_cut_at_the_border_and_absent_elsewhere(tiny):
    embedding = encode(tiny, picture((64, 64)))
    frame = render_mask_prompt(tiny, MaskPrompt(-8, 56, np.full((16, 16), 3, dtype=np.float32)), embedding)
    expected = np.full((16, 16), ABSENT, dtype=np.float32)
    expected[:2, 14:] = 3
    assert np.array_equal(frame[0, 0].numpy(), expected)
    outside = render_mask_prompt(tiny, MaskPrompt(200, 0, np.zeros((4, 4), dtype=np.float32)), embedding)
    assert bool((outside == ABSENT).all())


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_the_batch_size_changes_no_answer(tiny, batch_size):
    embedding = encode(tiny, picture((90, 130)))
    prompts = [*kinds_of_prompts((90, 130)).values(), *grid_prompts((90, 130), side=3)]
    whole, parts = {}, {}
    for answers, size in ((whole, 64), (parts, batch_size)):
        for batch in decode(tiny, embedding, prompts, batch_size=size):
            assert len(batch.indices) == len(batch.logits) == len(batch.iou) <= size
            answers |= dict(zip(batch.indices.tolist(), batch.logits, strict=True))
    assert sorted(whole) == sorted(parts) == list(range(len(prompts)))
    assert all(torch.allclose(whole[index], parts[index], atol=TOLERANCE) for index in whole)


def test_prompts_of_one_kind_share_a_batch_in_whatever_order_they_come(tiny):
    kinds = list(kinds_of_prompts((64, 64)).values())
    batches = [batch.indices.tolist() for batch in decode(tiny, encode(tiny, picture((64, 64))), kinds * 3)]
    # "one point" and "another point" are of one kind.
    assert len(batches) == len(kinds) - 1
    assert sorted(len(batch) for batch in batches) == [3] * (len(kinds) - 2) + [6]


def test_no_prompts_give_no_answers(tiny):
    assert list(decode(tiny, encode(tiny, picture((64, 64))), [])) == []


@pytest.mark.parametrize("shape", [(64, 64), (90, 130)])
def test_grid_prompts_give_the_masks_of_sams_generator_before_its_filters(tiny, shape):
    side = 6
    generator = SamAutomaticMaskGenerator(
        tiny, points_per_side=side, pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=1
    )
    expected = defaultdict(list)
    for record in generator.generate(picture(shape)):
        (x, y) = record["point_coords"][0]
        expected[y, x].append((record["predicted_iou"], record["segmentation"]))

    prompts = grid_prompts(shape, side=side)
    found = our_answers(tiny, encode(tiny, picture(shape)), prompts, multimask=True)
    assert sum(map(len, expected.values())) == 3 * side**2
    distinct = set()
    for prompt, answer in zip(prompts, found, strict=True):
        # The generator sorts its records by predicted IoU, so a point's three masks are told apart by it.
        theirs = sorted(expected[tuple(prompt.points[0])], key=lambda pair: pair[0])
        order = np.argsort(answer.iou)
        assert np.allclose([iou for iou, _ in theirs], answer.iou[order], atol=TOLERANCE)
        for logits, (_, mask) in zip(answer.full[order], theirs, strict=True):
            differs = (logits > 0) != mask
            assert bool((np.abs(logits[differs]) < TOLERANCE).all()), prompt
            assert 0 < mask.mean() < 1
            distinct.add(mask.tobytes())
    assert len(distinct) > 2 * side**2, "random weights that ignore the point would make this test empty"


def test_the_size_is_the_models_own(tiny):
    assert image_size(tiny) == 64
    embedding = encode(tiny, picture((90, 130)))
    assert embedding.original_size == (90, 130)
    assert embedding.input_size == (44, 64)
    assert embedding.features.shape == (1, 128, 4, 4)


def limit_memory(monkeypatch: pytest.MonkeyPatch, fits: int) -> list[int]:
    """Let a GPU's memory hold so many prompts at a time; gives the sizes of the batches that are tried."""
    tried, answer = [], FastDecoder.answer

    def limited(self, image, sparse, *others, **settings):
        tried.append(len(sparse))
        if tried[-1] > fits:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB")
        return answer(self, image, sparse, *others, **settings)

    monkeypatch.setattr(FastDecoder, "answer", limited)
    return tried


@pytest.mark.parametrize(
    ("fits", "tried"), [(64, [20]), (19, [20, 10, 10]), (6, [20, 10, 5, 5, 5, 5]), (1, [20, 10, 5, 2, *[1] * 20])]
)
def test_batches_are_halved_until_they_fit_the_gpu(tiny, monkeypatch, fits, tried):
    prompts = [Prompt(np.array([[3.0 * k, 60 - k]]), np.ones(1, dtype=np.int64)) for k in range(20)]
    embedding = encode(tiny, picture((64, 64)))
    (expected,) = decode(tiny, embedding, prompts)
    sizes = limit_memory(monkeypatch, fits)
    batches = list(decode(tiny, embedding, prompts, batch_size=20))
    assert sizes == tried
    assert [index for batch in batches for index in batch.indices] == list(range(20))
    torch.testing.assert_close(
        torch.cat([batch.logits for batch in batches]), expected.logits, atol=1e-3, rtol=1e-3
    )


def test_all_channels_are_answered_in_the_same_batches(tiny, monkeypatch):
    prompts = [Prompt(np.array([[3.0 * k, 60 - k]]), np.ones(1, dtype=np.int64)) for k in range(4)]
    embeddings = [encode(tiny, picture((64, 64))), encode(tiny, 255 - picture((64, 64)))]
    alone = [next(iter(decode(tiny, embedding, prompts[:2]))).logits for embedding in embeddings]
    limit_memory(monkeypatch, 2)
    batches = list(decode_prompts.decode(tiny, embeddings, prompts, batch_size=3))
    assert [[part.indices.tolist() for part in batch] for batch in batches] == [[[k], [k]] for k in range(4)]
    for channel, logits in enumerate(alone):
        torch.testing.assert_close(batches[1][channel].logits, logits[1:], atol=1e-3, rtol=1e-3)


def test_a_single_prompt_that_does_not_fit_is_an_error(tiny, monkeypatch):
    limit_memory(monkeypatch, 0)
    prompts = [Prompt(np.array([[3.0, 4.0]]), np.ones(1, dtype=np.int64))]
    with pytest.raises(torch.cuda.OutOfMemoryError):
        list(decode(tiny, encode(tiny, picture((64, 64))), prompts))

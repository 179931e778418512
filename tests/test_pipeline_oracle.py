"""The truth chooses among SAM's masks: known masks, of which SAM itself prefers a wrong one."""

import numpy as np
import pytest
import torch
from fake_networks import BrightPixels, build_small_sam, draw_ellipses, use_component_sam

from autosam import Segmenter
from autosam.config import make_config
from autosam.errors import ConfigError, InputError
from autosam.instances import MaskCrop
from autosam.models.networks import Networks
from autosam.models.sam import masks
from autosam.models.sam.interface import Decoded
from autosam.pipeline.oracle import Oracle, segment_with_oracle

SHAPE = (60, 60)
IMAGE, TRUTH = draw_ellipses(SHAPE, [(15, 15, 9, 9), (42, 40, 10, 8)])
PREFERRED = 2
IOUS = (0.3, 0.5, 0.9)


@pytest.fixture(scope="module")
def sam():
    return build_small_sam()


@pytest.fixture
def three_masks(monkeypatch):
    """Of three masks the first, which SAM thinks the worst, is the object; the others lack rows at its top.

    The single mask is the object.
    """
    fake = use_component_sam(monkeypatch)
    asked = []

    def decode(sam, embeddings, prompts, *, masks, **settings):
        asked.append((len(prompts), masks))
        for parts in fake.decode(
            sam, embeddings, prompts, masks="single" if masks == "single" else "three", **settings
        ):
            answers = [part if masks == "single" else worse(part) for part in parts]
            yield [preferred(part) if masks == "best" else part for part in answers]

    def worse(part):
        logits = part.logits.clone()
        for row in range(len(logits)):
            shown = torch.nonzero((logits[row, 0] > 0).any(dim=1)).flatten()
            top = int(shown[0]) if len(shown) else 0
            logits[row, 1, : top + 4] = -10
            logits[row, 2, : top + 7] = -10
        return Decoded(part.indices, logits, torch.tensor(IOUS).expand(len(logits), 3), part.corners)

    def preferred(part):
        return Decoded(part.indices, part.logits[:, [PREFERRED]], part.iou[:, [PREFERRED]], part.corners)

    monkeypatch.setattr(masks, "decode", decode)
    return asked


def segmenter(sam, **sections) -> Segmenter:
    values = {"decode": {"precision": "float32"}}
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section
    return Segmenter(Networks(sam, BrightPixels()), make_config(values))  # type: ignore[arg-type]


BY_POINT = {"points": 1, "box": False, "mask": False}


def areas(labels):
    return np.bincount(labels.ravel())[1:].tolist()


@pytest.mark.parametrize("prompts", [BY_POINT, {}])
def test_the_mask_that_is_the_object_is_kept_though_its_predicted_iou_is_the_lowest(sam, three_masks, prompts):
    subject = segmenter(sam, prompts=prompts)
    result = segment_with_oracle(subject, IMAGE, TRUTH)
    np.testing.assert_array_equal(result.labels, TRUTH)
    # What SAM does by itself, and then all three masks.
    assert [wanted for count, wanted in three_masks if count] == [
        "best" if prompts == BY_POINT else "single",
        "three",
    ]
    # Its score is that of SAM's own choice, so that no threshold takes it for a bad one.
    own = IOUS[PREFERRED] if prompts == BY_POINT else 1.0
    assert result.scores.tolist() == pytest.approx([own * prompt.foreground for prompt in result.prompts])


def test_the_single_mask_of_a_clear_prompt_is_among_the_choices(sam, monkeypatch):
    fake = use_component_sam(monkeypatch)

    def decode(sam, embeddings, prompts, *, masks, **settings):
        for (part,) in fake.decode(sam, embeddings, prompts, masks=masks, **settings):
            logits = part.logits.clone()
            # The three masks lack both objects' upper halves.
            if masks == "three":
                logits[..., :15, :] = logits[..., 32:42, :] = -10
            yield [Decoded(part.indices, logits, part.iou, part.corners)]

    monkeypatch.setattr(masks, "decode", decode)
    subject = segmenter(sam)
    plain, result = subject.segment(IMAGE), segment_with_oracle(subject, IMAGE, TRUTH)
    np.testing.assert_array_equal(result.labels, TRUTH)
    np.testing.assert_array_equal(result.labels, plain.labels)
    np.testing.assert_array_equal(result.scores, plain.scores)


def test_the_progress_of_both_ways_is_one(sam, three_masks):
    seen = []
    segment_with_oracle(segmenter(sam), IMAGE, TRUTH, progress=lambda done, todo: seen.append((done, todo)))
    assert seen == [(1, 2), (2, 2)]


def test_without_the_truth_sam_keeps_what_it_prefers(sam, three_masks):
    labels = segmenter(sam, prompts=BY_POINT).segment(IMAGE).labels
    assert all(found < true for found, true in zip(areas(labels), areas(TRUTH), strict=True))


def test_the_best_of_the_three_by_hand(sam, three_masks):
    # Of the first object the truth lacks as many rows as the second mask does.
    truth = TRUTH.copy()
    first = np.flatnonzero((truth == 1).any(axis=1))[0]
    truth[first : first + 4] = np.where(truth[first : first + 4] == 1, 0, truth[first : first + 4])
    result = segment_with_oracle(segmenter(sam, prompts=BY_POINT), IMAGE, truth)
    np.testing.assert_array_equal(result.labels, truth)


@pytest.mark.parametrize("truth", [np.zeros(SHAPE, np.uint8), np.where(TRUTH == 2, 7, 0)])
def test_where_no_mask_covers_an_object_sam_keeps_what_it_prefers(sam, three_masks, truth):
    subject = segmenter(sam, prompts=BY_POINT)
    plain, result = subject.segment(IMAGE), segment_with_oracle(subject, IMAGE, truth)
    np.testing.assert_array_equal(result.labels == 1, plain.labels == 1)
    np.testing.assert_array_equal(result.labels == 2, (TRUTH if truth.any() else plain.labels) == 2)


def test_ids_of_any_kind_and_a_zoomed_image(sam, three_masks):
    truth = np.where(TRUTH == 1, np.uint64(2**40), TRUTH.astype(np.uint64))
    subject = segmenter(sam, prompts=BY_POINT, images={"zoom": 2.0})
    plain, result = subject.segment(IMAGE).labels, segment_with_oracle(subject, IMAGE, truth).labels
    assert all(more > less for more, less in zip(areas(result), areas(plain), strict=True))
    assert np.count_nonzero((result > 0) != (TRUTH > 0)) < 0.15 * np.count_nonzero(TRUTH)


def test_the_grid_keeps_one_mask_for_each_point(sam, three_masks):
    result = segment_with_oracle(segmenter(sam, prompts={"method": "grid", "grid": 10}), IMAGE, TRUTH)
    np.testing.assert_array_equal(result.labels, TRUTH)


def test_an_image_without_objects(sam):
    result = segment_with_oracle(segmenter(sam), np.zeros(SHAPE, np.uint8), TRUTH)
    assert not result.labels.any()
    assert result.scores.shape == (0,)


def test_the_oracle_works_with_channels(sam, three_masks):
    first, second = (np.where(number == TRUTH, 220, 30).astype(np.uint8) for number in (1, 2))
    subject = segmenter(sam, prompts=BY_POINT, images={"combine": "max"})
    np.testing.assert_array_equal(segment_with_oracle(subject, [first, second], TRUTH).labels, TRUTH)


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (TRUTH[1:], r"shape \(59, 60\); wanted that of the image, \(60, 60\)"),
        (TRUTH.astype(np.float32), "float32; wanted integers"),
        (-TRUTH, "int32; wanted integers, 0 for background"),
    ],
)
def test_what_is_no_truth_is_refused(sam, truth, message):
    with pytest.raises(InputError, match=message):
        segment_with_oracle(segmenter(sam), IMAGE, truth)


def test_there_must_be_masks_to_choose_from(sam):
    with pytest.raises(ConfigError, match=r"decode\.sam=false asks for none"):
        segment_with_oracle(segmenter(sam, decode={"sam": False}), IMAGE, TRUTH)


def test_iou_counts_the_whole_of_an_object():
    # Object 1 has 6 pixels, object 2 has 2; the mask covers 2 of the first and 1 of the second.
    oracle = Oracle.of(np.array([[5, 5, 5, 0], [5, 5, 5, 9], [0, 0, 0, 9]]), (3, 4))
    crop = MaskCrop(1, 1, np.array([[True, True, True]]), score=0.0, prompt=0)
    assert oracle.iou(crop) == pytest.approx(2 / 7)
    assert oracle.iou(MaskCrop(2, 0, np.ones((1, 3), bool), score=0.0, prompt=0)) == 0
    worse = MaskCrop(0, 0, np.ones((1, 1), bool), score=0.0, prompt=0)
    assert oracle.choose([worse, None, crop], preferred=1) == 2
    assert oracle.choose([crop, crop, worse], preferred=1) == 1
    assert oracle.choose([None, None, None], preferred=2) == 2


def test_the_better_mask_of_every_prompt():
    oracle = Oracle.of(np.array([[1, 1, 1, 1, 0, 0]]), (1, 6))

    def crop(start, width, prompt, score):
        return MaskCrop(0, start, np.ones((1, width), bool), score=score, prompt=prompt)

    usual = [crop(0, 3, 0, 0.9), crop(0, 2, 1, 0.8), crop(4, 1, 2, 0.7), crop(0, 4, 5, 0.6)]
    others = [crop(0, 2, 0, 0.1), crop(0, 4, 1, 0.2), crop(5, 1, 2, 0.3), crop(0, 1, 3, 0.4), crop(5, 1, 4, 0.5)]
    kept = [(one.prompt, one.col, one.mask.size, one.score) for one in oracle.better(usual, others)]
    # The usual is better; the other is; neither covers an object; only the other is there, on an object or not.
    assert kept == [(0, 0, 3, 0.9), (1, 0, 4, 0.8), (2, 4, 1, 0.7), (3, 0, 1, 0.4), (5, 0, 4, 0.6)]
    assert oracle.better([], []) == []

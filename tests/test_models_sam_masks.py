"""Prompts → masks: the crops are SAM's masks, whatever windows and batches they came through."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_networks import build_small_sam, draw_ellipses, use_component_sam
from numpy.typing import NDArray
from segment_anything import SamPredictor
from with_defaults import decode, decode_masks, upsample

from autosam.errors import AutosamError
from autosam.images import Window, read_window
from autosam.instances import MaskCrop
from autosam.models.sam import decode_prompts, masks, postprocess
from autosam.models.sam.interface import encode
from autosam.prompts import MaskPrompt, Prompt

ONE = np.ones(1, dtype=np.int64)
NO_POINTS, NO_LABELS = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)


@pytest.fixture(scope="module")
def sam():
    return build_small_sam()


def picture(height: int, width: int) -> NDArray[np.uint8]:
    squares = np.random.default_rng(7).integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    return squares.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def pointed(row: float, col: float) -> Prompt:
    return Prompt(np.array([[row, col]], dtype=np.float64), ONE)


def boxed(*box: float) -> Prompt:
    return Prompt(NO_POINTS, NO_LABELS, box=np.array(box, dtype=np.float64))


def all_kinds() -> list[Prompt]:
    """Give prompts of mixed kinds, so that batches have to be regrouped."""
    mask = MaskPrompt(8, 20, np.random.default_rng(1).normal(0, 4, (20, 24)).astype(np.float32))
    return [
        boxed(5, 6, 30, 50),
        pointed(20, 30),
        Prompt(np.array([[10.0, 40], [30, 12]]), np.array([1, 0]), foreground=0.5),
        boxed(20, 3, 45, 30),
        pointed(40, 9),
        Prompt(NO_POINTS, NO_LABELS, mask=mask),
        Prompt(np.array([[15.0, 33]]), ONE, box=np.array([8.0, 20, 27, 43]), mask=mask, foreground=0.25),
        pointed(3, 60),
    ]


def run(sam, image, prompts, **settings) -> list[MaskCrop]:
    chosen = {"tile_size": 64, "overlap": 0.25, "precision": "float32"} | settings
    return decode_masks(sam, image, prompts, **chosen)


def pasted(crop: MaskCrop, shape: tuple[int, int]) -> NDArray[np.bool_]:
    canvas = np.zeros(shape, dtype=bool)
    height, width = crop.mask.shape
    assert crop.row >= 0
    assert crop.col >= 0
    canvas[crop.row : crop.row + height, crop.col : crop.col + width] = crop.mask
    return canvas


def whole_answer(sam, image, prompt, window, *, multimask):
    """Ask SAM about one prompt of one window and keep everything: masks at full size, predicted IoU, stability."""
    embedding = encode(sam, read_window(image, window))
    (batch,) = decode(sam, embedding, [prompt], multimask=multimask)
    full = upsample(sam, batch.logits, embedding)[0].numpy()
    stability = [(low > 1).sum() / max(1, (low > -1).sum()) for low in batch.logits[0].numpy()]
    return full > 0, batch.iou[0].numpy().clip(0, 1), np.array(stability)


@pytest.mark.parametrize("shape", [(64, 64), (48, 64), (30, 50), (64, 63)])
def test_crops_are_the_thresholded_full_size_masks(sam, shape):
    image, window = picture(*shape), Window(0, 0, 64, 64)
    prompts = [p for p in all_kinds() if (p.points < shape).all() and (p.box is None or p.box[2] < shape[0])]
    crops = {crop.prompt: crop for crop in run(sam, image, prompts, batch_size=1)}
    some = 0
    for index, prompt in enumerate(prompts):
        only_a_point = len(prompt.points) == 1 and prompt.box is None and prompt.mask is None
        full, iou, stability = whole_answer(sam, image, prompt, window, multimask=only_a_point)
        best = int(np.argmax(iou if len(iou) > 1 else [1]))
        expected = full[best, : shape[0], : shape[1]]
        if index not in crops:
            assert not expected.any()
            continue
        some += 1
        crop = crops[index]
        np.testing.assert_array_equal(pasted(crop, shape), expected)
        assert crop.mask[[0, -1]].any(axis=1).all()
        assert crop.mask[:, [0, -1]].any(axis=0).all()
        assert crop.mask.base is None
        assert crop.score == pytest.approx(iou[best] * stability[best] * prompt.foreground, rel=1e-5)
    assert some >= 2


@pytest.mark.parametrize("weight", [0.125, 0.5, 2.0])
def test_fused_masks_are_of_the_sum_of_both_logits(sam, weight):
    image, window = picture(64, 96), Window(0, 32, 64, 64)
    # The crop begins above the window and ends beside it; in the window it covers rows 0:20 and columns 50:64.
    logits = np.linspace(-9, 9, 25 * 40, dtype=np.float32).reshape(25, 40)
    prompt = Prompt(NO_POINTS, NO_LABELS, box=np.array([0.0, 82, 19, 95]), mask=MaskPrompt(-5, 82, logits))
    embedding = encode(sam, read_window(image, window))
    local = replace(prompt, box=prompt.box - np.array([0, 32, 0, 32]), mask=MaskPrompt(-5, 50, logits))
    (batch,) = decode(sam, embedding, [local], multimask=False)
    added = np.full((64, 64), -postprocess.FUSION_LIMIT)
    added[:20, 50:] = logits[5:, :14].clip(-postprocess.FUSION_LIMIT, postprocess.FUSION_LIMIT)
    both = upsample(sam, batch.logits, embedding)[0, 0].numpy() + weight * added
    expected = np.zeros((64, 96), dtype=bool)
    expected[:, 32:] = both > 0
    pointless = boxed(0, 82, 19, 95)
    fused, other = run(sam, image, [prompt, pointless], fusion=weight)
    assert expected.any()
    np.testing.assert_array_equal(pasted(fused, (64, 96)), expected)
    plain, same = run(sam, image, [prompt, pointless])
    assert (pasted(plain, (64, 96)) != expected).any()
    np.testing.assert_array_equal(pasted(other, (64, 96)), pasted(same, (64, 96)))
    _, iou, stability = whole_answer(sam, image, local, window, multimask=False)
    stable = (both > 1).sum() / (both > -1).sum()
    assert abs(stable - stability[0]) > 0.01
    assert fused.score == pytest.approx(iou[0] * stable, rel=1e-5), "the stability is that of the sum"
    assert other.score == same.score


def test_alternatives_are_all_three_masks_of_every_prompt(sam):
    image, window = picture(64, 64), Window(0, 0, 64, 64)
    prompts = [pointed(20, 30), pointed(40, 9), boxed(5, 6, 30, 50)]
    crops = run(sam, image, prompts, alternatives=True, batch_size=1)
    assert [crop.prompt for crop in crops] == sorted(crop.prompt for crop in crops)
    for index, prompt in enumerate(prompts):
        full, iou, stability = whole_answer(sam, image, prompt, window, multimask=True)
        shown = [k for k in range(3) if full[k].any()]
        own = [crop for crop in crops if crop.prompt == index]
        assert len(own) == len(shown)
        for crop, k in zip(own, shown, strict=True):
            np.testing.assert_array_equal(pasted(crop, (64, 64)), full[k])
            assert crop.score == pytest.approx(iou[k] * stability[k], rel=1e-5)
    assert len(crops) > 3


@pytest.mark.parametrize("alternatives", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 64])
def test_batches_do_not_matter(sam, batch_size, alternatives):
    image, prompts = picture(64, 150), [*all_kinds(), boxed(10, 90, 40, 140), pointed(30, 120), pointed(33, 75)]
    expected = run(sam, image, prompts, alternatives=alternatives)
    crops = run(sam, image, prompts, alternatives=alternatives, batch_size=batch_size)
    assert [crop.prompt for crop in crops] == [crop.prompt for crop in expected]
    assert [crop.prompt for crop in crops] == sorted(crop.prompt for crop in crops)
    for one, other in zip(crops, expected, strict=True):
        # Sums of another order may turn a pixel that lies on the threshold.
        assert (pasted(one, (64, 150)) != pasted(other, (64, 150))).sum() <= 2
        assert one.score == pytest.approx(other.score, abs=1e-3)


def test_no_prompts_no_masks(sam):
    assert run(sam, picture(40, 200), []) == []
    assert run(sam, picture(40, 200), [], alternatives=True) == []


def test_a_prompt_without_an_answer_is_left_out(sam, monkeypatch):
    use_component_sam(monkeypatch)
    image, labels = draw_ellipses((64, 64), [(20, 20, 8, 8)])
    crops = run(sam, np.stack([image] * 3, axis=2), [pointed(50, 50), pointed(20, 20), pointed(60, 5)])
    assert [crop.prompt for crop in crops] == [1]
    np.testing.assert_array_equal(pasted(crops[0], (64, 64)), labels == 1)


@pytest.mark.parametrize("place", [(-0.5, 40), (20, 149.9), (63.4, 3), (0, 0), (63, 149)])
def test_a_point_anywhere_on_the_image_is_asked(sam, place):
    asked = []

    def listening(sam, embeddings, prompts, **settings):
        asked.extend(prompts)
        return decode_prompts.decode(sam, embeddings, prompts, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masks, "decode", listening)
        run(sam, picture(64, 150), [pointed(*place)])
    assert [len(prompt.points) for prompt in asked] == [1] * len(asked)
    assert asked


WIDE, WIDE_LABELS = draw_ellipses((64, 300), [(30, 55, 10, 22), (32, 200, 20, 90)])


@pytest.mark.parametrize(
    ("prompt", "object_id"),
    [
        # Windows without overlap begin at columns 0, 59, 118, 177 and 236: the first ellipse, columns 33 to 77,
        # fits into none of them, and the second is larger than any.
        pytest.param(boxed(20, 33, 40, 77), 1, id="box"),
        pytest.param(pointed(30, 40), 1, id="a point, far from the border that cuts the mask"),
        pytest.param(pointed(30, 62), 1, id="a point at the border"),
        pytest.param(boxed(12, 110, 52, 290), 2, id="box of a large object"),
        pytest.param(pointed(32, 150), 2, id="a point in a large object"),
        pytest.param(pointed(32, 285), 2, id="a point at the end of a large object"),
    ],
)
@pytest.mark.parametrize("overlap", [0.0, 0.25])
def test_a_mask_that_a_window_would_cut_is_whole(sam, monkeypatch, prompt, object_id, overlap):
    use_component_sam(monkeypatch)
    (crop,) = run(sam, np.stack([WIDE] * 3, axis=2), [prompt], overlap=overlap)
    np.testing.assert_array_equal(pasted(crop, WIDE.shape), object_id == WIDE_LABELS)


def test_a_cut_mask_is_decoded_again_around_itself_and_counted(sam, monkeypatch):
    fake = use_component_sam(monkeypatch)
    calls: list[tuple[int, int]] = []
    prompts = [pointed(30, 40), pointed(30, 250)]
    image = np.stack([draw_ellipses((64, 300), [(30, 55, 10, 22), (30, 250, 4, 4)])[0]] * 3, axis=2)
    run(sam, image, prompts, overlap=0.0, progress=lambda done, total: calls.append((done, total)))
    assert len(fake.windows) == 3
    assert calls[-1] == (3, 3)
    assert [done for done, _ in calls] == [1, 2, 3]
    assert all(done <= total for done, total in calls)


@pytest.mark.parametrize("overlap", [0.0, 0.25])
def test_alternatives_that_a_window_would_cut_come_from_one_window_over_the_image(sam, monkeypatch, overlap):
    fake = use_component_sam(monkeypatch)
    image, labels = draw_ellipses((64, 300), [(30, 55, 10, 22), (30, 250, 4, 4), (32, 170, 20, 50)])
    calls: list[tuple[int, int]] = []
    prompts = [pointed(30, 40), pointed(30, 250), pointed(30, 75), pointed(32, 215), pointed(5, 5)]
    crops = run(
        sam,
        np.stack([image] * 3, axis=2),
        prompts,
        overlap=overlap,
        alternatives=True,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert [crop.prompt for crop in crops] == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    for crop, number in zip(crops, [1] * 3 + [2] * 3 + [1] * 3 + [3] * 3, strict=True):
        np.testing.assert_array_equal(pasted(crop, (64, 300)), labels == number)
    assert fake.windows.count((64, 300)) == 1
    assert calls[-1] == (len(fake.windows), len(fake.windows))


def test_a_second_look_that_sees_nothing_keeps_the_first(sam, monkeypatch):
    fake = use_component_sam(monkeypatch)

    def once(sam, embeddings, prompts, **settings):
        for (batch,) in fake.decode(sam, embeddings, prompts, **settings):
            yield [batch if len(fake.windows) == 1 else replace(batch, logits=batch.logits - 100)]

    monkeypatch.setattr(masks, "decode", once)
    (crop,) = run(sam, np.stack([WIDE] * 3, axis=2), [pointed(30, 40)], overlap=0.0)
    assert len(fake.windows) == 2
    np.testing.assert_array_equal(pasted(crop, WIDE.shape)[:, :60], (WIDE_LABELS == 1)[:, :60])


def test_when_the_gpu_is_too_small_the_message_says_what_to_set(sam, monkeypatch):
    def full(sam, image):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB")

    monkeypatch.setattr(masks, "encode", full)
    with pytest.raises(AutosamError, match=r"64 × 64 pixels with a single prompt; set tiles\.size") as caught:
        run(sam, picture(64, 64), all_kinds(), batch_size=7)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(40, 30), (17, 50), (64, 64), (64, 20)])
def test_small_images_are_enlarged_as_sam_predictor_does(sam, shape):
    image = picture(*shape)
    rows, columns = shape
    boxes = [boxed(2, 3, rows - 6, columns - 5), boxed(rows // 3, 1, rows - 1, columns - 1)]
    points = [pointed(rows // 2, columns // 2), Prompt(np.array([[3.0, 4], [9, 8]]), np.array([1, 0]))]
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    found = {crop.prompt: crop for crop in run(sam, image, boxes + points, enlarge=True)}
    assert len(found) >= 3
    for number, prompt in enumerate(boxes + points):
        alone = len(prompt.points) == 1 and prompt.box is None
        masks, scores, _ = predictor.predict(
            point_coords=prompt.points[:, ::-1].copy() if len(prompt.points) else None,
            point_labels=prompt.point_labels if len(prompt.points) else None,
            box=None if prompt.box is None else prompt.box.reshape(2, 2)[:, ::-1].ravel(),
            multimask_output=alone,
        )
        mask = masks[int(scores.argmax())]
        given = pasted(found[number], shape) if number in found else np.zeros(shape, dtype=bool)
        np.testing.assert_array_equal(given, mask)


def test_windows_of_a_enlarging_sam_end_at_the_border(sam):
    image = picture(40, 200)
    (crop,) = run(sam, image, [boxed(5, 150, 30, 190)], enlarge=True)
    window = Window(0, 136, 40, 64)
    local = boxed(5, 14, 30, 54)
    full, _, _ = whole_answer(sam, image, local, window, multimask=False)
    expected = np.zeros((40, 200), dtype=bool)
    expected[:, 136:] = full[0] > 0
    np.testing.assert_array_equal(pasted(crop, (40, 200)), expected)

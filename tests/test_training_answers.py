"""SAM's answers to prompts: what it is asked and asked again, and the sums over what it says, by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from blobs import discs
from fake_networks import build_small_sam
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor
from with_defaults import decode

from autosam.config import TrainingConfig
from autosam.models.sam.interface import Embedding
from autosam.prompts import MaskPrompt, Prompt
from autosam.training.losses import answers as module
from autosam.training.losses.answers import best_object_iou, by_kind, learn, tile_losses
from autosam.training.losses.batch_loss import BatchLoss
from autosam.training.losses.pixel_losses import MASK_LOSSES, mask_bce_dice


def prompt(
    *points: tuple[float, float], box: bool = False, mask: bool = False, region: int = 0, side: int = 16
) -> Prompt:
    return Prompt(
        points=np.array(points, dtype=np.float64).reshape(-1, 2),
        point_labels=np.ones(len(points), dtype=np.int64),
        box=np.array([0.0, 0.0, 15.0, 7.0]) if box else None,
        mask=MaskPrompt(0, 0, np.zeros((side, side), np.float32)) if mask else None,
        region=region,
    )


# The loss of one tile

BEST = TrainingConfig(alternatives=0.0)
"""Only the best alternative learns."""


def test_the_first_mask_and_the_best_alternative_learn() -> None:
    torch.manual_seed(0)
    answer, target = torch.randn(3, 4, 8, 8), (torch.rand(3, 1, 8, 8) > 0.5).float()
    matched = torch.tensor([True, False, True])
    mask_loss, iou_loss, iou = tile_losses(answer, torch.zeros(3, 4), target, matched, BEST)
    alone = mask_bce_dice(answer, target.expand_as(answer))
    wanted = [float(alone[index, 0] + alone[index, 1:].min()) for index in (0, 2)]
    assert mask_loss.tolist() == pytest.approx(wanted)
    assert iou_loss.shape == (3,)
    assert iou.shape == (2,)
    one, _, _ = tile_losses(answer[:, :1], torch.zeros(3, 1), target, matched, BEST)
    assert one.tolist() == pytest.approx(alone[[0, 2], 0].tolist())


@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
def test_alternatives_that_never_win_learn_by_their_share(share: float) -> None:
    torch.manual_seed(0)
    answer, target = torch.randn(1, 4, 8, 8, requires_grad=True), (torch.rand(1, 1, 8, 8) > 0.5).float()
    settings = TrainingConfig(alternatives=share)
    mask_loss, _, _ = tile_losses(answer, torch.zeros(1, 4), target, torch.tensor([True]), settings)
    alone = mask_bce_dice(answer, target.expand_as(answer))[0]
    best = int(alone[1:].argmin()) + 1
    wanted = alone[0] + (1 - share) * alone[best] + share * alone[1:].mean()
    assert mask_loss.item() == pytest.approx(wanted.item())
    mask_loss.sum().backward()
    assert answer.grad is not None
    learns = answer.grad[0].abs().amax(dim=(1, 2)) > 0
    assert learns.tolist() == [True, *(share > 0 or index == best for index in (1, 2, 3))]


def test_the_share_of_the_alternatives_is_a_setting(sam: Sam, embedding: Embedding) -> None:
    point = [prompt((10, 12))]
    losses = [ask(sam, embedding, point, corrections=0, alternatives=share).mask for share in (0.0, 0.05, 1.0)]
    assert losses[0] < losses[1] < losses[2]
    boxes = [
        ask(sam, embedding, [prompt(box=True)], corrections=0, alternatives=share).mask for share in (0.0, 1.0)
    ]
    assert boxes[0] == boxes[1], "a box has one answer"


@pytest.mark.parametrize("name", MASK_LOSSES)
def test_the_loss_is_the_one_that_is_named(name: str) -> None:
    answer, target = torch.linspace(-2, 2, 16).view(1, 1, 4, 4), torch.eye(4).view(1, 1, 4, 4)
    settings = TrainingConfig(mask_loss=name)
    mask_loss, _, _ = tile_losses(answer, torch.zeros(1, 1), target, torch.tensor([True]), settings)
    assert mask_loss.tolist() == pytest.approx(MASK_LOSSES[name](answer, target)[0].tolist())


def test_a_prompt_without_an_object_teaches_the_iou_head_zero() -> None:
    # A mask that equals the "target" of an unmatched prompt: still worth nothing.
    target = torch.zeros(2, 1, 4, 4)
    target[:, :, :2] = 1
    answer = (target * 2 - 1) * 10
    predicted = torch.tensor([[0.7], [0.7]])
    mask_loss, iou_loss, iou = tile_losses(answer, predicted, target, torch.tensor([True, False]), BEST)
    assert len(mask_loss) == 1
    assert iou.tolist() == [1.0]
    assert iou_loss.tolist() == pytest.approx([(0.7 - 1) ** 2, 0.7**2])


# Groups


def test_prompts_of_one_kind_go_together() -> None:
    prompts = [
        prompt((1, 1), box=True),
        prompt((1, 1)),
        prompt((2, 2), box=True),
        prompt(box=True),
        prompt((1, 1), (2, 2)),
        prompt((3, 3), mask=True),
        prompt((4, 4), region=3),
        prompt((5, 5)),
    ]
    groups = by_kind(prompts)
    assert sorted(map(tuple, groups)) == [(0, 2), (1, 7), (3,), (4,), (5,), (6,)]
    assert groups == by_kind(prompts)
    assert by_kind([]) == []


def test_sums_and_counts_are_added() -> None:
    one = BatchLoss(torch.tensor(8.0), torch.tensor(1.0), torch.tensor(2.0), 9, 3, 4, 5.0, 6, 7)
    assert list(map(float, one.joined(one))) == [16, 2, 4, 18, 6, 8, 10, 12, 14]
    assert list(map(float, BatchLoss.none(torch.tensor(0.0)).joined(one))) == [8, 1, 2, 9, 3, 4, 5, 6, 7]


# Corrections, of a SAM whose answers are written down


@dataclass
class Script:
    """Gives one answer after the other, and remembers what was asked."""

    replies: list[tuple[Tensor, Tensor]]
    asked: list[list[Prompt]] = field(default_factory=list)
    masks: list[Tensor | None] = field(default_factory=list)

    def __call__(
        self,
        sam: Sam,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        mask_logits: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        self.asked.append(list(prompts))
        self.masks.append(mask_logits)
        return self.replies[len(self.asked) - 1]


HALVES = np.zeros((16, 16), dtype=np.int32)
"""Object 1 is the left half, object 2 the right one; SAM's pixels are 4 × 4 of these."""
HALVES[:, :8], HALVES[:, 8:] = 1, 2


ONE_IOU = torch.ones(1, 1)
"""What SAM predicts of one mask."""


def logits(*objects: int, wrong: tuple[int, int] | None = None) -> Tensor:
    """Give masks (n, 1, 4, 4) that are surely the object (0: nothing at all), but for one pixel of each."""
    low = torch.from_numpy(HALVES[::4, ::4].copy())
    masks = torch.stack([torch.where((low == number) & (number > 0), 30.0, -30.0) for number in objects])
    if wrong is not None:
        masks[:, wrong[0], wrong[1]] *= -1
    return masks[:, None]


def run(
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    prompts: Sequence[Prompt],
    ids: list[int],
    corrections: int,
    **more: Any,
) -> BatchLoss:
    monkeypatch.setattr(module, "_ask", script)
    nothing: Any = None
    return learn(
        nothing,
        nothing,
        prompts,
        torch.from_numpy(HALVES),
        torch.tensor(ids),
        regions=np.zeros_like(HALVES),
        foreground=None,
        settings=TrainingConfig(corrections=corrections),
        rng=np.random.default_rng(0),
        **more,
    )


def test_corrections_ask_again_with_a_click_and_the_mask_before(monkeypatch: pytest.MonkeyPatch) -> None:
    # Four masks each. Prompt 0: the third has the highest predicted IoU, and misses pixel (1, 1) of object 1.
    # Prompt 1 has no object. Prompt 2: the first is the best, and has pixel (2, 0) too much.
    first = torch.cat([logits(0, 0, 0)] * 4, dim=1)
    first[0, 2] = logits(1, wrong=(1, 1))[0, 0]
    first[2, 0] = logits(2, wrong=(2, 0))[0, 0]
    predicted = torch.tensor([[0.1, 0.2, 0.9, 0.3], [0.9, 0.1, 0.1, 0.1], [0.8, 0.1, 0.2, 0.3]])
    second = logits(1, 2, wrong=(0, 0))  # misses (0, 0) of object 1; of object 2 it is too much
    third = logits(1, 2)
    ones = torch.ones(2, 1)
    script = Script([(first, predicted), (second, ones), (third, ones)])
    prompts = [prompt((5, 3), mask=True), prompt((1, 1), mask=True), prompt((5, 11), mask=True)]
    answers = run(script, monkeypatch, prompts, [1, 0, 2], corrections=2)

    assert [len(asked) for asked in script.asked] == [3, 2, 2]
    again, last = script.asked[1:]
    # The middle of low-resolution pixel (r, c) is (4 r + 1.5, 4 c + 1.5).
    assert again[0].points.tolist() == [[5, 3], [5.5, 5.5]]
    assert again[0].point_labels.tolist() == [1, 1]
    assert again[1].points.tolist() == [[5, 11], [9.5, 1.5]]
    assert again[1].point_labels.tolist() == [1, 0]
    assert [asked.points.tolist()[-1] for asked in last] == [[1.5, 1.5], [1.5, 1.5]]
    assert [asked.point_labels.tolist() for asked in last] == [[1, 1, 1], [1, 0, 0]]
    assert all(asked.mask is None for asked in again + last)

    assert script.masks[0] is None
    assert script.masks[1] is not None
    assert torch.equal(script.masks[1], torch.stack([first[0, 2:3], first[2, 0:1]]))
    assert script.masks[2] is not None
    assert torch.equal(script.masks[2], second)

    assert (answers.matched, answers.prompts) == (2, 3)
    assert (answers.masks, answers.answers) == (2 + 2 + 2, 3 + 2 + 2)
    # First masks: nothing, 8 of 9 pixels; then 7 of 8 and 8 of 9; then all.
    assert answers.mask_iou == pytest.approx(0 + 8 / 9 + 7 / 8 + 8 / 9 + 1 + 1)


def test_sums_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two right masks, one of nothing without an object: no mask loss, and predicted IoUs .7, .6 and .5.
    script = Script([(logits(1, 2, 0), torch.tensor([[0.7], [0.6], [0.5]])), (logits(1, 2), torch.ones(2, 1))])
    prompts = [prompt((5, 3), box=True), prompt((5, 11), box=True), prompt((0, 0), box=True)]
    answers = run(script, monkeypatch, prompts, [1, 2, 0], corrections=1)
    assert answers.mask.item() == pytest.approx(0, abs=1e-5)
    assert answers.iou.item() == pytest.approx(0.3**2 + 0.4**2 + 0.5**2)
    assert answers.mask_iou == 4
    # Nothing was wrong: the clicks lie on the objects.
    for asked, columns in zip(script.asked[1], (range(8), range(8, 16)), strict=True):
        row, col = asked.points[-1]
        assert round(row) in range(16)
        assert round(col) in columns
        assert asked.point_labels.tolist() == [1, 1]
        assert asked.box is not None


def test_a_wrong_mask_has_a_loss_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = run(Script([(logits(2), torch.zeros(1, 1))]), monkeypatch, [prompt(box=True)], [1], corrections=0)
    # BCE of logits of 30 on the wrong side is 30, times 20; of 8 + 8 pixels none is shared: Dice 1 / 17.
    assert answers.mask.item() == pytest.approx(20 * 30 + 1 - 1 / 17, rel=1e-5)
    assert (answers.iou.item(), answers.mask_iou) == (0, 0)
    assert (answers.masks, answers.answers, answers.matched, answers.prompts) == (1, 1, 1, 1)


def test_prompts_without_objects_are_not_corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script([(logits(1, 2), torch.tensor([[0.5], [1.0]]))])
    answers = run(script, monkeypatch, [prompt(box=True)] * 2, [0, 0], corrections=3)
    assert len(script.asked) == 1
    assert (answers.masks, answers.answers, answers.matched, answers.prompts) == (0, 2, 0, 2)
    assert (answers.mask.item(), answers.iou.item(), answers.mask_iou) == (0, 1.25, 0)


def test_no_gradient_passes_from_one_answer_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    first = logits(1, wrong=(0, 0)).requires_grad_()
    script = Script([(first, torch.ones(1, 1)), (logits(1), torch.ones(1, 1))])
    run(script, monkeypatch, [prompt(box=True)], [1], corrections=1)
    assert script.masks[1] is not None
    assert not script.masks[1].requires_grad


# The second pass


def test_the_second_pass_asks_with_the_first_mask_and_its_neighbors(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first mask of prompt 0 lacks a corner of object 1, that of prompt 2 is right, prompt 1 has no object.
    first = logits(1, 2, 2)
    first[0, 0, 0, 0] = -30
    script = Script([(first.requires_grad_(), torch.ones(3, 1)), (logits(1), ONE_IOU), (logits(2), ONE_IOU)])
    prompts = [prompt((5, 3), mask=True), prompt((1, 1)), prompt((5, 11), mask=True)]
    places = np.array([[5.0, 3], [1, 9], [5, 11]])
    others = [np.delete(places, k, axis=0) for k in range(3)]
    answers = run(script, monkeypatch, prompts, [1, 0, 2], corrections=0, others=others)
    # (1, 9) lies under the mask of object 2, so that it is no negative of that one: two kinds of prompts.
    (right,), (left,) = script.asked[1:]
    assert left.box is not None
    assert right.box is not None
    assert left.box.tolist() == [0, 0, 15, 7]
    assert right.box.tolist() == [0, 8, 15, 15]
    assert left.points[1:].tolist() == [[1, 9], [5, 11]]
    assert left.point_labels.tolist() == [1, 0, 0]
    assert right.points[1:].tolist() == [[5, 3]]
    assert script.masks[1:] == [None, None]
    assert (left.mask, right.mask) == (None, None)
    assert (answers.masks, answers.answers) == (2 + 2, 3 + 2)


def test_only_the_second_answer_learns_from_the_second_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = logits(1).requires_grad_(), (logits(2) / 30).requires_grad_()
    script = Script([(first, ONE_IOU), (second, ONE_IOU)])
    nobody = [np.zeros((0, 2))]
    answers = run(script, monkeypatch, [prompt(box=True)], [1], corrections=0, others=nobody)
    answers.mask.backward()
    assert first.grad is not None
    assert second.grad is not None
    assert first.grad.abs().max() < 1e-6, "right already"
    assert second.grad.abs().max() > 0.01


def test_empty_first_masks_are_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script([(logits(0), ONE_IOU)])
    run(script, monkeypatch, [prompt(box=True)], [1], corrections=0, others=[np.zeros((0, 2))])
    assert len(script.asked) == 1


# Prompts without an object


def test_best_ious_by_hand() -> None:
    # Object 1 without a pixel; all of object 2 and two pixels of object 1; both; nothing.
    answer = logits(1, 2, 0, 0)
    answer[0, 0, 0, 0] = -1
    answer[1, 0, :2, 0] = 1
    answer[2] = 1
    best = best_object_iou(answer, torch.from_numpy(HALVES))
    assert best.flatten().tolist() == pytest.approx([7 / 8, 8 / 10, 0.5, 0.0])
    assert best_object_iou(answer, torch.zeros(16, 16, dtype=torch.int32)).tolist() == [[0.0]] * 4


def test_best_ious_are_exact_in_mixed_precision() -> None:
    answer = torch.ones(1, 1, 32, 32)
    answer.view(-1)[:23] = -1
    with torch.autocast("cpu", torch.bfloat16):
        best = best_object_iou(answer, torch.ones(128, 128, dtype=torch.int32))
    assert best.item() == pytest.approx(1001 / 1024, rel=1e-6)


def test_unknown_pixels_are_left_out_of_best_ious() -> None:
    labels = HALVES.copy()
    labels[8:] = -1
    known = torch.tensor([[1.0] * 4, [1.0] * 4, [0.0] * 4, [0.0] * 4])[None]
    assert best_object_iou(logits(1), torch.from_numpy(labels), known).tolist() == [[1.0]]


@pytest.mark.parametrize(("best_iou", "wanted"), [(False, [0.0, 1.0]), (True, [0.5, 1.0])])
def test_a_merged_prompt_teaches_zero_or_its_best_iou(
    monkeypatch: pytest.MonkeyPatch, best_iou: bool, wanted: list[float]
) -> None:
    both = torch.full((1, 1, 4, 4), 30.0)
    script = Script([(torch.cat([both, logits(2)]), torch.zeros(2, 1))])
    answers = run(script, monkeypatch, [prompt(box=True)] * 2, [0, 2], corrections=0, best_iou=best_iou)
    assert answers.iou.item() == pytest.approx(sum(iou**2 for iou in wanted))
    assert (answers.masks, answers.answers) == (1, 2), "its mask learns nothing"


@pytest.mark.parametrize(("fusion", "mask_iou"), [(0.0, 0.0), (1.0, 0.0), (2.0, 1.0)])
def test_the_generator_is_added_to_a_mask_before_it_is_compared(
    monkeypatch: pytest.MonkeyPatch, fusion: float, mask_iou: float
) -> None:
    # SAM says 6 on the right half, -6 on the left; the generator 9 on the left, -9 on the right: 4 of it count.
    sure = torch.where(torch.from_numpy(HALVES) == 1, 9.0, -9.0)
    monkeypatch.setattr(module, "_ask", Script([(logits(2) / 5, torch.zeros(1, 1))]))
    nothing: Any = None
    asked = prompt(box=True, mask=True, region=1, side=16)
    answers = learn(
        nothing,
        nothing,
        [asked],
        torch.from_numpy(HALVES),
        torch.tensor([1]),
        regions=np.where(HALVES == 1, 1, 0).astype(np.int32),
        foreground=sure,
        settings=TrainingConfig(corrections=0, fusion=fusion),
        rng=np.random.default_rng(0),
    )
    assert answers.mask_iou == mask_iou
    wrong = torch.tensor(6 - 4 * fusion)
    expected = 20 * torch.nn.functional.softplus(wrong)
    dice = 1 - (2 * 8 * torch.sigmoid(-wrong) + 1) / (16 + 1)
    assert answers.mask.item() == pytest.approx(float(expected + dice), rel=1e-3)
    # The predicted IoU of 0 is compared with the IoU of the sum.
    assert answers.iou.item() == mask_iou**2


# A real SAM


@pytest.fixture(scope="module")
def sam() -> Sam:
    return build_small_sam()


@pytest.fixture(scope="module")
def embedding(sam: Sam) -> Embedding:
    image = torch.from_numpy(discs(0, 64)[0]).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        features = sam.image_encoder(sam.preprocess(image))
    return Embedding(features, (64, 64), (64, 64))


LABELS = discs(0, 64)[1]


def ask(
    sam: Sam,
    embedding: Embedding,
    prompts: list[Prompt],
    *,
    foreground: Tensor | None = None,
    regions: NDArray[np.int32] = LABELS,
    **settings: Any,
) -> BatchLoss:
    return learn(
        sam,
        embedding,
        prompts,
        torch.from_numpy(LABELS),
        torch.arange(1, len(prompts) + 1),
        regions=regions,
        foreground=foreground,
        settings=TrainingConfig(**settings),
        rng=np.random.default_rng(0),
    )


@pytest.mark.parametrize(
    ("asked", "masks"),
    [
        ([prompt((10, 12)), prompt((50, 40))], 4),
        ([prompt((10, 12), (14, 16))], 1),
        ([prompt((10, 12), box=True)], 1),
        ([prompt(box=True)], 1),
        ([prompt((10, 12), mask=True, side=32)], 1),
    ],
)
def test_answers_are_those_at_work(
    sam: Sam, embedding: Embedding, asked: list[Prompt], masks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Tensor, Tensor]] = []
    compare = module.tile_losses

    def watched(answer: Tensor, predicted: Tensor, *rest: Any, **named: Any) -> Any:
        seen.append((answer, predicted))
        return compare(answer, predicted, *rest, **named)

    monkeypatch.setattr(module, "tile_losses", watched)
    ask(sam, embedding, asked, corrections=0)
    ((answer, predicted),) = seen
    assert answer.shape == (len(asked), masks, 16, 16)
    (single,) = decode(sam, embedding, asked, multimask=False)
    torch.testing.assert_close(answer[:, :1], single.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(predicted[:, :1], single.iou, atol=1e-5, rtol=1e-5)
    if masks == 4:
        (alternatives,) = decode(sam, embedding, asked, multimask=True)
        torch.testing.assert_close(answer[:, 1:], alternatives.logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("corrections", [0, 1, 3])
def test_every_correction_counts(sam: Sam, embedding: Embedding, corrections: int) -> None:
    answers = ask(sam, embedding, [prompt((10, 12)), prompt((12, 50))], corrections=corrections)
    assert (answers.masks, answers.answers) == (2 + 2 * corrections,) * 2
    assert (answers.matched, answers.prompts) == (2, 2)
    assert 0 <= answers.mask_iou <= answers.masks
    assert torch.isfinite(answers.mask)


def test_a_gradient_through_the_mask_prompt(sam: Sam, embedding: Embedding) -> None:
    losses = []
    for soft_mask, asked, reached in (
        (True, prompt(box=True, mask=True, region=1, side=32), True),
        (False, prompt(box=True, mask=True, region=1, side=32), False),
        (True, prompt(box=True, mask=True, region=0, side=32), False),  # an user's mask is not the generator's
        (True, prompt(box=True, region=1), False),
    ):
        foreground = torch.zeros(64, 64, requires_grad=True)
        answers = ask(sam, embedding, [asked], foreground=foreground, soft_mask=soft_mask, corrections=1)
        losses.append(answers.mask.item())
        if answers.mask.requires_grad:
            answers.mask.backward()
        got = foreground.grad is not None and bool(foreground.grad.any())
        assert got is reached, (soft_mask, asked)
    # Switched off, the loss is the same.
    assert losses[0] == losses[1]
    assert losses[3] != losses[0]


def test_masks_of_a_generator_stay_beside_an_user_without(sam: Sam, embedding: Embedding) -> None:
    # Regions that are all 0: nothing to draw from the logits, so the crop that came is drawn.
    nowhere = np.zeros_like(LABELS)
    asked = prompt(box=True, mask=True, side=32)
    foreground = torch.full((64, 64), 5.0)
    one = ask(sam, embedding, [asked], foreground=foreground, regions=nowhere, corrections=0)
    other = ask(sam, embedding, [asked], foreground=None, regions=nowhere, corrections=0)
    assert one.mask.item() == other.mask.item()

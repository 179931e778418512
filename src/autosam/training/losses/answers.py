"""SAM's answers to prompts of one tile: asked, corrected by clicks, and compared with the objects."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor

from autosam.config import TrainingConfig
from autosam.models.sam.fast_decoder import FastDecoder
from autosam.models.sam.interface import LOW_RES_STRIDE, Embedding, embed_prompts
from autosam.models.sam.postprocess import FUSION_LIMIT
from autosam.prompts import Prompt, second_prompt
from autosam.training.losses.batch_loss import BatchLoss
from autosam.training.losses.pixel_losses import MASK_LOSSES, mask_iou
from autosam.training.losses.soft import soft_mask_prompts
from autosam.training.prompting.simulate import correction_clicks, mask_box
from autosam.training.samples.targets import known_share, mask_targets


def learn(
    sam: Sam,
    embedding: Embedding,
    prompts: Sequence[Prompt],
    labels: Tensor,
    ids: Tensor,
    *,
    regions: NDArray[np.int32],
    foreground: Tensor | None,
    settings: TrainingConfig,
    rng: np.random.Generator,
    best_iou: bool = False,
    others: Sequence[NDArray[np.float64]] | None = None,
) -> BatchLoss:
    """Ask SAM, correct it by clicks, as SAM itself was trained, and compare every answer with the objects.

    Parameters
    ----------
    embedding : Embedding
        The tile.
    prompts : sequence of Prompt
        At least one, all of one kind (see `by_kind`).
    labels : Tensor of int32, shape (S, S)
        -1 where nothing is learnt.
    ids : Tensor of int64, shape (n,)
        The object of each prompt; 0 where there is none.
    regions : ndarray of int32, shape (S, S)
        What ``Prompt.region`` refers to.
    foreground : Tensor, shape (S, S), or None
        The generator's foreground logits, which mask prompts are made of.
    best_iou : bool
        Prompts without an object teach the IoU head the IoU of the answer with its best object, and not 0.
    others : sequence of ndarray of float64, shape (m, 2), optional
        For each prompt the places of the tile's other prompts. With them SAM also learns its second answer, asked
        as at inference (``decode.second_pass``); the first one gets no gradient from it.

    Returns
    -------
    BatchLoss
        Without a generator's part.

    References
    ----------
    Kirillov et al., "Segment Anything", ICCV 2023, appendix A, for the clicks: each is drawn from the error region
    of the mask before, which comes along as a mask prompt.
    """
    soft = None
    if foreground is not None and prompts[0].mask is not None and prompts[0].region > 0:
        passing = foreground if settings.soft_mask else foreground.detach()
        soft = soft_mask_prompts(prompts, regions, passing)
    target, weight = mask_targets(labels, ids, LOW_RES_STRIDE), known_share(labels, LOW_RES_STRIDE)
    logits, predicted_iou = _ask(sam, embedding, prompts, mask_logits=soft)
    if settings.fusion and soft is not None:
        logits = logits + settings.fusion * soft.clamp(-FUSION_LIMIT, FUSION_LIMIT)
    elsewhere = None
    if best_iou and bool((ids == 0).any()):
        elsewhere = best_object_iou(logits, labels, weight)
    loss = _compare(logits, predicted_iou, target, ids > 0, settings, weight, elsewhere)
    loss = loss._replace(matched=int((ids > 0).sum()), prompts=len(ids))
    # A click says where the object is, and a prompt without one has none.
    chosen = np.flatnonzero(ids.cpu().numpy() > 0)
    if others is not None:
        masks = logits[torch.arange(len(prompts)), predicted_iou.argmax(dim=1)] > 0
        for members, again in _second(prompts, masks.cpu().numpy(), chosen, others):
            answer, second_iou = _ask(sam, embedding, again, mask_logits=None)
            loss = loss.joined(_compare(answer, second_iou, target[members], ids[members] > 0, settings, weight))
    asked, previous = list(prompts), logits
    for _ in range(settings.corrections if len(chosen) else 0):
        best = previous[torch.arange(len(asked)), predicted_iou.argmax(dim=1)].detach()[chosen]
        target, ids = target[chosen], ids[chosen]
        asked = _clicked([asked[index] for index in chosen], best, target, rng, weight)
        previous, predicted_iou = _ask(sam, embedding, asked, mask_logits=best[:, None])
        loss = loss.joined(_compare(previous, predicted_iou, target, ids > 0, settings, weight))
        chosen = np.arange(len(asked))
    return loss


def _second(
    prompts: Sequence[Prompt],
    masks: NDArray[np.bool_],
    chosen: NDArray[np.intp],
    others: Sequence[NDArray[np.float64]],
) -> Iterator[tuple[list[int], list[Prompt]]]:
    """Make the second prompts of the chosen ones whose first mask, (h, w), has pixels, in groups of one kind."""
    members, again = [], []
    for index in chosen.tolist():
        if not masks[index].any():
            continue
        box = mask_box(masks[index]).astype(int)
        crop = masks[index][box[0] : box[2] + 1, box[1] : box[3] + 1]
        fine = crop.repeat(LOW_RES_STRIDE, axis=0).repeat(LOW_RES_STRIDE, axis=1)
        corner = int(box[0]) * LOW_RES_STRIDE, int(box[1]) * LOW_RES_STRIDE
        members.append(index)
        again.append(second_prompt(prompts[index], fine, corner, others[index]))
    for group in by_kind(again):
        yield [members[k] for k in group], [again[k] for k in group]


def _clicked(
    prompts: Sequence[Prompt], masks: Tensor, target: Tensor, rng: np.random.Generator, weight: Tensor | None
) -> list[Prompt]:
    """Add to each prompt a click from the error region of its mask logits (n, h, w); drop its mask prompt."""
    found, true = masks > 0, target[:, 0] > 0.5
    if weight is not None:
        found, true = found & (weight[0] > 0.5), true & (weight[0] > 0.5)
    clicks, labels = correction_clicks(found.cpu().numpy(), true.cpu().numpy(), rng=rng)
    # The center of a low-resolution pixel, in pixels of the tile.
    places = (clicks + 0.5) * LOW_RES_STRIDE - 0.5
    return [
        replace(
            prompt,
            points=np.concatenate([prompt.points, place[None]]),
            point_labels=np.append(prompt.point_labels, label),
            mask=None,
        )
        for prompt, place, label in zip(prompts, places, labels, strict=True)
    ]


def by_kind(prompts: Sequence[Prompt]) -> list[list[int]]:
    """Group prompts that SAM can answer in one batch: of as many points, with or without box, mask and region."""
    groups: dict[tuple[int, bool, bool, bool], list[int]] = {}
    for index, prompt in enumerate(prompts):
        kind = (len(prompt.points), prompt.box is not None, prompt.mask is not None, prompt.region > 0)
        groups.setdefault(kind, []).append(index)
    return [groups[kind] for kind in sorted(groups)]


def _ask(
    sam: Sam, embedding: Embedding, prompts: Sequence[Prompt], *, mask_logits: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Ask SAM; for a single point alone, all four of its masks, otherwise only the first."""
    alone = len(prompts[0].points) == 1 and prompts[0].box is None and prompts[0].mask is None
    ambiguous = alone and mask_logits is None
    sparse, dense = embed_prompts(sam, prompts, embedding, mask_logits=mask_logits)
    masked = mask_logits is not None or prompts[0].mask is not None
    decoder = FastDecoder(sam)
    logits, predicted_iou = decoder.answer(
        decoder.prepare(embedding.features, whole=not masked),
        sparse,
        dense if masked else None,
        np.zeros((len(prompts), 2), dtype=np.int64),
        (dense.shape[2], dense.shape[3]),
        masks="all" if ambiguous else "single",
    )
    return logits.float(), predicted_iou.float()


def _compare(
    logits: Tensor,
    predicted_iou: Tensor,
    target: Tensor,
    matched: Tensor,
    settings: TrainingConfig,
    weight: Tensor | None,
    elsewhere: Tensor | None = None,
) -> BatchLoss:
    mask_loss, iou_loss, iou = tile_losses(logits, predicted_iou, target, matched, settings, weight, elsewhere)
    return BatchLoss(
        generator=logits.new_zeros(()),
        mask=mask_loss.sum(),
        iou=iou_loss.sum(),
        masks=len(mask_loss),
        answers=len(iou_loss),
        mask_iou=float(iou.sum()),
    )


def tile_losses(
    answer: Tensor,
    predicted_iou: Tensor,
    target: Tensor,
    matched: Tensor,
    settings: TrainingConfig,
    weight: Tensor | None = None,
    elsewhere: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compare SAM's answers in one tile with their objects.

    The first mask always learns. Of the three alternatives (where there are any) the best one does, so that each
    can specialize (Kirillov et al., "Segment Anything", ICCV 2023, section 3). One that is never the best would
    learn nothing, so all three get a small share of the loss (Rupprecht et al., "Learning in an uncertain world",
    ICCV 2017). The IoU head learns the IoU of every mask, which is 0 for a prompt without an object, or what
    ``elsewhere`` says.

    Parameters
    ----------
    answer : Tensor, shape (n, m, h, w)
        Mask logits; m is 1 or 4.
    predicted_iou : Tensor, shape (n, m)
    target : Tensor, shape (n, 1, h, w)
    matched : Tensor of bool, shape (n,)
    settings : TrainingConfig
        Its ``mask_loss`` and ``alternatives``.
    weight : Tensor, shape (1, h, w), optional
        Share of each pixel that counts; None for all.
    elsewhere : Tensor, shape (n, m), optional
        IoU of the masks with any object, for prompts without one.

    Returns
    -------
    mask_loss : Tensor, shape (matched,)
    iou_loss : Tensor, shape (n,)
    iou : Tensor, shape (matched,)
        IoU of the first mask.
    """
    losses = MASK_LOSSES[settings.mask_loss](answer, target.expand_as(answer), weight)
    total = losses[:, 0]
    if losses.shape[1] > 1:
        best, share = losses[:, 1:].amin(dim=1), settings.alternatives
        if share > 0:
            best = (1 - share) * best + share * losses[:, 1:].mean(dim=1)
        total = total + best
    true_iou = mask_iou(answer, target, weight) * matched[:, None]
    if elsewhere is not None:
        true_iou = torch.where(matched[:, None], true_iou, elsewhere)
    iou_loss = (predicted_iou - true_iou).square().mean(dim=1)
    return total[matched], iou_loss, true_iou[matched, 0]


@torch.no_grad()
def best_object_iou(answer: Tensor, labels: Tensor, weight: Tensor | None = None) -> Tensor:
    """Compute the highest IoU of each mask with any object of a tile.

    Parameters
    ----------
    answer : Tensor, shape (n, m, h, w)
        Mask logits.
    labels : Tensor of int32, shape (S, S)
        -1 where nothing is learnt.
    weight : Tensor, shape (1, h, w), optional
        Share of each pixel that counts; None for all.

    Returns
    -------
    Tensor, shape (n, m)
        0 where a mask is empty or covers no object.
    """
    ids = labels.unique().long()
    objects = mask_targets(labels, ids[ids > 0], LOW_RES_STRIDE)[:, 0] > 0.5
    masks = answer > 0
    if weight is not None:
        objects, masks = objects & (weight > 0.5), masks & (weight > 0.5)
    true, found = objects.flatten(1).float(), masks.flatten(2).float()
    # Not in bfloat16, which counts to 256 alone.
    with torch.autocast(answer.device.type, enabled=False):
        shared = found @ true.T
    union = found.sum(dim=2, keepdim=True) + true.sum(dim=1) - shared
    ious = shared / union.clamp(min=1)
    return ious.amax(dim=2) if len(true) else ious.new_zeros(answer.shape[:2])

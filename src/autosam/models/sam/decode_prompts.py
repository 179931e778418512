"""Prompts of one image → SAM's low-resolution answers, in batches of one kind."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor

from autosam.models.sam.fast_decoder import FastDecoder, Masks
from autosam.models.sam.interface import (
    LOW_RES_STRIDE,
    Decoded,
    Embedding,
    embed_masks,
    embed_sparse,
    render_mask_prompt,
)
from autosam.models.sam.token_window import TokenWindow, reaches_inner_border, token_window, widened
from autosam.models.variants import PATCH, parameter_device
from autosam.prompts.prompt import Prompt

TOKEN_SIDE = PATCH // LOW_RES_STRIDE
"""Side of an image token in low-resolution pixels."""

CACHE_BYTES = 2**23
"""Memory of a batch's image tokens on a CPU: measured, more is slower, since it leaves the cache at every step."""


@torch.no_grad()
def decode(
    sam: Sam,
    embeddings: Sequence[Embedding],
    prompts: Sequence[Prompt],
    *,
    masks: Masks = "single",
    batch_size: int,
    window: int | None = None,
) -> Iterator[list[Decoded]]:
    """Answer prompts in bounded batches, halved from then on when a GPU runs out of memory.

    SAM appends a token for every point, so only prompts with the same number of points, with or without box
    and mask, and with windows of one size, share a batch: padding would change their masks.

    Parameters
    ----------
    sam : Sam
        In evaluation mode.
    embeddings : sequence of Embedding
        Of one image, or of each channel of a multichannel image; all of one size.
    prompts : sequence of Prompt
        In (row, column) pixels of the encoded image. None at all yields nothing.
    masks : {"single", "three", "best"}
        SAM's single mask, its three alternatives, or the one of them with the highest predicted IoU.
    batch_size : int
        Most prompts at a time that are asked with the whole embedding; of those with a window so many more as the
        windows are smaller. On a CPU no more than its cache holds.
    window : int, optional
        Decode prompts that have a box or a mask with the image tokens around it alone; the smallest side of such
        a window, see `token_window`. Where a mask reaches the window's border, and the image goes on there, the
        prompt is asked again in a window of twice the side, up to the whole. By default every prompt is asked
        with the whole embedding, as SAM does it.

    Yields
    ------
    list of Decoded
        For each embedding the answers to the same prompts. Every prompt is answered once; the batches are ordered
        by kind of prompt.

    Raises
    ------
    torch.cuda.OutOfMemoryError
        If the memory does not hold a single prompt.
    """
    if not prompts:
        return
    grid: tuple[int, int] = tuple(sam.prompt_encoder.image_embedding_size)
    scale = np.array(embeddings[0].input_size) / np.array(embeddings[0].original_size) / PATCH
    windows = {k: token_window(prompt, least=window, scale=scale, grid=grid) for k, prompt in enumerate(prompts)}
    decoder = FastDecoder(sam)
    whole = any(prompt.mask is None for prompt in prompts)
    images = [decoder.prepare(embedding.features, whole=whole) for embedding in embeddings]

    def answer(indices: list[int]) -> list[Decoded]:
        asked, places = [prompts[index] for index in indices], [windows[index] for index in indices]
        sparse, dense = embed_sparse(sam, asked, embeddings[0]), _dense(sam, asked, places, embeddings[0])
        corners = np.array([(place.row, place.col) for place in places], dtype=np.int64)
        numbers, answers = np.asarray(indices, dtype=np.int64), []
        for image in images:
            logits, iou = decoder.answer(image, sparse, dense, corners, places[0].side, masks=masks)
            answers.append(Decoded(numbers, logits, iou, corners * TOKEN_SIDE))
        return answers

    def kind(index: int) -> tuple[int, bool, bool, tuple[int, int]]:
        prompt = prompts[index]
        return len(prompt.points), prompt.box is not None, prompt.mask is not None, windows[index].side

    limit = batch_size * grid[0] * grid[1]
    if parameter_device(sam).type == "cpu":
        limit = min(limit, CACHE_BYTES // decoder.token_bytes)
    todo = list(range(len(prompts)))
    while todo:
        again: list[int] = []
        for (*_, side), group in groupby(sorted(todo, key=kind), key=kind):
            members, tokens = list(group), side[0] * side[1]
            while members:
                indices, answers = members[: max(1, limit // tokens)], None
                try:
                    answers = answer(indices)
                except torch.cuda.OutOfMemoryError:
                    if len(indices) == 1:
                        raise
                if answers is None:
                    # Only now: while the error is handled, its traceback keeps the batch's tensors alive.
                    limit = tokens * (len(indices) // 2)
                    torch.cuda.empty_cache()
                    continue
                members = members[len(indices) :]
                cut = _cut(answers, [windows[index] for index in indices], grid, float(sam.mask_threshold))
                if cut.any():
                    again += [indices[k] for k in np.flatnonzero(cut)]
                    answers = [_chosen(part, np.flatnonzero(~cut)) for part in answers]
                if not cut.all():
                    yield answers
        for index in again:
            windows[index] = widened(windows[index], grid)
        todo = again


def _dense(
    sam: Sam, prompts: Sequence[Prompt], windows: Sequence[TokenWindow], embedding: Embedding
) -> Tensor | None:
    """Embed mask prompts in their windows; None for prompts without one."""
    drawn = [
        render_mask_prompt(
            sam,
            prompt.mask,
            embedding,
            corner=(window.row * TOKEN_SIDE, window.col * TOKEN_SIDE),
            shape=(window.rows * TOKEN_SIDE, window.cols * TOKEN_SIDE),
        )
        for prompt, window in zip(prompts, windows, strict=True)
        if prompt.mask is not None
    ]
    return embed_masks(sam, torch.cat(drawn)) if drawn else None


def _cut(
    answers: Sequence[Decoded], windows: Sequence[TokenWindow], grid: tuple[int, int], threshold: float
) -> NDArray[np.bool_]:
    """Tell which prompts have a mask, in any channel, that its window may cut off; shape (n,)."""
    if windows[0].side == grid:
        return np.zeros(len(windows), dtype=bool)
    reached = np.zeros((len(windows), 4), dtype=bool)
    for part in answers:
        logits = part.logits
        borders = logits[..., 0, :], logits[..., -1, :], logits[..., 0], logits[..., -1]
        above = torch.stack([(border > threshold).flatten(1).any(dim=1) for border in borders], dim=1)
        reached |= above.cpu().numpy()
    return reaches_inner_border(reached, windows, grid)


def _chosen(part: Decoded, rows: NDArray[np.intp]) -> Decoded:
    places = torch.from_numpy(rows).to(part.logits.device)
    return replace(
        part,
        indices=part.indices[rows],
        logits=part.logits[places],
        iou=part.iou[places],
        corners=part.corners[rows],
    )

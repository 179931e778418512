"""Prompts → masks: each prompt is decoded in a window that holds its object whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam

from autosam.errors import AutosamError
from autosam.images import Window, read_window, tile_windows
from autosam.instances import MaskCrop
from autosam.models.combine import CombineAnswers, combine_decoded
from autosam.models.precision import Precision, autocast
from autosam.models.sam.interface import Decoded, decode, encode
from autosam.models.sam.postprocess import postprocess_masks
from autosam.models.sam.variants import parameter_device
from autosam.models.sam.windows import (
    assign_windows,
    moved_into,
    object_window,
    prompt_extent,
    touches_inner_border,
)
from autosam.prompts import Prompt

ChooseMask = Callable[[Sequence[MaskCrop | None], int], int]
"""From the masks for one prompt (None for an empty one) and the index of SAM's choice to that of another."""

LARGEST_WINDOW = 4
"""How many times wider than at first the window of a point's mask may become in search of the mask's end."""


@dataclass(frozen=True, eq=False)
class _Setup:
    """What stays the same from window to window; see `decode_masks`."""

    sam: Sam
    channels: Sequence[NDArray[np.uint8]]
    tile_size: int
    overlap: float
    combine: CombineAnswers
    alternatives: bool
    choose: ChooseMask | None
    batch_size: int
    precision: Precision
    fusion: float

    @property
    def shape(self) -> tuple[int, int]:
        return self.channels[0].shape[0], self.channels[0].shape[1]


def decode_masks(
    sam: Sam,
    image: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
    prompts: Sequence[Prompt],
    *,
    tile_size: int,
    overlap: float,
    combine: CombineAnswers,
    alternatives: bool = False,
    choose: ChooseMask | None = None,
    batch_size: int,
    precision: Precision,
    fusion: float,
    progress: Callable[[int, int], None] | None = None,
) -> list[MaskCrop]:
    """Answer every prompt with a mask.

    A prompt is decoded in the grid window in which its object is most central, or in a window of its own where
    it comes too close to an inner border of all of them. A mask that still touches an inner border of its window
    is decoded once more, in a window around the mask; one that only points ask for, in larger windows until
    it is whole, because points do not tell how large their object is. Of the alternatives to a prompt, those that
    touch an inner border are replaced by what SAM answers in one window over the whole image, as
    `SamAutomaticMaskGenerator` does with its crops.

    Parameters
    ----------
    sam : Sam
        In evaluation mode.
    image : ndarray of uint8, shape (H, W, 3), or sequence of such
        Several are the channels of one image, all of one shape, at least one: every prompt is decoded in each.
    prompts : sequence of Prompt
        In whole-image pixels.
    tile_size : int
        Side of a grid window in pixels.
    overlap : float
        Fraction of the side that neighboring grid windows share.
    combine : {"avg", "max"}
        What becomes of the channels' mask probabilities and predicted IoUs, before anything is chosen or
        thresholded; see `combine_decoded`. The embeddings of one window are in memory at a time.
    alternatives : bool
        Give all of SAM's masks for every prompt. Otherwise the best of the three by predicted IoU for a
        single point, and SAM's single mask for anything that says more.
    choose : callable, optional
        Chooses for every prompt among SAM's three masks, fused alike. By default the predicted IoU does, for
        prompts that leave a choice. The score is that of SAM's own choice in any case. Not with ``alternatives``.
    batch_size : int
        Most prompts at a time; halved when a GPU runs out of memory.
    precision : {"auto", "float32", "bfloat16"}
    fusion : float
        Weight, 0 or more, with which the logits of a mask prompt are added to each of SAM's masks for it; see
        `postprocess_masks`. Prompts without a mask keep SAM's.
    progress : callable, optional
        Called with the number of windows done and to do; the latter changes when masks are decoded again.

    Returns
    -------
    list of MaskCrop
        At most one per prompt, in order of prompt; with ``alternatives`` three where one window holds the image,
        otherwise up to five. Empty masks are left out. The score is predicted IoU × stability × the prompt's
        certainty.

    Raises
    ------
    AutosamError
        If the GPU's memory does not hold one window with a single prompt.
    """
    channels = [image] if isinstance(image, np.ndarray) else image
    setup = _Setup(
        sam=sam,
        channels=channels,
        tile_size=tile_size,
        overlap=overlap,
        combine=combine,
        alternatives=alternatives,
        choose=choose,
        batch_size=batch_size,
        precision=precision,
        fusion=fusion,
    )
    return _decode_all(setup, prompts, progress)


def _decode_all(
    setup: _Setup, prompts: Sequence[Prompt], progress: Callable[[int, int], None] | None
) -> list[MaskCrop]:
    shape, tile_size, alternatives = setup.shape, setup.tile_size, setup.alternatives
    grid = tile_windows(shape, size=tile_size, overlap=int(setup.overlap * tile_size))
    work = assign_windows(prompts, grid, shape, size=tile_size)
    found: dict[int, list[MaskCrop]] = {}
    again: dict[int, Window] = {}
    anywhere: dict[int, Prompt] = {}
    for done, (window, members) in enumerate(work.items(), start=1):
        for index, crops in _decode_window(setup, window, {i: prompts[i] for i in members}).items():
            found[index] = crops
            whole = [crop for crop in crops if not touches_inner_border(crop, window, shape)]
            if len(whole) < len(crops) and alternatives:
                found[index] = whole
                anywhere[index] = prompts[index]
            elif len(whole) < len(crops):
                again[index] = object_window(
                    _joined(prompt_extent(prompts[index]), crops[0]), shape, size=tile_size
                )
        if progress is not None:
            progress(done, len(work) + len(again) + bool(anywhere))
    if anywhere:
        wide = _decode_window(setup, Window(0, 0, *shape), anywhere)
        found.update({index: found[index] + crops for index, crops in wide.items()})
        done += 1
        if progress is not None:
            progress(done, done)
    for index, window in again.items():
        whole = _decode_whole(setup, window, index, prompts[index])
        found[index] = whole or found[index]
        done += 1
        if progress is not None:
            progress(done, len(work) + len(again))
    return [crop for index in sorted(found) for crop in found[index]]


def _joined(extent: NDArray[np.float64], crop: MaskCrop) -> NDArray[np.float64]:
    height, width = crop.mask.shape
    return np.array(
        [
            min(extent[0], crop.row),
            min(extent[1], crop.col),
            max(extent[2], crop.row + height - 1),
            max(extent[3], crop.col + width - 1),
        ]
    )


def _decode_whole(setup: _Setup, window: Window, index: int, prompt: Prompt) -> list[MaskCrop]:
    """Decode one prompt again; nothing where its mask is empty now."""
    shape = setup.shape
    size = window_size = window.height
    while True:
        crops = _decode_window(setup, window, {index: prompt})[index]
        sized = prompt.box is not None or prompt.mask is not None
        if sized or not crops or not touches_inner_border(crops[0], window, shape):
            return crops
        if size >= LARGEST_WINDOW * window_size:
            # A mask that leaks over the whole of a large image is no object, and costs memory without end.
            return crops
        size *= 2
        window = object_window(_joined(prompt_extent(prompt), crops[0]), shape, size=size)


def _decode_window(setup: _Setup, window: Window, prompts: dict[int, Prompt]) -> dict[int, list[MaskCrop]]:
    """Encode one window and decode its prompts, with smaller batches while memory runs out."""
    device, batch_size = parameter_device(setup.sam), setup.batch_size
    while True:
        try:
            with autocast(device, setup.precision):
                return _answers(setup, window, prompts, batch_size)
        except torch.cuda.OutOfMemoryError as error:
            if batch_size == 1:
                raise AutosamError(
                    f"the GPU's memory does not hold a window of {window.height} × {window.width} pixels with a "
                    "single prompt; set tiles.size to less, or use --device cpu"
                ) from error
        # Only now: as long as the error is being handled, its traceback keeps the batch's tensors alive.
        batch_size //= 2
        torch.cuda.empty_cache()


def _answers(
    setup: _Setup, window: Window, prompts: dict[int, Prompt], batch_size: int
) -> dict[int, list[MaskCrop]]:
    sam, choose = setup.sam, setup.choose
    embeddings = [encode(sam, read_window(channel, window)) for channel in setup.channels]
    all_three = setup.alternatives or choose is not None
    numbers = list(prompts)
    local = [moved_into(window, prompts[number]) for number in numbers]
    single = [i for i, prompt in enumerate(local) if _ambiguous(prompt)]
    clear = [i for i, prompt in enumerate(local) if not _ambiguous(prompt)]
    answers: dict[int, list[MaskCrop]] = {}
    for chosen, multimask in ((single, True), (clear, all_three)):
        asked = [local[i] for i in chosen]
        decoded = [
            decode(sam, embedding, asked, multimask=multimask, batch_size=batch_size) for embedding in embeddings
        ]
        for parts in zip(*decoded, strict=True):
            batch = combine_decoded(parts, setup.combine)
            members = [numbers[chosen[int(i)]] for i in batch.indices]
            best = batch if all_three else _best(batch)
            generator_logits = [local[chosen[int(i)]].mask if setup.fusion else None for i in batch.indices]
            cut = postprocess_masks(
                sam,
                best,
                embeddings[0],
                window,
                setup.shape,
                generator_logits=generator_logits,
                fusion=setup.fusion,
            )
            for row, crops in enumerate(cut):
                index = members[row]
                # Which masks are kept, and whose score each gets.
                kept = [(k, k) for k in range(len(crops))]
                if choose is not None:
                    preferred = int(best.iou[row].argmax())
                    kept = [(choose(crops, preferred), preferred)]
                scores = [
                    0.0
                    if crop is None
                    else float(best.iou[row, k].clamp(0, 1)) * crop.score * prompts[index].certainty
                    for k, crop in enumerate(crops)
                ]
                answers[index] = [
                    replace(crop, prompt=index, score=scores[k])
                    for crop, k in ((crops[shown], k) for shown, k in kept)
                    if crop is not None
                ]
    return answers


def _ambiguous(prompt: Prompt) -> bool:
    return len(prompt.points) == 1 and prompt.box is None and prompt.mask is None


def _best(batch: Decoded) -> Decoded:
    pick = batch.iou.argmax(dim=1)
    rows = torch.arange(len(pick), device=pick.device)
    return Decoded(batch.indices, batch.logits[rows, pick][:, None], batch.iou[rows, pick][:, None])

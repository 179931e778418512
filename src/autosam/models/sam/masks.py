"""Prompts → masks: each prompt is decoded in a window that holds its object whole."""

from collections.abc import Callable, MutableMapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor

from autosam.config import DecodeConfig
from autosam.errors import AutosamError
from autosam.images import Window, read_window, tile_windows
from autosam.instances import MaskCrop
from autosam.models.combine import CombineAnswers, combine_decoded
from autosam.models.precision import autocast
from autosam.models.sam.decode_prompts import decode
from autosam.models.sam.fast_decoder import Masks
from autosam.models.sam.interface import Decoded, Embedding, encode
from autosam.models.sam.postprocess import postprocess_masks
from autosam.models.sam.second_pass import Answers, keep_agreeing, second_prompts
from autosam.models.sam.windows import (
    assign_windows,
    moved_into,
    object_window,
    prompt_extent,
    touches_inner_border,
)
from autosam.models.variants import parameter_device
from autosam.prompts import Prompt, prompt_place

ChooseMask = Callable[[Sequence[MaskCrop | None], int], int]
"""From the masks for one prompt (None for an empty one) and the index of SAM's choice to the index of another."""

EncodedWindows = MutableMapping[Window, Sequence[Embedding]]
"""Embeddings of windows of one image: of each its channels."""

LARGEST_WINDOW = 4
"""How many times wider than at first the window of a point's mask may become in search of the mask's end."""


def decode_masks(
    sam: Sam,
    image: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
    prompts: Sequence[Prompt],
    *,
    tile_size: int,
    overlap: float,
    settings: DecodeConfig,
    combine: CombineAnswers,
    enlarge: bool = False,
    alternatives: bool = False,
    choose: ChooseMask | None = None,
    encoding: Callable[[], AbstractContextManager[None]] = nullcontext,
    encoded: EncodedWindows | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[MaskCrop]:
    """Answer every prompt with a mask.

    A prompt is decoded in the grid window in which its object is most central. Where the object comes too close to
    an inner border of all of them, it has a window of its own. A mask that still touches an inner border of its
    window is decoded once more, in a window around the mask. Points do not tell how large their object is: a mask
    for points alone is decoded in larger windows until it is whole. Alternatives that touch an inner border are
    replaced by SAM's answers in one window over the whole image, as `SamAutomaticMaskGenerator` does.

    Parameters
    ----------
    sam : Sam
        In evaluation mode.
    image : ndarray of uint8, shape (H, W, 3), or sequence of such
        Several are the channels of a multichannel image, at least one: every prompt is decoded in each.
    prompts : sequence of Prompt
        In whole-image pixels.
    tile_size : int
        Side of a grid window in pixels.
    overlap : float
        Fraction of the side that neighboring grid windows share.
    settings : DecodeConfig
        ``batch_size``, ``precision``, ``fusion``, ``window`` and ``second_pass`` count here. A batch is halved
        when a GPU runs out of memory. There is no second pass with ``alternatives`` or ``choose``.
    combine : {"avg", "max"}
        How the channels' mask probabilities and predicted IoUs are combined, before anything is chosen or
        thresholded; see `combine_decoded`.
    enlarge : bool
        Windows end at the image's border, where they are mirrored otherwise. SAM's input is filled by the longer
        side of what is left, and with zeros, as `SamPredictor` does it: a small image is enlarged.
    alternatives : bool
        Give all of SAM's masks for every prompt. Otherwise a single point gets the best of the three by predicted
        IoU, and every other prompt gets SAM's single mask.
    choose : callable, optional
        Gets SAM's three masks for a prompt, after fusion, and returns the index of one. By default the predicted
        IoU chooses, for prompts that leave a choice. The score is that of SAM's own choice in any case. Not with
        ``alternatives``.
    encoding : callable
        Gives a context that is entered while SAM's image encoder works, as to time it.
    encoded : mutable mapping of Window to sequence of Embedding, optional
        Embeddings of windows of this image, by this SAM: those that it has are not made again, and new ones are
        added. So a further prompt is answered by the mask decoder alone.
    progress : callable, optional
        Called with the number of windows done and to do; the latter changes when masks are decoded again.

    Returns
    -------
    list of MaskCrop
        At most one per prompt, in order of prompt. With ``alternatives`` three where one window holds the image,
        otherwise up to five. Empty masks are left out. The score is predicted IoU × stability × the prompt's
        certainty.

    Raises
    ------
    AutosamError
        If the GPU's memory does not hold one window with a single prompt.
    """
    channels = [image] if isinstance(image, np.ndarray) else image
    places = None
    if settings.second_pass is not None and not alternatives and choose is None and prompts:
        places = np.stack([prompt_place(prompt) for prompt in prompts])
    decoder = _WindowDecoder(
        sam, channels, settings, combine, enlarge, alternatives, choose, encoding, encoded, places
    )
    shape = decoder.shape
    grid = tile_windows(shape, size=tile_size, overlap=int(overlap * tile_size))
    work = assign_windows(prompts, grid, shape, size=tile_size)
    found: dict[int, list[MaskCrop]] = {}
    again: dict[int, Window] = {}
    anywhere: dict[int, Prompt] = {}
    for done, (window, members) in enumerate(work.items(), start=1):
        for index, crops in decoder.decode(window, {i: prompts[i] for i in members}).items():
            found[index] = crops
            whole = [crop for crop in crops if not touches_inner_border(crop, window, shape)]
            if len(whole) < len(crops) and alternatives:
                found[index] = whole
                anywhere[index] = prompts[index]
            elif len(whole) < len(crops):
                extent = _joined(prompt_extent(prompts[index]), crops[0])
                again[index] = object_window(extent, shape, size=tile_size)
        if progress is not None:
            progress(done, len(work) + len(again) + bool(anywhere))
    if anywhere:
        wide = decoder.decode(Window(0, 0, *shape), anywhere)
        found.update({index: found[index] + crops for index, crops in wide.items()})
        done += 1
        if progress is not None:
            progress(done, done)
    for index, window in again.items():
        found[index] = decoder.decode_whole(window, index, prompts[index]) or found[index]
        done += 1
        if progress is not None:
            progress(done, len(work) + len(again))
    return [crop for index in sorted(found) for crop in found[index]]


@dataclass(frozen=True, eq=False)
class _WindowDecoder:
    """What stays the same from window to window; see `decode_masks`."""

    sam: Sam
    channels: Sequence[NDArray[np.uint8]]
    settings: DecodeConfig
    combine: CombineAnswers
    enlarge: bool
    alternatives: bool
    choose: ChooseMask | None
    encoding: Callable[[], AbstractContextManager[None]]
    encoded: EncodedWindows | None
    places: NDArray[np.float64] | None

    @property
    def shape(self) -> tuple[int, int]:
        return self.channels[0].shape[0], self.channels[0].shape[1]

    def decode(self, window: Window, prompts: dict[int, Prompt]) -> Answers:
        """Encode one window and answer its prompts, by their numbers."""
        window = _cut(window, self.shape) if self.enlarge else window
        try:
            with autocast(parameter_device(self.sam), self.settings.precision):
                embeddings = self._encode(window)
                answers = self._answer(window, embeddings, prompts)
                if self.places is not None:
                    again = second_prompts(prompts, answers, self.places)
                    second = self._answer(window, embeddings, again)
                    answers = keep_agreeing(answers, second, least=self.settings.second_pass or 0.0)
        except torch.cuda.OutOfMemoryError as error:
            raise AutosamError(
                f"the GPU's memory does not hold a window of {window.height} × {window.width} pixels with a "
                "single prompt; set tiles.size to less, or use --device cpu"
            ) from error
        return answers

    def _encode(self, window: Window) -> Sequence[Embedding]:
        """Encode a window of every channel, if that was not done before."""
        known = {} if self.encoded is None else self.encoded
        if window not in known:
            with self.encoding():
                known[window] = [encode(self.sam, read_window(channel, window)) for channel in self.channels]
        return known[window]

    def _answer(self, window: Window, embeddings: Sequence[Embedding], prompts: dict[int, Prompt]) -> Answers:
        """Answer prompts in a window that is encoded, once for each channel."""
        numbers, fusion = list(prompts), self.settings.fusion
        local = [moved_into(window, prompt) for prompt in prompts.values()]
        all_three = self.alternatives or self.choose is not None
        # The best of several channels' masks is known when their predicted IoUs are combined.
        one_of_three: Masks = "best" if len(self.channels) == 1 and not all_three else "three"
        answers: Answers = {}
        for ambiguous in (True, False):
            chosen = [i for i, prompt in enumerate(local) if _is_ambiguous(prompt) == ambiguous]
            for parts in decode(
                self.sam,
                embeddings,
                [local[i] for i in chosen],
                masks=one_of_three if ambiguous or all_three else "single",
                batch_size=self.settings.batch_size,
                window=self.settings.window,
            ):
                batch = combine_decoded(parts, self.combine)
                batch = batch if all_three else _best(batch)
                asked = [chosen[int(i)] for i in batch.indices]
                masks = postprocess_masks(
                    self.sam,
                    batch,
                    embeddings[0],
                    window,
                    self.shape,
                    generator_logits=[local[i].mask if fusion else None for i in asked],
                    fusion=fusion,
                )
                for i, crops, iou in zip(asked, masks, batch.iou, strict=True):
                    index = numbers[i]
                    answers[index] = self._kept(crops, iou, index, prompts[index].certainty)
        return answers

    def decode_whole(self, window: Window, index: int, prompt: Prompt) -> list[MaskCrop]:
        """Decode one prompt again; nothing where its mask is empty now."""
        size, largest = window.height, LARGEST_WINDOW * window.height
        while True:
            crops = self.decode(window, {index: prompt})[index]
            sized = prompt.box is not None or prompt.mask is not None
            if sized or not crops or not touches_inner_border(crops[0], window, self.shape):
                return crops
            # A mask that leaks over the whole of a large image is no object, and costs memory without end.
            if size >= largest:
                return crops
            size *= 2
            window = object_window(_joined(prompt_extent(prompt), crops[0]), self.shape, size=size)

    def _kept(self, crops: Sequence[MaskCrop | None], iou: Tensor, index: int, certainty: float) -> list[MaskCrop]:
        """Give the masks of one prompt that are kept, with their scores."""
        scores = [
            0.0 if crop is None else float(iou[k].clamp(0, 1)) * crop.score * certainty
            for k, crop in enumerate(crops)
        ]
        # Which masks are kept, and whose score each gets.
        kept = [(k, k) for k in range(len(crops))]
        if self.choose is not None:
            preferred = int(iou.argmax())
            kept = [(self.choose(crops, preferred), preferred)]
        shown = ((crops[k], scores[scored]) for k, scored in kept)
        return [replace(crop, prompt=index, score=score) for crop, score in shown if crop is not None]


def _cut(window: Window, shape: tuple[int, int]) -> Window:
    """Give the part of a window that lies in an image of this shape."""
    row, col = max(window.row, 0), max(window.col, 0)
    bottom, right = min(window.row + window.height, shape[0]), min(window.col + window.width, shape[1])
    return Window(row, col, bottom - row, right - col)


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


def _is_ambiguous(prompt: Prompt) -> bool:
    return len(prompt.points) == 1 and prompt.box is None and prompt.mask is None


def _best(batch: Decoded) -> Decoded:
    pick = batch.iou.argmax(dim=1)
    rows = torch.arange(len(pick), device=pick.device)
    return replace(batch, logits=batch.logits[rows, pick][:, None], iou=batch.iou[rows, pick][:, None])

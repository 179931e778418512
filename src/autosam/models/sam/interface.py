"""SAM's world and the way in and out of it: the only module that knows x-before-y, RGB 0-255 and low resolution.

Everyone else speaks (row, column) in pixels of the image that was given to `encode`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor
from torch.nn import functional as F

from autosam.models.sam.resize_input import resize_longest_side
from autosam.models.variants import image_size, parameter_device
from autosam.prompts.prompt import ABSENT, MaskPrompt, Prompt

LOW_RES_STRIDE = 4
"""One pixel of SAM's low-resolution logits (and of its mask prompt) stands for 4 × 4 input pixels."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """One encoded image.

    Attributes
    ----------
    features : Tensor, shape (1, C, h, w)
        The image encoder's output.
    input_size : tuple of int
        Rows and columns of the image after its longest side was resized to SAM's, before padding.
    original_size : tuple of int
        Rows and columns of the image as it was given.
    """

    features: Tensor
    input_size: tuple[int, int]
    original_size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Decoded:
    """Answers to a batch of prompts.

    Attributes
    ----------
    indices : ndarray of int64, shape (n,)
        Which prompts these are.
    logits : Tensor, shape (n, m, h, w)
        Low-resolution mask logits in SAM's padded square frame; m is 3 with multimask, otherwise 1.
    iou : Tensor, shape (n, m)
        SAM's own prediction of each mask's IoU; not clipped to 0..1.
    """

    indices: NDArray[np.int64]
    logits: Tensor
    iou: Tensor


def preprocess(sam: Sam, pixels: Tensor) -> Tensor:
    """Standardize RGB pixels of 0 to 255, (B, 3, h, w), and pad them with zeros to SAM's square."""
    padded: Tensor = sam.preprocess(pixels)
    return padded


@torch.no_grad()
def encode(sam: Sam, image: NDArray[np.uint8]) -> Embedding:
    """Run the image encoder once.

    Parameters
    ----------
    sam : Sam
        In evaluation mode.
    image : ndarray of uint8, shape (H, W, 3)
        RGB, any size; the longest side is resized to SAM's exactly as `SamPredictor` does it.
    """
    resized = resize_longest_side(image, image_size(sam))
    pixels = torch.from_numpy(resized).permute(2, 0, 1)[None]
    pixels = pixels.to(parameter_device(sam), torch.float32)
    features = sam.image_encoder(preprocess(sam, pixels))
    rows, columns = pixels.shape[-2:]
    return Embedding(features, (int(rows), int(columns)), (image.shape[0], image.shape[1]))


@torch.no_grad()
def decode(
    sam: Sam,
    embeddings: Sequence[Embedding],
    prompts: Sequence[Prompt],
    *,
    multimask: bool = False,
    batch_size: int,
) -> Iterator[list[Decoded]]:
    """Answer prompts in bounded batches, halved from then on when a GPU runs out of memory.

    SAM appends a token for every point, so only prompts with the same number of points, with or without box
    and mask, share a batch: padding would change their masks.

    Parameters
    ----------
    sam : Sam
        In evaluation mode.
    embeddings : sequence of Embedding
        Of one image, or of each channel of a multichannel image; all of one size.
    prompts : sequence of Prompt
        In (row, column) pixels of the encoded image. None at all yields nothing.
    multimask : bool
        Return SAM's three alternatives instead of its single mask.
    batch_size : int
        Most prompts at a time.

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
    position = dense_position(sam)

    def kind(index: int) -> tuple[int, bool, bool]:
        prompt = prompts[index]
        return len(prompt.points), prompt.box is not None, prompt.mask is not None

    def answer(indices: list[int]) -> list[Decoded]:
        sparse, dense = embed_prompts(sam, [prompts[index] for index in indices], embeddings[0])
        answers = []
        for embedding in embeddings:
            logits, iou = sam.mask_decoder(
                image_embeddings=embedding.features,
                image_pe=position,
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=multimask,
            )
            answers.append(Decoded(np.asarray(indices, dtype=np.int64), logits.float(), iou.float()))
        return answers

    for _, group in groupby(sorted(range(len(prompts)), key=kind), key=kind):
        members = list(group)
        while members:
            indices, answers = members[:batch_size], None
            try:
                answers = answer(indices)
            except torch.cuda.OutOfMemoryError:
                if len(indices) == 1:
                    raise
            if answers is not None:
                yield answers
                members = members[len(indices) :]
            else:
                # Only now: while the error is handled, its traceback keeps the batch's tensors alive.
                batch_size = len(indices) // 2
                torch.cuda.empty_cache()


def dense_position(sam: Sam) -> Tensor:
    """Position code of every image token, (1, C, h, w), always in float32."""
    with torch.autocast(parameter_device(sam).type, enabled=False):
        position: Tensor = sam.prompt_encoder.get_dense_pe()
    return position


def embed_prompts(
    sam: Sam,
    prompts: Sequence[Prompt],
    embedding: Embedding,
    *,
    mask_logits: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Run SAM's prompt encoder, always in float32: rounded coordinates would move the prompts.

    Parameters
    ----------
    prompts : sequence of Prompt
        At least one; all with the same number of points and all with or without a box and a mask.
    embedding : Embedding
        That of the image that they belong to.
    mask_logits : Tensor, shape (n, 1, h, w), optional
        Low-resolution mask prompts to use instead of the prompts' own, so that a gradient can pass.

    Returns
    -------
    sparse : Tensor, shape (n, tokens, C)
    dense : Tensor, shape (n, C, h, w)
    """
    device = parameter_device(sam)
    scale = np.array(embedding.input_size) / np.array(embedding.original_size)
    points = boxes = None
    if len(prompts[0].points):
        points_xy = np.stack([(prompt.points * scale)[:, ::-1] for prompt in prompts])
        labels = np.stack([prompt.point_labels for prompt in prompts])
        # In 32 bits before they come to a device: MPS has no float64.
        places = torch.from_numpy(points_xy.astype(np.float32)).to(device)
        points = (places, torch.from_numpy(labels.astype(np.int32)).to(device))
    if prompts[0].box is not None:
        corners = np.stack([np.asarray(prompt.box) for prompt in prompts]).reshape(-1, 2, 2)
        boxes_xy = (corners * scale)[..., ::-1].reshape(-1, 4)
        boxes = torch.from_numpy(boxes_xy.astype(np.float32)).to(device)
    if mask_logits is None:
        masks = [prompt.mask for prompt in prompts if prompt.mask is not None]
        if masks:
            mask_logits = torch.cat([render_mask_prompt(sam, mask, embedding) for mask in masks]).to(device)
    with torch.autocast(device.type, enabled=False):
        sparse, dense = sam.prompt_encoder(
            points=points, boxes=boxes, masks=None if mask_logits is None else mask_logits.float()
        )
    return sparse, dense


def render_mask_prompt(sam: Sam, mask: MaskPrompt, embedding: Embedding) -> Tensor:
    """Draw a mask prompt in SAM's low-resolution frame, shape (1, 1, h, w), on the CPU.

    Every low-resolution pixel is the mean of the pixels that it stands for; outside the crop the object is
    absent. A crop that reaches over the image's border is cut there.
    """
    frame = torch.from_numpy(mask.drawn(embedding.original_size))[None, None]
    if embedding.input_size != embedding.original_size:
        frame = F.interpolate(frame, embedding.input_size, mode="bilinear", antialias=True)
    side = image_size(sam)
    frame = F.pad(frame, (0, side - frame.shape[-1], 0, side - frame.shape[-2]), value=ABSENT)
    return F.avg_pool2d(frame, LOW_RES_STRIDE)


def upsample(sam: Sam, logits: Tensor, embedding: Embedding) -> Tensor:
    """Bring low-resolution logits (n, m, h, w) to the encoded image's own pixels, (n, m, H, W)."""
    full: Tensor = sam.postprocess_masks(logits, embedding.input_size, embedding.original_size)
    return full

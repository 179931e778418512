"""SAM's world and the way in and out of it: the only module that knows x-before-y, RGB 0-255 and low resolution.

Everyone else speaks (row, column) in pixels of the image that was given to `encode`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor

from autosam.models.sam.resampling import Upsampling, reduction, upsampling
from autosam.models.sam.resize_input import resize_longest_side
from autosam.models.variants import image_size, parameter_device
from autosam.prompts.prompt import MaskPrompt, Prompt
from autosam.prompts.region_logits import ABSENT

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
        Low-resolution mask logits in a part of SAM's padded square frame; outside it the masks are absent. m is 3
        where all alternatives were asked for, otherwise 1.
    iou : Tensor, shape (n, m)
        SAM's own prediction of each mask's IoU; not clipped to 0..1.
    corners : ndarray of int64, shape (n, 2)
        First row and column of each part, in low-resolution pixels.
    """

    indices: NDArray[np.int64]
    logits: Tensor
    iou: Tensor
    corners: NDArray[np.int64]


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
    sparse = embed_sparse(sam, prompts, embedding)
    if mask_logits is None and prompts[0].mask is not None:
        masks = [prompt.mask for prompt in prompts if prompt.mask is not None]
        mask_logits = torch.cat([render_mask_prompt(sam, mask, embedding) for mask in masks])
    if mask_logits is not None:
        return sparse, embed_masks(sam, mask_logits)
    grid = sam.prompt_encoder.image_embedding_size
    return sparse, sam.prompt_encoder.no_mask_embed.weight[..., None, None].expand(len(prompts), -1, *grid)


def embed_sparse(sam: Sam, prompts: Sequence[Prompt], embedding: Embedding) -> Tensor:
    """Embed points and boxes as `embed_prompts` does, (n, tokens, C); no token for a mask alone."""
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
    if points is None and boxes is None:
        return torch.empty(len(prompts), 0, sam.prompt_encoder.embed_dim, device=device)
    with torch.autocast(device.type, enabled=False):
        sparse: Tensor = sam.prompt_encoder(points=points, boxes=boxes, masks=None)[0]
    return sparse


def embed_masks(sam: Sam, mask_logits: Tensor) -> Tensor:
    """Embed low-resolution mask prompts (n, 1, 4 h, 4 w), of any size, in float32, (n, C, h, w).

    Each token's embedding is made of its own 4 × 4 pixels alone, so that a part of a mask gives a part of the
    embedding.
    """
    device = parameter_device(sam)
    with torch.autocast(device.type, enabled=False):
        dense: Tensor = sam.prompt_encoder.mask_downscaling(mask_logits.to(device, torch.float32))
    return dense


def render_mask_prompt(
    sam: Sam,
    mask: MaskPrompt,
    embedding: Embedding,
    *,
    corner: tuple[int, int] = (0, 0),
    shape: tuple[int, int] | None = None,
) -> Tensor:
    """Draw a mask prompt in SAM's low-resolution frame, or a part of it, shape (1, 1, h, w), on the CPU.

    Every low-resolution pixel is the mean of the pixels that it stands for; outside the crop the object is
    absent. A crop that reaches over the image's border is cut there.

    Parameters
    ----------
    corner, shape : tuple of int
        First row and column, and how many of each, in low-resolution pixels; by default the whole frame.
    """
    full = image_size(sam)
    sides = (full // LOW_RES_STRIDE,) * 2 if shape is None else shape
    weights, cut = [], []
    for axis, first in enumerate((mask.row, mask.col)):
        length = embedding.original_size[axis]
        begin, end = max(first, 0), max(min(first + mask.shape[axis], length), first, 0)
        narrow = reduction(length, embedding.input_size[axis], full, LOW_RES_STRIDE)
        weights.append(narrow[corner[axis] : corner[axis] + sides[axis], begin:end])
        cut.append(slice(begin - first, end - first))
    # Above "absent", so that what lies beyond the crop adds nothing.
    above = torch.from_numpy(mask.logits[cut[0], cut[1]] - np.float32(ABSENT))
    with torch.autocast("cpu", enabled=False):
        return (weights[0] @ above @ weights[1].T + ABSENT)[None, None]


def upsamplings(sam: Sam, embedding: Embedding) -> tuple[Upsampling, Upsampling]:
    """Rows and columns of the way from low-resolution logits to the encoded image's own pixels."""
    full = image_size(sam)
    rows, columns = (
        upsampling(full // LOW_RES_STRIDE, full, given, original)
        for given, original in zip(embedding.input_size, embedding.original_size, strict=True)
    )
    return rows, columns

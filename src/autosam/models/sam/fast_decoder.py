"""SAM's mask decoder without repeated work: the answers of segment-anything's `MaskDecoder`, for the same weights.

The reference repeats the embedding for every prompt, and projects and upscales all of it each time. Here a prompt
is asked with a window of the embedding, what prompts have in common is made once, and masks that nobody wants are
not made.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import MaskDecoder, Sam
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from autosam.models.sam.folded_attention import Projected, add_to_image, from_image
from autosam.models.sam.interface import dense_position
from autosam.models.variants import parameter_device

Masks = Literal["single", "three", "best", "all"]
"""SAM's single mask, its three alternatives, the one of the three with the highest predicted IoU, or all four."""

UPSCALED_TOKENS = 512
"""Tokens that are upscaled at a time on a CPU: what they become, 2 MB, stays in the cache of a core."""


@dataclass(frozen=True, eq=False)
class ImageTokens:
    """One embedding, ready to be asked.

    Attributes
    ----------
    grid : Tensor, shape (h, w, C)
        Image tokens without any prompt.
    unmasked : Tensor, shape (h, w, C)
        The same with SAM's embedding of "no mask".
    projected : Projected or None
        All of ``unmasked``, for the first block; None where no prompt asks for it.
    """

    grid: Tensor
    unmasked: Tensor
    projected: Projected | None


class FastDecoder:
    """Ask the mask decoder of a SAM, which stays as it is.

    Within `torch.autocast` the image tokens are kept in its number format. Gradients pass.
    """

    def __init__(self, sam: Sam) -> None:
        device = parameter_device(sam)
        self._decoder: MaskDecoder = sam.mask_decoder
        self._no_mask: Tensor = sam.prompt_encoder.no_mask_embed.weight
        reduced = torch.is_autocast_enabled(device.type)
        self._dtype = torch.get_autocast_dtype(device.type) if reduced else torch.float32
        self._on_cpu = device.type == "cpu"
        self._position = dense_position(sam)[0].permute(1, 2, 0).to(self._dtype)

    @property
    def token_bytes(self) -> int:
        """Memory of one image token."""
        return int(self._position.shape[2] * self._position.element_size())

    def prepare(self, features: Tensor, *, whole: bool) -> ImageTokens:
        """Prepare one embedding (1, C, h, w); ``whole`` if prompts without a mask may ask for all of it."""
        grid = features[0].permute(1, 2, 0).to(self._dtype).contiguous()
        unmasked = (grid + self._no_mask).to(self._dtype)
        projected = None
        if whole:
            tokens = unmasked.flatten(0, 1)
            first = self._decoder.transformer.layers[0]
            projected = Projected.of(first, tokens, tokens + self._position.flatten(0, 1))
        return ImageTokens(grid, unmasked, projected)

    def answer(
        self,
        image: ImageTokens,
        sparse: Tensor,
        dense: Tensor | None,
        corners: NDArray[np.int64],
        side: tuple[int, int],
        *,
        masks: Masks,
    ) -> tuple[Tensor, Tensor]:
        """Answer prompts, each with the image tokens of its window alone.

        Parameters
        ----------
        sparse : Tensor, shape (n, t, C)
            Tokens of points and boxes.
        dense : Tensor, shape (n, C, rows, columns), or None
            Embedded mask prompts in the windows; None for prompts without one.
        corners : ndarray of int64, shape (n, 2)
            First row and column of each window, in image tokens.
        side : tuple of int
            Rows and columns of all windows.

        Returns
        -------
        logits : Tensor, shape (n, m, 4 * rows, 4 * columns)
            Low-resolution logits in the window; m is 3 for ``three``, 4 for ``all`` and otherwise 1.
        iou : Tensor, shape (n, m)
            Predicted IoU of these masks.
        """
        decoder = self._decoder
        known = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([known.expand(len(sparse), -1, -1), sparse], dim=1)
        projected = image.projected if dense is None and side == tuple(image.grid.shape[:2]) else None
        if projected is not None:
            keys, position = image.unmasked.flatten(0, 1)[None], self._position.flatten(0, 1)[None]
        else:
            keys = _cropped(image.unmasked if dense is None else image.grid, corners, side)
            position = _cropped(self._position, corners, side)
            if dense is not None:
                keys = keys + dense.flatten(2).transpose(1, 2).to(self._dtype)
        tokens, keys = self._attend(tokens, keys, position, projected)
        weights, iou = self._chosen(tokens, masks)
        return self._draw(keys, weights.to(self._dtype), side), iou.float()

    def _attend(
        self, prompt: Tensor, keys: Tensor, position: Tensor, projected: Projected | None
    ) -> tuple[Tensor, Tensor]:
        """Run the two-way transformer; see segment-anything's for the names and the order of things."""
        transformer = self._decoder.transformer
        queries = prompt
        for block in transformer.layers:
            if block.skip_first_layer_pe:
                queries = block.self_attn(q=queries, k=queries, v=queries)
            else:
                q = queries + prompt
                queries = queries + block.self_attn(q=q, k=q, v=queries)
            queries = block.norm1(queries)
            placed = keys + position
            asked = from_image(block.cross_attn_token_to_image, queries + prompt, keys, placed, projected)
            queries = block.norm2(queries + asked)
            queries = block.norm3(queries + block.mlp(queries))
            keys = add_to_image(
                block.cross_attn_image_to_token, queries + prompt, queries, keys, placed, projected
            )
            keys = self._normalized(keys, block.norm4)
            # From here on every prompt has image tokens of its own.
            projected = None
        final = transformer.final_attn_token_to_image
        queries = queries + from_image(final, queries + prompt, keys, keys + position)
        return transformer.norm_final_attn(queries), keys

    def _chosen(self, tokens: Tensor, masks: Masks) -> tuple[Tensor, Tensor]:
        """Give the weights (n, m, c) and the predicted IoUs (n, m) of the masks in use."""
        heads = self._decoder.output_hypernetworks_mlps
        iou = self._decoder.iou_prediction_head(tokens[:, 0])
        if masks == "single":
            return heads[0](tokens[:, 1])[:, None], iou[:, :1]
        first = 0 if masks == "all" else 1
        weights = torch.stack([heads[k](tokens[:, 1 + k]) for k in range(first, len(heads))], dim=1)
        iou = iou[:, first:]
        if masks != "best":
            return weights, iou
        rows, pick = torch.arange(len(iou), device=iou.device), iou.argmax(dim=1)
        return weights[rows, pick][:, None], iou[rows, pick][:, None]

    def _draw(self, keys: Tensor, weights: Tensor, side: tuple[int, int]) -> Tensor:
        """Upscale image tokens (n, rows * columns, C) and make masks of the weights (n, m, c)."""
        count, number, width = keys.shape
        first, norm, activation, second, last = self._decoder.output_upscaling
        # A transposed convolution whose kernel is as wide as its stride is one product for each token.
        one, two = (layer.weight.permute(0, 2, 3, 1).flatten(1).to(self._dtype) for layer in (first, second))
        one_bias, two_bias = (layer.bias.repeat(4).to(self._dtype) for layer in (first, second))
        # Gradients of parts would be added up in copies of the whole.
        apart = self._on_cpu and not torch.is_grad_enabled()
        step = max(1, UPSCALED_TOKENS // number) if apart else count
        size = min(number, UPSCALED_TOKENS) if apart else number
        logits = keys.new_empty(count, weights.shape[1], number, 4, 4, dtype=torch.float32)
        for start in range(0, count, step):
            for begin in range(0, number, size):
                part = keys[start : start + step, begin : begin + size]
                n, k, _ = part.shape
                finer = torch.addmm(one_bias, part.reshape(-1, width), one).view(n * k * 4, -1)
                finer = activation(self._normalized(finer, norm))
                finest = last(torch.addmm(two_bias, finer, two)).view(n, k * 16, -1)
                made = weights[start : start + step] @ finest.transpose(1, 2)
                logits[start : start + step, :, begin : begin + size] = made.view(n, -1, k, 4, 4)
        rows, columns = side
        # Each token is 2 × 2 parts of 2 × 2 pixels.
        pixels = logits.view(count, -1, rows, columns, 2, 2, 2, 2).permute(0, 1, 2, 4, 6, 3, 5, 7)
        return pixels.reshape(count, -1, 4 * rows, 4 * columns)

    def _normalized(self, tokens: Tensor, norm: nn.LayerNorm | LayerNorm2d) -> Tensor:
        """Normalize over the last axis as a LayerNorm does, or SAM's LayerNorm2d over its channels."""
        weight: Tensor = norm.weight.to(self._dtype)
        bias: Tensor = norm.bias.to(self._dtype)
        return F.layer_norm(tokens, weight.shape, weight, bias, norm.eps).to(self._dtype)


def _cropped(grid: Tensor, corners: NDArray[np.int64], side: tuple[int, int]) -> Tensor:
    """Cut windows out of a grid (h, w, C); gives (n, rows * columns, C)."""
    rows, columns = side
    return torch.stack([grid[row : row + rows, col : col + columns] for row, col in corners.tolist()]).flatten(
        1, 2
    )

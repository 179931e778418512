"""SAM's image encoder, step by step: for tokens from its middle, and for less memory in training."""

from collections.abc import Collection

import torch
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def encode_tokens(
    encoder: ImageEncoderViT, pixels: Tensor, *, keep: Collection[int] = (), checkpointed: bool = False
) -> tuple[Tensor, list[Tensor]]:
    """Run the encoder, as its own forward does, and keep tokens on the way.

    Parameters
    ----------
    pixels : Tensor, shape (B, 3, S, S)
        Standardized; S is the encoder's ``img_size``.
    keep : collection of int
        Blocks, from 0, after which the tokens are kept.
    checkpointed : bool
        In training, keep the input of every block alone and compute the rest again for the backward pass: more
        time for less memory (Chen et al., "Training deep nets with sublinear memory cost", 2016).

    Returns
    -------
    features : Tensor, shape (B, C, S / 16, S / 16)
        The neck's output.
    kept : list of Tensor, shape (B, width, S / 16, S / 16)
        In order of the blocks.
    """
    tokens = encoder.patch_embed(pixels)
    if encoder.pos_embed is not None:
        tokens = tokens + encoder.pos_embed
    kept = []
    for number, block in enumerate(encoder.blocks):
        if checkpointed and torch.is_grad_enabled():
            tokens = checkpoint(block, tokens, use_reentrant=False)
        else:
            tokens = block(tokens)
        if number in keep:
            kept.append(tokens.permute(0, 3, 1, 2))
    features: Tensor = encoder.neck(tokens.permute(0, 3, 1, 2))
    return features, kept

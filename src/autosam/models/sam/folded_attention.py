"""Attention between a few tokens and thousands, as segment-anything's `Attention`, in fewer products.

To project thousands of image tokens costs more than to bring the few others to them: q · (W x) is (Wᵀ q) · x, and
a sum of projected values is the projection of their sum. The answers are the same to rounding.
"""

from dataclasses import dataclass

import torch
from segment_anything.modeling.transformer import Attention, TwoWayAttentionBlock
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Projected:
    """Image tokens that many prompts have in common, projected once for both attentions of a block.

    Attributes
    ----------
    keys, values : Tensor, shape (1, heads, N, d)
        For the attention from the prompts' tokens.
    queries : Tensor, shape (N, heads * d)
        For the attention to the prompts' tokens.
    """

    keys: Tensor
    values: Tensor
    queries: Tensor

    @classmethod
    def of(cls, block: TwoWayAttentionBlock, tokens: Tensor, placed: Tensor) -> "Projected":
        """Project image tokens (N, C), which also come with their position code added."""
        asked, asking = block.cross_attn_token_to_image, block.cross_attn_image_to_token
        return cls(
            _by_head(asked.k_proj(placed)[None], asked),
            _by_head(asked.v_proj(tokens)[None], asked),
            asking.q_proj(placed),
        )


def from_image(
    attention: Attention, q: Tensor, image: Tensor, placed: Tensor, projected: Projected | None = None
) -> Tensor:
    """Attend from prompts' tokens to image tokens.

    Parameters
    ----------
    q : Tensor, shape (n, t, C)
    image, placed : Tensor, shape (n, N, C)
        Image tokens, without and with their position code.
    projected : Projected, optional
        The same image tokens, if all prompts have them in common.

    Returns
    -------
    Tensor, shape (n, t, C)
    """
    count, number, _ = q.shape
    asked = attention.q_proj(q)
    if projected is not None:
        together = _by_head(asked.reshape(1, count * number, -1), attention).to(projected.keys.dtype)
        seen = F.scaled_dot_product_attention(together, projected.keys, projected.values)
        found = seen.transpose(1, 2).reshape(count, number, -1)
    else:
        # The bias of the keys adds the same to all scores of a query, which the softmax takes away again.
        brought = _bring(asked * _scale(attention), attention.k_proj.weight, attention).to(image.dtype)
        scores = brought @ placed.transpose(1, 2)
        seen = scores.softmax(dim=2).to(image.dtype) @ image
        found = _project_values(seen, attention, number)
    out: Tensor = attention.out_proj(found)
    return out


def add_to_image(
    attention: Attention, k: Tensor, v: Tensor, image: Tensor, placed: Tensor, projected: Projected | None = None
) -> Tensor:
    """Attend from image tokens to prompts' tokens, and add the answers to the image tokens.

    Here ``k`` and ``v`` are (n, t, C). The other parameters are those of `from_image`; gives (n, N, C).
    """
    count, number, _ = k.shape
    heads = attention.num_heads
    known = attention.k_proj(k) * _scale(attention)
    if projected is not None:
        scores = _block_diagonal(known, heads).to(projected.queries.dtype) @ projected.queries.T
    else:
        brought = _bring(known, attention.q_proj.weight, attention).to(image.dtype)
        offset = (known * attention.q_proj.bias).unflatten(2, (heads, -1)).sum(dim=3)
        offset = offset.transpose(1, 2).reshape(count, heads * number, 1)
        scores = torch.baddbmm(offset.to(image.dtype), brought, placed.transpose(1, 2))
    shares = scores.view(count, heads, number, -1).softmax(dim=2).flatten(1, 2).to(image.dtype)
    # The shares of a head add up to 1, so that a part of the bias for each head makes it whole.
    values = _bring(attention.v_proj(v), attention.out_proj.weight.T, attention)
    values = (values + attention.out_proj.bias / heads).to(image.dtype)
    return torch.baddbmm(image.expand(count, -1, -1), shares.transpose(1, 2), values)


def _scale(attention: Attention) -> float:
    return float((attention.internal_dim // attention.num_heads) ** -0.5)


def _by_head(tokens: Tensor, attention: Attention) -> Tensor:
    """(n, t, heads * d) → (n, heads, t, d)."""
    apart: Tensor = tokens.unflatten(2, (attention.num_heads, -1))
    return apart.transpose(1, 2)


def _bring(tokens: Tensor, weight: Tensor, attention: Attention) -> Tensor:
    """Bring each head of (n, t, heads * d) through its part of a weight (heads * d, C), to (n, heads * t, C)."""
    count, number, _ = tokens.shape
    apart = tokens.reshape(count * number, attention.num_heads, -1).transpose(0, 1)
    brought: Tensor = apart @ weight.unflatten(0, (attention.num_heads, -1))
    return brought.view(attention.num_heads, count, number, -1).transpose(0, 1).flatten(1, 2)


def _project_values(seen: Tensor, attention: Attention, number: int) -> Tensor:
    """Project what each head saw of the image, (n, heads * t, C), to its values; gives (n, t, heads * d)."""
    count, heads = len(seen), attention.num_heads
    apart = seen.view(count, heads, number, -1).transpose(0, 1).reshape(heads, count * number, -1)
    weight = attention.v_proj.weight.unflatten(0, (heads, -1)).transpose(1, 2)
    values: Tensor = (apart @ weight).transpose(0, 1).reshape(count, number, -1) + attention.v_proj.bias
    return values


def _block_diagonal(tokens: Tensor, heads: int) -> Tensor:
    """(n, t, heads * d) → (n, heads * t, heads * d): each head's rows keep its own entries, the others are 0."""
    count, number, width = tokens.shape
    own = torch.eye(heads, device=tokens.device, dtype=tokens.dtype).repeat_interleave(width // heads, dim=1)
    return (tokens[:, None] * own[:, None]).reshape(count, heads * number, width)

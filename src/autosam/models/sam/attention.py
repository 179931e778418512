"""SAM's attention with relative positions, without a matrix of all pairs of tokens in memory."""

import torch
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.image_encoder import Attention, get_rel_pos
from torch import Tensor, nn
from torch.nn import functional as F

BIAS_BUDGET = 2**24
"""Most biases in memory at a time: 64 MiB of float32."""

FEW_TOKENS = 256
"""Of no more tokens, plain products take half of the fused kernel's time on a CPU in bfloat16, with gradients."""


class FusedAttention(nn.Module):
    """The attention of a block of SAM's image encoder, by `scaled_dot_product_attention`.

    It gives what `segment_anything`'s own gives. SAM adds to the product of a query and a key what the query says
    of the rows, and of the columns, that lie between the two. Both are folded into the product: the query is
    lengthened by what it says of each row and each column, the key by a one for its own row and its own column.
    So no bias of H * W × H * W is made, and gradients need none.

    The parts of the given attention are taken over, not copied.
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.num_heads = int(attention.num_heads)
        self.scale = float(attention.scale)
        self.qkv = attention.qkv
        self.proj = attention.proj
        self.use_rel_pos = bool(attention.use_rel_pos)
        if self.use_rel_pos:
            self.rel_pos_h = attention.rel_pos_h
            self.rel_pos_w = attention.rel_pos_w
        self.train(attention.training)

    def forward(self, tokens: Tensor) -> Tensor:
        """Turn (B, H, W, C) tokens into tokens of the same shape; each image or window attends to itself."""
        batch, height, width, channels = tokens.shape
        shape = (batch, height * width, 3, self.num_heads, channels // self.num_heads)
        q, k, v = self.qkv(tokens).reshape(shape).permute(2, 0, 3, 1, 4).unbind(0)
        if not self.use_rel_pos:
            attended = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        elif q.device.type == "cpu" and q.dtype == torch.float32 and not torch.is_grad_enabled():
            attended = self._with_bias(q, k, v, (height, width))
        else:
            attended = self._folded(q, k, v, (height, width))
        mixed: Tensor = self.proj(attended.transpose(1, 2).reshape(batch, height, width, channels))
        return mixed

    def _relative(self, q: Tensor, size: tuple[int, int], *, scale: float = 1.0) -> tuple[Tensor, Tensor]:
        """Give what queries say of each row, (B, heads, H * W, H), and each column, (B, heads, H * W, W)."""
        height, width = size
        rows = get_rel_pos(height, height, self.rel_pos_h) * scale
        columns = get_rel_pos(width, width, self.rel_pos_w) * scale
        places = q.unflatten(2, size)
        of_rows = torch.einsum("bnhwc,hkc->bnhwk", places, rows)
        of_columns = torch.einsum("bnhwc,wkc->bnhwk", places, columns)
        return of_rows.flatten(2, 3), of_columns.flatten(2, 3)

    def _folded(self, q: Tensor, k: Tensor, v: Tensor, size: tuple[int, int]) -> Tensor:
        height, width = size
        # Lengthened queries and keys are scaled as a whole.
        said = self._relative(q, size, scale=1 / self.scale)
        own = torch.arange(height * width, device=q.device)
        place = torch.cat([F.one_hot(own // width, height), F.one_hot(own % width, width)], dim=1)
        queries = torch.cat([q, *said], dim=-1)
        keys = torch.cat([k, place.to(k.dtype).expand(*k.shape[:3], -1)], dim=-1)
        few = height * width <= FEW_TOKENS and q.device.type == "cpu" and q.dtype == torch.bfloat16
        if few and torch.is_grad_enabled():
            shares = (queries @ keys.transpose(-2, -1) * self.scale).softmax(dim=-1)
            return shares.to(v.dtype) @ v
        # The fused kernels want values of one length with the keys.
        values = F.pad(v, (0, height + width))
        attended = F.scaled_dot_product_attention(queries, keys, values, scale=self.scale)
        return attended[..., : v.shape[-1]]

    def _with_bias(self, q: Tensor, k: Tensor, v: Tensor, size: tuple[int, int]) -> Tensor:
        """Add a bias after all, for few heads and windows at a time: products in float32 cost more than memory."""
        said_rows, said_columns = self._relative(q, size)
        step = max(1, BIAS_BUDGET // q.shape[2] ** 2)
        attended = torch.empty_like(q)
        for head in range(self.num_heads):
            for first in range(0, len(q), step):
                part = (slice(first, first + step), slice(head, head + 1))
                bias = said_rows[part][..., :, None] + said_columns[part][..., None, :]
                attended[part] = F.scaled_dot_product_attention(
                    q[part], k[part], v[part], attn_mask=bias.flatten(-2), scale=self.scale
                )
        return attended


def fuse_attention(image_encoder: ImageEncoderViT) -> None:
    """Put `FusedAttention` in the place of every block's own attention; the state dict keeps its keys."""
    for block in image_encoder.blocks:
        if isinstance(block.attn, Attention):
            block.attn = FusedAttention(block.attn)

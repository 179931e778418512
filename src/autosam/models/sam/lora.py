"""LoRA on the queries and values of SAM's image encoder; the keys are left alone.

`segment_anything` computes queries, keys and values in one linear layer, so the adapter is loralib's
`MergedLinear` with the middle third switched off. loralib folds an adapter into the weights on `eval()` and
out again on `train()`; weights saved in one mode and loaded in the other then apply it twice. Here that is
switched off: the adapter is folded in once, by `merge_lora`, when no more training follows.
"""

import torch
from loralib import MergedLinear
from segment_anything.modeling import ImageEncoderViT
from torch import nn

from autosam.errors import ModelError

_QUERY_KEY_VALUE = [True, False, True]


def add_lora(image_encoder: ImageEncoderViT, *, rank: int, alpha: float, blocks: int | None = None) -> None:
    """Put a trainable low-rank adapter on an image encoder's query and value projections, in place.

    Each adapted layer keeps its weights and bias, now frozen, and adds `alpha / rank * B A x` to the query and
    value rows. B starts at zero, so the output is unchanged until the first training step. A is drawn from torch's
    global generator. The caller freezes the rest.

    Parameters
    ----------
    rank : int
        At least 1.
    alpha : float
        Above 0.
    blocks : int, optional
        How many of the last blocks are adapted; None adapts all.

    Raises
    ------
    ModelError
        If a setting is out of range or the encoder already has an adapter.

    References
    ----------
    Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021. Reference implementation: loralib.
    """
    attention = [block.attn for block in image_encoder.blocks]
    count = len(attention) if blocks is None else blocks
    if rank < 1:
        raise ModelError(f"LoRA rank is {rank}, wanted at least 1: use a rank such as 4, or no adapter at all")
    if not alpha > 0:
        raise ModelError(f"LoRA alpha is {alpha}, wanted a number above 0: alpha equal to the rank gives scale 1")
    if not 1 <= count <= len(attention):
        raise ModelError(
            f"LoRA on the last {count} blocks, wanted 1 to {len(attention)}: the encoder has {len(attention)}"
        )
    if lora_layers(image_encoder):
        raise ModelError("the encoder already has a LoRA adapter: merge it with merge_lora before adding another")
    for layer in attention[-count:]:
        layer.qkv = _adapted(layer.qkv, rank=rank, alpha=alpha)


def merge_lora(image_encoder: ImageEncoderViT) -> None:
    """Fold the adapter into the weights and put plain `torch.nn.Linear` layers back, in place.

    The weights stay frozen. The sum is made in the weights' own type, with autocast off; the key rows are not
    touched. An encoder without an adapter stays as it is.
    """
    for block in image_encoder.blocks:
        adapted = block.attn.qkv
        if not isinstance(adapted, MergedLinear):
            continue
        # On no device: its weights are replaced, and none are drawn from torch's global generator.
        linear = nn.Linear(adapted.in_features, adapted.out_features, bias=adapted.bias is not None, device="meta")
        with torch.no_grad(), torch.autocast(adapted.weight.device.type, enabled=False):
            rows = adapted.lora_ind
            weight = adapted.weight.detach().clone()
            weight[rows] += (adapted.merge_AB() * adapted.scaling)[rows]
        linear.weight = nn.Parameter(weight, requires_grad=False)
        if adapted.bias is not None:
            linear.bias = adapted.bias
        block.attn.qkv = linear.train(adapted.training)


def lora_layers(image_encoder: ImageEncoderViT) -> dict[str, MergedLinear]:
    """Give the adapted layers by name, in the order of the blocks; empty without an adapter."""
    return {name: layer for name, layer in image_encoder.named_modules() if isinstance(layer, MergedLinear)}


def _adapted(linear: nn.Linear, *, rank: int, alpha: float) -> MergedLinear:
    layer = MergedLinear(
        linear.in_features,
        linear.out_features,
        r=rank,
        lora_alpha=alpha,
        enable_lora=_QUERY_KEY_VALUE,
        merge_weights=False,
        bias=linear.bias is not None,
        device=linear.weight.device,
        dtype=linear.weight.dtype,
    )
    layer.weight = nn.Parameter(linear.weight.detach(), requires_grad=False)
    if linear.bias is not None:
        layer.bias = nn.Parameter(linear.bias.detach(), requires_grad=False)
    # loralib keeps the row mask as a plain attribute, which stays behind when the model changes device.
    rows = layer.lora_ind
    del layer.lora_ind
    layer.register_buffer("lora_ind", rows, persistent=False)
    # MergedLinear.train returns None, so `layer.train(...)` cannot be chained.
    layer.train(linear.training)
    return layer

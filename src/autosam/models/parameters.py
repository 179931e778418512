"""The parameters of a model by part, with those of adapters apart."""

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class PartParameters:
    """One row of a parameter table: how many parameters a part has, and how many of them are trained.

    Buffers do not count. Adapters have a row of their own, `<part> (LoRA)` or `<part> (adapter)`.
    """

    part: str
    total: int
    trainable: int


def parameter_table(model: nn.Module) -> list[PartParameters]:
    """Count parameters by the model's direct children, in their order.

    Parameters of the model's own have the row `(own)`. A shared parameter counts once, where it comes first. The
    table of a model without parameters is empty.

    Examples
    --------
    >>> model = nn.ModuleDict({"encoder": nn.Linear(3, 2), "decoder": nn.Linear(2, 1)})
    >>> _ = model["encoder"].requires_grad_(False)
    >>> parameter_table(model)[0]
    PartParameters(part='encoder', total=8, trainable=0)
    """
    totals: dict[str, int] = {}
    trainable: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        part = part_of(name)
        totals[part] = totals.get(part, 0) + parameter.numel()
        trainable[part] = trainable.get(part, 0) + parameter.numel() * parameter.requires_grad
    return [PartParameters(part, total, trainable[part]) for part, total in totals.items()]


def part_of(name: str) -> str:
    """Give the part that a parameter's dotted name belongs to: what stands before the first dot.

    Examples
    --------
    >>> part_of("image_encoder.blocks.0.attn.qkv.lora_A")
    'image_encoder (LoRA)'
    >>> part_of("image_encoder.blocks.0.mlp_adapter.down.weight")
    'image_encoder (adapter)'
    """
    part, dot, rest = name.partition(".")
    if not dot:
        return "(own)"
    kind = _adapter_kind(rest)
    return f"{part} ({kind})" if kind else part


def adapter_state_dict(image_encoder: nn.Module) -> dict[str, Tensor]:
    """Give the weights that adapters added to an encoder, without those of the encoder.

    Returns
    -------
    dict of str to Tensor
        Detached, sharing the encoder's memory; empty without adapters. LoRA has, for each adapted block,
        `blocks.<i>.attn.qkv.lora_A`, shape (2 * rank, C), and `.lora_B`, (2 * C, rank). Bottlenecks have
        `blocks.<i>.<place>` for the places attention_adapter and mlp_adapter, with down.weight, shape (hidden, C),
        down.bias, (hidden,), up.weight, (C, hidden), and up.bias, (C,).
    """
    return {name: weight.detach() for name, weight in image_encoder.named_parameters() if _adapter_kind(name)}


def _adapter_kind(name: str) -> str:
    """Tell an adapter by the names that loralib and `autosam.models.sam.adapter` give; empty for other weights."""
    if name.endswith((".lora_A", ".lora_B")):
        return "LoRA"
    return "adapter" if any(layer.endswith("_adapter") for layer in name.split(".")) else ""

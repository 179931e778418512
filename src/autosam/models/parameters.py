"""How many parameters a model has, part by part, and how many of them are trained."""

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class PartParameters:
    """One row of a parameter table.

    Parameters
    ----------
    part : str
        Name of the part; adapters have a row of their own, `<part> (LoRA)` or `<part> (adapter)`.
    total : int
        Number of parameters, buffers not included.
    trainable : int
        How many of them receive a gradient.
    """

    part: str
    total: int
    trainable: int


def parameter_table(model: nn.Module) -> list[PartParameters]:
    """Count parameters by the model's direct children, in their order.

    Parameters
    ----------
    model : torch.nn.Module
        Any model. Parameters of its own have the row `(own)`.

    Returns
    -------
    list of PartParameters
        One row per part with parameters; a shared parameter counts once, where it comes first. Empty for a
        model without any.

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
    """Give the part that a parameter's name belongs to.

    Parameters
    ----------
    name : str
        A dotted name, as in a state dict.

    Returns
    -------
    str
        What stands before the first dot, with ` (LoRA)` or ` (adapter)` behind it for a parameter of one.

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
    if rest.endswith((".lora_A", ".lora_B")):
        return f"{part} (LoRA)"
    # The end of the names that autosam.models.sam.adapter gives its layers.
    return f"{part} (adapter)" if any(layer.endswith("_adapter") for layer in rest.split(".")) else part

"""What is trained, and how its weights are stepped."""

from torch import nn
from torch.optim import AdamW

from autosam.errors import ConfigError
from autosam.models.parameters import parameter_table
from autosam.training.joint import JointModel


def make_optimizer(model: JointModel, *, weight_decay: float) -> AdamW:
    """AdamW over what is trainable; biases, scales, tokens, position codes and patch embeddings do not decay."""
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and "embed" not in name and "rel_pos" not in name and "token" not in name
            groups.setdefault((name.partition(".")[0], decays), []).append(parameter)
    if not groups:
        raise ConfigError("nothing is trainable; set one of model.sam.encoder, mask_decoder or prompt_encoder")
    return AdamW(
        [
            {"params": parameters, "part": part, "weight_decay": weight_decay if decays else 0.0}
            for (part, decays), parameters in groups.items()
        ],
        # Set at every step, from the schedule.
        lr=0.0,
        betas=(0.9, 0.98),
    )


def trainable_parameters(model: JointModel) -> str:
    """Say how many parameters of each part are trained."""
    rows = [*parameter_table(model.sam), *parameter_table(nn.ModuleDict({"generator": model.generator}))]
    return "trained parameters: " + ", ".join(f"{row.part} {row.trainable:,} of {row.total:,}" for row in rows)

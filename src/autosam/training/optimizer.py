"""What is trained, and how its weights are stepped."""

from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from autosam.config import TrainingConfig
from autosam.errors import ConfigError
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.parameters import PartParameters, parameter_table
from autosam.training.joint import JointModel

_UNET_ENCODER = "generator.unet.encoder."
"""How names of the parameters begin that have the setting ``encoder_rate``."""


def make_optimizer(model: JointModel, settings: TrainingConfig) -> Optimizer:
    """Step what is trainable; biases, scales, tokens, position codes and patch embeddings do not decay.

    Returns
    -------
    Optimizer
        Every parameter group has its ``part`` of the model, "generator" or "sam", and its rate ``relative`` to
        that of the part; rates are set at every step.

    Raises
    ------
    ConfigError
        If nothing is trainable.
    """
    groups: dict[tuple[str, bool, float], list[nn.Parameter]] = {}
    for parameter_name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and not any(
                word in parameter_name for word in ("embed", "rel_pos", "token")
            )
            relative = settings.encoder_rate if parameter_name.startswith(_UNET_ENCODER) else 1.0
            groups.setdefault((_part(parameter_name), decays, relative), []).append(parameter)
    if not groups:
        raise ConfigError("nothing is trainable; set one of model.sam.encoder, mask_decoder or prompt_encoder")
    kind: type[Adam] | type[AdamW] = AdamW if settings.optimizer == "adamw" else Adam
    return kind(
        [
            {
                "params": parameters,
                "part": part,
                "relative": relative,
                "weight_decay": settings.weight_decay if decays else 0.0,
            }
            for (part, decays, relative), parameters in groups.items()
        ],
        lr=0.0,
        betas=settings.betas,
    )


def _part(name: str) -> str:
    """Whose learning rate a parameter has; SAM's image encoder keeps SAM's inside a generator, too."""
    if ".image_encoder." in name:
        return "sam"
    part = name.partition(".")[0]
    return "generator" if part == "coarse_maps" else part


def part_table(model: JointModel) -> list[PartParameters]:
    """Count parameters by part: those of SAM one by one, then the generator."""
    rows = [] if model.sam is None else parameter_table(model.sam)
    if isinstance(model.generator, SamGenerator):
        rows += parameter_table(model.generator)
    elif model.generator is not None:
        rows += parameter_table(nn.ModuleDict({"generator": model.generator}))
    return rows


def trainable_parameters(model: JointModel) -> str:
    """Say how many parameters of each part are trained."""
    rows = part_table(model)
    return "trained parameters: " + ", ".join(f"{row.part} {row.trainable:,} of {row.total:,}" for row in rows)

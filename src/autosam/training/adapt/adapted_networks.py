"""The networks of a model that is adapted: made ready to train, mixed with the old ones, and written."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from autosam.config import ModelConfig, SamConfig, make_model
from autosam.models.files.model_file import holds_all_of_sam, load_unmerged
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.networks import Networks, adapt_encoder
from autosam.models.parameters import adapter_state_dict
from autosam.models.sam.lora import lora_layers, merge_lora
from autosam.training.adapt.adapted_part import Part

State = dict[str, dict[str, Tensor]]
"""The tensors of SAM and of the generator, by their names."""


@dataclass(frozen=True, eq=False)
class Trainee:
    """The networks that are trained, and the settings of the model that they become part of.

    Attributes
    ----------
    networks : Networks
        What is trained wants gradients. A SAM that has no part in it is left out, as its encoder takes time.
    whole : Networks
        The same with all that the model has; what is trained is the same object.
    model : ModelConfig
        That of the new model's file.
    new_generator : bool
        Whether the generator is trained; then the old model's novelty statistics do not hold.
    """

    networks: Networks
    whole: Networks
    model: ModelConfig
    new_generator: bool

    def state(self) -> State:
        """Copy the tensors of what is trained."""
        return {
            name: {key: value.detach().clone().cpu() for key, value in network.state_dict().items()}
            for name, network in _named(self.networks).items()
        }

    def load(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Put tensors into the networks."""
        for name, network in _named(self.networks).items():
            network.load_state_dict(state[name])

    def evaluated(self, state: Mapping[str, Mapping[str, Tensor]], device: torch.device) -> Networks:
        """Give a copy of the whole model with other tensors, in evaluation mode and with LoRA merged."""
        copy = deepcopy(self.whole)
        for name, network in _named(copy).items():
            if name in state:
                network.load_state_dict(state[name])
        if copy.image_encoder is not None:
            merge_lora(copy.image_encoder)
        for network in copy.parts:
            network.to(device).eval().requires_grad_(False)
        return replace(copy, statistics=None) if self.new_generator else copy


def make_trainee(path: Path, part: Part, *, seed: int) -> Trainee:
    """Read a model and make a part of it trainable.

    A model that holds all of SAM stays such, so that it needs no other file: LoRA is merged at the end. One on
    published base weights keeps them, and its file holds LoRA beside them.

    Parameters
    ----------
    path : Path
        A model file.
    part : {"thresholds", "lora", "sam", "generator", "all"}
    seed : int
        Draws the first weights of LoRA.
    """
    networks, header = load_unmerged(path)
    model = make_model(header.settings)
    trains_sam = part in ("lora", "sam", "all") and networks.sam is not None
    trains_generator = part in ("generator", "all") and networks.generator is not None
    settings = model.sam
    if settings is not None and (
        trains_sam or (trains_generator and isinstance(networks.generator, SamGenerator))
    ):
        settings = _with_adapters(
            networks, settings, whole=holds_all_of_sam(settings, header.base_sha256), seed=seed
        )
        if part in ("sam", "all") and networks.sam is not None:
            networks.sam.mask_decoder.requires_grad_(True)
            settings = settings.model_copy(
                update={"mask_decoder": "full"} if settings.mask_decoder != "none" else {}
            )
    if trains_generator and networks.generator is not None:
        for name, parameter in networks.generator.named_parameters():
            if not name.startswith("image_encoder."):
                parameter.requires_grad_(True)
    trained = networks if trains_sam else replace(networks, sam=None)
    return Trainee(trained, networks, model.model_copy(update={"sam": settings}), trains_generator)


def _with_adapters(networks: Networks, settings: SamConfig, *, whole: bool, seed: int) -> SamConfig:
    """Make adapters of the image encoder trainable, adding LoRA where there are none; give the new settings."""
    encoder = networks.image_encoder
    assert encoder is not None
    if not adapter_state_dict(encoder):
        added = settings.model_copy(update={"encoder": "lora"})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            sam: Any = networks.sam if networks.sam is not None else _Holder(encoder)
            adapt_encoder(sam, added)
        settings = settings if whole else added
    names = adapter_state_dict(encoder).keys()
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(name in names)
    return settings


@dataclass
class _Holder:
    """Stands for a SAM of which there is the image encoder alone."""

    image_encoder: Any


def mixed(old: State, new: State, share: float) -> State:
    """Average two states of one network, tensor by tensor [1]_.

    Parameters
    ----------
    old, new : State
        Before and after training.
    share : float
        That of the new one, 0 to 1.

    References
    ----------
    .. [1] Wortsman et al. (2022), "Robust fine-tuning of zero-shot models" (WiSE-FT), CVPR.
    """
    return {
        name: {
            key: torch.lerp(before, new[name][key].to(before), share)
            if before.is_floating_point()
            else new[name][key]
            for key, before in tensors.items()
        }
        for name, tensors in old.items()
    }


def file_networks(trainee: Trainee, state: State) -> Networks:
    """Give the networks as the model file holds them: LoRA merged where all of SAM is in the file."""
    trainee.load(state)
    copy = deepcopy(trainee.whole)
    settings, encoder = trainee.model.sam, copy.image_encoder
    if settings is not None and encoder is not None and lora_layers(encoder) and settings.encoder != "lora":
        merge_lora(encoder)
    return copy


def _named(networks: Networks) -> dict[str, Any]:
    both = {"sam": networks.sam, "generator": networks.generator}
    return {name: network for name, network in both.items() if network is not None}

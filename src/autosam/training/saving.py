"""The weights that a run keeps: averaged, in float16, with the settings that they are to be used with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.optim.swa_utils import AveragedModel

from autosam.config import Config
from autosam.models.checkpoint import ModelHeader, save_model
from autosam.networks import Networks, network_tensors
from autosam.training.validation import SECONDS


def averaged_networks(averaged: AveragedModel, networks: Networks) -> Networks:
    """Give the averaged weights as networks in evaluation mode; they share memory with the average."""
    model: Any = averaged.module
    model.eval()
    return Networks(model.sam, model.generator, networks.base_name, networks.base_sha256)


def save_trained(
    path: Path,
    averaged: AveragedModel,
    networks: Networks,
    config: Config,
    summary: Mapping[str, Any],
    licence: str,
) -> None:
    """Write the model file.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    trained = averaged_networks(averaged, networks)
    used = {"images", "model", "tiles", "prompts", "decode", "merge"}
    header = ModelHeader(
        settings=config.model_dump(mode="json", include=used),
        base_name=networks.base_name,
        base_sha256=networks.base_sha256,
        training={
            # The same run gives the same file, however long it took.
            **{name: value for name, value in summary.items() if name != SECONDS},
            "steps": config.training.steps,
            "batch_size": config.training.batch_size,
            "seed": config.seed,
            "trained_parameters": sum(
                parameter.numel()
                for network in networks.parts
                for parameter in network.parameters()
                if parameter.requires_grad
            ),
            "sources": [source.name for source in config.data.sources],
        },
        licence=licence,
    )
    save_model(path, tensors=network_tensors(trained, config.model), metadata=header, half=True)

"""The weights that a run keeps: averaged, in float16, with the settings that they are to be used with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.optim.swa_utils import AveragedModel

from autosam.config import Config
from autosam.models.files.base_weights import with_preprocessing
from autosam.models.files.checkpoint import ModelHeader, save_model
from autosam.models.files.model_file import network_tensors
from autosam.models.files.model_header import NOTICE
from autosam.models.networks import Networks
from autosam.training.run.validation import SECONDS


def averaged_networks(averaged: AveragedModel, networks: Networks) -> Networks:
    """Give the averaged weights as networks in evaluation mode; they share memory with the average."""
    model: Any = averaged.module
    model.eval()
    return Networks(model.sam, model.generator, networks.base_name, networks.base_sha256, notice=networks.notice)


def save_trained(
    path: Path,
    networks: Networks,
    config: Config,
    summary: Mapping[str, Any],
    *,
    license: str,
    diameter: float,
) -> None:
    """Write the model file; ``diameter`` is that of the training objects, unless the settings name another.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    if config.images.diameter is None:
        config = config.model_copy(update={"images": config.images.model_copy(update={"diameter": diameter})})
    # A model file says what its SAM wants, wherever its base may be.
    config = config.model_copy(update={"model": with_preprocessing(config.model)})
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
            **({NOTICE: networks.notice} if networks.notice else {}),
            "sources": [source.name for source in config.data.sources],
        },
        license=license,
    )
    save_model(path, tensors=network_tensors(networks, config.model), metadata=header, half=True)

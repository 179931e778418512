"""Small models for tests: built, changed as training would, written to files and asked."""

from pathlib import Path

import pytest
import torch
from blobs import small_config
from segment_anything.modeling import Sam
from torch import Tensor, nn

from autosam.config import ModelConfig
from autosam.errors import ModelError
from autosam.models.files.checkpoint import ModelHeader, save_model
from autosam.models.files.model_file import network_tensors
from autosam.models.networks import Networks, build_networks
from autosam.models.variants import build_sam

GENERATOR_ALONE = ("model.sam=null", "decode.sam=false")
SAM_ALONE = ("model.generator=null", "prompts.method=user")
ENCODER_ONLY = (
    "model.sam.prompt_encoder=none",
    "model.sam.mask_decoder=none",
    "model.generator.encoder=sam",
    "model.generator.depth=4",
    "model.generator.decoder_channels=[16, 8, 8, 8]",
    "model.generator.channels=[foreground, boundary, affinity_row, affinity_col]",
    "decode.sam=false",
)


def message(error: pytest.ExceptionInfo[ModelError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def write_base(folder: Path) -> Path:
    """Write weights of a 64-pixel tiny SAM, as others publish theirs."""
    torch.manual_seed(7)
    torch.save(build_sam("tiny", image_size=64).state_dict(), folder / "tiny.pth")
    return folder / "tiny.pth"


def model_of(*overrides: str) -> ModelConfig:
    return small_config(*overrides).model


def lora(base: Path, *overrides: str) -> ModelConfig:
    return model_of(
        f"model.sam.base={base}", "model.sam.encoder=lora", "model.sam.prompt_encoder=frozen", *overrides
    )


def disturb(networks: Networks) -> None:
    """Stand in for training: change everything that is trainable, and the running statistics with it."""
    torch.manual_seed(3)
    with torch.no_grad():
        for network in networks.parts:
            for parameter in network.parameters():
                if parameter.requires_grad:
                    parameter += 0.05 * torch.randn_like(parameter)
        if networks.generator is not None:
            networks.generator.train()
            for layer in networks.generator.modules():
                # As training does: a frozen part keeps its statistics.
                if isinstance(layer, nn.BatchNorm2d) and not layer.weight.requires_grad:
                    layer.eval()
            networks.generator(torch.rand(2, 3, 64, 64))
    for network in networks.parts:
        network.eval()


def save(path: Path, networks: Networks, model: ModelConfig, *, half: bool = False) -> None:
    header = ModelHeader(
        settings={"model": model.model_dump(mode="json")},
        base_name=networks.base_name,
        base_sha256=networks.base_sha256,
    )
    save_model(path, tensors=network_tensors(networks, model), metadata=header, half=half)


def write_model(path: Path, *overrides: str) -> Path:
    """Write a model with all its settings, as training does."""
    config = small_config(*overrides)
    networks = build_networks(config.model)
    disturb(networks)
    header = ModelHeader(settings=config.model_dump(mode="json", exclude={"training", "data", "seed"}))
    save_model(path, tensors=network_tensors(networks, config.model), metadata=header, half=True)
    return path


@torch.no_grad()
def answers(networks: Networks) -> list[Tensor]:
    """Maps, low-resolution mask logits and predicted IoU for one image and one point, as far as there are any."""
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    maps = [] if networks.generator is None else [networks.generator(image)]
    sam: Sam | None = networks.sam
    if sam is None:
        return maps
    features = sam.image_encoder(sam.preprocess(image * 255))
    point = torch.tensor([[[20.0, 30.0]]]), torch.ones(1, 1, dtype=torch.int32)
    sparse, dense = sam.prompt_encoder(points=point, boxes=None, masks=None)
    masks, iou = sam.mask_decoder(
        image_embeddings=features,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
    )
    return [*maps, masks, iou]


def trainable(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}

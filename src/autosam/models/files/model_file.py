"""The networks of a model in one file: collected for writing, and read for inference."""

from pathlib import Path

import torch
from segment_anything.modeling import Sam
from torch import Tensor

from autosam.config import ModelConfig, SamConfig, make_model
from autosam.errors import ConfigError, ModelError
from autosam.models.files.base_weights import base_state, find_base
from autosam.models.files.checkpoint import (
    REGION_CLASSIFIER,
    STATISTICS,
    ModelHeader,
    join_parts,
    load_model,
    split_parts,
)
from autosam.models.files.strict import copy_tensors
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.generator.unet import Generator
from autosam.models.networks import Networks, adapt_encoder, build_generator, generator_state_dict, needed_tensors
from autosam.models.parameters import adapter_state_dict
from autosam.models.sam.lora import merge_lora
from autosam.models.statistics.novelty import NoveltyStatistics
from autosam.models.statistics.region_classifier import RegionClassifier
from autosam.models.undrawn import Undrawn
from autosam.models.variants import build_sam
from autosam.models.weights import load_sam_weights
from autosam.regions import FEATURES


def network_tensors(networks: Networks, model: ModelConfig) -> dict[str, Tensor]:
    """Collect the tensors of a model file: those that training can have changed, or all where there is no base."""
    parts = _trained_parts(networks, model)
    if networks.statistics is not None:
        parts[STATISTICS] = networks.statistics.state_dict()
    if networks.region_classifier is not None:
        parts[REGION_CLASSIFIER] = networks.region_classifier.state_dict()
    return join_parts(parts)


def load_networks(path: Path) -> tuple[Networks, ModelHeader]:
    """Read a model file for inference: LoRA merged, evaluation mode, on the CPU.

    Raises
    ------
    ModelError
        If the file is damaged, its base is missing or another one, or its tensors do not fit its settings.
    """
    networks, header = load_unmerged(path)
    if networks.image_encoder is not None:
        merge_lora(networks.image_encoder)
    return networks, header


def load_unmerged(path: Path) -> tuple[Networks, ModelHeader]:
    """Do the same as `load_networks`, but leave LoRA beside the weights, to train it further."""
    tensors, header = load_model(path)
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ModelError(f"{path} holds weights that are not numbers: it is damaged; get it again")
    try:
        model = make_model(header.settings)
    except ConfigError as error:
        raise ModelError(f"{path} has settings that autosam does not know ({error}); upgrade autosam") from error
    # Nothing is drawn from torch's global generator, and no weights that are replaced at once.
    with torch.random.fork_rng(devices=[]), Undrawn():
        sam = _base_sam(model.sam, header, path)
        generator = build_generator(model, sam)
    parts = split_parts(tensors)
    try:
        statistics, region_classifier = _pop_statistics(parts, generator)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    networks = Networks(
        sam if model.prompted else None,
        generator,
        header.base_name,
        header.base_sha256,
        statistics,
        region_classifier,
        header.notice,
    )
    if generator is not None and "generator" in parts:
        parts["generator"] = needed_tensors(generator, parts["generator"])
    _load_parts(networks, model, parts, path)
    for network in networks.parts:
        network.eval().requires_grad_(False)
    return networks, header


def _pop_statistics(
    parts: dict[str, dict[str, Tensor]], generator: Generator | SamGenerator | None
) -> tuple[NoveltyStatistics | None, RegionClassifier | None]:
    """Take out what a file may hold besides the networks; neither goes without a generator."""
    statistics = region_classifier = None
    if generator is not None and STATISTICS in parts:
        known = parts.pop(STATISTICS)
        statistics = NoveltyStatistics.from_state_dict(known, channels=generator.deepest_channels)
    if generator is not None and REGION_CLASSIFIER in parts:
        trees = parts.pop(REGION_CLASSIFIER)
        region_classifier = RegionClassifier.from_state_dict(trees, features=len(FEATURES))
    return statistics, region_classifier


def _base_sam(settings: SamConfig | None, header: ModelHeader, path: Path) -> Sam | None:
    """Build SAM as it was before the training: with its base weights, where the file needs them, and adapters."""
    if settings is None:
        return None
    preprocessing = settings.preprocessing or "sam"
    sam = build_sam(settings.variant, image_size=settings.image_size, preprocessing=preprocessing)
    if not holds_all_of_sam(settings, header.base_sha256):
        base = find_base(header.base_name, beside=path)
        state = base_state(base, sha256=header.base_sha256)
        load_sam_weights(sam, state, variant=settings.variant, source=str(base))
        adapt_encoder(sam, settings)
    return sam


def _load_parts(networks: Networks, model: ModelConfig, parts: dict[str, dict[str, Tensor]], path: Path) -> None:
    """Copy the parts of a file into networks as they were before the training."""
    trained = _trained_parts(networks, model)
    if parts.keys() != trained.keys():
        raise ModelError(
            f"{path} holds the parts {', '.join(sorted(parts))}; its settings want {', '.join(sorted(trained))}: "
            "it is damaged; get it again"
        )
    for part, own in trained.items():
        copy_tensors(
            own,
            parts[part],
            what=f"{path}: the tensors of {part!r} do not fit the file's own settings",
            advice="it is damaged; get it again",
        )


def _trained_parts(networks: Networks, model: ModelConfig) -> dict[str, dict[str, Tensor]]:
    """Give the tensors that a model file holds of each network, sharing the networks' memory."""
    parts: dict[str, dict[str, Tensor]] = {}
    sam, encoder, settings = networks.sam, networks.image_encoder, model.sam
    if networks.generator is not None:
        parts["generator"] = generator_state_dict(networks.generator)
    if settings is None or encoder is None:
        return parts
    if holds_all_of_sam(settings, networks.base_sha256):
        if sam is None:
            parts["encoder"] = encoder.state_dict()
        else:
            parts["sam"] = sam.state_dict()
        return parts
    if settings.encoder in ("lora", "adapter"):
        parts["adapter"] = adapter_state_dict(encoder)
    if sam is not None and settings.mask_decoder == "full":
        parts["decoder"] = sam.mask_decoder.state_dict()
    if sam is not None and settings.prompt_encoder == "full":
        parts["prompts"] = sam.prompt_encoder.state_dict()
    return parts


def holds_all_of_sam(settings: SamConfig, base_sha256: str) -> bool:
    """Whether a model file holds all of SAM that the model uses, so that it needs no base."""
    return not base_sha256 or settings.encoder == "full"

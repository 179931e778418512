"""The two networks of a model: built from settings, written to and read from one file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from segment_anything.modeling import Sam
from torch import Tensor, nn

from autosam.config import ModelConfig, make_config
from autosam.errors import ConfigError, ModelError
from autosam.models.checkpoint import ModelHeader, join_parts, load_model, split_parts
from autosam.models.generator import Generator
from autosam.models.lora import add_lora, load_lora_state_dict, lora_state_dict, merge_lora
from autosam.models.variants import build_sam
from autosam.models.weights import file_sha256, load_sam_weights, load_state_dict_file
from autosam.models.zoo import BASES, base_weights, home


@dataclass(frozen=True, eq=False)
class Networks:
    """A prompt generator and the SAM that answers its prompts.

    Attributes
    ----------
    sam : Sam
    generator : Generator
    base_name, base_sha256 : str
        The published weights that SAM started from; empty where it was trained from scratch.
    """

    sam: Sam
    generator: Generator
    base_name: str = ""
    base_sha256: str = ""


def build_networks(model: ModelConfig, *, seed: int = 0) -> Networks:
    """Build both networks for training: base weights loaded, adapter added, frozen parts frozen.

    Parameters
    ----------
    model : ModelConfig
        What to build.
    seed : int
        Seed of the random weights; torch's global generator is left as it was.

    Returns
    -------
    Networks
        On the CPU, in training mode.

    Raises
    ------
    ModelError
        If the base is missing or does not fit, or a part without a base were to stay frozen.
    """
    settings = model.sam
    modes = {name: getattr(settings, name) for name in ("encoder", "prompt_encoder", "mask_decoder")}
    frozen = [f"model.sam.{name}" for name, mode in modes.items() if mode != "full"]
    if settings.base is None and frozen:
        raise ModelError(
            f"model.sam.base is null and {', '.join(frozen)} not full: random weights cannot stay frozen; "
            f"name a base, such as vit_b, or set {' and '.join(f'{name}=full' for name in frozen)}"
        )
    base_name = base_sha256 = ""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sam = build_sam(settings.variant, image_size=settings.image_size)
        generator = Generator(
            encoder=model.generator.encoder,
            channels=model.generator.channels,
            depth=model.generator.depth,
            decoder_channels=model.generator.decoder_channels,
        )
        if settings.base is not None:
            path = _base_path(settings.base)
            load_sam_weights(sam, load_state_dict_file(path), variant=settings.variant, source=str(path))
            base_name, base_sha256 = settings.base, file_sha256(path)
        for part, mode in (
            (sam.image_encoder, settings.encoder),
            (sam.prompt_encoder, settings.prompt_encoder),
            (sam.mask_decoder, settings.mask_decoder),
        ):
            part.requires_grad_(mode == "full")
        if settings.encoder == "lora":
            add_lora(
                sam.image_encoder,
                rank=settings.lora_rank,
                alpha=settings.lora_alpha,
                blocks=settings.lora_blocks,
            )
    return Networks(sam, generator, base_name, base_sha256)


def network_tensors(networks: Networks, model: ModelConfig) -> dict[str, Tensor]:
    """Collect the tensors of a model file: what training can have changed, or all where there is no base."""
    sam, generator = networks.sam, networks.generator
    parts: dict[str, dict[str, Tensor]] = {"generator": generator.state_dict()}
    if not networks.base_sha256 or model.sam.encoder == "full":
        parts["sam"] = sam.state_dict()
    else:
        if model.sam.encoder == "lora":
            parts["adapter"] = lora_state_dict(sam.image_encoder)
        if model.sam.mask_decoder == "full":
            parts["decoder"] = sam.mask_decoder.state_dict()
        if model.sam.prompt_encoder == "full":
            parts["prompts"] = sam.prompt_encoder.state_dict()
    return join_parts(parts)


def load_networks(path: Path) -> tuple[Networks, ModelHeader]:
    """Read a model file for inference: adapter merged, evaluation mode, on the CPU.

    Raises
    ------
    ModelError
        If the file is damaged, its base is missing or another one, or its tensors do not fit its settings.
    """
    tensors, header = load_model(path)
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ModelError(f"{path} holds weights that are not numbers: it is damaged; get it again")
    parts = split_parts(tensors)
    try:
        model = make_config(header.settings).model
    except ConfigError as error:
        raise ModelError(f"{path} has settings that autosam does not know ({error}); upgrade autosam") from error
    settings = model.sam
    whole = not header.base_sha256 or settings.encoder == "full"
    if parts.keys() != (wanted := _part_names(model, whole=whole)):
        raise ModelError(
            f"{path} holds the parts {', '.join(sorted(parts))}; its settings want {', '.join(sorted(wanted))}: "
            "it is damaged; get it again"
        )
    sam = build_sam(settings.variant, image_size=settings.image_size)
    if not whole:
        base = _base_path(header.base_name, beside=path)
        state = load_state_dict_file(base, sha256=header.base_sha256)
        load_sam_weights(sam, state, variant=settings.variant, source=str(base))
        if settings.encoder == "lora":
            add_lora(
                sam.image_encoder,
                rank=settings.lora_rank,
                alpha=settings.lora_alpha,
                blocks=settings.lora_blocks,
            )
            load_lora_state_dict(sam.image_encoder, parts["adapter"])
            merge_lora(sam.image_encoder)
    generator = Generator(
        encoder=model.generator.encoder,
        channels=model.generator.channels,
        depth=model.generator.depth,
        decoder_channels=model.generator.decoder_channels,
    )
    _load_part(generator, parts, "generator", path)
    if whole:
        _load_part(sam, parts, "sam", path)
    if "decoder" in parts:
        _load_part(sam.mask_decoder, parts, "decoder", path)
    if "prompts" in parts:
        _load_part(sam.prompt_encoder, parts, "prompts", path)
    networks = Networks(sam.eval(), generator.eval(), header.base_name, header.base_sha256)
    for network in (networks.sam, networks.generator):
        network.requires_grad_(False)
    return networks, header


def _part_names(model: ModelConfig, *, whole: bool) -> set[str]:
    """Name the parts of a model file, as `network_tensors` collects them."""
    if whole:
        return {"generator", "sam"}
    tuned = {
        "adapter": model.sam.encoder == "lora",
        "decoder": model.sam.mask_decoder == "full",
        "prompts": model.sam.prompt_encoder == "full",
    }
    return {"generator", *(part for part, there in tuned.items() if there)}


def _base_path(base: str, *, beside: Path | None = None) -> Path:
    """Find base weights: published ones by name, otherwise a file, which may have moved with the model."""
    if base in BASES:
        return base_weights(base)
    places = [Path(base), *([] if beside is None else [beside.parent / Path(base).name]), home() / Path(base).name]
    places = list(dict.fromkeys(places))
    for place in places:
        if place.is_file():
            return place
    raise ModelError(
        f"the base weights {base} are not at {' or '.join(map(str, places))}, and no published weights are named "
        f"so ({', '.join(BASES)}); put the file at one of these places"
    )


def _load_part(module: nn.Module, parts: dict[str, dict[str, Any]], part: str, path: Path) -> None:
    try:
        module.load_state_dict(parts[part], strict=True)
    except RuntimeError as error:
        fault = " ".join(str(error).split())[:160]
        raise ModelError(
            f"{path}: the tensors of {part!r} do not fit the file's own settings ({fault} ...): it is damaged; "
            "get it again"
        ) from error

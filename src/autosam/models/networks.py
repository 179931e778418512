"""The networks of a model: built from settings, written to and read from one file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from segment_anything.modeling import Sam
from torch import Tensor, nn

from autosam.config import SAM_ENCODER, GeneratorConfig, ModelConfig, SamConfig, make_model
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
from autosam.models.files.sam_weights import file_sha256, load_sam_weights
from autosam.models.files.zoo import resolve_model
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.generator.unet import Generator
from autosam.models.sam.adapter import adapter_state_dict, add_adapters, load_adapter_state_dict
from autosam.models.sam.lora import add_lora, load_lora_state_dict, lora_state_dict, merge_lora
from autosam.models.sam.variants import build_sam
from autosam.models.statistics.novelty import NoveltyStatistics
from autosam.models.statistics.region_classifier import RegionClassifier
from autosam.regions import FEATURES

_HEADS = ("unet.segmentation_head.", "decoder.head.")
"""Where the last layers of both kinds of generator are in their weights."""


@dataclass(frozen=True, eq=False)
class Networks:
    """A prompt generator and the SAM that answers its prompts; either may be missing.

    Attributes
    ----------
    sam : Sam or None
        None where nothing answers prompts: the generator's own segmentation is the result.
    generator : Generator, SamGenerator or None
        None for a SAM that is prompted by hand or by a grid. A `SamGenerator` holds SAM's image encoder.
    base_name, base_sha256 : str
        The weights that SAM started from; empty where it was trained from scratch.
    statistics : NoveltyStatistics or None
        What the training images looked like to the generator; None where that is not known.
    region_classifier : RegionClassifier or None
        Tells objects in the generator's maps from parts and clumps of them; None where thresholds do.
    """

    sam: Sam | None
    generator: Generator | SamGenerator | None
    base_name: str = ""
    base_sha256: str = ""
    statistics: NoveltyStatistics | None = None
    region_classifier: RegionClassifier | None = None

    @property
    def parts(self) -> list[nn.Module]:
        """The networks that are there."""
        return [network for network in (self.sam, self.generator) if network is not None]


def build_networks(model: ModelConfig, *, seed: int = 0) -> Networks:
    """Build the networks for training: base weights loaded, adapters added, frozen parts frozen.

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
    base_name = base_sha256 = ""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if model.sam is None:
            generator = _build_generator(model, None)
            _start_generator(generator, model)
            return Networks(None, generator)
        _check_frozen(model.sam)
        sam = build_sam(model.sam.variant, image_size=model.sam.image_size)
        generator = _build_generator(model, sam)
        if model.sam.base is not None:
            path = find_base(model.sam.base)
            load_sam_weights(sam, base_state(path), variant=model.sam.variant, source=str(path))
            base_name, base_sha256 = model.sam.base, file_sha256(path)
        for part, mode in (
            (sam.image_encoder, model.sam.encoder),
            (sam.prompt_encoder, model.sam.prompt_encoder),
            (sam.mask_decoder, model.sam.mask_decoder),
        ):
            part.requires_grad_(mode == "full")
        _adapt(sam, model.sam)
    _start_generator(generator, model)
    return Networks(sam if model.prompted else None, generator, base_name, base_sha256)


def network_tensors(networks: Networks, model: ModelConfig) -> dict[str, Tensor]:
    """Collect the tensors of a model file: what training can have changed, or all where there is no base."""
    parts: dict[str, dict[str, Tensor]] = {}
    generator, sam, settings = networks.generator, networks.sam, model.sam
    encoder: nn.Module | None = None if sam is None else sam.image_encoder
    if networks.statistics is not None:
        parts[STATISTICS] = networks.statistics.state_dict()
    if networks.region_classifier is not None:
        parts[REGION_CLASSIFIER] = networks.region_classifier.state_dict()
    if isinstance(generator, SamGenerator):
        parts["generator"] = generator.decoder_state_dict()
        encoder = generator.image_encoder
    elif generator is not None:
        parts["generator"] = generator.state_dict()
    if settings is None or encoder is None:
        return join_parts(parts)
    whole = _is_whole(settings, networks.base_sha256)
    if not whole and settings.encoder == "lora":
        parts["adapter"] = lora_state_dict(encoder)
    if not whole and settings.encoder == "adapter":
        parts["adapter"] = adapter_state_dict(encoder)
    if whole and sam is None:
        parts["encoder"] = encoder.state_dict()
    elif whole and sam is not None:
        parts["sam"] = sam.state_dict()
    elif sam is not None:
        if settings.mask_decoder == "full":
            parts["decoder"] = sam.mask_decoder.state_dict()
        if settings.prompt_encoder == "full":
            parts["prompts"] = sam.prompt_encoder.state_dict()
    return join_parts(parts)


def load_networks(path: Path) -> tuple[Networks, ModelHeader]:
    """Read a model file for inference: LoRA merged, evaluation mode, on the CPU.

    Raises
    ------
    ModelError
        If the file is damaged, its base is missing or another one, or its tensors do not fit its settings.
    """
    # The random weights that are replaced at once are not drawn from torch's own generator.
    with torch.random.fork_rng(devices=[]):
        return _load_networks(path)


def _load_networks(path: Path) -> tuple[Networks, ModelHeader]:
    tensors, header = load_model(path)
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ModelError(f"{path} holds weights that are not numbers: it is damaged; get it again")
    parts = split_parts(tensors)
    try:
        model = make_model(header.settings)
    except ConfigError as error:
        raise ModelError(f"{path} has settings that autosam does not know ({error}); upgrade autosam") from error
    whole = model.sam is not None and _is_whole(model.sam, header.base_sha256)
    # Models of before have none.
    known = None if model.generator is None else parts.pop(STATISTICS, None)
    trees = None if model.generator is None else parts.pop(REGION_CLASSIFIER, None)
    if parts.keys() != (wanted := _part_names(model, whole=whole)):
        raise ModelError(
            f"{path} holds the parts {', '.join(sorted(parts))}; its settings want {', '.join(sorted(wanted))}: "
            "it is damaged; get it again"
        )
    sam = None if model.sam is None else build_sam(model.sam.variant, image_size=model.sam.image_size)
    if sam is not None and model.sam is not None and not whole:
        base = find_base(header.base_name, beside=path)
        state = base_state(base, sha256=header.base_sha256)
        load_sam_weights(sam, state, variant=model.sam.variant, source=str(base))
        _adapt(sam, model.sam)
        with _naming(path):
            if model.sam.encoder == "lora":
                load_lora_state_dict(sam.image_encoder, parts["adapter"])
                merge_lora(sam.image_encoder)
            elif model.sam.encoder == "adapter":
                load_adapter_state_dict(sam.image_encoder, parts["adapter"])
    if sam is not None:
        for part, module in (
            ("sam", sam),
            ("encoder", sam.image_encoder),
            ("decoder", sam.mask_decoder),
            ("prompts", sam.prompt_encoder),
        ):
            if part in parts:
                _load_part(module, parts, part, path)
    generator = _build_generator(model, sam)
    if isinstance(generator, SamGenerator):
        with _naming(path):
            generator.load_decoder_state_dict(parts["generator"])
    elif generator is not None:
        _load_part(generator, parts, "generator", path)
    statistics = None
    if known is not None and generator is not None:
        with _naming(path):
            statistics = NoveltyStatistics.from_state_dict(known, channels=generator.deepest_channels)
    region_classifier = None
    if trees is not None:
        with _naming(path):
            region_classifier = RegionClassifier.from_state_dict(trees, features=len(FEATURES))
    networks = Networks(
        sam if model.prompted else None,
        generator,
        header.base_name,
        header.base_sha256,
        statistics,
        region_classifier,
    )
    for network in networks.parts:
        network.eval().requires_grad_(False)
    return networks, header


def _check_frozen(settings: SamConfig) -> None:
    """Refuse random weights that would stay as they are."""
    trained = ("full", "none")
    frozen = [
        f"model.sam.{name}"
        for name in ("encoder", "prompt_encoder", "mask_decoder")
        if getattr(settings, name) not in trained
    ]
    if settings.base is None and frozen:
        raise ModelError(
            f"model.sam.base is null and {', '.join(frozen)} not full: random weights cannot stay frozen; "
            f"name a base, such as vit_b, or set {' and '.join(f'{name}=full' for name in frozen)}"
        )


def _build_generator(model: ModelConfig, sam: Sam | None) -> Generator | SamGenerator | None:
    settings = model.generator
    if settings is None:
        return None
    if settings.encoder == SAM_ENCODER and sam is not None:
        return SamGenerator(
            sam.image_encoder,
            channels=settings.channels,
            decoder_channels=settings.decoder_channels,
            skips=settings.skips,
        )
    return Generator(
        encoder=settings.encoder,
        channels=settings.channels,
        depth=settings.depth,
        decoder_channels=settings.decoder_channels,
        downsample=settings.downsample,
    )


def _start_generator(generator: Generator | SamGenerator | None, model: ModelConfig) -> None:
    """Copy the generator of another model into a new one, where the settings name one."""
    if generator is None or model.generator is None or model.generator.base is None:
        return
    path = resolve_model(model.generator.base)
    tensors, header = load_model(path)
    parts, theirs = split_parts(tensors), make_model(header.settings).generator
    shape = {"encoder", "depth", "decoder_channels", "skips"}
    if theirs is None or theirs.model_dump(include=shape) != model.generator.model_dump(include=shape):
        raise ModelError(
            f"the generator of {path} cannot be started from: it is {_described(theirs)}, wanted "
            f"{_described(model.generator)}; set model.generator alike, or its base to null"
        )
    own = generator.decoder_state_dict() if isinstance(generator, SamGenerator) else generator.state_dict()
    start = _with_channels(parts["generator"], own, theirs.channels, generator.channels)
    if isinstance(generator, SamGenerator):
        with _naming(path):
            generator.load_decoder_state_dict(start)
    else:
        _load_part(generator, {"generator": start}, "generator", path)


def _with_channels(
    theirs: dict[str, Tensor], own: dict[str, Tensor], their_channels: Sequence[str], own_channels: Sequence[str]
) -> dict[str, Tensor]:
    """Take over a generator whose maps may be others: its head row by row, what it lacks as it was."""
    if tuple(their_channels) == tuple(own_channels):
        return theirs
    start = dict(theirs)
    # The head is the only part with a row for each map.
    for name in (name for name in theirs if name.startswith(_HEADS)):
        start[name] = own[name].clone()
        for index, channel in enumerate(own_channels):
            if channel in their_channels:
                start[name][index] = theirs[name][their_channels.index(channel)]
    return start


def _described(settings: GeneratorConfig | None) -> str:
    if settings is None:
        return "missing"
    return (
        f"{settings.encoder} with decoder_channels {list(settings.decoder_channels)} and {list(settings.channels)}"
    )


def _adapt(sam: Sam, settings: SamConfig) -> None:
    """Add the adapters that the settings name, with their initial weights."""
    if settings.encoder == "lora":
        add_lora(
            sam.image_encoder,
            rank=settings.lora_rank,
            alpha=settings.lora_alpha,
            blocks=settings.lora_blocks,
        )
    elif settings.encoder == "adapter":
        add_adapters(sam.image_encoder, ratio=settings.adapter_ratio)


def _is_whole(settings: SamConfig, base_sha256: str) -> bool:
    """Whether a model file holds all of SAM that the model uses, so that it needs no base."""
    return not base_sha256 or settings.encoder == "full"


def _part_names(model: ModelConfig, *, whole: bool) -> set[str]:
    """Name the parts of a model file, as `network_tensors` collects them."""
    names = set() if model.generator is None else {"generator"}
    if model.sam is None:
        return names
    if whole:
        return names | {"sam" if model.prompted else "encoder"}
    tuned = {
        "adapter": model.sam.encoder in ("lora", "adapter"),
        "decoder": model.sam.mask_decoder == "full",
        "prompts": model.sam.prompt_encoder == "full",
    }
    return names | {part for part, there in tuned.items() if there}


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let a message about tensors name the file that they came from."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _load_part(module: nn.Module, parts: dict[str, dict[str, Any]], part: str, path: Path) -> None:
    try:
        module.load_state_dict(parts[part], strict=True)
    except RuntimeError as error:
        fault = " ".join(str(error).split())[:160]
        raise ModelError(
            f"{path}: the tensors of {part!r} do not fit the file's own settings ({fault} ...): it is damaged; "
            "get it again"
        ) from error

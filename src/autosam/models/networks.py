"""The networks of a model, built from its settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from segment_anything.modeling import ImageEncoderViT, Sam
from torch import Tensor, nn

from autosam.config import SAM_ENCODER, GeneratorConfig, ModelConfig, SamConfig, make_model
from autosam.errors import ModelError
from autosam.models.files.base_weights import base_state, find_base, with_preprocessing
from autosam.models.files.checkpoint import load_model, split_parts
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.pretrained import start_from_imagenet
from autosam.models.files.strict import copy_tensors
from autosam.models.files.zoo import resolve_model
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.generator.unet import Generator
from autosam.models.sam.adapter import add_adapters
from autosam.models.sam.lora import add_lora
from autosam.models.statistics.novelty import NoveltyStatistics
from autosam.models.statistics.region_classifier import RegionClassifier
from autosam.models.variants import build_sam, image_size
from autosam.models.weights import load_sam_weights

WITHOUT_SAM = 512
"""Side of the generator's tiles where no SAM sets one."""

_HEADS = ("unet.segmentation_head.", "decoder.head.")
"""Beginnings of the names of the last layer's tensors, in either kind of generator."""


@dataclass(frozen=True, eq=False)
class Networks:
    """A prompt generator and the SAM that answers its prompts; either may be missing.

    Attributes
    ----------
    sam : Sam or None
        None where the generator's own segmentation is the result.
    generator : Generator, SamGenerator or None
        None where prompts come from a user or a grid. A `SamGenerator` holds SAM's image encoder.
    base_name, base_sha256 : str
        The base weights of SAM; empty where it was trained from scratch.
    statistics : NoveltyStatistics or None
        Statistics of the training images, for the novelty.
    region_classifier : RegionClassifier or None
        None where thresholds decide which candidate regions are objects.
    notice : str
        Origin and license of weights that others trained, and that the generator started from; empty where there
        are none.
    """

    sam: Sam | None
    generator: Generator | SamGenerator | None
    base_name: str = ""
    base_sha256: str = ""
    statistics: NoveltyStatistics | None = None
    region_classifier: RegionClassifier | None = None
    notice: str = ""

    @property
    def parts(self) -> list[nn.Module]:
        """The networks that are there."""
        return [network for network in (self.sam, self.generator) if network is not None]

    @property
    def image_encoder(self) -> ImageEncoderViT | None:
        """SAM's image encoder, which may belong to the generator alone."""
        if self.sam is not None:
            return self.sam.image_encoder
        return self.generator.image_encoder if isinstance(self.generator, SamGenerator) else None

    @property
    def tile_size(self) -> int:
        """Side of a tile in pixels where no setting says otherwise."""
        return WITHOUT_SAM if self.sam is None else image_size(self.sam)


def build_networks(model: ModelConfig, *, seed: int = 0) -> Networks:
    """Build the networks for training: base weights loaded, adapters added, frozen parts frozen.

    They are on the CPU, in training mode. Random weights follow from the seed alone; torch's global generator is
    left as it was.

    Raises
    ------
    ModelError
        If the base is missing or does not fit, or a part without a base were to stay frozen.
    """
    base_name = base_sha256 = notice = ""
    model = with_preprocessing(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sam = None
        if model.sam is not None:
            _check_frozen(model.sam)
            sam = build_sam(
                model.sam.variant,
                image_size=model.sam.image_size,
                preprocessing=model.sam.preprocessing or "sam",
            )
        generator = build_generator(model, sam)
        if sam is not None and model.sam is not None:
            if model.sam.base is not None:
                path = find_base(model.sam.base)
                load_sam_weights(sam, base_state(path), variant=model.sam.variant, source=str(path))
                base_name, base_sha256 = model.sam.base, file_sha256(path)
            sam.image_encoder.requires_grad_(model.sam.encoder == "full")
            sam.prompt_encoder.requires_grad_(model.sam.prompt_encoder == "full")
            sam.mask_decoder.requires_grad_(model.sam.mask_decoder == "full")
            adapt_encoder(sam, model.sam)
    if generator is not None and model.generator is not None:
        notice = _start_generator(generator, model.generator)
    return Networks(sam if model.prompted else None, generator, base_name, base_sha256, notice=notice)


def build_generator(model: ModelConfig, sam: Sam | None) -> Generator | SamGenerator | None:
    """Build the generator with random weights, on the image encoder of ``sam`` where the settings want that."""
    settings = model.generator
    if settings is None:
        return None
    if settings.encoder == SAM_ENCODER and sam is not None:
        return SamGenerator(
            sam.image_encoder,
            channels=settings.channels,
            decoder_channels=settings.decoder_channels,
            skips=settings.skips,
            preprocessing=(model.sam and model.sam.preprocessing) or "sam",
        )
    return Generator(
        encoder=settings.encoder,
        channels=settings.channels,
        depth=settings.depth,
        decoder_channels=settings.decoder_channels,
        downsample=settings.downsample,
    )


def adapt_encoder(sam: Sam, settings: SamConfig) -> None:
    """Add the adapters that the settings name, with their initial weights."""
    if settings.encoder == "lora":
        add_lora(
            sam.image_encoder, rank=settings.lora_rank, alpha=settings.lora_alpha, blocks=settings.lora_blocks
        )
    elif settings.encoder == "adapter":
        add_adapters(sam.image_encoder, ratio=settings.adapter_ratio)


def generator_state_dict(generator: Generator | SamGenerator) -> dict[str, Tensor]:
    """Give the generator's tensors without those of SAM's image encoder, sharing its memory."""
    state = generator.state_dict()
    return {name: tensor for name, tensor in state.items() if not name.startswith("image_encoder.")}


def needed_tensors(generator: Generator | SamGenerator, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out what older models hold of stages that give no output."""
    left_out = generator.left_out if isinstance(generator, Generator) else ()
    return {name: tensor for name, tensor in given.items() if not name.startswith(left_out)}


def _check_frozen(settings: SamConfig) -> None:
    """Refuse random weights that would stay as they are."""
    frozen = [
        f"model.sam.{name}"
        for name in ("encoder", "prompt_encoder", "mask_decoder")
        if getattr(settings, name) not in ("full", "none")
    ]
    if settings.base is None and frozen:
        raise ModelError(
            f"model.sam.base is null and {', '.join(frozen)} not full: random weights cannot stay frozen; "
            f"name a base, such as vit_b, or set {' and '.join(f'{name}=full' for name in frozen)}"
        )


def _start_generator(generator: Generator | SamGenerator, settings: GeneratorConfig) -> str:
    """Copy what the settings name into a new generator, and give the notice that belongs to it."""
    if settings.base is not None:
        return _start_from_model(generator, settings, resolve_model(settings.base))
    if settings.pretrained is not None:
        assert isinstance(generator, Generator)
        return start_from_imagenet(generator.unet.encoder)
    return ""


def _start_from_model(generator: Generator | SamGenerator, settings: GeneratorConfig, path: Path) -> str:
    """Copy the generator of another model into a new one, and give its notice."""
    tensors, header = load_model(path)
    theirs = make_model(header.settings).generator
    shape = {"encoder", "depth", "decoder_channels", "skips"}
    if theirs is None or theirs.model_dump(include=shape) != settings.model_dump(include=shape):
        raise ModelError(
            f"the generator of {path} cannot be started from: it is {_described(theirs)}, wanted "
            f"{_described(settings)}; set model.generator alike, or its base to null"
        )
    own = generator_state_dict(generator)
    given = needed_tensors(generator, split_parts(tensors)["generator"])
    start = _with_channels(given, own, theirs.channels, generator.channels)
    copy_tensors(own, start, what=f"{path} holds another generator than its settings say", advice="get it again")
    return header.notice


def _with_channels(
    theirs: dict[str, Tensor], own: dict[str, Tensor], their_channels: Sequence[str], own_channels: Sequence[str]
) -> dict[str, Tensor]:
    """Reorder the rows of the head for other maps; the rows of new maps keep their own weights."""
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

"""The batches of a run: which tiles each process gets, and at which step."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Subset

from autosam.config import SAM_ENCODER, Config
from autosam.data import LabeledImage
from autosam.errors import ConfigError, InputError
from autosam.models.generator.light_unet import LIGHT_ENCODERS
from autosam.models.networks import WITHOUT_SAM, Networks
from autosam.models.variants import image_size
from autosam.training.samples.tiles import TileBatch, TileDataset, collate_tiles


def check_trainable(config: Config, train_images: Sequence[LabeledImage]) -> None:
    """Raise an InputError or a ConfigError where there is nothing to learn from, or no way to."""
    if train_images and not any(one.valid is None or one.valid.any() for one in train_images):
        raise InputError(
            f"none of the {len(train_images)} training images has a valid pixel; check the masks of valid pixels "
            "and ignore_label in data.sources"
        )
    if not any(labeled_image.labels.any() for labeled_image in train_images):
        raise InputError(f"none of the {len(train_images)} training images has an object; check the labels")
    check_networks_used(config)
    check_statistics(config)
    check_frozen(config)
    check_encoder(config)
    check_deep_supervision(config)
    check_fused(config)
    check_asked(config)
    check_small_images(config)


def check_encoder(config: Config) -> None:
    """Raise a ConfigError where the generator has no encoder to be slowed down, or frozen in part."""
    generator, settings = config.model.generator, config.training
    wanted = settings.encoder_rate != 1 or settings.freeze_stages > 0
    if wanted and (generator is None or generator.encoder == SAM_ENCODER or settings.freeze_generator):
        raise ConfigError(
            f"training.encoder_rate={settings.encoder_rate:g} and freeze_stages={settings.freeze_stages} are for "
            "the encoder of a UNet in training, and there is none; set them to 1 and 0"
        )
    if generator is None or not settings.freeze_stages:
        return
    if generator.encoder not in LIGHT_ENCODERS or settings.freeze_stages > generator.depth:
        raise ConfigError(
            f"training.freeze_stages={settings.freeze_stages} freezes stages of {', '.join(LIGHT_ENCODERS)}, up "
            f"to the depth; the generator has {generator.encoder} of depth {generator.depth}"
        )
    if generator.base is None and generator.pretrained is None:
        raise ConfigError(
            f"training.freeze_stages={settings.freeze_stages} would keep random weights; set "
            "model.generator.pretrained or base, or freeze_stages=0"
        )


def check_deep_supervision(config: Config) -> None:
    """Raise a ConfigError where the generator has no decoder whose stages can be supervised."""
    generator, settings = config.model.generator, config.training
    known = generator is not None and generator.encoder in LIGHT_ENCODERS and not settings.freeze_generator
    if settings.deep_supervision and not known:
        raise ConfigError(
            f"training.deep_supervision={settings.deep_supervision:g} is for a generator in training on "
            f"{', '.join(LIGHT_ENCODERS)}; set it to 0, or choose one of these encoders"
        )
    if settings.deep_supervision and settings.compile:
        raise ConfigError(
            "training.compile=true compiles a generator as a whole, and training.deep_supervision asks its "
            "stages; set one of them to false or 0"
        )


def check_fused(config: Config) -> None:
    """Raise a ConfigError where the masks that SAM learns have no generator's logits to be added to."""
    generator, settings = config.model.generator, config.training
    speaks = generator is not None and "foreground" in generator.channels and settings.mask_prompt > 0
    if settings.fusion and not (speaks and config.model.prompted):
        raise ConfigError(
            f"training.fusion={settings.fusion:g} adds the logits of mask prompts, which a generator with a "
            "foreground map gives a SAM where training.mask_prompt is above 0; set these, or training.fusion=0"
        )


def check_asked(config: Config) -> None:
    """Raise a ConfigError where settings of SAM's prompts are given, and no SAM is prompted."""
    settings = config.training
    given = {
        "training.second_pass": settings.second_pass > 0,
        "training.simulate.wrong": settings.simulate.wrong > 0,
        "training.simulate.points_per_object": settings.simulate.points_per_object is not None,
    }
    if any(given.values()) and not config.model.prompted:
        raise ConfigError(
            f"{', '.join(name for name, is_given in given.items() if is_given)} speaks of the prompts of a SAM in "
            "training, and none is prompted; leave it out, or set model.sam"
        )


def check_small_images(config: Config) -> None:
    """Raise a ConfigError where SAM would see small images in another way than in training."""
    if config.model.prompted and config.model.sam is not None and config.model.sam.small_images != "mirror":
        raise ConfigError(
            f"model.sam.small_images={config.model.sam.small_images} suits a SAM that is not trained further: in "
            "training, small images are mirrored; leave it out"
        )


def check_frozen(config: Config) -> None:
    """Raise a ConfigError where a generator would stay as random weights, or there is none to stay."""
    generator = config.model.generator
    if config.training.freeze_generator and (generator is None or generator.base is None):
        raise ConfigError(
            "training.freeze_generator=true trains SAM on the prompts of a generator that is trained already, and "
            f"{'model.generator is null' if generator is None else 'model.generator.base names none'}; set "
            "model.generator.base to a model, or training.freeze_generator=false"
        )


def check_statistics(config: Config) -> None:
    """Raise a ConfigError where batch normalization would keep the statistics of random weights."""
    parts = {"model.sam.base": config.model.sam, "model.generator.base": config.model.generator}
    random = [name for name, part in parts.items() if part is not None and part.base is None]
    if config.training.freeze_statistics and random:
        raise ConfigError(
            "training.freeze_statistics=true keeps the statistics that the weights come with, and random weights "
            f"come with none; set {' and '.join(random)}, or training.freeze_statistics=false"
        )


def check_networks_used(config: Config) -> None:
    """Raise a ConfigError where one of the networks would be built, and not used in training."""
    if config.model.generator is not None and config.prompts.method in ("grid", "user"):
        raise ConfigError(
            f"prompts.method={config.prompts.method} asks no generator, so there is none to train; choose "
            "distance, centroid or probability, or set model.generator to null"
        )
    if config.model.prompted and not config.decode.sam:
        raise ConfigError(
            "decode.sam=false leaves the SAM of model.sam without any use, so training it is in vain; set "
            "model.sam=null or decode.sam=true"
        )


def tile_size(networks: Networks, config: Config) -> int:
    """Side of a training tile: what SAM, or a generator with its encoder, takes; otherwise ``tiles.size``.

    Raises
    ------
    ConfigError
        If a generator on its own cannot halve tiles of that size as often as it does.
    """
    if networks.sam is not None:
        return image_size(networks.sam)
    generator = networks.generator
    if generator is None:
        return WITHOUT_SAM
    if generator.tile_size is not None:
        return generator.tile_size
    size = config.tiles.size or WITHOUT_SAM
    if size % generator.stride:
        raise ConfigError(
            f"tiles.size is {size}; the generator is trained on tiles whose side is a multiple of "
            f"{generator.stride}: set it to {-(-size // generator.stride) * generator.stride}"
        )
    return size


def make_batches(
    config: Config,
    labeled_images: Sequence[LabeledImage],
    size: int,
    fabric: Fabric,
    *,
    start: int,
    unlabeled: Sequence[NDArray[np.uint8]] = (),
) -> Iterator[TileBatch]:
    """Give the batches of this process from a step on: of every round of batches, its own one."""
    settings = config.training
    per_step = settings.batch_size * settings.accumulate * fabric.world_size
    length = settings.steps * per_step
    tiles = TileDataset(labeled_images, config, size=size, length=length, unlabeled=unlabeled)
    todo = range(start * per_step, len(tiles))
    offset, world = fabric.global_rank * settings.batch_size, fabric.world_size
    own = [
        index
        for first in range(todo.start + offset, todo.stop, settings.batch_size * world)
        for index in range(first, first + settings.batch_size)
    ]
    loader: DataLoader[Any] = DataLoader(
        Subset(tiles, own),
        batch_size=settings.batch_size,
        num_workers=settings.workers,
        collate_fn=collate_tiles,
        # Its own, although tiles need none: by default torch's global one is moved.
        generator=torch.Generator().manual_seed(config.seed),
    )
    return iter(loader)

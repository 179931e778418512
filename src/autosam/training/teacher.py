"""A teacher: a trained generator whose averaged maps another one learns to give in a single pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from autosam.config import Config, Flips, load_config
from autosam.errors import ConfigError
from autosam.models.files.model_file import load_networks
from autosam.models.files.zoo import resolve_model
from autosam.models.generator.unet import Generator

MIRRORED: dict[Flips, tuple[tuple[int, ...], ...]] = {
    False: ((),),
    "rotated": ((), (-2, -1)),
    True: ((), (-2,), (-1,), (-2, -1)),
}
"""Axes that are turned round in each of the mirror images, counted from the last one."""


@dataclass(frozen=True, eq=False)
class Teacher:
    """What gives the target maps of self-distillation [1]_.

    No module: its weights belong neither to the model that is trained nor to the checkpoint.

    Attributes
    ----------
    generator : Generator
        In evaluation mode.
    channels : tuple of int
        Which of its maps stand for those of the student, in the student's order.
    scales : tuple of float
        How many times larger than the student's tiles it sees them; its maps are averaged over them.
    flips : bool or "rotated"
        Whether they are also averaged over mirror images; see the setting ``decode.flips``.

    References
    ----------
    .. [1] Hinton et al. (2015), "Distilling the knowledge in a neural network".
    """

    generator: Generator
    channels: tuple[int, ...]
    scales: tuple[float, ...]
    flips: Flips

    @torch.no_grad()
    def maps(self, images: Tensor, *, mirrored: Sequence[int]) -> Tensor:
        """Predict target maps.

        Parameters
        ----------
        images : Tensor of float32, shape (B, 3, S, S)
            0 to 1; on the teacher's device, which it is moved to if need be.
        mirrored : sequence of int
            For every scale a number, 0 to 3, that says which mirror image is seen. Cross entropy is linear in its
            target, so that mirror images drawn anew for each batch teach their mean, for a quarter of the time.
            Without ``flips`` they are not read.

        Returns
        -------
        Tensor of float32, shape (B, C, S, S)
            Probabilities.
        """
        self.generator.to(images.device)
        size = images.shape[-1]
        total = images.new_zeros((), dtype=torch.float32)
        for scale, mirror in zip(self.scales, mirrored, strict=True):
            axes = MIRRORED[self.flips][mirror % len(MIRRORED[self.flips])]
            seen = images.flip(axes) if axes else images
            side = round(size * scale)
            if side != size:
                seen = F.interpolate(seen, (side, side), mode="bilinear", antialias=side < size)
            logits = self.generator(_filled(seen, self.generator), reduced=True)[..., :side, :side].float()
            maps = logits.sigmoid()[:, list(self.channels)]
            if side != size:
                maps = F.interpolate(maps, (size, size), mode="bilinear", antialias=side > size)
            total = total + (maps.flip(axes) if axes else maps) / len(self.scales)
        return total


def load_teacher(config: Config) -> Teacher | None:
    """Load the model that ``training.teacher`` names; None where it names none.

    Raises
    ------
    ConfigError
        If there is no generator to teach, the teacher's is SAM's image encoder, which takes tiles of one size, or
        it lacks one of the maps.
    ModelError
        If the model is missing or damaged.
    """
    name, student = config.training.teacher, config.model.generator
    if name is None:
        return None
    if student is None:
        raise ConfigError(
            f"training.teacher={name} teaches a generator, and model.generator is null; leave one of them out"
        )
    networks, header = load_networks(resolve_model(name))
    settings, generator = load_config(defaults=dict(header.settings)), networks.generator
    if not isinstance(generator, Generator):
        raise ConfigError(
            f"training.teacher={name} has {'SAM as its' if generator else 'no'} generator; name one with a UNet"
        )
    missing = [channel for channel in student.channels if channel not in generator.channels]
    if missing:
        raise ConfigError(
            f"training.teacher={name} has maps of {', '.join(generator.channels)}, wanted {', '.join(missing)} "
            "too; take them out of model.generator.channels, or name another model"
        )
    directed = {"affinity_row", "affinity_col"} & set(student.channels)
    decode = settings.decode
    if directed and (decode.flips or decode.zooms != (1.0,)):
        raise ConfigError(
            f"training.teacher={name} averages maps (decode.flips, decode.zooms), and "
            f"{', '.join(sorted(directed))} have a direction and a grid; take them out of model.generator.channels"
        )
    # The student's tiles are zoomed by its own images.zoom; the teacher's UNet sees images at its zoom, shrunk.
    own = settings.images.zoom / generator.downsample / config.images.zoom
    return Teacher(
        generator,
        tuple(generator.channels.index(channel) for channel in student.channels),
        tuple(own * zoom for zoom in decode.zooms),
        decode.flips,
    )


def _filled(images: Tensor, generator: Generator) -> Tensor:
    """Mirror images, (B, C, S, S), at their ends up to a multiple of what the UNet halves."""
    step = generator.stride // generator.downsample
    lacking = -images.shape[-1] % step
    if not lacking:
        return images
    # As often as need be: padding takes no more than an image has.
    index = torch.arange(images.shape[-1] + lacking) % (2 * images.shape[-1])
    index = torch.where(index < images.shape[-1], index, 2 * images.shape[-1] - 1 - index).to(images.device)
    return images[:, :, index][..., index]

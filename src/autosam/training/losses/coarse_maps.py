"""Deep supervision: the generator's maps at half and a quarter of the size, in training alone."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from autosam.models.generator.light_unet import LightUnet
from autosam.models.generator.unet import Generator
from autosam.training.losses.pixel_losses import MaskLoss

_STAGES = slice(-3, -1)
"""Of the decoder: those before the last one, which has the full size."""


class CoarseMaps(nn.Module):
    """A convolution for each of two stages of the generator's decoder, from features to logits.

    They start as zeros, so that nothing random changes where they are added.

    Parameters
    ----------
    generator : Generator
        Tells the channels of stages and maps; it is no part of this module.

    References
    ----------
    Lee et al., "Deeply-supervised nets", AISTATS 2015.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        assert isinstance(generator.unet, LightUnet)
        widths = generator.unet.decoder_channels[_STAGES]
        self.heads = nn.ModuleList(nn.Conv2d(width, len(generator.channels), 1) for width in widths)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, stages: Sequence[Tensor]) -> list[Tensor]:
        """Turn the outputs of all of the decoder's stages into logits of a quarter and half of the size."""
        return [head(features).float() for head, features in zip(self.heads, stages[_STAGES], strict=True)]


def coarse_loss(loss: MaskLoss, logits: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
    """Sum a loss over tiles, on maps that are smaller than the tiles.

    Parameters
    ----------
    logits : Tensor, shape (B, C, h, w)
    targets : Tensor, shape (B, C, H, W)
        Averaged over the pixels that a coarse pixel covers; H and W are multiples of h and w.
    weights : Tensor, shape (B, C, H, W), optional
        1 where a pixel of ``targets`` is known, 0 where it is not. A coarse pixel counts where all of its pixels
        are known.

    Returns
    -------
    Tensor, shape ()
    """
    size = targets.shape[-1] // logits.shape[-1]
    known = None if weights is None else -F.max_pool2d(-weights, size)
    found: Tensor = loss(logits, F.avg_pool2d(targets, size), known)
    return found.mean(dim=1).sum()

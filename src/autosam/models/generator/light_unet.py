"""The UNet on a ResNet or EfficientNet-Lite1, as segmentation-models-pytorch and timm build it, without either.

Both packages import every architecture that they know, and torchvision and torch's compiler with them: two seconds
for a network of a hundred lines. Here tensors have the same names, outputs the same bits, and the same seed gives
the same random weights, so that model files know no difference.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autosam.config import LITE1_ENCODER
from autosam.models.generator.efficientnet_encoder import EfficientNetEncoder
from autosam.models.generator.fused_convolution import convolve
from autosam.models.generator.resnet_encoder import BLOCKS, ResNetEncoder
from autosam.models.generator.staged_encoder import StagedEncoder

LIGHT_ENCODERS = (*BLOCKS, LITE1_ENCODER)
"""Encoders that are built here, by their names in segmentation-models-pytorch."""


class LightUnet(nn.Module):
    """A UNet, the same as ``smp.Unet`` with these settings.

    Parameters
    ----------
    encoder : str
        One of `LIGHT_ENCODERS`.
    depth : int
        Stages of the encoder, 1 to 5.
    decoder_channels : sequence of int
        Channels of the decoder's stages, deepest first; one for each stage.
    classes : int
        Output channels.

    References
    ----------
    Ronneberger et al., "U-Net: Convolutional networks for biomedical image segmentation", MICCAI 2015;
    ``segmentation_models_pytorch.decoders.unet``.
    """

    def __init__(self, encoder: str, *, depth: int, decoder_channels: Sequence[int], classes: int) -> None:
        super().__init__()
        self.encoder: StagedEncoder = (
            EfficientNetEncoder(depth) if encoder == LITE1_ENCODER else ResNetEncoder(BLOCKS[encoder], depth)
        )
        self.decoder_channels = tuple(decoder_channels)
        self.decoder = _UnetDecoder(self.encoder.out_channels, decoder_channels)
        self.segmentation_head = nn.Sequential(nn.Conv2d(decoder_channels[-1], classes, 3, padding=1))
        for convolution in _convolutions(self.decoder):
            nn.init.kaiming_uniform_(convolution.weight, mode="fan_in", nonlinearity="relu")
        for convolution in _convolutions(self.segmentation_head):
            nn.init.xavier_uniform_(convolution.weight)
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)

    def forward(self, image: Tensor, *, kept: list[Tensor] | None = None) -> Tensor:
        """Turn images (B, 3, H, W), H and W of any size, into logits (B, classes, H, W).

        Parameters
        ----------
        kept : list, optional
            Is given the outputs of the decoder's stages, the deepest first.
        """
        logits: Tensor = self.segmentation_head(self.decoder(self.encoder(image), kept))
        return logits


class _UnetDecoder(nn.Module):
    """Stages that double the size of their input and join it with the encoder's features of that size."""

    def __init__(self, encoder_channels: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        deepest, *skips = encoder_channels[:0:-1]
        before = (deepest, *channels[:-1])
        self.blocks = nn.ModuleList(
            _UpBlock(own + skip, width) for own, skip, width in zip(before, (*skips, 0), channels, strict=True)
        )

    def forward(self, features: list[Tensor], kept: list[Tensor] | None = None) -> Tensor:
        # Of the large tensors only those that are still read are held, so `features` is emptied.
        x = features.pop()
        for block in self.blocks:
            beside = features.pop()
            x = _enlarged(x, beside.shape[2:])
            # The image itself only tells the size.
            if features:
                x = torch.cat([x, beside], dim=1)
            del beside
            for convolution in block.children():
                for layer in convolution.children():
                    x = layer(x)
            if kept is not None:
                kept.append(x)
        return x


class _UpBlock(nn.Sequential):
    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.add_module("conv1", _convolution(before, width))
        self.add_module("conv2", _convolution(width, width))

    def forward(self, x: Tensor) -> Tensor:
        for convolution, normalization, *_ in (layers.children() for layers in self):
            x = convolve(x, convolution, normalization)
        return x


def _convolution(before: int, width: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, width, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True))


def _enlarged(x: Tensor, size: Sequence[int]) -> Tensor:
    """Give each pixel to the nearest ones of a larger image."""
    doubled = tuple(size) == (2 * x.shape[2], 2 * x.shape[3])
    if doubled and x.requires_grad and torch.is_grad_enabled():
        twice: Tensor = _Double.apply(x)
        return twice
    return F.interpolate(x, size=tuple(size), mode="nearest")


class _Double(torch.autograd.Function):
    """Nearest pixels at twice the size, with a gradient that a CPU sums up faster in channels-last memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="nearest")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return F.avg_pool2d(gradient, 2, divisor_override=1)


def _convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]

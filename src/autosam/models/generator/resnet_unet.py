"""The UNet on a plain ResNet, as segmentation-models-pytorch and timm build it, without importing either.

Both packages import every architecture that they know, and torchvision and torch's compiler with them: two seconds
for a network of a hundred lines. Here tensors have the same names, outputs the same bits, and the same seed gives
the same random weights, so that model files know no difference.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autosam.models.generator.fused_convolution import convolve

BLOCKS = {"tu-resnet18": (2, 2, 2, 2), "tu-resnet34": (3, 4, 6, 3)}
"""Encoders that are built here, by their names in segmentation-models-pytorch: blocks in each of four stages."""

_WIDTHS = (64, 128, 256, 512)
_CLASSES = 1000


class ResNetUnet(nn.Module):
    """A UNet whose encoder is ResNet-18 or ResNet-34; the same as ``smp.Unet`` with these settings.

    Parameters
    ----------
    encoder : str
        A key of `BLOCKS`.
    depth : int
        Stages of the encoder, 1 to 5.
    decoder_channels : sequence of int
        Channels of the decoder's stages, deepest first; one for each stage.
    classes : int
        Output channels.

    References
    ----------
    He et al., "Deep residual learning for image recognition", CVPR 2016; ``timm.models.resnet``, and
    ``segmentation_models_pytorch.decoders.unet``.
    """

    def __init__(self, encoder: str, *, depth: int, decoder_channels: Sequence[int], classes: int) -> None:
        super().__init__()
        if not 1 <= depth <= len(_WIDTHS) + 1:
            raise ValueError(f"depth is {depth}; wanted 1 to {len(_WIDTHS) + 1}")
        self.encoder = ResNetEncoder(BLOCKS[encoder], depth)
        self.decoder = _UnetDecoder(self.encoder.out_channels, decoder_channels)
        self.segmentation_head = nn.Sequential(nn.Conv2d(decoder_channels[-1], classes, 3, padding=1))
        for convolution in _convolutions(self.decoder):
            nn.init.kaiming_uniform_(convolution.weight, mode="fan_in", nonlinearity="relu")
        for convolution in _convolutions(self.segmentation_head):
            nn.init.xavier_uniform_(convolution.weight)
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Turn images (B, 3, H, W), H and W of any size, into logits (B, classes, H, W)."""
        logits: Tensor = self.segmentation_head(self.decoder(self.encoder(image)))
        return logits


class ResNetEncoder(nn.Module):
    """The image and the outputs of the first stages of a ResNet.

    Attributes
    ----------
    out_channels : tuple of int
        Channels of each output, those of the image first.
    """

    def __init__(self, blocks: Sequence[int], depth: int) -> None:
        super().__init__()
        self.out_channels = (3, _WIDTHS[0], *_WIDTHS)[: depth + 1]
        self.model = nn.Sequential()
        self.model.add_module("conv1", nn.Conv2d(3, _WIDTHS[0], 7, stride=2, padding=3, bias=False))
        self.model.add_module("bn1", nn.BatchNorm2d(_WIDTHS[0]))
        before = _WIDTHS[0]
        for number, (width, count) in enumerate(zip(_WIDTHS, blocks, strict=True), start=1):
            stage = [_ResidualBlock(before, width, 1 if number == 1 else 2)]
            stage += [_ResidualBlock(width, width, 1) for _ in range(count - 1)]
            self.model.add_module(f"layer{number}", nn.Sequential(*stage))
            before = width
        # timm draws weights for the stages and the classifier that are left out, too.
        nn.Linear(before, _CLASSES)
        for convolution in _convolutions(self.model):
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        for number in range(depth, len(_WIDTHS) + 1):
            delattr(self.model, f"layer{number}")

    def forward(self, image: Tensor) -> list[Tensor]:
        """Give the image (B, 3, H, W) and features of stride 2, 4, 8 ..."""
        layer = self.model.get_submodule
        features = [image, convolve(image, layer("conv1"), layer("bn1"))]
        for number in range(1, len(self.out_channels) - 1):
            before = features[-1] if number > 1 else F.max_pool2d(features[-1], 3, stride=2, padding=1)
            features.append(layer(f"layer{number}")(before))
        return features


class _ResidualBlock(nn.Module):
    """Two convolutions and a shortcut around them."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        shortcut = None
        if stride > 1 or before != width:
            shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut
        # A new block is the identity: it learns better so.
        nn.init.zeros_(self.bn2.weight)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = (
            x if self.downsample is None else convolve(x, self.downsample[0], self.downsample[1], relu=False)
        )
        x = convolve(x, self.conv1, self.bn1)
        return convolve(x, self.conv2, self.bn2, plus=shortcut)


class _UnetDecoder(nn.Module):
    """Stages that double the size of their input and join it with the encoder's features of that size."""

    def __init__(self, encoder_channels: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        deepest, *skips = encoder_channels[:0:-1]
        before = (deepest, *channels[:-1])
        self.blocks = nn.ModuleList(
            _UpBlock(own + skip, width) for own, skip, width in zip(before, (*skips, 0), channels, strict=True)
        )

    def forward(self, features: list[Tensor]) -> Tensor:
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

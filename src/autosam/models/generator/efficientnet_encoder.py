"""EfficientNet-Lite1 as timm builds it with TensorFlow's padding, ``tf_efficientnet_lite1``."""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from autosam.models.generator.depthwise import DepthwiseConv2d
from autosam.models.generator.fused_convolution import convolve
from autosam.models.generator.staged_encoder import StagedEncoder

_STEM = 32
_EXPANSION = 6
# Blocks, side of the depthwise kernel, stride and width of each group of blocks.
_GROUPS = (
    (1, 3, 1, 16),
    (3, 3, 2, 24),
    (3, 5, 2, 40),
    (4, 3, 2, 80),
    (4, 5, 1, 112),
    (5, 5, 2, 192),
    (1, 3, 1, 320),
)
# Which of these groups each stage has, after the stem in the first.
_STAGES = ((0,), (1,), (2,), (3, 4), (5, 6))
_EPSILON = 1e-3


class EfficientNetEncoder(StagedEncoder):
    """The image and the outputs of the first stages of EfficientNet-Lite1.

    Tensors have the names, outputs the bits and random weights the values that
    ``segmentation_models_pytorch`` gives. Groups of blocks after the last stage are left out; that package keeps
    and runs them.

    Parameters
    ----------
    depth : int
        Stages, 1 to 5.

    References
    ----------
    Tan and Le, "EfficientNet: Rethinking model scaling for convolutional neural networks", ICML 2019; its Lite
    variants have no squeeze-and-excitation, and ReLU6. ``timm.models.efficientnet``.
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        if not 1 <= depth <= len(_STAGES):
            raise ValueError(f"depth is {depth}; wanted 1 to {len(_STAGES)}")
        self.out_channels = (3, *(_GROUPS[stage[-1]][3] for stage in _STAGES[:depth]))
        self.model = nn.Module()
        self.model.conv_stem = nn.Conv2d(3, _STEM, 3, stride=2, bias=False)
        self.model.bn1 = _normalization(_STEM)
        # timm draws weights here for a layer that it only tries.
        for _ in range(2):
            nn.Conv2d(8, 8, 1)
        groups, before = nn.Sequential(), _STEM
        for number, (count, side, stride, width) in enumerate(_GROUPS):
            blocks = nn.Sequential()
            for index in range(count):
                kind = _SeparableBlock if number == 0 else _InvertedBlock
                blocks.append(kind(before, width, side=side, stride=stride if index == 0 else 1))
                before = width
            groups.append(blocks)
        self.model.blocks = groups
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                fan_out = layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels // layer.groups
                nn.init.normal_(layer.weight, 0, math.sqrt(2 / fan_out))
        kept = _STAGES[depth - 1][-1] + 1
        # Their weights were drawn, as timm draws them.
        del groups[kept:]
        self.left_out = tuple(f"model.blocks.{number}." for number in range(kept, len(_GROUPS)))

    def stage_layers(self, number: int) -> Sequence[nn.Module]:
        """Give the layers of a stage; the first has number 1, stride 2 and the stem."""
        layer = self.model.get_submodule
        stem = [layer("conv_stem"), layer("bn1")] if number == 1 else []
        return [*stem, *(layer(f"blocks.{group}") for group in _STAGES[number - 1])]

    def run_stage(self, number: int, x: Tensor) -> Tensor:
        """Turn the output of the stage before, or the image, into that of stage ``number``."""
        layers = list(self.stage_layers(number))
        if number == 1:
            stem, normalization, *layers = layers
            x = convolve(_padded(x, stem), stem, normalization, activation="relu6")
        for group in layers:
            x = group(x)
        return x


class _SeparableBlock(nn.Module):
    """A depthwise convolution and one over channels."""

    def __init__(self, before: int, width: int, *, side: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = _depthwise(before, side, stride)
        self.bn1 = _normalization(before)
        self.conv_pw = nn.Conv2d(before, width, 1, bias=False)
        self.bn2 = _normalization(width)

    def forward(self, x: Tensor) -> Tensor:
        x = convolve(_padded(x, self.conv_dw), self.conv_dw, self.bn1, activation="relu6")
        return convolve(x, self.conv_pw, self.bn2, activation=None)


class _InvertedBlock(nn.Module):
    """Six times as many channels, a depthwise convolution, and back; a shortcut where the shape stays."""

    def __init__(self, before: int, width: int, *, side: int, stride: int) -> None:
        super().__init__()
        wide = before * _EXPANSION
        self.conv_pw = nn.Conv2d(before, wide, 1, bias=False)
        self.bn1 = _normalization(wide)
        self.conv_dw = _depthwise(wide, side, stride)
        self.bn2 = _normalization(wide)
        self.conv_pwl = nn.Conv2d(wide, width, 1, bias=False)
        self.bn3 = _normalization(width)
        self._has_shortcut = stride == 1 and before == width

    def forward(self, x: Tensor) -> Tensor:
        wide = convolve(x, self.conv_pw, self.bn1, activation="relu6")
        wide = convolve(_padded(wide, self.conv_dw), self.conv_dw, self.bn2, activation="relu6")
        shortcut = x if self._has_shortcut else None
        return convolve(wide, self.conv_pwl, self.bn3, plus=shortcut, activation=None)


def _depthwise(channels: int, side: int, stride: int) -> nn.Conv2d:
    """Build a convolution of each channel; `_padded` has padded its input where the stride is 2."""
    return DepthwiseConv2d(channels, side, stride=stride, padding=0 if stride > 1 else side // 2)


def _padded(x: Tensor, convolution: Any) -> Tensor:
    """Add TensorFlow's padding where it differs between sides: the odd pixel lies below and on the right."""
    stride, side = convolution.stride[0], convolution.kernel_size[0]
    if stride == 1:
        return x
    pads = []
    for size in x.shape[:1:-1]:
        whole = max((math.ceil(size / stride) - 1) * stride + side - size, 0)
        pads += [whole // 2, whole - whole // 2]
    return F.pad(x, pads)


def _normalization(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=_EPSILON)

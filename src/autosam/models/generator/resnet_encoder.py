"""The encoder of a plain ResNet, as timm builds it."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from autosam.models.generator.fused_convolution import convolve
from autosam.models.generator.staged_encoder import StagedEncoder

BLOCKS = {"tu-resnet18": (2, 2, 2, 2), "tu-resnet34": (3, 4, 6, 3)}
"""Blocks in each group of ResNet-18 and ResNet-34, by their names in segmentation-models-pytorch."""

_WIDTHS = (64, 128, 256, 512)
_CLASSES = 1000


class ResNetEncoder(StagedEncoder):
    """The image and the outputs of the first stages of a ResNet.

    Parameters
    ----------
    blocks : sequence of int
        Blocks in each of four groups.
    depth : int
        Stages, 1 to 5: the first convolution, and the groups of blocks.

    References
    ----------
    He et al., "Deep residual learning for image recognition", CVPR 2016; ``timm.models.resnet``.
    """

    def __init__(self, blocks: Sequence[int], depth: int) -> None:
        super().__init__()
        if not 1 <= depth <= len(_WIDTHS) + 1:
            raise ValueError(f"depth is {depth}; wanted 1 to {len(_WIDTHS) + 1}")
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

    def stage_layers(self, number: int) -> Sequence[nn.Module]:
        """Give the layers of a stage; the first has number 1 and stride 2."""
        names = ("conv1", "bn1") if number == 1 else (f"layer{number - 1}",)
        return [self.model.get_submodule(name) for name in names]

    def run_stage(self, number: int, x: Tensor) -> Tensor:
        """Turn the output of the stage before, or the image, into that of stage ``number``."""
        layers = self.stage_layers(number)
        if number == 1:
            return convolve(x, *layers)
        if number == 2:
            x = F.max_pool2d(x, 3, stride=2, padding=1)
        result: Tensor = layers[0](x)
        return result


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
            x if self.downsample is None else convolve(x, self.downsample[0], self.downsample[1], activation=None)
        )
        x = convolve(x, self.conv1, self.bn1)
        return convolve(x, self.conv2, self.bn2, plus=shortcut)


def _convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]

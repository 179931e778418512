"""The prompt generator on SAM's own image encoder: a U-shaped decoder in the place of prompts and mask decoder."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn

from autosam.errors import ModelError
from autosam.models.generator.unet import check_channels
from autosam.models.sam.encoder import encode_tokens
from autosam.models.variants import PATCH, PIXEL_STATISTICS, Preprocessing

_STAGES = 4


class SamGenerator(nn.Module):
    """SAM's image encoder and a convolutional decoder that sees several of its blocks, as in UNETR.

    The encoder's output, a token for 16 × 16 pixels, is doubled in size four times. The first three stages join
    the tokens of three blocks, the deepest first; the last one joins a convolution of the image itself.

    Parameters
    ----------
    image_encoder : ImageEncoderViT
        Becomes a part of this module; it is not copied.
    channels : sequence of {"foreground", "boundary", "center", "affinity_row", "affinity_col"}
        Maps to predict, in this order; at least one, none twice.
    decoder_channels : sequence of int
        Channels of the decoder's four stages, deepest first.
    skips : sequence of int, optional
        Three rising numbers of blocks, from 0, whose tokens the decoder sees. None takes those at a quarter, a
        half and three quarters of the depth: of the published variants, blocks with global attention.
    preprocessing : {"sam", "unit"}
        What the image encoder gets; see `PIXEL_STATISTICS`.

    Raises
    ------
    ModelError
        If a channel is unknown, the decoder has not four stages, or the encoder has no such blocks.

    References
    ----------
    Hatamizadeh et al., UNETR: Transformers for 3D Medical Image Segmentation, WACV 2022: the decoder. EM-SAM is
    the architecture's use with SAM's encoder, for electron microscopy.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        image_encoder: ImageEncoderViT,
        *,
        channels: Sequence[str],
        decoder_channels: Sequence[int],
        skips: Sequence[int] | None,
        preprocessing: Preprocessing = "sam",
    ) -> None:
        super().__init__()
        check_channels(channels)
        if len(decoder_channels) != _STAGES or min(decoder_channels) < 1:
            raise ModelError(
                f"decoder_channels is {list(decoder_channels)}; on SAM's encoder the generator has {_STAGES} "
                "decoder stages: give a number above 0 for each"
            )
        self.channels = tuple(channels)
        self.stride = PATCH
        self.downsample = 1
        self.checkpointed = False
        self.skips = _skips(skips, depth=len(image_encoder.blocks))
        self.image_encoder = image_encoder
        projection = image_encoder.neck[0]
        self.decoder = _Decoder(
            tokens=projection.in_channels,
            bottleneck=projection.out_channels,
            widths=tuple(decoder_channels),
            maps=len(channels),
        )
        mean, deviation = PIXEL_STATISTICS[preprocessing]
        self.register_buffer("pixel_mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(deviation).view(3, 1, 1), persistent=False)

    @property
    def tile_size(self) -> int:
        """Side of the square input in pixels, the only one that the encoder takes."""
        return int(self.image_encoder.img_size)

    @property
    def deepest(self) -> nn.Module:
        """The layers whose output is the deepest feature map: those that end SAM's encoder."""
        neck: nn.Module = self.image_encoder.neck
        return neck

    @property
    def deepest_channels(self) -> int:
        """Channels of the deepest feature map."""
        return int(self.image_encoder.neck[0].out_channels)

    def forward(self, image: Tensor) -> Tensor:
        """Turn images (B, 3, S, S) of 0 to 1, where S is ``tile_size``, into logits (B, channels, S, S)."""
        pixels = self._seen(image)
        features, skipped = encode_tokens(
            self.image_encoder, pixels, keep=self.skips, checkpointed=self.checkpointed and self.training
        )
        logits: Tensor = self.decoder(features, skipped[::-1], pixels)
        return logits

    def deepest_features(self, image: Tensor) -> Tensor:
        """Give the encoder's output, (B, C, h, w), for what `forward` takes; the decoder does not run."""
        return encode_tokens(self.image_encoder, self._seen(image))[0]

    def _seen(self, image: Tensor) -> Tensor:
        # A position embedding of another size would be broadcast for a single token, not refused.
        assert image.shape[-2:] == (self.tile_size, self.tile_size), tuple(image.shape)
        return (255 * image - self.pixel_mean) / self.pixel_std


class _Decoder(nn.Module):
    """From the tokens to maps at full resolution; widths are those of the stages, deepest first."""

    def __init__(self, *, tokens: int, bottleneck: int, widths: tuple[int, ...], maps: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(_Stage(before, after) for before, after in pairwise((bottleneck, *widths)))
        # The skip of stage i is doubled in size i + 1 times, in the widths of the stages on the way.
        self.skips = nn.ModuleList(
            nn.Sequential(*(_doubling(before, after) for before, after in pairwise((tokens, *widths[:stage]))))
            for stage in range(1, _STAGES)
        )
        self.stem = _convolution(3, widths[-1])
        self.head = nn.Conv2d(widths[-1], maps, kernel_size=3, padding=1)
        # torch's own start is a third of this; from it the maps learn many times slower.
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, bottleneck: Tensor, skipped: Sequence[Tensor], pixels: Tensor) -> Tensor:
        """Turn (B, C, h, w), three token maps of that size and (B, 3, 16 h, 16 w) pixels into logits."""
        joined = [skip(tokens) for skip, tokens in zip(self.skips, skipped, strict=True)]
        features = bottleneck
        for stage, other in zip(self.stages, [*joined, self.stem(pixels)], strict=True):
            features = stage(features, other)
        logits: Tensor = self.head(features)
        return logits


class _Stage(nn.Module):
    """Double the size, join a skip of the new width, and two convolutions."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(before, after, kernel_size=2, stride=2)
        self.convolutions = nn.Sequential(_convolution(2 * after, after), _convolution(after, after))

    def forward(self, features: Tensor, other: Tensor) -> Tensor:
        joined: Tensor = self.convolutions(torch.cat([self.up(features), other], dim=1))
        return joined


def _convolution(before: int, after: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def _doubling(before: int, after: int) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(before, after, kernel_size=2, stride=2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def _skips(skips: Sequence[int] | None, *, depth: int) -> tuple[int, ...]:
    blocks = [depth * quarter // 4 - 1 for quarter in (1, 2, 3)] if skips is None else list(skips)
    if len(blocks) != _STAGES - 1 or blocks != sorted(set(blocks)) or blocks[0] < 0 or blocks[-1] >= depth:
        raise ModelError(
            f"the skips are blocks {blocks}; wanted three rising numbers of 0 to {depth - 1}, as the encoder has "
            f"{depth} blocks"
        )
    return tuple(blocks)

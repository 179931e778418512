"""The prompt generator: a UNet that turns an image into maps of foreground, boundary, centers and affinities."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from autosam.errors import ModelError
from autosam.models.generator.light_unet import LIGHT_ENCODERS, LightUnet
from autosam.models.generator.staged_encoder import StagedEncoder

Channel = Literal["foreground", "boundary", "center", "affinity_row", "affinity_col"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)


def check_channels(channels: Sequence[str]) -> None:
    """Refuse no channels, unknown ones, and one named twice."""
    if not channels or len(set(channels)) < len(channels) or not set(channels) <= set(CHANNELS):
        raise ModelError(
            f"the generator's channels are {list(channels)}; name one or more of {', '.join(CHANNELS)}, each once"
        )


class Generator(nn.Module):
    """A segmentation-models-pytorch UNet whose output channels have names.

    Its ``tile_size`` is None: it takes tiles of any size.

    Parameters
    ----------
    encoder : str
        Any encoder name of segmentation-models-pytorch, such as ``resnet18``.
    channels : sequence of {"foreground", "boundary", "center", "affinity_row", "affinity_col"}
        Maps to predict, in this order; at least one, none twice.
    depth : int
        Down-sampling stages, 3 to 5.
    decoder_channels : sequence of int
        Channels of the decoder's stages, deepest first; one for each stage.
    downsample : int
        The UNet sees the image that many times smaller, and its logits are brought back bilinearly. This is for
        images that are zoomed for SAM's coarse masks alone. The input's sides must be multiples of ``stride``,
        which is this times 2 to the power of ``depth``.

    Raises
    ------
    ModelError
        If an encoder or a channel is unknown, or the stages do not fit the depth.
    """

    def __init__(
        self,
        *,
        encoder: str,
        channels: Sequence[str],
        depth: int,
        decoder_channels: Sequence[int],
        downsample: int = 1,
    ) -> None:
        super().__init__()
        if downsample < 1:
            raise ModelError(f"downsample is {downsample}; the image is seen 1 or more times smaller")
        check_channels(channels)
        if len(decoder_channels) != depth:
            raise ModelError(
                f"the generator has depth {depth} and {len(decoder_channels)} decoder stages; "
                "give one entry of decoder_channels for each stage"
            )
        self.channels = tuple(channels)
        self.stride = 2**depth * downsample
        self.downsample = downsample
        self.tile_size: int | None = None
        try:
            self.unet = _build_unet(encoder, depth, tuple(decoder_channels), len(channels))
        # smp looks a name up in its own table, timm (names that begin with tu-) raises a RuntimeError.
        except (KeyError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:120]
            raise ModelError(
                f"no generator can be built on encoder {encoder!r} with depth {depth} ({reason}); "
                "segmentation_models_pytorch.encoders.get_encoder_names() lists encoders"
            ) from error

    @property
    def deepest(self) -> nn.Module:
        """The layers whose last output is the deepest feature map."""
        encoder: nn.Module = self.unet.encoder
        return encoder

    @property
    def deepest_channels(self) -> int:
        """Channels of the deepest feature map."""
        return int(self.unet.encoder.out_channels[-1])

    @property
    def left_out(self) -> tuple[str, ...]:
        """How names of tensors begin that segmentation-models-pytorch would have, and no map needs."""
        encoder = self.unet.encoder
        return tuple(f"unet.encoder.{name}" for name in getattr(encoder, "left_out", ()))

    def freeze_stages(self, count: int) -> None:
        """Take the encoder's first stages out of training; the encoder is one of `LIGHT_ENCODERS`."""
        encoder = self.unet.encoder
        assert isinstance(encoder, StagedEncoder), type(encoder)
        encoder.freeze(count)

    def forward(self, image: Tensor, *, reduced: bool = False) -> Tensor:
        """Turn images (B, 3, H, W) of 0 to 1 into logits (B, channels, H, W).

        H and W are multiples of ``stride``.

        Parameters
        ----------
        reduced : bool
            The image is as small as the UNet sees it already, H and W multiples of ``stride / downsample``.
            Shrinking an image that was zoomed for SAM would blur it.
        """
        logits: Tensor = self.unet(self._seen(image, reduced))
        if self.downsample == 1 or reduced:
            return logits
        return F.interpolate(logits, scale_factor=self.downsample, mode="bilinear")

    def logits_and_stages(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Give what `forward` gives, and what it is made from: the outputs of the decoder's stages.

        Returns
        -------
        logits : Tensor, shape (B, channels, H, W)
        stages : list of Tensor
            The deepest first, each twice as large as the one before; the encoder is one of `LIGHT_ENCODERS`.
        """
        assert isinstance(self.unet, LightUnet), type(self.unet)
        stages: list[Tensor] = []
        logits = self.unet(self._seen(image, False), kept=stages)
        if self.downsample > 1:
            logits = F.interpolate(logits, scale_factor=self.downsample, mode="bilinear")
        return logits, stages

    def deepest_features(self, image: Tensor, *, reduced: bool = False) -> Tensor:
        """Give the deepest feature map, (B, C, h, w), of what `forward` takes; no layer after it runs."""
        features: Tensor = self.unet.encoder(self._seen(image, reduced))[-1]
        return features

    def _seen(self, image: Tensor, reduced: bool) -> Tensor:
        # Zero-centered input of about unit spread, as the encoders' first normalization layers expect.
        image = (image - 0.5) / 0.25
        return image if self.downsample == 1 or reduced else F.avg_pool2d(image, self.downsample)


def _build_unet(encoder: str, depth: int, decoder_channels: tuple[int, ...], classes: int) -> Any:
    """Build the UNet with random weights, without the slow import where that can be."""
    if encoder in LIGHT_ENCODERS:
        return LightUnet(encoder, depth=depth, decoder_channels=decoder_channels, classes=classes)
    import segmentation_models_pytorch as smp

    return smp.Unet(
        encoder_name=encoder,
        encoder_depth=depth,
        encoder_weights=None,
        decoder_channels=decoder_channels,
        in_channels=3,
        classes=classes,
    )

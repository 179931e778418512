"""Bottleneck adapters in the blocks of SAM's image encoder, after Medical SAM Adapter.

An adapted block holds the parts of the block that it replaces under their own names. So the encoder's state dict
keeps every key and gains those of the adapters.
"""

from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.image_encoder import Block, window_partition, window_unpartition
from torch import Tensor, nn

from autosam.errors import ModelError

_MLP_SCALE = 0.5


class Adapter(nn.Module):
    """A bottleneck of ``hidden`` channels with a GELU; its output is zero until the first training step."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, hidden)
        self.activation = nn.GELU()
        self.up = nn.Linear(hidden, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Give the correction of (..., width) tokens, of the same shape; the caller adds it."""
        correction: Tensor = self.up(self.activation(self.down(tokens)))
        return correction


class AdaptedBlock(nn.Module):
    """A block of SAM's image encoder with one adapter behind the attention and one beside the MLP.

    The parts of the given block are taken over, not copied.
    """

    def __init__(self, block: Block, hidden: int) -> None:
        super().__init__()
        self.norm1 = block.norm1
        self.attn = block.attn
        self.norm2 = block.norm2
        self.mlp = block.mlp
        self.window_size = int(block.window_size)
        weight: Tensor = block.norm1.weight
        self.attention_adapter = Adapter(weight.numel(), hidden).to(weight)
        self.mlp_adapter = Adapter(weight.numel(), hidden).to(weight)
        self.train(block.training)

    def forward(self, tokens: Tensor) -> Tensor:
        """Turn (B, h, w, C) tokens into tokens of the same shape."""
        attended = self._attention(self.norm1(tokens))
        # The adapter sees one token at a time: the result is the same outside the windows, without their padding.
        tokens = tokens + (attended + self.attention_adapter(attended))
        normalized = self.norm2(tokens)
        tokens = tokens + self.mlp(normalized) + _MLP_SCALE * self.mlp_adapter(normalized)
        return tokens

    def _attention(self, tokens: Tensor) -> Tensor:
        windows, padded = tokens, (0, 0)
        if self.window_size:
            windows, padded = window_partition(tokens, self.window_size)
        attended: Tensor = self.attn(windows)
        if self.window_size:
            attended = window_unpartition(attended, self.window_size, padded, tuple(tokens.shape[1:3]))
        return attended


def add_adapters(image_encoder: ImageEncoderViT, *, ratio: float) -> None:
    """Put two trainable bottleneck adapters into every block of an image encoder, in place.

    Each block adds `up(gelu(down(x)))` to the output of its attention, and 0.5 times the same of its normalized
    input to the output of its MLP. The up-projections start at zero, so the output is unchanged until the first
    training step. The down-projections are drawn from torch's global generator. The caller freezes the rest.

    Parameters
    ----------
    ratio : float
        Channels of a bottleneck as a fraction of the tokens' channels, in (0, 1]; rounded down.

    Raises
    ------
    ModelError
        If the ratio is out of range or leaves no channel, or the encoder already has adapters.

    References
    ----------
    Wu et al., Medical SAM Adapter: Adapting Segment Anything Model for Medical Image Segmentation, 2023. The
    activation and the scale are those of its reference implementation; the zero start is Houlsby et al.'s,
    Parameter-Efficient Transfer Learning for NLP, ICML 2019, made exact.
    """
    if not 0 < ratio <= 1:
        raise ModelError(f"the adapter ratio is {ratio}, wanted a number above 0, up to 1: such as 0.25")
    if adapter_layers(image_encoder):
        raise ModelError("the encoder already has adapters: build it anew, with its base weights, to add others")
    width = int(image_encoder.blocks[0].norm1.weight.numel())
    hidden = int(width * ratio)
    if hidden < 1:
        raise ModelError(
            f"the adapter ratio is {ratio}, which leaves no channel of {width}: wanted at least {1 / width:.3g}"
        )
    for index, block in enumerate(image_encoder.blocks):
        image_encoder.blocks[index] = AdaptedBlock(block, hidden)


def adapter_layers(image_encoder: ImageEncoderViT) -> dict[str, Adapter]:
    """Give the adapters by name, in the order of the blocks; empty without any."""
    return {name: layer for name, layer in image_encoder.named_modules() if isinstance(layer, Adapter)}

"""Bottleneck adapters in the blocks of SAM's image encoder, after Medical SAM Adapter.

An adapted block holds the parts of the block that it replaces under their own names, so the encoder keeps every
key of its state dict and gains the adapters' beside them. Base weights are loaded before `add_adapters`.
"""

from collections.abc import Mapping

from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.image_encoder import Block, window_partition, window_unpartition
from torch import Tensor, nn

from autosam.errors import ModelError
from autosam.models.files.strict import copy_tensors

_MLP_SCALE = 0.5


class Adapter(nn.Module):
    """A bottleneck: down-projection, GELU, up-projection; zero until the first training step.

    Parameters
    ----------
    width : int
        Channels of the tokens.
    hidden : int
        Channels of the bottleneck.
    """

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

    Parameters
    ----------
    block : segment_anything.modeling.image_encoder.Block
        The block to adapt. Its parts are taken over, not copied.
    hidden : int
        Channels of the adapters' bottlenecks.
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
        # The adapter sees one token at a time: outside the windows it is the same, without their padding.
        tokens = tokens + (attended + self.attention_adapter(attended))
        normalized = self.norm2(tokens)
        tokens = tokens + self.mlp(normalized) + _MLP_SCALE * self.mlp_adapter(normalized)
        return tokens

    def _attention(self, tokens: Tensor) -> Tensor:
        attended: Tensor
        if self.window_size == 0:
            attended = self.attn(tokens)
        else:
            windows, padded = window_partition(tokens, self.window_size)
            attended = window_unpartition(self.attn(windows), self.window_size, padded, tuple(tokens.shape[1:3]))
        return attended


def add_adapters(image_encoder: ImageEncoderViT, *, ratio: float) -> None:
    """Put two trainable bottleneck adapters into every block of an image encoder, in place.

    Each block adds `up(gelu(down(x)))` to the output of its attention, and 0.5 times the same of its normalized
    input to the output of its MLP. The up-projections start at zero, so the output is unchanged until the first
    training step; the down-projections are drawn from torch's global generator. The rest of the encoder is left
    as it is: freezing it is the caller's decision.

    Parameters
    ----------
    image_encoder : segment_anything.modeling.ImageEncoderViT
        With its base weights loaded.
    ratio : float
        Channels of a bottleneck beside the tokens', in (0, 1]; rounded down to whole channels.

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


def adapter_state_dict(image_encoder: ImageEncoderViT) -> dict[str, Tensor]:
    """Give the adapters alone: no base weight is in it.

    Parameters
    ----------
    image_encoder : segment_anything.modeling.ImageEncoderViT
        An encoder that `add_adapters` has been applied to.

    Returns
    -------
    dict of str to torch.Tensor
        `blocks.<i>.<place>.<part>` for the places attention_adapter and mlp_adapter and the parts down.weight,
        shape (hidden, C), down.bias, (hidden,), up.weight, (C, hidden), and up.bias, (C,): detached, sharing
        the encoder's memory; empty without adapters.
    """
    return {
        f"{name}.{part}": parameter.detach()
        for name, layer in adapter_layers(image_encoder).items()
        for part, parameter in layer.named_parameters()
    }


def load_adapter_state_dict(image_encoder: ImageEncoderViT, tensors: Mapping[str, Tensor]) -> None:
    """Copy saved adapters into an encoder with adapters of the same shape; nothing is changed on an error.

    Parameters
    ----------
    image_encoder : segment_anything.modeling.ImageEncoderViT
        An encoder that `add_adapters` has been applied to, with the ratio of the saved adapters.
    tensors : mapping of str to torch.Tensor
        As `adapter_state_dict` gives it.

    Raises
    ------
    ModelError
        If a tensor is missing, unknown or of another shape.
    """
    copy_tensors(
        adapter_state_dict(image_encoder),
        tensors,
        what="adapters",
        wants="the encoder",
        names="build it with adapters and the variant that they were trained with",
        shapes="build it with the ratio and the variant that they were trained with",
    )


def adapter_layers(image_encoder: ImageEncoderViT) -> dict[str, Adapter]:
    """Give the adapters by name, in the order of the blocks; empty without any.

    Parameters
    ----------
    image_encoder : segment_anything.modeling.ImageEncoderViT
        Any image encoder.

    Returns
    -------
    dict of str to Adapter
        `blocks.<i>.attention_adapter` and `blocks.<i>.mlp_adapter` and their layers.
    """
    return {name: layer for name, layer in image_encoder.named_modules() if isinstance(layer, Adapter)}

"""The sizes of SAM: the three published ones and `tiny`, made of the segment-anything package's classes.

Only the attention of the image encoder is computed in another way, for the same result: see `FusedAttention`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal, get_args

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import Tensor, nn

from autosam.errors import ModelError
from autosam.models.sam.attention import fuse_attention

Variant = Literal["vit_b", "vit_l", "vit_h", "tiny"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)

PATCH = 16
"""Side, in input pixels, of the square that one image token stands for; the same in every variant."""

Preprocessing = Literal["sam", "unit"]
PIXEL_STATISTICS: dict[Preprocessing, tuple[list[float], list[float]]] = {
    # As in segment_anything.build_sam.
    "sam": ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
    # As MedSAM's inference scales its images: 0 to 1.
    "unit": ([0.0] * 3, [255.0] * 3),
}
"""Means that are subtracted from RGB of 0 to 255, and the deviations by which it is divided then."""


@dataclass(frozen=True)
class _Size:
    image_size: int
    width: int
    depth: int
    heads: int
    global_blocks: Sequence[int]
    window: int
    prompt_width: int
    decoder_mlp: int
    convolution_stem: bool


_SIZES: dict[Variant, _Size] = {
    "vit_b": _Size(1024, 768, 12, 12, (2, 5, 8, 11), 14, 256, 2048, False),
    "vit_l": _Size(1024, 1024, 24, 16, (5, 11, 17, 23), 14, 256, 2048, False),
    "vit_h": _Size(1024, 1280, 32, 16, (7, 15, 23, 31), 14, 256, 2048, False),
    "tiny": _Size(512, 192, 8, 3, (3, 7), 8, 128, 512, True),
}


class ConvolutionStem(nn.Module):
    """Four stride-2 convolutions in the place of SAM's linear 16-pixel patch embedding.

    A linear patch has to learn edges 768 pixels at a time; a few small convolutions train far better from
    scratch (Xiao et al., "Early convolutions help transformers see better", NeurIPS 2021). ``width``, the channels
    of the tokens, is a multiple of 8.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [3, width // 8, width // 4, width // 2, width]
        stages: list[nn.Module] = []
        for before, after in pairwise(channels):
            convolution = nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1, bias=False)
            stages += [convolution, nn.BatchNorm2d(after), nn.GELU()]
        self.stages = nn.Sequential(*stages, nn.Conv2d(width, width, kernel_size=1))

    def forward(self, image: Tensor) -> Tensor:
        """Turn (B, 3, H, W) pixels into (B, H / 16, W / 16, width) tokens."""
        tokens: Tensor = self.stages(image)
        return tokens.permute(0, 2, 3, 1)


def build_sam(variant: Variant, *, image_size: int | None = None, preprocessing: Preprocessing = "sam") -> Sam:
    """Build a SAM with random weights.

    Parameters
    ----------
    variant : {"vit_b", "vit_l", "vit_h", "tiny"}
        The first three have the published shapes; ``tiny`` has about 4 M parameters in its encoder and works
        at 512 pixels.
    image_size : int, optional
        Side of the square input in pixels, a multiple of 16. By default the variant's own (1024 or 512).
        Weights of another size fit: `load_sam_weights` resamples their position codes.
    preprocessing : {"sam", "unit"}
        What the image encoder gets; see `PIXEL_STATISTICS`.

    Returns
    -------
    Sam
        In training mode, on the CPU. Seed torch before the call for reproducible weights.

    Raises
    ------
    ModelError
        If the variant is unknown or the size is not a positive multiple of 16.

    References
    ----------
    Kirillov et al., "Segment Anything", ICCV 2023; sizes from ``segment_anything.build_sam``.
    """
    if variant not in _SIZES:
        raise ModelError(f"unknown SAM variant {variant!r}; choose one of {', '.join(VARIANTS)}")
    size = _SIZES[variant]
    side = size.image_size if image_size is None else image_size
    if side <= 0 or side % PATCH:
        raise ModelError(f"SAM's image size is {side}; it must be a positive multiple of {PATCH}")
    grid = side // PATCH
    pixel_mean, pixel_std = PIXEL_STATISTICS[preprocessing]
    encoder = ImageEncoderViT(
        depth=size.depth,
        embed_dim=size.width,
        img_size=side,
        mlp_ratio=4,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        num_heads=size.heads,
        patch_size=PATCH,
        qkv_bias=True,
        use_rel_pos=True,
        global_attn_indexes=tuple(size.global_blocks),
        window_size=size.window,
        out_chans=size.prompt_width,
    )
    fuse_attention(encoder)
    if size.convolution_stem:
        encoder.patch_embed = ConvolutionStem(size.width)
        # The published weights bring position embeddings with them; from scratch, zeros learn slowly.
        nn.init.trunc_normal_(encoder.pos_embed, std=0.02)
    return Sam(
        image_encoder=encoder,
        prompt_encoder=PromptEncoder(
            embed_dim=size.prompt_width,
            image_embedding_size=(grid, grid),
            input_image_size=(side, side),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(
                depth=2, embedding_dim=size.prompt_width, mlp_dim=size.decoder_mlp, num_heads=8
            ),
            transformer_dim=size.prompt_width,
            iou_head_depth=3,
            iou_head_hidden_dim=size.prompt_width,
        ),
        pixel_mean=pixel_mean,
        pixel_std=pixel_std,
    )


def image_size(sam: Sam) -> int:
    """Side of the square input of a SAM, in pixels."""
    return int(sam.image_encoder.img_size)


def parameter_device(module: nn.Module) -> torch.device:
    """Device that a module's parameters are on."""
    return next(module.parameters()).device

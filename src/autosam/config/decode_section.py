"""The section ``decode``: how the networks see an image, and SAM its prompts."""

from typing import Annotated, Literal

from pydantic import Field

from autosam.config.section import Fraction, Positive, Section

Flips = bool | Literal["rotated"]
"""What the generator's maps are averaged over: see the setting ``decode.flips``."""


class DecodeConfig(Section):
    """How the networks are asked."""

    sam: bool | Literal["prompted"] = Field(
        True,
        description="ask SAM; false makes the generator's regions the result; prompted asks it about user prompts "
        "and a grid of points alone, and the regions are the result for everything else",
    )
    batch_size: Positive = Field(
        64,
        description="prompts that SAM decodes at a time with the whole image; with decode.window more, as the "
        "windows are smaller. A CPU takes no more than its cache holds",
    )
    window: Annotated[int, Field(ge=8)] | None = Field(
        None,
        description="decode a prompt with a box or a mask in a square window of the image's tokens, which are 16 "
        "pixels wide. This is the smallest side in tokens; the window of a larger object is larger by itself. "
        "Prompts of points alone are decoded with the whole image. null: all are, as SAM does it",
    )
    second_pass: Fraction | None = Field(
        None,
        description="ask SAM again about each region that it gave a mask for: with the mask's box, its deepest "
        "pixel and six negative points on the nearest other objects. The second mask replaces the first one where "
        "their IoU is at least this (published: 0.7). SAM needs training.second_pass for it. null: ask once",
    )
    fusion: float = Field(
        0.0,
        ge=0,
        le=10,
        description="weight of a prompt's mask when it is added to SAM's logits; a SAM trained with "
        "training.fusion needs it. Prompts without a mask (user prompts, grid) are not affected",
    )
    flips: Flips = Field(
        False,
        description="average the generator's maps over the image and its mirror images, for four times the time; "
        "rotated: over the image and the same turned by 180 degrees, for twice the time",
    )
    zooms: tuple[Annotated[float, Field(ge=0.25, le=4)], ...] = Field(
        (1.0,),
        min_length=1,
        description="average the generator's maps over these zooms, relative to the image as SAM sees it",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="number format of the networks; auto: bfloat16 if the hardware has it, otherwise float32",
    )
    compile: bool = Field(
        False,
        description="compile the generator and SAM's encoder with torch.compile before the first image. It takes "
        "minutes the first time, and needs a C++ compiler on a CPU or Triton on a GPU",
    )

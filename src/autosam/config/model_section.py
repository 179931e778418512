"""Settings of the networks: which there are, and which of their parts are trained."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from autosam.config.section import Positive, Section

SAM_ENCODER = "sam"
"""Name of the generator's encoder that stands for SAM's own image encoder."""
LITE1_ENCODER = "tu-tf_efficientnet_lite1"
"""Name of the generator's encoder of which weights that others trained can be had."""


class SamConfig(Section):
    """Which SAM the model has, and which parts of it are trained."""

    variant: Literal["tiny", "vit_b", "vit_l", "vit_h"] = Field(
        "tiny", description="architecture of SAM: the small one of the bundled models, or a published one"
    )
    image_size: Annotated[int, Field(gt=0, multiple_of=16)] | None = Field(
        None, description="side of SAM's input in pixels; null takes the variant's own"
    )
    base: str | None = Field(
        None, description="base weights: a published name, a bundled model, or a file; null: random weights"
    )
    preprocessing: Literal["sam", "unit"] | None = Field(
        None,
        description="pixels that SAM's encoder gets: sam subtracts the mean of SAM's training images and divides "
        "by their deviation; unit gives 0 to 1, as MedSAM wants them; null: what the base weights are known to "
        "want, otherwise sam",
    )
    small_images: Literal["mirror", "enlarge"] = Field(
        "mirror",
        description="how SAM sees an image smaller than its input: mirror repeats it at its borders, as in "
        "training; enlarge resizes it, as SamPredictor does, which suits weights that autosam has not trained",
    )
    encoder: Literal["frozen", "lora", "adapter", "full"] = Field(
        "full", description="how the image encoder is trained: not at all, by LoRA, by adapters, or entirely"
    )
    prompt_encoder: Literal["none", "frozen", "full"] = Field(
        "full", description="how the prompt encoder is trained; none leaves it out, with the mask decoder"
    )
    mask_decoder: Literal["none", "frozen", "full"] = Field(
        "full", description="how the mask decoder is trained; none leaves it out, with the prompt encoder"
    )
    lora_rank: Positive = Field(4, description="rank of the LoRA update of queries and values")
    lora_alpha: float = Field(4.0, gt=0, description="the LoRA update is scaled by lora_alpha / lora_rank")
    lora_blocks: Positive | None = Field(
        None, description="number of attention blocks with LoRA, counted from the last; null: all"
    )
    adapter_ratio: float = Field(
        0.25, gt=0, le=1, description="width of an adapter's bottleneck, relative to the width of the tokens"
    )

    @model_validator(mode="after")
    def _whole_or_encoder(self) -> "SamConfig":
        if (self.prompt_encoder == "none") != (self.mask_decoder == "none"):
            raise ValueError("prompt_encoder and mask_decoder are none together, or neither is")
        return self


class GeneratorConfig(Section):
    """The generator: the UNet that finds objects."""

    encoder: str = Field(
        "tu-resnet18", description="any encoder of segmentation-models-pytorch; sam: SAM's own image encoder"
    )
    depth: int = Field(4, ge=3, le=5, description="stages of the encoder; the deepest has stride 2^depth")
    decoder_channels: tuple[Positive, ...] = Field(
        (96, 48, 24, 8), description="channels of the decoder's stages, the deepest first"
    )
    downsample: Literal[1, 2, 4, 8] = Field(
        1,
        description="how many times smaller than SAM the generator sees the image; with images.zoom=2, a value of "
        "2 saves three quarters of its time",
    )
    channels: tuple[Literal["foreground", "boundary", "center", "affinity_row", "affinity_col"], ...] = Field(
        ("foreground", "boundary"), description="maps that the generator predicts"
    )
    base: str | None = Field(
        None,
        description="model whose generator gives the base weights, by name or file, with the same encoder and "
        "decoder_channels. Maps that it lacks start from random weights; null: all do",
    )
    pretrained: Literal["imagenet"] | None = Field(
        None,
        description="what the encoder was trained on before: imagenet, with encoder=tu-tf_efficientnet_lite1 and "
        "the extra autosam[pretrained], which only the training needs; null: nothing",
    )
    skips: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        None,
        description="with encoder=sam: the three of SAM's blocks, counted from 0, whose tokens join the decoder; "
        "null: evenly spaced",
    )

    @model_validator(mode="after")
    def _stages_fit(self) -> "GeneratorConfig":
        if len(self.decoder_channels) != self.depth:
            raise ValueError(f"decoder_channels has {len(self.decoder_channels)} entries for depth {self.depth}")
        if not {"foreground", "boundary"} & set(self.channels) or len(set(self.channels)) < len(self.channels):
            raise ValueError("channels must name foreground, boundary or both, and each once")
        if "center" in self.channels and "foreground" not in self.channels:
            raise ValueError("channels names center, whose seeds grow over the foreground: name foreground too")
        if ("affinity_row" in self.channels) != ("affinity_col" in self.channels):
            raise ValueError("channels must name affinity_row and affinity_col together")
        if self.encoder == SAM_ENCODER and self.depth != 4:
            raise ValueError(f"depth is {self.depth}; with encoder=sam it is 4, as a token stands for 16 pixels")
        if self.encoder == SAM_ENCODER and self.downsample != 1:
            raise ValueError(f"downsample is {self.downsample}; with encoder=sam it is 1")
        if self.pretrained is not None and self.encoder != LITE1_ENCODER:
            raise ValueError(
                f"pretrained={self.pretrained} has weights for encoder={LITE1_ENCODER} alone, and the encoder is "
                f"{self.encoder}; change one of them"
            )
        if self.pretrained is not None and self.base is not None:
            raise ValueError(
                f"base={self.base} and pretrained={self.pretrained} are both weights to start from; null one"
            )
        if self.skips is not None and (
            self.encoder != SAM_ENCODER or len(self.skips) != 3 or list(self.skips) != sorted(set(self.skips))
        ):
            raise ValueError("skips are three rising numbers of blocks, and only with encoder=sam")
        return self


class ModelConfig(Section):
    """The two networks; either may be null."""

    sam: SamConfig | None = Field(SamConfig(), description="SAM; null leaves it out")
    generator: GeneratorConfig | None = Field(GeneratorConfig(), description="the generator; null leaves it out")

    @model_validator(mode="after")
    def _networks_fit(self) -> "ModelConfig":
        if self.sam is None and self.generator is None:
            raise ValueError("sam and generator are both null; a model has at least one of them")
        wants_encoder = self.generator is not None and self.generator.encoder == SAM_ENCODER
        encoder_only = self.sam is not None and self.sam.mask_decoder == "none"
        if wants_encoder != encoder_only:
            raise ValueError(
                "generator.encoder=sam takes SAM's image encoder for itself: it goes with sam.mask_decoder=none "
                "and sam.prompt_encoder=none, and these go with nothing else"
            )
        if self.generator is not None and self.sam is not None and self.sam.image_size is not None:
            stride = 2**self.generator.depth * self.generator.downsample
            if self.sam.image_size % stride:
                raise ValueError(
                    f"sam.image_size={self.sam.image_size} is no multiple of {stride}, as generator.depth="
                    f"{self.generator.depth} and downsample={self.generator.downsample} need it"
                )
        return self

    @property
    def prompted(self) -> bool:
        """Whether there is a SAM that answers prompts."""
        return self.sam is not None and self.sam.mask_decoder != "none"

"""Settings of the networks: which there are, and which of their parts are trained."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from autosam.config.section import Positive, Section

SAM_ENCODER = "sam"
"""Name of the generator's encoder that stands for SAM's own image encoder."""


class SamConfig(Section):
    """Which SAM, and which parts of it are trained."""

    variant: Literal["tiny", "vit_b", "vit_l", "vit_h"] = "tiny"
    image_size: Annotated[int, Field(gt=0, multiple_of=16)] | None = Field(
        None, description="side of the input, a multiple of 16; by default the variant's own"
    )
    base: str | None = Field(
        None,
        description="weights to start from: a published name, a bundled model, or a file of either; null trains "
        "from scratch",
    )
    encoder: Literal["frozen", "lora", "adapter", "full"] = Field(
        "full", description="how the image encoder is adapted"
    )
    prompt_encoder: Literal["none", "frozen", "full"] = "full"
    mask_decoder: Literal["none", "frozen", "full"] = Field(
        "full", description="none, with prompt_encoder: none, keeps the image encoder only"
    )
    lora_rank: Positive = 4
    lora_alpha: float = Field(4.0, gt=0, description="the update is scaled by alpha / rank")
    lora_blocks: Positive | None = Field(None, description="only the last n attention blocks; null means all")
    adapter_ratio: float = Field(
        0.25, gt=0, le=1, description="width of an adapter's bottleneck beside the tokens'"
    )

    @model_validator(mode="after")
    def _whole_or_encoder(self) -> "SamConfig":
        if (self.prompt_encoder == "none") != (self.mask_decoder == "none"):
            raise ValueError("prompt_encoder and mask_decoder are none together, or neither is")
        return self


class GeneratorConfig(Section):
    """The UNet that finds objects."""

    encoder: str = Field(
        "tu-resnet18", description="any encoder of segmentation-models-pytorch, or sam for SAM's own image encoder"
    )
    depth: int = Field(4, ge=3, le=5)
    decoder_channels: tuple[Positive, ...] = (96, 48, 24, 8)
    downsample: Literal[1, 2, 4, 8] = Field(
        1,
        description="how many times smaller the UNet sees the image: 2 saves three quarters of its time where "
        "images.zoom zooms for SAM what the UNet resolves as it is",
    )
    channels: tuple[Literal["foreground", "boundary", "center", "affinity_row", "affinity_col"], ...] = (
        "foreground",
        "boundary",
    )
    base: str | None = Field(
        None,
        description="a model, bundled or a file, whose generator to start from: with the same encoder and "
        "decoder_channels; channels that it lacks, and everything where null, start from random weights",
    )
    skips: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        None,
        description="with encoder=sam: three blocks, from 0, whose tokens join the decoder; null spaces them",
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
        if self.skips is not None and (
            self.encoder != SAM_ENCODER or len(self.skips) != 3 or list(self.skips) != sorted(set(self.skips))
        ):
            raise ValueError("skips are three rising numbers of blocks, and only with encoder=sam")
        return self


class ModelConfig(Section):
    """The two networks; either may be null."""

    sam: SamConfig | None = SamConfig()
    generator: GeneratorConfig | None = GeneratorConfig()

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

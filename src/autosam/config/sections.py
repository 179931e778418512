"""The sections of the settings: the only place where a default is written."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """A group of settings: frozen, without unknown keys, without silent conversions between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ImagesConfig(Section):
    """How intensities are brought to 0..1."""

    low: float = Field(0.5, ge=0, lt=100, description="percentile of the whole image that becomes 0")
    high: float = Field(99.5, gt=0, le=100, description="percentile of the whole image that becomes 1")
    non_finite: Literal["error", "background"] = Field(
        "error", description="NaN and infinite pixels: refuse the image, or give them its low percentile"
    )
    scale: float = Field(
        1.0,
        ge=0.05,
        le=20,
        description="magnification at which the networks see the image; other sizes in pixels (min_size, tiles) "
        "are counted after it, results come back on the image's own grid",
    )

    @model_validator(mode="after")
    def _ordered(self) -> "ImagesConfig":
        if self.low >= self.high:
            raise ValueError(f"low is {self.low} and high {self.high}; low must be the smaller")
        return self


class SamConfig(Section):
    """Which SAM, and which parts of it are trained."""

    variant: Literal["tiny", "vit_b", "vit_l", "vit_h"] = "tiny"
    image_size: Annotated[int, Field(gt=0, multiple_of=16)] | None = Field(
        None, description="side of the input, a multiple of 16; by default the variant's own"
    )
    base: str | None = Field(None, description="published weights (a name or a file); null trains from scratch")
    encoder: Literal["frozen", "lora", "full"] = Field("full", description="how the image encoder is adapted")
    prompt_encoder: Literal["frozen", "full"] = "full"
    mask_decoder: Literal["frozen", "full"] = "full"
    lora_rank: Positive = 4
    lora_alpha: float = Field(4.0, gt=0, description="the update is scaled by alpha / rank")
    lora_blocks: Positive | None = Field(None, description="only the last n attention blocks; null means all")


class GeneratorConfig(Section):
    """The UNet that finds objects."""

    encoder: str = Field("tu-resnet18", description="any encoder of segmentation-models-pytorch")
    depth: int = Field(4, ge=3, le=5)
    decoder_channels: tuple[Positive, ...] = (96, 48, 24, 8)
    channels: tuple[Literal["foreground", "boundary"], ...] = ("foreground", "boundary")

    @model_validator(mode="after")
    def _stages_fit(self) -> "GeneratorConfig":
        if len(self.decoder_channels) != self.depth:
            raise ValueError(f"decoder_channels has {len(self.decoder_channels)} entries for depth {self.depth}")
        if not self.channels or len(set(self.channels)) < len(self.channels):
            raise ValueError("channels must name foreground, boundary or both, each once")
        return self


class ModelConfig(Section):
    """The two networks."""

    sam: SamConfig = SamConfig()
    generator: GeneratorConfig = GeneratorConfig()

    @model_validator(mode="after")
    def _strides_fit(self) -> "ModelConfig":
        stride = 2**self.generator.depth
        if self.sam.image_size is not None and self.sam.image_size % stride:
            raise ValueError(
                f"sam.image_size={self.sam.image_size} is no multiple of {stride}, as generator.depth="
                f"{self.generator.depth} needs it"
            )
        return self


class TilesConfig(Section):
    """How a large image is cut."""

    size: Positive | None = Field(None, description="side in pixels; by default SAM's own input size")
    overlap: float = Field(0.25, ge=0, lt=0.9, description="fraction of the side that neighbours share")


class PromptsConfig(Section):
    """How maps become prompts."""

    method: Literal["centroid", "distance", "probability", "grid", "manual"] = "distance"
    points: Annotated[int, Field(ge=0, le=100)] = Field(1, description="positive points per object")
    negatives: Annotated[int, Field(ge=0, le=100)] = Field(0, description="points in neighbouring objects")
    box: bool = True
    box_margin: Fraction = Field(0.05, description="fraction of the box's side added on each side")
    mask: bool = Field(True, description="give SAM the generator's logits as a mask prompt")
    foreground: Fraction = Field(0.5, description="probability from which a pixel is foreground")
    boundary: Fraction = Field(0.5, description="probability from which a pixel separates two objects")
    min_size: Annotated[int, Field(ge=0)] = Field(30, description="smallest basin that is prompted, in pixels")
    grid: Positive = Field(32, description="points per side of method=grid")

    @model_validator(mode="after")
    def _something_to_say(self) -> "PromptsConfig":
        if self.points == 0 and not self.box and not self.mask:
            raise ValueError("points=0, box=false and mask=false leave no prompt; set one of them")
        return self


class DecodeConfig(Section):
    """How SAM is asked."""

    sam: bool = Field(True, description="false: the generator's own basins are the result")
    batch_size: Positive = Field(64, description="prompts decoded at a time")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto is bfloat16 where the hardware multiplies it, otherwise float32"
    )


class MergeConfig(Section):
    """How masks become instances."""

    iou: Fraction = Field(0.5, description="of two masks with a larger IoU, the worse one goes")
    overlap: Fraction = Field(0.8, description="the same for intersection over the smaller mask")
    min_score: Fraction = Field(0.3, description="masks with a lower score are dropped")
    min_size: Annotated[int, Field(ge=0)] = Field(50, description="smallest instance, in pixels")
    fill_holes: bool = True
    fallback: Fraction = Field(
        0.7,
        description="where SAM's masks were dropped, keep the generator's basin from this mean probability on; "
        "1 keeps none",
    )


class SourceConfig(Section):
    """One folder pair of training data, relative to the data folder."""

    name: str = Field(description="its key in the split file")
    images: str
    labels: str
    components: bool = Field(False, description="labels are masks: make instances by connected components")
    min_size: Annotated[int, Field(ge=0)] = Field(50, description="smallest component, in pixels")


class DataConfig(Section):
    """Which images are trained on, and which validate."""

    sources: tuple[SourceConfig, ...] = (SourceConfig(name="data", images="images", labels="labels"),)
    split: str | None = Field(
        None,
        description="JSON of source name -> train, val -> file stems; null takes the last fifth to validate",
    )


class AugmentConfig(Section):
    """Random changes of a training tile."""

    scale: tuple[float, float] = Field((0.7, 1.4), description="range of magnification, drawn log-uniformly")
    contrast: Fraction = Field(0.3, description="relative range of contrast and gamma")
    brightness: Fraction = Field(0.15, description="range of the added intensity")
    noise: Fraction = Field(0.06, description="largest standard deviation of added Gaussian noise")
    blur: float = Field(1.2, ge=0, description="largest Gaussian sigma in pixels, in half of the tiles")

    @model_validator(mode="after")
    def _ordered(self) -> "AugmentConfig":
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale is {list(self.scale)}; it must be two positive numbers, the smaller first")
        return self


class TrainingConfig(Section):
    """The joint recipe."""

    steps: Positive = 2000
    batch_size: Positive = Field(4, description="tiles per step")
    prompts_per_tile: Positive = 16
    learning_rate: float = Field(5e-4, gt=0, description="peak rate for SAM")
    generator_learning_rate: float = Field(1e-3, gt=0, description="peak rate for the generator")
    weight_decay: float = Field(0.02, ge=0)
    warmup: Fraction = Field(0.05, description="fraction of the steps in which the rate rises")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient, for each network")
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    ema: float = Field(0.998, ge=0, lt=1, description="decay of the averaged weights that are kept; 0 is off")
    mask_weight: float = Field(1.0, ge=0, description="lambda: weight of the mask loss beside the generator's")
    emitted: tuple[Fraction, Fraction] = Field(
        (0.1, 0.6), description="fractions of the run between which truth prompts give way to emitted ones"
    )
    emitted_share: Fraction = Field(0.7, description="share of tiles with emitted prompts at the end")
    mask_prompt: Fraction = Field(0.5, description="share of tiles in which prompts bring a mask")
    soft_mask: bool = Field(True, description="let the mask loss reach the generator through the mask prompt")
    validate_every: Positive = Field(400, description="steps between validations")
    checkpoint_every: Positive = Field(100, description="steps between checkpoints")
    validation_images: Positive = Field(8, description="most validation images during training")
    workers: Annotated[int, Field(ge=0)] = Field(1, description="processes that prepare tiles")
    augment: AugmentConfig = AugmentConfig()

    @model_validator(mode="after")
    def _ordered(self) -> "TrainingConfig":
        if self.emitted[0] > self.emitted[1]:
            raise ValueError(f"emitted is {list(self.emitted)}; the smaller fraction comes first")
        return self


class Config(Section):
    """All settings of a run."""

    seed: Annotated[int, Field(ge=0)] = 0
    images: ImagesConfig = ImagesConfig()
    model: ModelConfig = ModelConfig()
    tiles: TilesConfig = TilesConfig()
    prompts: PromptsConfig = PromptsConfig()
    decode: DecodeConfig = DecodeConfig()
    merge: MergeConfig = MergeConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _parts_fit(self) -> "Config":
        if self.prompts.method == "probability" and "foreground" not in self.model.generator.channels:
            raise ValueError("prompts.method=probability needs foreground among model.generator.channels")
        if not self.decode.sam and self.prompts.method in ("grid", "manual"):
            raise ValueError(
                "decode.sam=false keeps the generator's basins, and "
                f"prompts.method={self.prompts.method} asks no generator; change one of them"
            )
        return self

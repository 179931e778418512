"""Settings of a training run."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from autosam.config.section import Fraction, Positive, Section


class AugmentConfig(Section):
    """Random changes of a training tile."""

    zoom: tuple[float, float] = Field(
        (0.7, 1.4), description="range of zoom, drawn log-uniformly, on top of images.zoom"
    )
    same_diameter: Fraction = Field(
        0.0,
        description="share of tiles whose scene's objects are first brought to images.diameter, as an image's are "
        "where it is segmented (images.zoom_tolerance)",
    )
    contrast: Fraction = Field(0.3, description="relative range of contrast and gamma")
    brightness: Fraction = Field(0.15, description="range of the added intensity")
    noise: Fraction = Field(0.06, description="largest standard deviation of added Gaussian noise")
    blur: float = Field(1.2, ge=0, description="largest Gaussian sigma in pixels, in half of the tiles")
    color: Fraction = Field(
        0.0, description="range, in logarithm, by which each channel of a colored image is stained more or less"
    )
    elastic: float = Field(0.0, ge=0, description="largest shift of an elastic deformation in pixels; 0 is off")
    misaligned: Fraction = Field(
        0.0, description="share of tiles in which a band is shifted sideways, as where a section is torn or joined"
    )
    missing: Fraction = Field(0.0, description="share of tiles in which a band or a patch has lost its content")

    @model_validator(mode="after")
    def _ordered(self) -> "AugmentConfig":
        if not 0 < self.zoom[0] <= self.zoom[1]:
            raise ValueError(f"zoom is {list(self.zoom)}; it must be two positive numbers, the smaller first")
        return self


class SimulateConfig(Section):
    """Prompts made of the truth."""

    points: Literal["uniform", "core"] = Field(
        "uniform", description="where a point lies: on any pixel, or rather in the object's core"
    )
    box_jitter: Fraction = Field(0.1, description="standard deviation of a box's corners beside its own sides")
    max_jitter: float = Field(20.0, ge=0, description="largest shift of a corner in pixels")
    box_only: Fraction = Field(0.3, description="share of tiles whose prompts are boxes without points")
    point_only: Fraction = Field(0.2, description="share of tiles whose prompts are points without a box")

    @model_validator(mode="after")
    def _shares(self) -> "SimulateConfig":
        if self.box_only + self.point_only > 1:
            raise ValueError(
                f"box_only={self.box_only} and point_only={self.point_only} are shares; their sum is at most 1"
            )
        return self


class TrainingConfig(Section):
    """What is learned, from which prompts, and how."""

    steps: Positive = 2000
    batch_size: Positive = Field(4, description="tiles per step and device")
    accumulate: Positive = Field(1, description="batches whose gradients are added up for one step")
    prompts_per_tile: Positive = 16
    object_tiles: Fraction = Field(
        0.8, description="share of tiles that are cut around an object; 1 drops empty ones"
    )
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = Field(5e-4, gt=0, description="peak rate for SAM")
    generator_learning_rate: float = Field(1e-3, gt=0, description="peak rate for the generator")
    weight_decay: float = Field(0.02, ge=0)
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        (0.9, 0.98), description="decay of Adam's running means of the gradient and of its square"
    )
    schedule: Literal["cosine", "constant"] = Field("cosine", description="of the rates, after the warm-up")
    warmup: Fraction = Field(0.05, description="fraction of the steps in which the rate rises")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient, for each network")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    checkpoint_blocks: bool = Field(
        False, description="compute the image encoder's blocks twice instead of keeping their activations"
    )
    compile: bool = Field(False, description="compile the networks with torch.compile")
    ema: float = Field(0.998, ge=0, lt=1, description="decay of the averaged weights that are kept; 0 is off")
    freeze_statistics: bool = Field(
        False,
        description="batch normalization keeps the statistics that the weights came with: for tiny batches",
    )
    generator_loss: Literal["bce", "bce_dice"] = "bce_dice"
    boundary_width: Positive = Field(
        2, description="pixels on each side of an outline that the generator learns as boundary"
    )
    mask_loss: Literal["weighted", "dice_ce", "squared_dice_ce"] = Field(
        "weighted", description="Dice + 20 × BCE; Dice + BCE; Dice with squared sums + BCE"
    )
    alternatives: Fraction = Field(
        0.05, description="share of the loss that all of SAM's three masks for a point get, beside the best one"
    )
    mask_weight: float = Field(1.0, ge=0, description="lambda: weight of the mask loss beside the generator's")
    iou_weight: float = Field(
        1.0, ge=0, description="weight of the error of SAM's predicted IoU beside the mask loss"
    )
    fusion: float = Field(
        0.0,
        ge=0,
        le=10,
        description="the mask prompt of an object is added to SAM's logits for it with this weight, as "
        "decode.fusion does, before they are compared with the object: SAM then learns what the generator lacks",
    )
    freeze_generator: bool = Field(
        False, description="SAM alone is trained, on the prompts of the generator that model.generator.base names"
    )
    simulate: SimulateConfig = SimulateConfig()
    predicted_between: tuple[Fraction, Fraction] = Field(
        (0.1, 0.6),
        description="fractions of the run between which ground-truth prompts give way to predicted ones",
    )
    predicted_share: Fraction = Field(0.7, description="share of tiles with predicted prompts at the end")
    vary_thresholds: float = Field(
        0.0,
        ge=0,
        le=6,
        description="range, in logits, by which the thresholds of predicted prompts (prompts.foreground, boundary "
        "and center) are changed from tile to tile, so that SAM also learns to judge prompts that are wrong",
    )
    matching: Literal["hungarian", "overlap"] = Field(
        "hungarian",
        description="predicted prompts to objects: one to one, or each to the one that it overlaps most",
    )
    unmatched: bool = Field(
        True, description="prompts without an object teach the IoU head 0; false leaves them out"
    )
    user_prompts: Literal["add", "instead"] = Field(
        "add", description="prompts of people (data.sources.prompts): beside the others of their tile, or instead"
    )
    corrections: Annotated[int, Field(ge=0)] = Field(
        1, description="rounds in which a click from the error region is added and SAM asked again"
    )
    mask_prompt: Fraction = Field(0.5, description="share of tiles in which prompts bring a mask")
    soft_mask: bool = Field(True, description="let the mask loss reach the generator through the mask prompt")
    soft_point: bool = Field(
        False, description="let it reach the generator through the first point too, by a soft-argmax of its logits"
    )
    validate_every: Positive = Field(400, description="steps between validations")
    region_classifier_images: Annotated[int, Field(ge=0)] = Field(
        0,
        description="most training images of each source on which the region classifier is fitted at the end "
        "(prompts.region_classifier); 0: none",
    )
    validation_images: Positive = Field(8, description="most validation images during training")
    previews: Annotated[int, Field(ge=0)] = Field(3, description="validation images drawn at each validation")
    patience: Annotated[int, Field(ge=0)] = Field(
        0, description="validations in a row without a better mean AP that end the run; 0 never ends it"
    )
    checkpoint_every: Positive = Field(100, description="steps between checkpoints")
    workers: Annotated[int, Field(ge=0)] = Field(1, description="processes that prepare tiles")
    augment: AugmentConfig = AugmentConfig()

    @model_validator(mode="after")
    def _ordered(self) -> "TrainingConfig":
        if self.predicted_between[0] > self.predicted_between[1]:
            raise ValueError(
                f"predicted_between is {list(self.predicted_between)}; the smaller fraction comes first"
            )
        return self

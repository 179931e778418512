"""Settings of a training run."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from autosam.config.augment_section import AugmentConfig
from autosam.config.section import Fraction, Positive, Section

PointCount = Annotated[int, Field(ge=1, le=100)]
"""A number of points of one object."""

Metric = Literal["mean_ap", "a_rand"]
"""What models and thresholds are chosen by: mean AP, or the adapted Rand error."""


class SimulateConfig(Section):
    """Ground-truth prompts: prompts made from true labels."""

    points: Literal["uniform", "core"] = Field(
        "uniform", description="where a point lies: on any pixel of the object, or preferably in its core"
    )
    box_jitter: Fraction = Field(
        0.1, description="standard deviation of a box's corners, as a fraction of the box's sides"
    )
    max_jitter: float = Field(20.0, ge=0, description="largest shift of a corner in pixels")
    points_per_object: tuple[PointCount, PointCount] | None = Field(
        None,
        description="range from which the number of positive points per object is drawn, log-uniformly and for "
        "each tile anew; predicted prompts have as many. null: prompts.points",
    )
    wrong: Annotated[int, Field(ge=0)] = Field(
        0,
        description="wrong prompts of each tile beside the others: around two neighboring objects, on background, "
        "shifted, or around a piece of an object. Each teaches SAM's predicted IoU the IoU that its mask has with "
        "its best object",
    )
    box_only: Fraction = Field(0.3, description="share of tiles prompted with boxes and no points")
    point_only: Fraction = Field(0.2, description="share of tiles prompted with points and no boxes")

    @model_validator(mode="after")
    def _shares(self) -> "SimulateConfig":
        if self.box_only + self.point_only > 1:
            raise ValueError(
                f"box_only={self.box_only} and point_only={self.point_only} are shares; their sum is at most 1"
            )
        if self.points_per_object is not None and self.points_per_object[0] > self.points_per_object[1]:
            raise ValueError(
                f"points_per_object is {list(self.points_per_object)}; the smaller number comes first"
            )
        return self


class TrainingConfig(Section):
    """What is learned, from which prompts, and how."""

    steps: Positive = Field(2000, description="optimizer steps")
    batch_size: Positive = Field(4, description="tiles per step and device")
    accumulate: Positive = Field(1, description="batches whose gradients are added up for one step")
    prompts_per_tile: Positive = Field(
        16, description="most prompts of a tile that SAM is asked about, beside those of simulate.wrong"
    )
    object_tiles: Fraction = Field(
        0.8, description="share of tiles that are cut around an object; 1 leaves no empty tiles"
    )
    optimizer: Literal["adamw", "adam"] = Field("adamw", description="the optimizer")
    learning_rate: float = Field(5e-4, gt=0, description="peak learning rate of SAM")
    generator_learning_rate: float = Field(1e-3, gt=0, description="peak learning rate of the generator")
    encoder_rate: float = Field(
        1.0,
        gt=0,
        description="learning rate of the generator's encoder, as a multiple of generator_learning_rate; less "
        "than 1 suits one that was trained before",
    )
    freeze_stages: Annotated[int, Field(ge=0)] = Field(
        0,
        description="stages of the generator's encoder, counted from the image, that stay as they are, with their "
        "batch normalization statistics; steps get faster with each",
    )
    weight_decay: float = Field(0.02, ge=0, description="weight decay of the optimizer")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        (0.9, 0.98), description="decay rates of Adam's running means of the gradient and of its square"
    )
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="course of the learning rates after the warm-up"
    )
    warmup: Fraction = Field(0.05, description="fraction of the steps in which the learning rates rise")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient, for each network")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="number format of training; auto is bfloat16 where the hardware has it, otherwise float32; "
        "float16 needs a GPU",
    )
    checkpoint_blocks: bool = Field(
        False,
        description="recompute the image encoder's blocks in the backward pass, which saves memory and takes time",
    )
    compile: bool = Field(False, description="compile the networks with torch.compile")
    ema: float = Field(
        0.998,
        ge=0,
        lt=1,
        description="decay of the running average of the weights, which is what is kept; 0 is off",
    )
    freeze_statistics: bool = Field(
        False,
        description="keep the batch normalization statistics of the base weights, for batches of one or two tiles",
    )
    generator_loss: Literal["bce", "bce_dice"] = Field(
        "bce_dice", description="loss of the generator: binary cross entropy, with or without Dice"
    )
    deep_supervision: float = Field(
        0.0,
        ge=0,
        description="weight of the same loss on maps of half and a quarter of the size, made from earlier stages "
        "of the generator's decoder; the layers that make them are not kept in the model; 0: none",
    )
    teacher: str | None = Field(
        None,
        description="model whose maps the generator learns beside the labels: a file, or the name of a bundled "
        "model; they are averaged as its decode.flips and decode.zooms say, so that one pass comes near them",
    )
    teacher_share: Fraction = Field(
        0.8,
        description="share of the generator's loss that the teacher's maps have; the labels have the rest, in "
        "which deep_supervision is",
    )
    teacher_where: Literal["everywhere", "unknown"] = Field(
        "everywhere",
        description="pixels whose maps the teacher gives: all of them, or those alone whose labels are unknown; "
        "then teacher_share is the weight of their mean loss beside that of the labels, which stays as it is",
    )
    boundary_width: Positive = Field(
        2, description="pixels on each side of an outline that the generator learns as boundary"
    )
    mask_loss: Literal["weighted", "dice_ce", "squared_dice_ce"] = Field(
        "weighted",
        description="loss of SAM's masks: Dice + 20 × BCE; Dice + BCE; Dice with squared sums + BCE",
    )
    alternatives: Fraction = Field(
        0.05, description="share of the mask loss that all three masks of a point get; the best one gets the rest"
    )
    mask_weight: float = Field(1.0, ge=0, description="weight of the mask loss beside the generator's loss")
    iou_weight: float = Field(
        1.0, ge=0, description="weight of the error of SAM's predicted IoU beside the mask loss"
    )
    fusion: float = Field(
        0.0,
        ge=0,
        le=10,
        description="weight with which a prompt's mask is added to SAM's logits before the loss, as decode.fusion "
        "does at inference; SAM then learns what the generator lacks",
    )
    freeze_generator: bool = Field(
        False,
        description="train SAM alone, on prompts of the generator that model.generator.base names",
    )
    simulate: SimulateConfig = SimulateConfig()
    predicted_between: tuple[Fraction, Fraction] = Field(
        (0.1, 0.6),
        description="fractions of the run between which predicted prompts replace ground-truth prompts, up to "
        "predicted_share",
    )
    predicted_share: Fraction = Field(0.7, description="share of tiles with predicted prompts at the end")
    vary_thresholds: float = Field(
        0.0,
        ge=0,
        le=6,
        description="range, in logits, by which prompts.foreground, boundary and center vary from tile to tile, "
        "so that SAM also learns to reject wrong prompts",
    )
    matching: Literal["hungarian", "overlap"] = Field(
        "hungarian",
        description="prompt-object assignment of predicted prompts: one to one, or each to the object that it "
        "overlaps most",
    )
    unmatched: bool | Literal["best_iou"] = Field(
        True,
        description="predicted prompts without an object teach SAM an IoU of 0; best_iou: the IoU that its mask "
        "has with its best object; false leaves them out",
    )
    user_prompts: Literal["add", "instead"] = Field(
        "add",
        description="user prompts (data.sources.prompts) join the other prompts of their tile, or replace them",
    )
    corrections: Annotated[int, Field(ge=0)] = Field(
        1, description="rounds in which a point from the mask's errors is added and SAM is asked again"
    )
    second_pass: Fraction = Field(
        0.0,
        description="share of tiles in which SAM also learns its second answer, asked as with "
        "decode.second_pass: with the box and the deepest pixel of its first mask and six negative points",
    )
    mask_prompt: Fraction = Field(0.5, description="share of tiles whose prompts have a mask")
    soft_mask: bool = Field(
        True, description="let gradients of the mask loss reach the generator through the mask prompt"
    )
    validate_every: Positive = Field(400, description="steps between validations")
    region_classifier_images: Annotated[int, Field(ge=0)] = Field(
        0,
        description="most training images of each source on which the region classifier is fitted at the end; 0 "
        "fits none",
    )
    threshold_images: Annotated[int, Field(ge=0)] = Field(
        0,
        description="training images of each source, the last ones and at most one of three, that are held out: "
        "nothing is learnt from them, and the thresholds that suit them best are written into the model file at "
        "the end; 0 holds none out and keeps the thresholds of the settings",
    )
    metric: Metric = Field(
        "mean_ap",
        description="score by which the best validation and fitted thresholds are chosen: mean AP, or for cells "
        "that fill the image, such as neurites, the adapted Rand error",
    )
    validation_images: Positive = Field(8, description="most images of a validation during training")
    previews: Annotated[int, Field(ge=0)] = Field(3, description="validation images drawn at each validation")
    patience: Annotated[int, Field(ge=0)] = Field(
        0,
        description="validations without a better score, by training.metric, after which the run ends; 0 never "
        "ends it early",
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

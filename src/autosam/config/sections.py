"""The sections of the settings: the only place where a default is written."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from autosam.config.model_section import ModelConfig
from autosam.config.section import Fraction, Positive, Section
from autosam.config.training_section import TrainingConfig


class ImagesConfig(Section):
    """How intensities are brought to 0..1."""

    low: float = Field(0.5, ge=0, lt=100, description="percentile of the whole image that becomes 0")
    high: float = Field(99.5, gt=0, le=100, description="percentile of the whole image that becomes 1")
    non_finite: Literal["error", "background"] = Field(
        "error", description="NaN and infinite pixels: refuse the image, or give them its low percentile"
    )
    zoom: float = Field(
        1.0,
        ge=0.05,
        le=20,
        description="zoom at which the networks see the image; other sizes in pixels (min_size, tiles) "
        "are counted after it, results come back on the image's own grid",
    )
    pixel_size: float | None = Field(
        None,
        gt=0,
        description="nm of a pixel of the images that the model was trained on; images whose own is known are "
        "brought to it",
    )
    diameter: float | None = Field(
        None,
        gt=0,
        description="median diameter of the objects that the model was trained on, in pixels of their images; "
        "training measures it where it is null",
    )
    find_zoom: bool = Field(
        True, description="see an image again zoomed where the objects found in it are far from that diameter"
    )
    zoom_tolerance: float = Field(
        1.6,
        ge=1.05,
        le=8,
        description="far is this many times larger or smaller; a model that was trained with "
        "training.augment.same_diameter gains from less",
    )
    stain_references: tuple[tuple[float, float, float, float, float, float], ...] = Field(
        (),
        description="means and standard deviations of L*, a* and b* of the colored training images; an image of "
        "stained tissue that is unlike them is brought to the nearest ones",
    )
    combine: Literal["input", "avg", "max"] = Field(
        "input",
        description="several channels of one scene (autosam segment --channels): two or three as red, green and "
        "blue of the networks' input, or mean or maximum of the answers to each; one image stays as it is",
    )

    @model_validator(mode="after")
    def _ordered(self) -> "ImagesConfig":
        if self.low >= self.high:
            raise ValueError(f"low is {self.low} and high {self.high}; low must be the smaller")
        return self


class TilesConfig(Section):
    """How a large image is cut."""

    size: Positive | None = Field(
        None, description="side in pixels; by default SAM's own input size, 512 without a SAM"
    )
    overlap: float = Field(0.25, ge=0, lt=0.9, description="fraction of the side that neighbors share")


class PromptsConfig(Section):
    """How maps become prompts."""

    method: Literal["centroid", "distance", "probability", "grid", "user"] = "distance"
    points: Annotated[int, Field(ge=0, le=100)] = Field(1, description="positive points per object")
    negatives: Annotated[int, Field(ge=0, le=100)] = Field(0, description="points in neighboring objects")
    box: bool = True
    box_margin: Fraction = Field(0.05, description="fraction of the box's side added on each side")
    mask: bool = Field(True, description="give SAM the generator's logits as a mask prompt")
    foreground: Fraction = Field(0.5, description="probability from which a pixel is foreground")
    boundary: Fraction = Field(0.5, description="probability from which a pixel separates two objects")
    center: Fraction = Field(0.5, description="probability from which a pixel is in an object's center")
    min_size: Annotated[int, Field(ge=0)] = Field(30, description="smallest region that is prompted, in pixels")
    region_classifier: bool = Field(
        True,
        description="where the model has a region classifier, it chooses among all ways to divide the "
        "foreground; the thresholds of boundary and center then only tell the typical size",
    )
    min_region_score: Fraction = Field(
        0.3, description="regions with a lower score of the region classifier are no objects"
    )
    grid: Positive = Field(32, description="points per side of method=grid")

    @model_validator(mode="after")
    def _something_to_say(self) -> "PromptsConfig":
        if self.points == 0 and not self.box and not self.mask:
            raise ValueError("points=0, box=false and mask=false leave no prompt; set one of them")
        return self


class DecodeConfig(Section):
    """How SAM is asked."""

    sam: bool = Field(True, description="false: the generator's own regions are the result")
    batch_size: Positive = Field(64, description="prompts decoded at a time")
    fusion: float = Field(
        0.0,
        ge=0,
        le=10,
        description="weight with which the mask prompt of an object is added to SAM's logits for it; without "
        "effect on prompts without a mask: by hand, by a grid, with prompts.mask=false; a SAM that was trained "
        "with training.fusion needs it",
    )
    flips: bool = Field(
        False, description="average the generator's maps over mirror images, in four times its time"
    )
    zooms: tuple[Annotated[float, Field(ge=0.25, le=4)], ...] = Field(
        (1.0,),
        min_length=1,
        description="average the generator's maps over these zooms of the image, each on top of the one "
        "at which SAM sees it",
    )
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
        description="where SAM's masks were dropped, keep the generator's region from this mean foreground "
        "probability on, or from this region score where the model has a region classifier; 1 keeps none",
    )


class SourceConfig(Section):
    """One folder pair of training data, relative to the data folder."""

    name: str = Field(description="its key in the split file")
    images: str
    labels: str
    prompts: str | None = Field(
        None, description="a folder of prompt tables (NAME.csv): user prompts, trained on beside the others"
    )
    components: bool = Field(False, description="labels are masks: make instances by connected components")
    min_size: Annotated[int, Field(ge=0)] = Field(50, description="smallest component, in pixels")
    weight: Positive = Field(
        1, description="share of the tiles that come from it, beside the weights of the other sources"
    )


class DataConfig(Section):
    """Which images are trained on, and which validate."""

    sources: tuple[SourceConfig, ...] = (SourceConfig(name="data", images="images", labels="labels"),)
    split: str | None = Field(
        None,
        description="JSON of source name -> train, val -> file stems; null takes the last fifth to validate",
    )
    fraction: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of every source's training images that is used, evenly spaced, at least one",
    )


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

    @property
    def gives_candidates(self) -> bool:
        """Whether the generator is asked, and has the maps that a region classifier chooses from."""
        generator = self.model.generator
        if generator is None or self.prompts.method in ("grid", "user"):
            return False
        return "foreground" in generator.channels and not {"center", "boundary"}.isdisjoint(generator.channels)

    @model_validator(mode="after")
    def _parts_fit(self) -> "Config":
        generator, method = self.model.generator, self.prompts.method
        if generator is None and method not in ("grid", "user"):
            raise ValueError(
                f"prompts.method={method} asks a generator, and model.generator is null; choose grid or user"
            )
        if self.training.region_classifier_images and not self.gives_candidates:
            raise ValueError(
                "training.region_classifier_images asks for a region classifier, which takes foreground, and "
                "center or boundary, among model.generator.channels, and no prompts.method of grid or user; set "
                "it to 0"
            )
        if method == "probability" and (generator is None or "foreground" not in generator.channels):
            raise ValueError("prompts.method=probability needs foreground among model.generator.channels")
        if self.decode.sam and not self.model.prompted:
            raise ValueError(
                "the model has no SAM that answers prompts; set decode.sam=false, to keep the generator's regions"
            )
        if not self.decode.sam and method in ("grid", "user"):
            raise ValueError(
                "decode.sam=false keeps the generator's regions, and "
                f"prompts.method={method} asks no generator; change one of them"
            )
        return self

"""The sections of the settings: the only place where a default is written."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from autosam.config.data_section import DataConfig
from autosam.config.decode_section import DecodeConfig
from autosam.config.model_section import ModelConfig
from autosam.config.section import Fraction, Positive, Section
from autosam.config.training_section import TrainingConfig
from autosam.config.volume_section import VolumeConfig


class ImagesConfig(Section):
    """Intensities, zoom and colors of the images."""

    low: float = Field(0.5, ge=0, lt=100, description="percentile of the whole image that becomes 0")
    high: float = Field(99.5, gt=0, le=100, description="percentile of the whole image that becomes 1")
    limits: Literal["robust", "plain"] = Field(
        "robust",
        description="plain: images.low and images.high of all pixels. robust: the same, unless they fail: margins "
        "(frames, padding, text bars) are left out, and a limit is moved where specks are far brighter than all "
        "else, or where the objects are too few for the percentile",
    )
    local: Literal["auto", "always", "never"] = Field(
        "auto",
        description="limits that follow an uneven illumination: always; never; or auto, where a gray image is "
        "textured all over, as electron micrographs are, and its contrast differs by more than 3.4 times",
    )
    local_window: Annotated[int, Field(ge=32)] = Field(
        128, description="side in pixels of the windows that local limits are measured in; larger than an object"
    )
    lookup_tables: bool = Field(
        True,
        description="take an RGB image in the colors of a lookup table (green, cyan, hot, fire, viridis) for the "
        "gray image that it was. Stained tissue and images in several colors stay as they are",
    )
    invert: bool = Field(False, description="make dark bright and bright dark, after scaling")
    non_finite: Literal["error", "background"] = Field(
        "error", description="NaN and infinite pixels: refuse the image, or set them to the low percentile"
    )
    zoom: float = Field(
        1.0,
        ge=0.05,
        le=20,
        description="how many times larger the networks see an image. Sizes in pixels, such as min_size and "
        "tiles.size, are counted after zooming; results come back on the image's own grid",
    )
    pixel_size: float | None = Field(
        None,
        gt=0,
        description="pixel size of the training images in nm. Images of known pixel size are zoomed to it",
    )
    diameter: float | None = Field(
        None,
        gt=0,
        description="median diameter of the training objects, in pixels of their images. If null, training "
        "measures it",
    )
    find_zoom: bool = Field(
        True,
        description="find the zoom of an image if it is not known: zoom it if its objects differ too much in "
        "diameter from images.diameter, by 2 at most, and only if it is like the training images",
    )
    zoom_tolerance: float = Field(
        1.6,
        ge=1.05,
        le=8,
        description="largest ratio of diameters that needs no zoom. Models that were trained with "
        "training.augment.same_diameter gain from a smaller one",
    )
    stain_references: tuple[tuple[float, float, float, float, float, float], ...] = Field(
        (),
        description="means and standard deviations of L*, a* and b* of the colored training images. Stained "
        "images unlike all of them get the colors of the nearest ones. Empty turns stain normalization off",
    )
    combine: Literal["input", "avg", "max"] = Field(
        "input",
        description="channels of a multichannel image: input makes them red, green and blue of one input; avg and "
        "max segment each one and combine the answers by mean or maximum",
    )

    @model_validator(mode="after")
    def _ordered(self) -> "ImagesConfig":
        if self.low >= self.high:
            raise ValueError(f"low is {self.low} and high {self.high}; low must be the smaller")
        return self


class TilesConfig(Section):
    """How a large image is cut."""

    size: Positive | None = Field(
        None,
        description="side of a tile in pixels; null takes the size of SAM's input, or 512 without a SAM. "
        "Tiles of the generator can be half as long again",
    )
    overlap: float = Field(0.25, ge=0, lt=0.9, description="fraction of the side that neighboring tiles share")
    in_memory: Positive = Field(
        100_000_000,
        description="pixels of an image that is segmented as a whole, at up to 55 bytes each. Larger ones are "
        "segmented by parts, as a volume of one slice: see volume.window and volume.overlap",
    )


class PromptsConfig(Section):
    """How maps become regions and prompts."""

    method: Literal["centroid", "distance", "probability", "grid", "user"] = Field(
        "distance",
        description="place of a region's point: the centroid, the pixel farthest from the outline, or the most "
        "probable pixel. grid ignores the generator; user takes only user prompts",
    )
    points: Annotated[int, Field(ge=0, le=100)] = Field(1, description="positive points per object")
    negatives: Annotated[int, Field(ge=0, le=100)] = Field(
        0, description="negative points per object, in neighboring regions"
    )
    box: bool = Field(True, description="prompt with the region's bounding box")
    box_margin: Fraction = Field(
        0.05, description="margin on each side of a box, as a fraction of the box's length along that axis"
    )
    mask: bool = Field(True, description="prompt with the generator's logits as a mask")
    foreground: Fraction = Field(0.5, description="probability above which a pixel is foreground")
    boundary: Fraction = Field(0.5, description="probability from which a pixel separates two objects")
    center: Fraction = Field(0.5, description="probability above which a pixel lies in the center of an object")
    join: Fraction | None = Field(
        None,
        description="for cells that fill the image, such as neurites: cut it into fragments at the necks of what "
        "lies between boundaries, and join those whose contact has a mean boundary below this probability. null: "
        "all that hangs together between boundaries is one region. A region classifier takes its place",
    )
    min_size: Annotated[int, Field(ge=0)] = Field(
        30, description="smallest region that becomes a prompt, in pixels"
    )
    region_classifier: bool = Field(
        True,
        description="let the model's region classifier, if it has one, choose how to divide the foreground. The "
        "thresholds of boundary and center then only tell the typical size",
    )
    min_region_score: Fraction = Field(0.3, description="lowest region score; regions below it are dropped")
    grid: Positive = Field(32, description="points per side with method=grid")

    @model_validator(mode="after")
    def _something_to_say(self) -> "PromptsConfig":
        if self.points == 0 and not self.box and not self.mask:
            raise ValueError("points=0, box=false and mask=false leave no prompt; set one of them")
        return self


class MergeConfig(Section):
    """How masks become instances."""

    iou: Fraction = Field(
        0.5, description="largest IoU of two masks; above it, the one with the lower score is dropped"
    )
    overlap: Fraction = Field(
        0.8, description="largest intersection of two masks over the smaller one; above it, one is dropped"
    )
    min_score: Fraction = Field(0.3, description="lowest score of a mask; masks below it are dropped")
    min_size: Annotated[int, Field(ge=0)] = Field(50, description="smallest instance, in pixels")
    max_size: Positive | None = Field(
        None, description="largest instance, in pixels of the image's own grid; null: any size"
    )
    exclude_border: bool = Field(False, description="leave out instances that touch the image's border")
    fill_holes: bool = Field(True, description="fill the holes of an instance in which no other one lies")
    fallback: Fraction = Field(
        0.7,
        description="mean foreground probability (or region score, with a region classifier) above which a region "
        "without a mask becomes an instance; 1 keeps none",
    )


class Config(Section):
    """All settings of a run."""

    seed: Annotated[int, Field(ge=0)] = Field(0, description="seed of every random draw")
    images: ImagesConfig = ImagesConfig()
    model: ModelConfig = ModelConfig()
    tiles: TilesConfig = TilesConfig()
    prompts: PromptsConfig = PromptsConfig()
    decode: DecodeConfig = DecodeConfig()
    merge: MergeConfig = MergeConfig()
    volume: VolumeConfig = VolumeConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _pixel_sizes_used(self) -> "Config":
        known = [source.name for source in self.data.sources if source.pixel_size is not None]
        if known and self.images.pixel_size is None:
            raise ValueError(
                f"data.sources gives the pixel size of {', '.join(known)}, and images.pixel_size, which it is "
                "brought to, is null; set that to the pixel size, in nm, at which the model is to see images"
            )
        return self

    @property
    def gives_candidate_regions(self) -> bool:
        """Whether the generator is asked, and has the maps that a region classifier chooses from."""
        generator = self.model.generator
        if generator is None or self.prompts.method in ("grid", "user"):
            return False
        return "foreground" in generator.channels and not {"center", "boundary"}.isdisjoint(generator.channels)

    @property
    def refines_regions(self) -> bool:
        """Whether SAM answers predicted prompts, so that its masks take the place of the generator's regions."""
        return self.decode.sam is True or (
            self.decode.sam == "prompted" and self.prompts.method in ("grid", "user")
        )

    @model_validator(mode="after")
    def _unlabeled_used(self) -> "Config":
        if self.data.unlabeled and not self.training.augment.spectrum:
            raise ValueError(
                "data.unlabeled names images whose amplitudes are mixed into tiles, and "
                "training.augment.spectrum=0 mixes none; set it above 0, or leave data.unlabeled out"
            )
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> "Config":
        generator, method = self.model.generator, self.prompts.method
        if generator is None and method not in ("grid", "user"):
            raise ValueError(
                f"prompts.method={method} asks a generator, and model.generator is null; choose grid or user"
            )
        if self.training.region_classifier_images and not self.gives_candidate_regions:
            raise ValueError(
                "training.region_classifier_images asks for a region classifier, which needs foreground, and "
                "center or boundary, among model.generator.channels, and a prompts.method other than grid and "
                "user; set it to 0"
            )
        if self.training.threshold_images and method == "user":
            raise ValueError(
                "training.threshold_images fits thresholds to what is found without a user, and "
                "prompts.method=user finds nothing by itself; set one of them otherwise"
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

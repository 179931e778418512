"""Settings of random changes of training tiles."""

from typing import Annotated

from pydantic import Field, model_validator

from autosam.config.section import Fraction, Section


class AugmentConfig(Section):
    """Random changes of a training tile; flips and quarter turns always happen."""

    zoom: tuple[float, float] = Field(
        (0.7, 1.4), description="range of the zoom, drawn log-uniformly, on top of images.zoom"
    )
    same_diameter: Fraction = Field(
        0.0,
        description="share of tiles whose image is first zoomed until its objects have images.diameter, as at "
        "inference",
    )
    contrast: Fraction = Field(0.3, description="relative range of contrast and gamma")
    brightness: Fraction = Field(0.15, description="range of the intensity that is added")
    noise: Fraction = Field(0.06, description="largest standard deviation of the Gaussian noise that is added")
    blur: float = Field(
        1.2, ge=0, description="largest sigma of a Gaussian blur in pixels; half of the tiles get it"
    )
    color: Fraction = Field(
        0.0, description="range, in logarithm, by which each channel of a colored image is stained more or less"
    )
    elastic: float = Field(0.0, ge=0, description="largest shift of an elastic deformation in pixels; 0 is off")
    rotate: Fraction = Field(
        0.0, description="share of tiles that are turned by any angle, beside quarter turns; 0 is off"
    )
    stretch: float = Field(
        1.0, ge=1, le=2, description="largest ratio of the zooms along two directions of a tile; 1 is off"
    )
    paste: Fraction = Field(
        0.0,
        description="share of tiles into which up to 4 objects of another source, or of the only one, are pasted, "
        "on background; for sources whose objects are of one kind. Images with user prompts get none",
    )
    invert: Fraction = Field(0.0, description="share of gray tiles in which dark becomes bright and bright dark")
    share: Fraction = Field(
        0.25,
        description="share of tiles that each of the following changes is drawn for, on its own; how strong it is "
        "there is drawn, too, up to the setting",
    )
    tone: float = Field(
        0.0,
        ge=0,
        le=3,
        description="range, in logarithm, of the slopes of a random rising curve that maps gray levels; 0 is off",
    )
    local_contrast: Fraction = Field(
        0.0,
        description="how far local brightness and contrast are brought to those of the tile; 1 levels them out, 0 "
        "is off",
    )
    shading: Fraction = Field(
        0.0, description="how far contrast and brightness differ from place to place; 0 is off"
    )
    spectrum: Fraction = Field(
        0.0,
        description="share of the amplitudes of another source's image, or one of data.unlabeled, that is mixed "
        "into the spectrum of a tile; 0 is off",
    )
    defocus: float = Field(
        0.0,
        ge=0,
        le=20,
        description="largest radius of the disc that a point becomes out of focus, in pixels, drawn for rows and "
        "columns apart; 0 is off",
    )
    sharpen: float = Field(
        0.0, ge=0, le=10, description="largest amount of unsharp masking, which sharpens; 0 is off"
    )
    coarsen: float = Field(
        1.0, ge=1, le=16, description="largest factor by which pixels are coarser, then enlarged again; 1 is off"
    )
    jpeg: Annotated[int, Field(ge=0, le=95)] = Field(
        0, description="lowest quality of a JPEG compression, of 1 to 95; 0 is off"
    )
    shot_noise: Fraction = Field(
        0.0,
        description="largest standard deviation of noise that grows with brightness, as that of counts; 0 is off",
    )
    grain: Fraction = Field(
        0.0, description="largest standard deviation of noise that is alike in neighboring pixels; 0 is off"
    )
    specks: Fraction = Field(0.0, description="largest share of pixels that become black or white; 0 is off")
    scan_lines: Fraction = Field(
        0.0, description="largest standard deviation of the brightness of single rows or columns; 0 is off"
    )
    curtains: Fraction = Field(
        0.0, description="largest standard deviation of streaks along rows or columns that fade; 0 is off"
    )

    @model_validator(mode="after")
    def _ordered(self) -> "AugmentConfig":
        if not 0 < self.zoom[0] <= self.zoom[1]:
            raise ValueError(f"zoom is {list(self.zoom)}; it must be two positive numbers, the smaller first")
        return self

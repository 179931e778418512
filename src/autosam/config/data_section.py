"""The section ``data``: images with labels, and which of them are for training."""

from typing import Annotated

from pydantic import Field

from autosam.config.section import Positive, Section


class SourceConfig(Section):
    """One pair of folders with training data, relative to the data folder."""

    name: str = Field(description="name of the source, and its key in the split file")
    images: str = Field(description="folder of the images, or a store")
    labels: str = Field(description="folder of the labels, with the same file stems, or the same store")
    prompts: str | None = Field(
        None, description="folder of prompt tables (NAME.csv): user prompts to train on beside the others"
    )
    components: bool = Field(
        False, description="the labels are semantic masks: make instances of their connected components"
    )
    min_size: Annotated[int, Field(ge=0)] = Field(
        50, description="smallest connected component that is kept, in pixels"
    )
    valid: str | None = Field(
        None,
        description="folder of masks, 0 where labels are incomplete: nothing is learnt or scored there; by "
        "default the folder valid beside that of the labels, if there is one; none for no masks",
    )
    ignore_label: int | None = Field(
        None, description="number in the labels of pixels that are neither learnt nor scored, such as 255 or -1"
    )
    pixel_size: float | None = Field(
        None,
        gt=0,
        description="pixel size of the source's images in nm: they are zoomed to images.pixel_size, as a user's "
        "images of known pixel size are. null: they are taken as they are",
    )
    weight: Positive = Field(
        1, description="share of the tiles from this source, relative to the weights of the others"
    )


class DataConfig(Section):
    """Which images are for training, and which for validation."""

    sources: tuple[SourceConfig, ...] = Field(
        (SourceConfig(name="data", images="images", labels="labels"),), description="the sources of training data"
    )
    split: str | None = Field(
        None,
        description="JSON file with the file stems of train and val for each source; null: the last fifth is val",
    )
    fraction: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of each source's training images to use, evenly spaced; at least one image",
    )
    unlabeled: tuple[str, ...] = Field(
        (),
        description="files, folders and patterns of images without labels, relative to the data folder: other "
        "tissues and laboratories. Their amplitudes are mixed into tiles, see training.augment.spectrum",
    )

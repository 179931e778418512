"""What a batch of images writes: its options, the files of each image, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from autosam.images import ImageSource
from autosam.images.multichannel import MultichannelImage
from autosam.images.readers import EVERYTHING, Selection
from autosam.pipeline.segmentation import Segmentation

AnySource = ImageSource | MultichannelImage


@dataclass(frozen=True, eq=False)
class SegmentedImage:
    """An image with its result, from which its files are written.

    Attributes
    ----------
    image : ndarray, shape (H, W) or (H, W, C)
        The pixels as read, before normalization; the channels of a multichannel image along the last axis.
    result : Segmentation
        What was found.
    pixel_size_nm : float or None
        Side of a pixel that was told or read from the file.
    """

    source: AnySource
    image: NDArray[Any]
    result: Segmentation
    pixel_size_nm: float | None


class ImageOutput(Protocol):
    """A further file of each image, such as an export; given with `BatchOptions.further`."""

    @property
    def ending(self) -> str:
        """What follows the name of the image in the file's name, at most 20 characters: ``_rois.zip``."""

    def write(self, path: Path, segmented: SegmentedImage) -> None:
        """Write the file, or a folder such as ``.zarr``, under a temporary name and rename it when it is whole.

        An `InputError` fails this image alone, an `OutputError` ends the batch.
        """


@dataclass(frozen=True)
class BatchOptions:
    """What a batch writes, and what is known of its images.

    Attributes
    ----------
    file_format : {"tif", "png", "h5", "zarr"}
        Of the label files.
    overwrite : bool
        Segment finished images again. Otherwise an image is skipped whose results are complete, and of which the
        record says that this image, model and settings gave them.
    draw_prompts, draw_ids : bool
        Draw points and boxes, or the ids of the instances, on the overlays.
    save_prompts : bool
        Write the prompts as ``NAME_prompts.csv``, to be corrected and used as user prompts.
    pixel_size_nm : float, optional
        Side of a pixel; by default what each file says (`read_pixel_size`). Known, it gives areas in µm², and
        zooms images to the pixel size that the model was trained at (`Segmenter.known_zoom`).
    diameter : float, optional
        Typical diameter of the objects in pixels: images are zoomed to that of the training objects.
    channels : str, optional
        How multichannel images were put together, for the record.
    selection : Selection
        Which images and which channel of each file were taken, for the record.
    further : tuple of ImageOutput
        What else is written for each image, such as exports.
    """

    file_format: str = "tif"
    overwrite: bool = False
    draw_prompts: bool = False
    draw_ids: bool = False
    save_prompts: bool = False
    pixel_size_nm: float | None = None
    diameter: float | None = None
    channels: str | None = None
    selection: Selection = EVERYTHING
    further: tuple[ImageOutput, ...] = ()


PLAIN = BatchOptions()


@dataclass(frozen=True)
class Outputs:
    """The files of one image in the folder of results."""

    labels: Path
    overlay: Path
    table: Path
    prompts: Path
    further: tuple[Path, ...] = ()

    @classmethod
    def of(cls, source: AnySource, out: Path, file_format: str, further: Sequence[ImageOutput] = ()) -> "Outputs":
        """Name them after the source."""
        return cls(
            out / f"{source.name}_labels.{file_format}",
            out / f"{source.name}_overlay.png",
            out / f"{source.name}_instances.csv",
            out / f"{source.name}_prompts.csv",
            tuple(out / f"{source.name}{output.ending}" for output in further),
        )

    def complete(self) -> bool:
        """Tell whether those that every run writes are there; each is renamed into place when it is whole."""
        return all(path.exists() for path in (self.labels, self.overlay, self.table, *self.further))


@dataclass(frozen=True)
class ImageOutcome:
    """What became of one image.

    Attributes
    ----------
    state : {"done", "skipped", "failed"}
        Skipped images had their results already.
    instances, prompts : int
        Number of objects and of prompts that SAM was asked; 0 unless done.
    seconds : float
        Reading, segmenting and writing.
    out_of_distribution : bool
        The image is unlike those that the model was trained on; False where the model cannot tell.
    message : str
        Why it failed; empty otherwise.
    """

    source: AnySource
    state: Literal["done", "skipped", "failed"]
    instances: int = 0
    prompts: int = 0
    seconds: float = 0.0
    out_of_distribution: bool = False
    message: str = ""

"""What a batch of images writes: its options, the files of each image, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from autosam.images import ImageSource
from autosam.images.formats import WRITTEN_SUFFIXES
from autosam.images.multichannel import MultichannelImage
from autosam.images.readers import EVERYTHING, Selection
from autosam.instances import InstanceTable
from autosam.pipeline.segmentation import Segmentation

AnySource = ImageSource | MultichannelImage

LONGEST = 225
"""Bytes of a name of results: with 20 for an ending and 10 for a temporary name, the 255 that systems allow."""


@dataclass(frozen=True, eq=False)
class SegmentedImage:
    """An image with its result, from which its files are written.

    Attributes
    ----------
    image : ndarray, shape (H, W) or (H, W, C)
        The pixels as read, before normalization; the channels of a multichannel image along the last axis.
    result : Segmentation
        What was found.
    table : InstanceTable
        Measurements of the instances.
    pixel_size_nm : float or None
        Side of a pixel that was told or read from the file.
    """

    source: AnySource
    image: NDArray[Any]
    result: Segmentation
    table: InstanceTable
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
        What else is written for each image that is segmented, such as exports. Images that were finished before
        get none; `export_results` makes exports of them.
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


def result_name(source: AnySource) -> str:
    """Name the results of an image: its own name in the folder that it was found in, with slashes.

    A name of which no files could be written is cut and ends with a hash of the whole, so that no two images get
    one name.

    Examples
    --------
    >>> result_name(ImageSource(Path("in/a.tif")))
    'a'
    >>> result_name(ImageSource(Path("in/day1/a.tif"), folder=Path("day1")))
    'day1/a'
    >>> len(result_name(ImageSource(Path("a" * 245 + ".tif")))), LONGEST
    (225, 225)
    """
    name = source.name
    whole = name.encode("utf-8", "surrogateescape")
    if len(whole) > LONGEST:
        mark = "~" + sha256(whole).hexdigest()[:12]
        name = whole[: LONGEST - len(mark)].decode("utf-8", "ignore") + mark
    return (source.folder / name).as_posix()


def name_faults(sources: Sequence[AnySource]) -> list[str | None]:
    """Say of each image why no results can have its name, or None.

    A name can be no UTF-8, or that of another image too; upper and lower case are taken as equal, for results are
    moved to systems where they are.
    """
    by_name: dict[str, list[AnySource]] = {}
    for source in sources:
        by_name.setdefault(result_name(source).casefold(), []).append(source)
    faults: list[str | None] = []
    for source in sources:
        name = result_name(source)
        others = [str(other) for other in by_name[name.casefold()] if other is not source]
        try:
            name.encode()
        except UnicodeEncodeError:
            faults.append(f"{source}: its name is no UTF-8; rename it")
            continue
        faults.append(
            f"{source}: its results would have the same names as those of {' and '.join(others)}; rename one, or "
            "run them apart with different output folders"
            if others
            else None
        )
    return faults


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
        """Name them after the source, see `result_name`."""
        start = out / result_name(source)
        labels, overlay, table, prompts, *more = (
            start.with_name(start.name + ending)
            for ending in (
                f"_labels.{file_format}",
                "_overlay.png",
                "_instances.csv",
                "_prompts.csv",
                *(output.ending for output in further),
            )
        )
        return cls(labels, overlay, table, prompts, tuple(more))

    @property
    def always(self) -> tuple[Path, ...]:
        """Those that every run with the same options writes; prompts are left out."""
        return (self.labels, self.overlay, self.table, *self.further)

    def written(self, options: BatchOptions) -> tuple[Path, ...]:
        """Those that a run with these options writes."""
        return (*self.always, *([self.prompts] if options.save_prompts else []))

    @property
    def possible(self) -> list[Path]:
        """Labels of all formats, and prompts: what runs with other options may have written."""
        return [*(self.labels.with_suffix(suffix) for suffix in WRITTEN_SUFFIXES), self.prompts]


@dataclass(frozen=True)
class ImageOutcome:
    """What became of one image.

    Attributes
    ----------
    state : {"done", "skipped", "failed", "elsewhere"}
        Skipped images had their results already; those elsewhere are in work by another process.
    instances, prompts : int
        Number of objects and of prompts that SAM was asked; 0 unless done.
    seconds : float
        Reading, segmenting and writing this image; other images can have been worked on in the same time.
    out_of_distribution : bool
        The image is unlike those that the model was trained on; False where the model cannot tell.
    warnings : tuple of str
        Those of the `Segmentation`.
    message : str
        Why it failed, or who works on it; empty otherwise.
    changed : bool
        It had results, of an image of the same name and other content.
    removed, kept : tuple of str
        Files of earlier results that are out of date: those that autosam had written and removed, and those that
        were changed since and stay.
    timings : mapping of str to float
        Seconds of each stage, by the names of `timings.STAGES`; empty unless done.
    """

    source: AnySource
    state: Literal["done", "skipped", "failed", "elsewhere"]
    instances: int = 0
    prompts: int = 0
    seconds: float = 0.0
    out_of_distribution: bool = False
    warnings: tuple[str, ...] = ()
    message: str = ""
    changed: bool = False
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of its results."""
        return result_name(self.source)

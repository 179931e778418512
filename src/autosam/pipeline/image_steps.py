"""One image as a task: read, segment and write it, in this process or another one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosam.pipeline.failures import of_device, of_one_image
from autosam.pipeline.inside import InsideSource
from autosam.pipeline.one_image import LoadedImage, TruthSource, segment_loaded, write_results
from autosam.pipeline.outputs import AnySource, BatchOptions, Outputs, result_name
from autosam.pipeline.segmentation import Segmentation
from autosam.pipeline.segmenter import Segmenter
from autosam.pipeline.timings import Timings
from autosam.prompts.user_prompts import PromptTables


@dataclass(frozen=True, eq=False)
class ImageTask:
    """An image to segment.

    Attributes
    ----------
    loaded : LoadedImage or None
        Its pixels, where they had to be read already.
    """

    source: AnySource
    outputs: Outputs
    loaded: LoadedImage | None = None

    @property
    def name(self) -> str:
        """Name of its results."""
        return result_name(self.source)


@dataclass(frozen=True, eq=False)
class ReadImage:
    """An image whose pixels are read, and the seconds of its stages so far."""

    loaded: LoadedImage
    timings: Timings


@dataclass(frozen=True, eq=False)
class ImageAnswer:
    """What came out for an image whose files are written.

    Attributes
    ----------
    entry : dict
        What the run record says of the image and of its result.
    instances, prompts, out_of_distribution, warnings, timings
        As in `ImageOutcome`.
    """

    entry: dict[str, Any]
    instances: int
    prompts: int
    out_of_distribution: bool
    warnings: tuple[str, ...]
    timings: dict[str, float]


@dataclass(frozen=True, eq=False)
class ImageSteps:
    """The steps of all images of a batch; see `segment_batch` for its parameters."""

    segmenter: Segmenter
    out: Path
    options: BatchOptions
    prompts: PromptTables | None = None
    truths: TruthSource | None = None
    inside: InsideSource | None = None

    def read(self, task: ImageTask) -> ReadImage:
        """Read the pixels, and hash them."""
        timings = Timings()
        with of_one_image(), timings.stage("read"):
            loaded = task.loaded or LoadedImage.read(task.source, self.options.pixel_size_nm)
            # Computed once, and kept with the pixels.
            _ = loaded.sha256
        return ReadImage(loaded, timings)

    def work(self, task: ImageTask, read: ReadImage, tick: Callable[[float], None]) -> Segmentation:
        """Segment the image."""
        segmenter = self.segmenter.with_timings(read.timings)
        with of_one_image(), of_device():
            return segment_loaded(
                read.loaded, segmenter, self.options, self.prompts, self.truths, self.inside, tick
            )

    def write(self, task: ImageTask, read: ReadImage, made: Segmentation) -> ImageAnswer:
        """Measure the instances, and write the files."""
        with of_one_image():
            found = write_results(read.loaded, made, task.outputs, self.options, self.out, read.timings)
        took = dict(read.timings.seconds)
        rounded = {stage: round(seconds, 4) for stage, seconds in took.items()}
        return ImageAnswer(
            {"sha256": read.loaded.sha256, "timings": rounded, **found},
            len(made.scores),
            len(made.prompts),
            made.out_of_distribution,
            made.warnings,
            took,
        )

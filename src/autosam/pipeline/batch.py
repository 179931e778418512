"""Many images into one folder: what `autosam segment` does, for Python users too."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosam.config import Config
from autosam.errors import InputError
from autosam.images import ensure_folder
from autosam.pipeline.bookkeeping import Bookkeeping, Executor, Watch
from autosam.pipeline.claims import Claims
from autosam.pipeline.image_steps import ImageSteps
from autosam.pipeline.inside import InsideSource
from autosam.pipeline.one_image import TruthSource
from autosam.pipeline.outputs import PLAIN, AnySource, BatchOptions, ImageOutcome, name_faults
from autosam.pipeline.read_ahead import Overlap
from autosam.pipeline.record import RunRecord
from autosam.pipeline.run_options import recorded_options, recorded_settings
from autosam.pipeline.segmenter import Segmenter
from autosam.prompts.user_prompts import PromptTables


def segment_batch(
    sources: Sequence[AnySource],
    segmenter: Segmenter,
    out: Path,
    options: BatchOptions = PLAIN,
    *,
    prompts: PromptTables | None = None,
    truths: TruthSource | None = None,
    inside: InsideSource | None = None,
    model_sha256: str = "",
    progress: Callable[[float], None] | None = None,
    watch: Watch | None = None,
) -> Generator[ImageOutcome, None, None]:
    """Segment images one after the other and write their files, the run record and ``summary.csv``.

    While the networks work on one image, the next is read and the last written, in threads: three images are in
    memory at most. Several processes can work in one folder: each image is claimed by one of them before it is
    read, and the record keeps what all have done. `segment_with_workers` starts such processes.

    Parameters
    ----------
    sources : sequence of ImageSource or MultichannelImage
        From `find_sources`, `find_channels` or `split_channels`.
    out : Path
        Folder of the results; created if need be.
    prompts : PromptTables, optional
        User prompts, for ``prompts.method=user`` or beside predicted ones.
    truths : TruthSource, optional
        Ground truth that chooses among SAM's masks (`segment_with_oracle`). The results are an upper bound, and
        the record says so by the hash.
    inside : InsideSource, optional
        The area of each image in which objects count (`keep_inside`).
    model_sha256 : str
        Hash of the model file, for the record.
    progress : callable, optional
        Called with the share of the current image that is done, 0 to 1.
    watch : callable, optional
        The same, with the image before it. An image that is being written has no share any more, and no outcome
        yet.

    Yields
    ------
    ImageOutcome
        One per source, in order; those that another process had claimed come last. An image that cannot be read,
        segmented or named, or whose results come from another image, fails and does not stop the others.

    Raises
    ------
    ConfigError
        If the folder holds results of another model or of other settings, and ``overwrite`` is off.
    InputError
        If no image can be done, for their names.
    OutputError
        If a result cannot be written: the next image's could not be either.
    DeviceLostError
        If the GPU stops working. What is done is kept, and a further run goes on.
    """

    def show(source: AnySource, share: float) -> None:
        if progress is not None:
            progress(share)
        if watch is not None:
            watch(source, share)

    made = Made(segmenter.config, segmenter.name, model_sha256, recorded_options(options, prompts, truths, inside))
    steps = ImageSteps(segmenter, out, options, prompts, truths, inside)
    yield from run_batch(sources, out, options, made, Overlap(steps), show)


@dataclass(frozen=True)
class Made:
    """What makes the results, for the record."""

    config: Config
    model: str
    model_sha256: str
    options: dict[str, Any]


def run_batch(
    sources: Sequence[AnySource],
    out: Path,
    options: BatchOptions,
    made: Made,
    executor: Executor,
    watch: Watch,
) -> Iterator[ImageOutcome]:
    """Let an executor segment the images, those that another process had claimed last."""
    faults = name_faults(sources)
    if sources and all(faults):
        raise InputError("; ".join(dict.fromkeys(fault for fault in faults if fault)))
    ensure_folder(out)
    with (
        Claims(out) as claims,
        RunRecord.open(
            out,
            settings=recorded_settings(made.config),
            options=made.options,
            model=made.model,
            model_sha256=made.model_sha256,
            keep=not options.overwrite,
            busy=claims.others,
        ) as record,
        executor,
    ):
        books = Bookkeeping(out, options, claims, record, watch, keep_pixels=isinstance(executor, Overlap))
        waiting: list[AnySource] = []
        yield from books.go_through(
            zip(sources, faults, strict=True), executor, lambda source, _: waiting.append(source)
        )
        books.write()
        yield from books.go_through(
            [(source, None) for source in waiting],
            executor,
            lambda source, holder: ImageOutcome(source, "elsewhere", message=str(holder)),
        )

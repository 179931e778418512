"""Many images into one folder: what `autosam segment` does, for Python users too."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from autosam.errors import ConfigError, InputError
from autosam.images import Source, ensure_folder, normalize, read_image, write_labels, write_png
from autosam.instances import measure_instances, write_table
from autosam.pipeline import Segmentation, Segmenter
from autosam.prompts import Prompt
from autosam.report import draw_overlay
from autosam.report.record import RunRecord

FORMATS: tuple[str, ...] = ("tif", "png", "h5", "zarr")


@dataclass(frozen=True)
class Outputs:
    """The files of one image in the folder of results."""

    labels: Path
    overlay: Path
    table: Path

    @classmethod
    def of(cls, source: Source, out: Path, file_format: str) -> "Outputs":
        """Name them after the source."""
        return cls(
            out / f"{source.name}_labels.{file_format}",
            out / f"{source.name}_overlay.png",
            out / f"{source.name}_instances.csv",
        )

    def complete(self) -> bool:
        """Tell whether all three are there; each is renamed into place when it is whole."""
        return self.labels.exists() and self.overlay.exists() and self.table.exists()


@dataclass(frozen=True)
class Outcome:
    """What became of one image.

    Attributes
    ----------
    source : Source
    state : {"done", "skipped", "failed"}
        Skipped images had their results already.
    instances : int
        Number of objects; 0 unless done.
    seconds : float
        Reading, segmenting and writing.
    message : str
        Why it failed; empty otherwise.
    """

    source: Source
    state: Literal["done", "skipped", "failed"]
    instances: int = 0
    seconds: float = 0.0
    message: str = ""


def segment_batch(
    sources: Sequence[Source],
    segmenter: Segmenter,
    out: Path,
    *,
    file_format: str = "tif",
    overwrite: bool = False,
    draw_prompts: bool = False,
    pixel_size_nm: float | None = None,
    prompts_for: Callable[[Source, tuple[int, int]], Sequence[Prompt]] | None = None,
    model_sha256: str = "",
    progress: Callable[[float], None] | None = None,
) -> Iterator[Outcome]:
    """Segment images one after the other and write labels, overlay, table and the run record.

    Parameters
    ----------
    sources : sequence of Source
        From `find_sources`.
    segmenter : Segmenter
    out : Path
        Folder of the results; created if need be.
    file_format : {"tif", "png", "h5", "zarr"}
        Of the label files.
    overwrite : bool
        Do images again whose results are complete; otherwise they are skipped.
    draw_prompts : bool
        Draw points and boxes on the overlays.
    pixel_size_nm : float, optional
        Side of a pixel, for areas in µm².
    prompts_for : callable, optional
        Gives the prompts of an image of a given shape, for ``prompts.method=manual``.
    model_sha256 : str
        Hash of the model file, for the record.
    progress : callable, optional
        Called with the share of the current image that is done, 0 to 1.

    Yields
    ------
    Outcome
        One per source, in order. An image that cannot be read or segmented fails and does not stop the others.

    Raises
    ------
    ConfigError
        If the folder holds results of another model or of other settings, and ``overwrite`` is off.
    OutputError
        If a result cannot be written: the next image's could not be either.
    """
    if file_format not in FORMATS:
        raise ConfigError(f"label format {file_format!r} is unknown; choose one of {', '.join(FORMATS)}")
    ensure_folder(out)
    record = RunRecord.open(
        out,
        settings=segmenter.config.model_dump(mode="json", exclude={"training", "data"}),
        model=segmenter.name,
        model_sha256=model_sha256,
        keep=not overwrite,
    )
    for source in sources:
        outputs = Outputs.of(source, out, file_format)
        if outputs.complete() and not overwrite:
            yield Outcome(source, "skipped")
            continue
        began = time.perf_counter()
        try:
            entry, count = _segment_one(
                source, segmenter, outputs, draw_prompts, pixel_size_nm, prompts_for, progress
            )
        except InputError as error:
            record.add(source.name, {"input": str(source), "error": str(error)})
            yield Outcome(source, "failed", seconds=time.perf_counter() - began, message=str(error))
            continue
        seconds = time.perf_counter() - began
        record.add(source.name, {"input": str(source), **entry, "seconds": round(seconds, 3)})
        yield Outcome(source, "done", count, seconds)


def _segment_one(
    source: Source,
    segmenter: Segmenter,
    outputs: Outputs,
    draw_prompts: bool,
    pixel_size_nm: float | None,
    prompts_for: Callable[[Source, tuple[int, int]], Sequence[Prompt]] | None,
    progress: Callable[[float], None] | None,
) -> tuple[Mapping[str, Any], int]:
    image = read_image(source)
    shape = (image.shape[0], image.shape[1])
    prompts = None if prompts_for is None else prompts_for(source, shape)
    result = segmenter.segment(
        image,
        prompts=prompts,
        progress=None if progress is None else lambda done, todo: progress(done / todo),
    )
    images = segmenter.config.images
    picture = draw_overlay(
        normalize(image, low=images.low, high=images.high, non_finite=images.non_finite),
        result.labels,
        prompts=result.prompts if draw_prompts else None,
    )
    write_labels(outputs.labels, result.labels)
    write_png(outputs.overlay, picture)
    rows = measure_instances(result.labels, image, result.scores, pixel_size_nm=pixel_size_nm)
    write_table(outputs.table, rows)
    return _entry(result, shape), len(result.scores)


def _entry(result: Segmentation, shape: tuple[int, int]) -> Mapping[str, Any]:
    return {
        "rows": shape[0],
        "columns": shape[1],
        "prompts": len(result.prompts),
        "instances": len(result.scores),
        "instances_of_generator_alone": int((result.prompt_of < 0).sum()),
    }

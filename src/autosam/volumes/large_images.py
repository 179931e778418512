"""Images too large to be segmented at once: each is a volume of one slice, with the results of any other image."""

import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from autosam.errors import InputError
from autosam.images.image_source import ImageSource
from autosam.images.write import ensure_folder, write_png
from autosam.instances import write_table
from autosam.pipeline.batch import Made, run_batch
from autosam.pipeline.batch_workers import ModelChoice
from autosam.pipeline.bookkeeping import Watch as BatchWatch
from autosam.pipeline.export_output import ExportOutput
from autosam.pipeline.failures import of_one_image
from autosam.pipeline.image_steps import ImageAnswer, ImageTask
from autosam.pipeline.outputs import AnySource, BatchOptions, ImageOutcome
from autosam.pipeline.own_files import describe
from autosam.pipeline.read_ahead import Report, Sign
from autosam.pipeline.run_options import recorded_options
from autosam.report.exports.large_plane import LargePlane
from autosam.volumes.executors import TaskExecutor
from autosam.volumes.job import VolumeJob
from autosam.volumes.label_output import LabelOutput, open_output
from autosam.volumes.large_measures import draw_large_overlay, find_large_boxes, measure_large, read_labels_in
from autosam.volumes.large_source import open_large
from autosam.volumes.passes import PassResults, find_objects, label_type, write_levels
from autosam.volumes.prepare import prepare_job
from autosam.volumes.segment_volume import VolumeOptions, executor_of
from autosam.volumes.write_pass import write_region


def segment_large_images(
    sources: Sequence[AnySource],
    model: ModelChoice,
    out: Path,
    options: BatchOptions,
    how: VolumeOptions,
    *,
    model_sha256: str,
    refused: Sequence[str] = (),
    given: dict[str, Any] | None = None,
    watch: BatchWatch | None = None,
) -> Generator[ImageOutcome, None, None]:
    """Segment large images by parts, with the files, the record and the order of `segment_batch`.

    What an interrupted run has done lies in ``NAME_tasks``, and is gone when the image is finished.

    Parameters
    ----------
    how : VolumeOptions
        Device, and where the parts are segmented.
    refused : sequence of str
        Options of the command that cannot hold for these images: each fails, and names them.
    given : dict
        Prompts, truths and areas, which the record names by their hashes.
    sources, model, out, options, model_sha256, watch
        See `segment_with_workers`.

    Yields
    ------
    ImageOutcome
        One per source.

    Raises
    ------
    AutosamError
        As of `segment_batch` and `segment_source`.
    """
    known = {"prompts": None, "truths": None, "inside": None, **(given or {})}
    made = Made(model.settings, str(model.model), model_sha256, recorded_options(options, **known))
    large = _LargeImages(model, out, options, how, model_sha256, tuple(refused))
    try:
        yield from run_batch(sources, out, options, made, large, watch or (lambda *_: None))
    finally:
        # Only now the record names them.
        large.tidy()


class _LargeImages:
    """Segments one large image after the other; an `Executor` of a batch, whose tasks are images."""

    def __init__(
        self,
        model: ModelChoice,
        out: Path,
        options: BatchOptions,
        how: VolumeOptions,
        model_sha256: str,
        refused: tuple[str, ...],
    ) -> None:
        self._model, self._out, self._options, self._how = model, out, options, how
        self._sha256, self._refused = model_sha256, refused
        self._done: list[Path] = []

    def __enter__(self) -> "_LargeImages":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left: processes end with each image."""

    def run(
        self,
        tasks: Iterator[ImageTask | Sign],
        report: Report[ImageTask, ImageAnswer],
        watch: Callable[[ImageTask, float], None],
    ) -> Generator[None, None, None]:
        """Do images in their order; see `Overlap.run`."""
        for task in tasks:
            if isinstance(task, ImageTask):
                began = time.perf_counter()
                answer: ImageAnswer | InputError
                try:
                    with of_one_image():
                        answer = self._segment(task, partial(watch, task))
                except InputError as error:
                    answer = error
                report(task, answer, time.perf_counter() - began)
            yield

    def tidy(self) -> None:
        """Remove the files of tasks of images that are finished."""
        for folder in self._done:
            shutil.rmtree(folder, ignore_errors=True)

    def _segment(self, task: ImageTask, tick: Callable[[float], None]) -> ImageAnswer:
        self._check(task)
        assert isinstance(task.source, ImageSource)
        source = open_large(task.source, pixel_size_nm=self._options.pixel_size_nm)
        labels = task.outputs.labels
        folder = labels.with_name(labels.name.removesuffix(f"_labels{labels.suffix}") + "_tasks")
        ensure_folder(folder)
        with executor_of(self._how, folder) as executor:
            job = prepare_job(
                source,
                self._model,
                model_sha256=self._sha256,
                device=self._how.device,
                folder=folder,
                diameter=self._options.diameter,
            )
            results = find_objects(job, executor, lambda found: tick(min(found.share, 0.99)))
            output = open_output(
                labels,
                shape=source.shape,
                dtype=label_type(results.instances),
                voxel_size=source.voxel_size,
                identity=job.keys["unite"],
                overwrite=True,
                work=folder / "output",
            )
            if not output.is_finished:
                write_levels(output.store, partial(write_region, job), executor, results, lambda _: tick(0.99))
            entry = self._write(task, job, output, executor, results)
        output.close()
        self._done.append(folder)
        unlike = bool(entry.get("out_of_distribution"))
        said = tuple(text for text in entry["warnings"] if text not in _SAID)
        return ImageAnswer(entry, results.instances, 0, unlike, said, {})

    def _check(self, task: ImageTask) -> None:
        """Refuse what cannot hold for an image that is segmented by parts."""
        parted = f"{task.source} has more pixels than tiles.in_memory, and is segmented by parts"
        refused = list(self._refused)
        if self._options.file_format == "png":
            refused.append("--format png")
        refused += [
            f"--export {output.known.name if isinstance(output, ExportOutput) else output.ending}"
            for output in self._options.further
            if not (isinstance(output, ExportOutput) and output.known.by_parts)
        ]
        if not isinstance(task.source, ImageSource):
            refused.append("--channels")
        if refused:
            raise InputError(
                f"{parted}, which {' and '.join(refused)} cannot be had with: leave that out, or choose a lower "
                "--level"
            )

    def _write(
        self,
        task: ImageTask,
        job: VolumeJob,
        output: LabelOutput,
        executor: TaskExecutor,
        results: PassResults,
    ) -> dict[str, Any]:
        """Write the files of an image, the labels last; give its entry for the record."""
        outputs, store, options = task.outputs, output.store, self._options
        boxes = find_large_boxes(store, executor)
        table = measure_large(job, store, boxes, executor)
        write_png(outputs.overlay, draw_large_overlay(job, store, job.source))
        write_table(outputs.table, table)
        plane = LargePlane(boxes, table, partial(read_labels_in, store))
        for known, path in zip(options.further, outputs.further, strict=True):
            assert isinstance(known, ExportOutput)
            known.write_large(path, task.source, plane, job.source.pixel_size)
        output.finish()
        files = {path.relative_to(self._out).as_posix(): describe(path) for path in outputs.written(options)}
        _, rows, columns = job.source.shape
        unlike, known_tiles = results.unlike
        return {
            "rows": rows,
            "columns": columns,
            "by_parts": True,
            "windows": len(job.grid.tiles),
            "instances": results.instances,
            **({"stain_normalized": True} if job.contrast.stain is not None else {}),
            **({"out_of_distribution": 2 * unlike > known_tiles} if known_tiles else {}),
            "zoom": job.zoom,
            "median_area": float(np.median(boxes.areas)) if len(boxes) else None,
            "area_share": round(float(boxes.areas.sum() / (rows * columns)), 6),
            "pixel_size_nm": job.source.pixel_size,
            "warnings": _warnings(results),
            "files": files,
        }


_SAID = ("nothing found", "unlike the training images")
"""Warnings of the record that the command says in other words."""


def _warnings(results: PassResults) -> list[str]:
    unlike, known = results.unlike
    holes = len(results.holes)
    return [
        *(["nothing found"] if not results.instances else []),
        *(["unlike the training images"] if known and 2 * unlike > known else []),
        *([f"{holes} windows could not be read, the first: {results.holes[0][2]}"] if holes else []),
    ]

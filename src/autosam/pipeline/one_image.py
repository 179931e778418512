"""One image of a batch: read it, segment it, write its files, and say for the record what came out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autosam.config import ImagesConfig
from autosam.images import ensure_folder, read_pixel_size, write_labels, write_png
from autosam.images.multichannel import MultichannelImage, read_channels
from autosam.images.read import read_pixels
from autosam.images.write import remove_path
from autosam.instances import measure_instances, write_table
from autosam.pipeline.identity import content_of
from autosam.pipeline.inside import InsideSource, check_inside, describe_inside, keep_inside
from autosam.pipeline.oracle import segment_with_oracle
from autosam.pipeline.outputs import AnySource, BatchOptions, Outputs, SegmentedImage
from autosam.pipeline.own_files import describe
from autosam.pipeline.segmentation import Segmentation
from autosam.pipeline.segmenter import Segmenter
from autosam.pipeline.timings import Timings
from autosam.pipeline.view import Image
from autosam.prompts import write_prompts
from autosam.prompts.user_prompts import PromptTables
from autosam.report import draw_overlay


class TruthSource(Protocol):
    """The ground truth of every image, and a hash of all of it, as `evaluation.truths.Truths`."""

    @property
    def of(self) -> Callable[[AnySource], NDArray[np.integer[Any]]]:
        """Reads the labels of an image, (H, W)."""

    @property
    def sha256(self) -> str:
        """Hash of the labels of all images."""


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """The pixels of an image, (H, W) or (H, W, 3) or a list of channels, and its pixel size in nm if known."""

    source: AnySource
    image: Image
    pixel_size_nm: float | None

    @classmethod
    def read(cls, source: AnySource, pixel_size_nm: float | None) -> "LoadedImage":
        """Read it; the pixel size that was told counts more than what the file says.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        image: Image
        if isinstance(source, MultichannelImage):
            # The channels are aligned, so that the first one tells what all have in common.
            image, first = read_channels(source), source.sources[0]
        else:
            image, first = read_pixels(source), source
        return cls(source, image, read_pixel_size(first) if pixel_size_nm is None else pixel_size_nm)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        pixels = self.image if isinstance(self.image, np.ndarray) else self.image[0]
        return pixels.shape[0], pixels.shape[1]

    @cached_property
    def sha256(self) -> str:
        """Hash of what a result depends on."""
        channels = [self.image] if isinstance(self.image, np.ndarray) else list(self.image)
        return content_of(channels, self.pixel_size_nm)


def segment_loaded(
    loaded: LoadedImage,
    segmenter: Segmenter,
    options: BatchOptions,
    prompts: PromptTables | None,
    truths: TruthSource | None,
    inside: InsideSource | None,
    progress: Callable[[float], None] | None,
) -> Segmentation:
    """Segment an image, with the user prompts, the oracle and the area of the batch."""
    source = loaded.source
    asked = None if prompts is None else prompts.of(source, loaded.shape)
    zoom = segmenter.known_zoom(pixel_size_nm=loaded.pixel_size_nm, diameter=options.diameter)
    tick = None if progress is None else lambda done, todo: progress(done / todo)
    # Before the work: a mask of another size fails at once.
    area = None if inside is None else check_inside(inside.of(source, loaded.shape), loaded.shape)
    if truths is None:
        # No file of ours shows them; others' may.
        kept = bool(options.further)
        result = segmenter.segment(loaded.image, zoom=zoom, prompts=asked, keep_maps=kept, progress=tick)
    else:
        truth = truths.of(source)
        result = segment_with_oracle(segmenter, loaded.image, truth, zoom=zoom, prompts=asked, progress=tick)
    result = replace(result, warnings=result.warnings + _mixed(loaded, segmenter.config.images))
    return result if area is None else keep_inside(result, area)


def _mixed(loaded: LoadedImage, settings: ImagesConfig) -> tuple[str, ...]:
    """Say so where the channels of a file were made one color image, and nobody asked for that."""
    several = not isinstance(loaded.image, np.ndarray) and len(loaded.image) > 1
    if not several or isinstance(loaded.source, MultichannelImage) or settings.combine != "input":
        return ()
    return (
        f"{len(loaded.image)} channels were taken for red, green and blue; --channel takes one, by number or name",
    )


def write_results(
    loaded: LoadedImage,
    result: Segmentation,
    outputs: Outputs,
    options: BatchOptions,
    out: Path,
    timings: Timings,
) -> dict[str, Any]:
    """Write the files of an image, the labels last; give its entry for the record.

    Where one of them cannot be written, and on Ctrl-C, none stays that was not there before.

    Raises
    ------
    InputError
        If a further output refuses this image.
    OutputError
        If a file cannot be written.
    """
    image, size_nm = loaded.image, loaded.pixel_size_nm
    with timings.stage("measure"):
        measured = image if isinstance(image, np.ndarray) else np.stack(image, axis=-1)
        table = measure_instances(result.labels, measured, result.scores, pixel_size_nm=size_nm)
    with timings.stage("overlay"):
        picture = draw_overlay(
            result.picture,
            result.labels,
            prompts=result.prompts if options.draw_prompts else None,
            ids=options.draw_ids,
            pixel_size_nm=size_nm,
        )
    for folder in {path.parent for path in (*outputs.always, outputs.prompts)}:
        ensure_folder(folder)
    with timings.stage("write"), _all_or_none(outputs):
        write_png(outputs.overlay, picture)
        write_table(outputs.table, table)
        if options.save_prompts:
            write_prompts(outputs.prompts, {loaded.source.image: result.prompts})
        segmented = SegmentedImage(loaded.source, measured, result, table, size_nm)
        for output, path in zip(options.further, outputs.further, strict=True):
            output.write(path, segmented)
        # An image whose labels are there has everything.
        write_labels(outputs.labels, result.labels, pixel_size_nm=size_nm)
        files = {path.relative_to(out).as_posix(): describe(path) for path in outputs.written(options)}
    areas = table["area"]
    return {
        **entry_of(result),
        "median_area": float(np.median(areas)) if len(areas) else None,
        "area_share": _area_share(result),
        **describe_inside(result, size_nm),
        "pixel_size_nm": size_nm,
        "warnings": _warnings(result),
        "files": files,
    }


@contextmanager
def _all_or_none(outputs: Outputs) -> Iterator[None]:
    there = {path for path in (*outputs.always, outputs.prompts) if path.exists()}
    before = _time(outputs.labels)
    try:
        yield
    except BaseException:
        for path in (*outputs.always, outputs.prompts):
            # New labels that no record knows would pass for somebody else's.
            if path not in there or (path == outputs.labels and _time(path) != before):
                remove_path(path)
        raise


def _time(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


def entry_of(result: Segmentation) -> dict[str, Any]:
    """Say what a segmentation found, in the fields of the record."""
    rows, columns = result.labels.shape
    known = (
        {}
        if result.novelty is None
        else {"novelty": round(result.novelty, 3), "out_of_distribution": result.out_of_distribution}
    )
    return {
        "rows": rows,
        "columns": columns,
        "prompts": len(result.prompts),
        "instances": len(result.scores),
        "instances_of_generator_alone": int((result.prompt_of < 0).sum()),
        **({"stain_normalized": True} if result.stain_normalized else {}),
        **known,
        "zoom": result.zoom,
    }


def _area_share(result: Segmentation) -> float:
    """Share of the image, or of the area that counts, in instances; 0 where nothing counts."""
    objects = result.labels > 0
    counted = objects if result.inside is None else objects[result.inside]
    return round(float(counted.mean()), 6) if counted.size else 0.0


def _warnings(result: Segmentation) -> list[str]:
    return [
        *(["nothing found"] if not len(result.scores) else []),
        *(["unlike the training images"] if result.out_of_distribution else []),
        *result.warnings,
    ]

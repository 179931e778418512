"""Many images into one folder: what `autosam segment` does, for Python users too."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images import ensure_folder, read_pixel_size, write_labels, write_png
from autosam.images.multichannel import MultichannelImage, read_channels
from autosam.images.read import read_pixels
from autosam.instances import measure_instances, write_table
from autosam.pipeline.oracle import segment_with_oracle
from autosam.pipeline.outputs import PLAIN, AnySource, BatchOptions, ImageOutcome, Outputs, SegmentedImage
from autosam.pipeline.record import RunRecord
from autosam.pipeline.segmentation import Segmentation
from autosam.pipeline.segmenter import Segmenter
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


def segment_batch(
    sources: Sequence[AnySource],
    segmenter: Segmenter,
    out: Path,
    options: BatchOptions = PLAIN,
    *,
    prompts: PromptTables | None = None,
    truths: TruthSource | None = None,
    model_sha256: str = "",
    progress: Callable[[float], None] | None = None,
) -> Generator[ImageOutcome, None, None]:
    """Segment images one after the other and write labels, overlay, table and the run record.

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
    model_sha256 : str
        Hash of the model file, for the record.
    progress : callable, optional
        Called with the share of the current image that is done, 0 to 1.

    Yields
    ------
    ImageOutcome
        One per source, in order. An image that cannot be read or segmented fails and does not stop the others.

    Raises
    ------
    ConfigError
        If the folder holds results of another model or of other settings, or of another image of the same name,
        and ``overwrite`` is off.
    OutputError
        If a result cannot be written: the next image's could not be either.
    """
    ensure_folder(out)
    record = RunRecord.open(
        out,
        settings=segmenter.config.model_dump(mode="json", exclude={"training", "data"}),
        options={
            "pixel_size_nm": options.pixel_size_nm,
            "diameter": options.diameter,
            "channels": options.channels,
            "selection": options.selection.record(),
            "draw_prompts": options.draw_prompts,
            # Older records do not have it.
            **({"draw_ids": True} if options.draw_ids else {}),
            "save_prompts": options.save_prompts,
            "prompts_sha256": "" if prompts is None else prompts.sha256,
            "oracle_mask_sha256": None if truths is None else truths.sha256,
        },
        model=segmenter.name,
        model_sha256=model_sha256,
        keep=not options.overwrite,
    )
    with record:
        for source in sources:
            outputs = Outputs.of(source, out, options.file_format, options.further)
            # With its whole path: two folders can hold images of the same name.
            origin = str(_resolved(source))
            if not options.overwrite and record.is_done(source.name, origin) and outputs.complete():
                yield ImageOutcome(source, "skipped")
                continue
            began = time.perf_counter()
            try:
                result, size_nm = _segment_one(source, segmenter, outputs, options, prompts, truths, progress)
            except InputError as error:
                message = _naming(source, str(error))
                record.add(source.name, {"input": origin, "error": message})
                yield ImageOutcome(source, "failed", seconds=time.perf_counter() - began, message=message)
                continue
            seconds = time.perf_counter() - began
            known = {"pixel_size_nm": size_nm, "seconds": round(seconds, 3)}
            record.add(source.name, {"input": origin, **_entry(result), **known})
            found, asked, unlike = len(result.scores), len(result.prompts), result.out_of_distribution
            yield ImageOutcome(source, "done", found, asked, seconds, out_of_distribution=unlike)


def _segment_one(
    source: AnySource,
    segmenter: Segmenter,
    outputs: Outputs,
    options: BatchOptions,
    prompts: PromptTables | None,
    truths: TruthSource | None,
    progress: Callable[[float], None] | None,
) -> tuple[Segmentation, float | None]:
    """Segment one image and write its results; return it and its pixel size in nm."""
    image: Image
    if isinstance(source, MultichannelImage):
        # The channels are aligned, so that the first one tells what all have in common.
        image = read_channels(source)
        first = source.sources[0]
    else:
        first, image = source, read_pixels(source)
    pixels = image if isinstance(image, np.ndarray) else image[0]
    user_prompts = None if prompts is None else prompts.of(source, (pixels.shape[0], pixels.shape[1]))
    size_nm = read_pixel_size(first) if options.pixel_size_nm is None else options.pixel_size_nm
    zoom = segmenter.known_zoom(pixel_size_nm=size_nm, diameter=options.diameter)
    tick = None if progress is None else lambda done, todo: progress(done / todo)
    if truths is None:
        result = segmenter.segment(image, zoom=zoom, prompts=user_prompts, progress=tick)
    else:
        truth = truths.of(source)
        result = segment_with_oracle(segmenter, image, truth, zoom=zoom, prompts=user_prompts, progress=tick)
    drawn = result.prompts if options.draw_prompts else None
    picture = draw_overlay(
        result.picture, result.labels, prompts=drawn, ids=options.draw_ids, pixel_size_nm=size_nm
    )
    write_labels(outputs.labels, result.labels, pixel_size_nm=size_nm)
    write_png(outputs.overlay, picture)
    if options.save_prompts:
        write_prompts(outputs.prompts, {source.image: result.prompts})
    measured = image if isinstance(image, np.ndarray) else np.stack(image, axis=-1)
    write_table(outputs.table, measure_instances(result.labels, measured, result.scores, pixel_size_nm=size_nm))
    segmented = SegmentedImage(source, measured, result, size_nm)
    for output, path in zip(options.further, outputs.further, strict=True):
        output.write(path, segmented)
    return result, size_nm


def _resolved(source: AnySource) -> AnySource:
    return (
        source.resolved() if isinstance(source, MultichannelImage) else replace(source, path=source.path.resolve())
    )


def _naming(source: AnySource, message: str) -> str:
    """Let a message name the image, with its page, once."""
    if isinstance(source, MultichannelImage):
        return message if any(str(part) in message for part in source.sources) else f"{source}: {message}"
    if str(source) in message:
        return message
    if str(source.path) in message:
        return message.replace(str(source.path), str(source), 1)
    return f"{source}: {message}"


def _entry(result: Segmentation) -> Mapping[str, Any]:
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

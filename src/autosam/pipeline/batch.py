"""Many images into one folder: what `autosam segment` does, for Python users too."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images import ImageSource, ensure_folder, read_image, read_pixel_size, write_labels, write_png
from autosam.images.multichannel import MultichannelImage, read_channels
from autosam.instances import measure_instances, write_table
from autosam.pipeline.oracle import segment_with_oracle
from autosam.pipeline.record import RunRecord
from autosam.pipeline.segmentation import Segmentation
from autosam.pipeline.segmenter import Segmenter
from autosam.prompts import Prompt, write_prompts
from autosam.report import draw_overlay


@dataclass(frozen=True)
class Outputs:
    """The files of one image in the folder of results."""

    labels: Path
    overlay: Path
    table: Path
    prompts: Path

    @classmethod
    def of(cls, source: ImageSource | MultichannelImage, out: Path, file_format: str) -> "Outputs":
        """Name them after the source."""
        return cls(
            out / f"{source.name}_labels.{file_format}",
            out / f"{source.name}_overlay.png",
            out / f"{source.name}_instances.csv",
            out / f"{source.name}_prompts.csv",
        )

    def complete(self) -> bool:
        """Tell whether those that every run writes are there; each is renamed into place when it is whole."""
        return self.labels.exists() and self.overlay.exists() and self.table.exists()


@dataclass(frozen=True)
class ImageOutcome:
    """What became of one image.

    Attributes
    ----------
    source : ImageSource or MultichannelImage
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

    source: ImageSource | MultichannelImage
    state: Literal["done", "skipped", "failed"]
    instances: int = 0
    prompts: int = 0
    seconds: float = 0.0
    out_of_distribution: bool = False
    message: str = ""


def segment_batch(
    sources: Sequence[ImageSource | MultichannelImage],
    segmenter: Segmenter,
    out: Path,
    *,
    file_format: str = "tif",
    overwrite: bool = False,
    draw_prompts: bool = False,
    save_prompts: bool = False,
    pixel_size_nm: float | None = None,
    diameter: float | None = None,
    channels: str | None = None,
    prompts_for: Callable[[ImageSource | MultichannelImage, tuple[int, int]], Sequence[Prompt]] | None = None,
    prompts_sha256: str = "",
    oracle_for: Callable[[ImageSource | MultichannelImage], NDArray[np.integer[Any]]] | None = None,
    oracle_sha256: str | None = None,
    model_sha256: str = "",
    progress: Callable[[float], None] | None = None,
) -> Generator[ImageOutcome, None, None]:
    """Segment images one after the other and write labels, overlay, table and the run record.

    Parameters
    ----------
    sources : sequence of ImageSource or MultichannelImage
        From `find_sources`, or scenes of several channels from `find_channels` or `split_channels`, whose table
        has the mean intensity over all channels.
    segmenter : Segmenter
    out : Path
        Folder of the results; created if need be.
    file_format : {"tif", "png", "h5", "zarr"}
        Of the label files.
    overwrite : bool
        Do images again that are finished: their results are complete, and the record says that this image,
        model and settings gave them. Otherwise they are skipped.
    draw_prompts : bool
        Draw points and boxes on the overlays.
    save_prompts : bool
        Write the prompts too, as ``NAME_prompts.csv``, to be corrected by hand and used with ``prompts_for``.
    pixel_size_nm : float, optional
        Side of a pixel; by default what each file says (`read_pixel_size`). Known, it gives areas in µm², and
        images are brought to the pixel size that the model was trained at (`Segmenter.zoom`).
    diameter : float, optional
        Typical diameter of the objects in pixels: images are brought to that of the training objects.
    channels : str, optional
        How the scenes were put together, for the record.
    prompts_for : callable, optional
        Gives the prompts of an image of a given shape, for ``prompts.method=user``.
    prompts_sha256 : str
        Hash of the table that ``prompts_for`` reads, for the record.
    oracle_for : callable, optional
        Gives the true labels of an image, to choose among SAM's masks; see `segment_with_oracle`. The results are
        an upper bound, and the record says so by the hash.
    oracle_sha256 : str, optional
        Hash of all labels that ``oracle_for`` gives, for the record.
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
            "pixel_size_nm": pixel_size_nm,
            "diameter": diameter,
            "channels": channels,
            "draw_prompts": draw_prompts,
            "save_prompts": save_prompts,
            "prompts_sha256": prompts_sha256,
            "oracle_mask_sha256": oracle_sha256,
        },
        model=segmenter.name,
        model_sha256=model_sha256,
        keep=not overwrite,
    )
    with record:
        for source in sources:
            outputs = Outputs.of(source, out, file_format)
            # With its whole path: two folders can hold images of the same name.
            origin = str(_resolved(source))
            if not overwrite and record.is_done(source.name, origin) and outputs.complete():
                yield ImageOutcome(source, "skipped")
                continue
            began = time.perf_counter()
            try:
                image = read_channels(source) if isinstance(source, MultichannelImage) else read_image(source)
                first = image[0] if isinstance(image, list) else image
                prompts = None if prompts_for is None else prompts_for(source, (first.shape[0], first.shape[1]))
                size_nm = _pixel_size(source) if pixel_size_nm is None else pixel_size_nm
                zoom = segmenter.known_zoom(pixel_size_nm=size_nm, diameter=diameter)
                tick = None if progress is None else lambda done, todo: progress(done / todo)
                if oracle_for is None:
                    result = segmenter.segment(image, zoom=zoom, prompts=prompts, progress=tick)
                else:
                    result = segment_with_oracle(
                        segmenter, image, oracle_for(source), zoom=zoom, prompts=prompts, progress=tick
                    )
                measured = np.stack(image, axis=-1) if isinstance(image, list) else image
                _write(source, outputs, measured, result, draw_prompts, save_prompts, size_nm)
            except InputError as error:
                message = _naming(source, str(error))
                record.add(source.name, {"input": origin, "error": message})
                yield ImageOutcome(source, "failed", seconds=time.perf_counter() - began, message=message)
                continue
            seconds = time.perf_counter() - began
            scale = {"pixel_size_nm": size_nm, "zoom": result.zoom}
            record.add(source.name, {"input": origin, **_entry(result), **scale, "seconds": round(seconds, 3)})
            yield ImageOutcome(
                source,
                "done",
                len(result.scores),
                len(result.prompts),
                seconds,
                out_of_distribution=result.out_of_distribution,
            )


def _resolved(source: ImageSource | MultichannelImage) -> ImageSource | MultichannelImage:
    return (
        source.resolved() if isinstance(source, MultichannelImage) else replace(source, path=source.path.resolve())
    )


def _pixel_size(source: ImageSource | MultichannelImage) -> float | None:
    """Read the pixel size of an image, or of the first channel of a scene, whose channels are aligned."""
    return read_pixel_size(source.sources[0] if isinstance(source, MultichannelImage) else source)


def _naming(source: ImageSource | MultichannelImage, message: str) -> str:
    """Let a message name the image, with its page, once."""
    if isinstance(source, MultichannelImage):
        return message if any(str(part) in message for part in source.sources) else f"{source}: {message}"
    if str(source) in message:
        return message
    if str(source.path) in message:
        return message.replace(str(source.path), str(source), 1)
    return f"{source}: {message}"


def _write(
    source: ImageSource | MultichannelImage,
    outputs: Outputs,
    image: NDArray[Any],
    result: Segmentation,
    draw_prompts: bool,
    save_prompts: bool,
    pixel_size_nm: float | None,
) -> None:
    picture = draw_overlay(result.picture, result.labels, prompts=result.prompts if draw_prompts else None)
    write_labels(outputs.labels, result.labels)
    write_png(outputs.overlay, picture)
    if save_prompts:
        write_prompts(outputs.prompts, {source.image: result.prompts})
    rows = measure_instances(result.labels, image, result.scores, pixel_size_nm=pixel_size_nm)
    write_table(outputs.table, rows)


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
    }

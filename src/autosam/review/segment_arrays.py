"""Segment pixels that no file holds, such as a layer of a viewer, into a folder of results."""

import re
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images import find_sources, read_labels
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.zoo import resolve_model
from autosam.pipeline.batch import segment_batch
from autosam.pipeline.outputs import BatchOptions
from autosam.pipeline.segmenter import Segmenter
from autosam.review.review_results import ReviewResults
from autosam.volumes.python_face import segment_volume


def free_folder(folder: Path) -> Path:
    """Give a folder that is not there yet: this one, or one with a number behind its name."""
    tried = (folder.with_name(f"{folder.name}_{number}" if number else folder.name) for number in count())
    return next(one for one in tried if not one.exists())


def plain_name(name: str) -> str:
    """Make a name of a file or folder of that of a layer, which can be any text.

    Examples
    --------
    >>> plain_name("day1/a"), plain_name(" .. ")
    ('day1__a', 'image')
    """
    plain = re.sub(r"[/\\]", "__", name).strip(" .")
    return plain or "image"


def segment_slices(
    pixels: NDArray[Any],
    out: Path,
    name: str,
    *,
    model: str,
    rgb: bool = False,
    pixel_size_nm: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> ReviewResults:
    """Segment an image, or each slice of a stack alone.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (Z, H, W), with `rgb` (H, W, 3) or (Z, H, W, 3)
    out : Path
        A new folder. The images are written into its folder ``images``, so that they are found again.
    name : str
        Of the image, of which `plain_name` makes that of its file; slices get their number, too.
    progress : callable, optional
        Called with the share that is done, 0 to 1. What it raises ends the run, and what was done is kept.

    Raises
    ------
    InputError
        If the pixels have another shape, or an image cannot be segmented.
    OutputError
        If the folder cannot be written.
    """
    dimensions = pixels.ndim - rgb
    if dimensions not in (2, 3):
        raise InputError(f"the image has shape {pixels.shape}; wanted one image or one stack: cut it first")
    path, segmenter = resolve_model(model), Segmenter.from_model(model)
    images = out / "images"
    images.mkdir(parents=True)
    stack, name = pixels if dimensions == 3 else pixels[None], plain_name(name)
    names = [f"{name}_{number:04}" for number in range(len(stack))] if dimensions == 3 else [name]
    for one, pixels_of_one in zip(names, stack, strict=True):
        tifffile.imwrite(
            images / f"{one}.tif", pixels_of_one, photometric="rgb" if rgb else "minisblack", compression="zlib"
        )
    done, tell = 0, progress or (lambda _: None)
    outcomes = segment_batch(
        find_sources([images / f"{one}.tif" for one in names]),
        segmenter,
        out,
        BatchOptions(pixel_size_nm=pixel_size_nm),
        model_sha256=file_sha256(path),
        progress=lambda share: tell((done + share) / len(names)),
    )
    for done, outcome in enumerate(outcomes, 1):
        if outcome.state == "failed":
            raise InputError(f"{outcome.source.name} cannot be segmented: {outcome.message}")
        tell(done / len(names))
    return ReviewResults.open(out)


def segment_stack(
    pixels: NDArray[Any],
    out: Path,
    name: str,
    *,
    model: str,
    pixel_size_nm: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> NDArray[np.integer[Any]]:
    """Segment a stack as a volume, with voxels as high as wide, and read its labels.

    Parameters
    ----------
    pixels : ndarray, shape (Z, Y, X) or (Z, Y, X, 3)
    out, name, progress
        See `segment_slices`. The labels are ``NAME.tif`` in the folder.

    Returns
    -------
    ndarray of integers, shape (Z, Y, X)

    Raises
    ------
    AutosamError
        See `segment_volume`.
    """
    out.mkdir(parents=True)
    name = plain_name(name)
    segment_volume(
        pixels,
        out=out / f"{name}.tif",
        model=model,
        voxel_size=pixel_size_nm,
        watch=None if progress is None else lambda seen: progress(seen.share),
    )
    return read_labels(out / f"{name}.tif")

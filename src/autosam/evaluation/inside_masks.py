"""The areas in which objects count, for `autosam segment --inside`: mask images, or regions drawn in QuPath."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.sources.geojson import GeoObject, read_geojson
from autosam.data.sources.qupath import ENDINGS, outlines_by_name
from autosam.data.sources.shapes import fill
from autosam.errors import InputError, listed
from autosam.evaluation.label_refs import LabelRef
from autosam.evaluation.truths import pair_labels
from autosam.evaluation.volumes import read_instances
from autosam.images.label_names import without_suffix
from autosam.pipeline.outputs import AnySource, result_name

OPTION = "--inside"


@dataclass(frozen=True)
class InsideMasks:
    """The area of every image; see `pipeline.inside.InsideSource`."""

    of: Callable[[AnySource, tuple[int, int]], NDArray[np.bool_]]
    sha256: str


def open_inside(given: str, sources: Sequence[AnySource]) -> InsideMasks:
    """Pair images with masks or with drawn regions, and read all of these once to find their faults.

    Parameters
    ----------
    given : str
        A mask image, in which pixels above 0 are inside, or GeoJSON, or a folder of either. In GeoJSON,
        annotations are inside, or all objects where there is no annotation; those of a class that QuPath ignores
        (its name ends in ``*``) are outside. One file is that of a single image, and GeoJSON also that of all
        pages of one file. Otherwise names are paired.

    Raises
    ------
    InputError
        If there is no mask for an image, or one cannot be read.
    """
    path = Path(given)
    drawn = sorted(file for file in path.iterdir() if _is_drawn(file)) if path.is_dir() else []
    if _is_drawn(path) or drawn:
        return _of_geojson(path, sources)
    labels_of = pair_labels(given, sources, option=OPTION, what="mask")
    digest = sha256()
    for name, source in labels_of.items():
        mask = _read(source, name)
        if mask.ndim != 2:
            raise InputError(f"the mask of {name} in {OPTION} {given} has shape {mask.shape}; wanted (H, W)")
        digest.update(f"{name} {mask.shape} ".encode())
        digest.update(np.packbits(mask > 0).tobytes())
    return InsideMasks(partial(_mask_of, labels_of), digest.hexdigest())


def _mask_of(labels_of: dict[str, LabelRef], source: AnySource, shape: tuple[int, int]) -> NDArray[np.bool_]:
    name = result_name(source)
    return np.asarray(_read(labels_of[name], name) > 0)


def _of_geojson(path: Path, sources: Sequence[AnySource]) -> InsideMasks:
    if not path.exists():
        raise InputError(f"{OPTION} {path}: no such file; wanted a mask, GeoJSON or a folder of either")
    if path.is_file():
        if len({_file(source) for source in sources}) > 1:
            raise InputError(
                f"{OPTION} {path} is one file, and the images are of several; give a folder of files by name"
            )
        files = {result_name(source): path for source in sources}
    else:
        by_name = outlines_by_name(path)
        found = {result_name(source): _find(source, by_name) for source in sources}
        files = {name: file for name, file in found.items() if file is not None}
        missing = [name for name in found if name not in files]
        if missing:
            raise InputError(
                f"{OPTION} {path} holds no regions for {listed(missing)}; wanted GeoJSON of the same names, such "
                f"as {missing[0]}.geojson"
            )
    regions = {file: _regions(file) for file in dict.fromkeys(files.values())}
    digest = sha256()
    for name, file in files.items():
        digest.update(f"{name} ".encode())
        digest.update(file.read_bytes())
    return InsideMasks(partial(_drawn, files=files, regions=regions), digest.hexdigest())


def _drawn(
    source: AnySource,
    shape: tuple[int, int],
    *,
    files: dict[str, Path],
    regions: dict[Path, tuple[list[GeoObject], list[GeoObject]]],
) -> NDArray[np.bool_]:
    inside = np.zeros(shape, dtype=bool)
    counted, ignored = regions[files[result_name(source)]]
    for items, value in ((counted, True), (ignored, False)):
        for item in items:
            pixels = fill(item.outline, shape)
            inside[pixels.window][pixels.mask] = value
    return inside


def _regions(file: Path) -> tuple[list[GeoObject], list[GeoObject]]:
    """Read the regions that count, and those whose pixels are left out."""
    surfaces = [item for item in read_geojson(file) if item.is_surface]
    annotations = [item for item in surfaces if item.kind in ("annotation", "")]
    chosen = annotations or surfaces
    if not chosen:
        raise InputError(
            f"{OPTION} {file} holds no region drawn as an area; wanted QuPath's annotations as GeoJSON"
        )
    counted = [item for item in chosen if not item.of_class.endswith("*")]
    return counted, [item for item in chosen if item.of_class.endswith("*")]


def _file(source: AnySource) -> Path:
    return source.sources[0].path


def _find(source: AnySource, by_name: dict[str, Path]) -> Path | None:
    """Find the file of an image by its own name, or by that of the file that it is a page of."""
    return by_name.get(source.name) or by_name.get(without_suffix(_file(source).name))


def _read(source: LabelRef, name: str) -> NDArray[np.integer[Any]]:
    try:
        return read_instances(source, None)
    except InputError as error:
        raise InputError(f"the mask of {name}: {error}") from error


def _is_drawn(path: Path) -> bool:
    return path.name.casefold().endswith(ENDINGS)

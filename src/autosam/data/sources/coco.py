"""COCO instances: JSON files of polygons and run lengths for folders of images."""

import re
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.data.manifest import Split, as_name
from autosam.data.refusal import refuse_faults
from autosam.data.sources.coco_file import Annotation, CocoFile, CocoImage, is_filled, polygons, read_coco
from autosam.data.sources.losses import Losses
from autosam.data.sources.painting import OVERLAP_RULE, nested, paint
from autosam.data.sources.release import ImageAndLabels, Release, ReleaseReader, Request, Slice
from autosam.data.sources.release_files import child
from autosam.data.sources.shapes import NOTHING, Pixels, as_ring, crop, decode_runs, entry, fill, run_lengths
from autosam.errors import InputError
from autosam.images import read_image
from autosam.images.folder_listing import image_files

_PARTS: dict[str, Split] = {"train": "train", "val": "val", "test": "test"}
REGION = "left out as a region around others"
CROWD = "left out as a region of many objects (iscrowd 1), whose pixels do not count"


class Coco(ReleaseReader):
    """`IMAGES instances.json`, or a folder with images and JSON files in it or in `annotations/`."""

    name = "coco"
    layout = (
        "IMAGES instances.json, or a folder with images/ and annotations/NAME.json (one, or one for each part)"
    )
    own_targets = "CATEGORY"
    takes_labels = True

    def _sniff(self, request: Request) -> bool:
        if request.labels is not None:
            return request.path.is_dir() and request.labels.lower().endswith(".json")
        files = _json_files(request.path)
        # Several files are one data set only if their names tell its parts.
        parts = {_part(file) for file in files}
        told = len(files) == 1 or (None not in parts and len(parts) == len(files))
        return bool(files) and told and all(_image_folders(request.path, file) for file in files)

    def _open(self, request: Request) -> Release:
        files = [Path(request.labels)] if request.labels is not None else _json_files(request.path)
        if not files:
            raise self._nothing(request.path)
        slices: list[Slice] = []
        notes: list[str] = []
        faults: list[str] = []
        licenses: set[str] = set()
        for file in files:
            content = read_coco(file, request.target)
            folders = [] if request.labels is not None else _image_folders(request.path, file)
            split = _part(file) if len(files) > 1 else None
            slices += _slices(content, file, [*folders, request.path], split, request.target is None, faults)
            licenses.add(content.license)
            notes += content.notes if len(files) == 1 else [f"{file.name}: {note}" for note in content.notes]
            faults += content.faults
        refuse_faults(faults, ", ".join(map(str, files)))
        return Release(
            self.name,
            slices,
            "ids-2d",
            license="; ".join(sorted(licenses)),
            made="COCO instances",
            notes=(OVERLAP_RULE, *notes),
        )


def _slices(
    content: CocoFile, file: Path, folders: list[Path], split: Split | None, strict: bool, faults: list[str]
) -> list[Slice]:
    slices: list[Slice] = []
    taken: dict[Path, str] = {}
    for image in content.images:
        path = _find(image.file_name, folders)
        if path is None:
            faults.append(f"no image {' '.join(image.file_name.split())} in {folders[0]}")
            continue
        if path in taken:
            faults.append(f"{taken[path]} and {image.file_name} are both the image {path}")
            continue
        taken[path] = image.file_name
        losses = Losses()
        name = as_name(str(Path(image.file_name.lstrip("/")).with_suffix("")))
        read = partial(_read, path, image, file, strict, losses)
        valid = partial(_valid, path, image) if _has_crowds(image) else None
        slices.append(Slice(name, read, split=split, losses=losses, valid=valid))
    return slices


def _find(name: str, folders: list[Path]) -> Path | None:
    """Find an image by its name, which may have folders in it; then by the last part of the name alone."""
    inside = [folder / name for folder in folders if not name.startswith("/")]
    alone = [folder / name.rpartition("/")[2] for folder in folders]
    return next((path for path in (*inside, *alone) if path.is_file()), None)


def _read(path: Path, image: CocoImage, file: Path, strict: bool, losses: Losses) -> ImageAndLabels:
    pixels = read_image(path)
    height, width = pixels.shape[:2]
    if image.size not in (None, (height, width)):
        stated = " × ".join(map(str, image.size or ()))
        raise InputError(
            f"{file} was made for {image.file_name} of {stated} pixels, and {path} has {height} × {width}; wanted "
            "the image that was annotated, rows and columns as stated."
        )
    losses.clear()
    objects, regions, pairs = _divided(path, image, (height, width))
    for index in sorted(regions):
        losses.add(CROWD, f"{objects[index][0].name} of {path.name}")
    if strict:
        _refuse_nested([pair for pair in pairs if pair[0] not in regions], objects, path)
    around = _around(pairs, objects, (height, width)) - regions
    for index in sorted(around):
        losses.add(REGION, f"{objects[index][0].name} of {path.name}")
    kept = (
        (f"{annotation.name} of {path.name}", found)
        for index, (annotation, found) in enumerate(objects)
        if index not in regions | around
    )
    return pixels, paint(kept, (height, width), losses)


def _valid(path: Path, image: CocoImage) -> NDArray[np.bool_]:
    """Give the pixels that no crowd covers, or an object of its own does: elsewhere, objects are not outlined."""
    height, width = image.size or read_image(path).shape[:2]
    objects, regions, _ = _divided(path, image, (height, width))
    valid = np.ones((height, width), bool)
    # Objects last: what is outlined counts, in a crowd too.
    for index in sorted(range(len(objects)), key=lambda index: index not in regions):
        found = objects[index][1]
        valid[found.window][found.mask] = index not in regions
    return valid


def _divided(
    path: Path, image: CocoImage, shape: tuple[int, int]
) -> tuple[list[tuple[Annotation, Pixels]], set[int], list[tuple[int, int]]]:
    """Give the pixels of all annotations, the indices of crowds among them, and which lies inside which."""
    objects = [
        (annotation, _pixels(annotation, f"{annotation.name} of {path.name}", shape))
        for annotation in image.annotations
    ]
    several = len({annotation.category for annotation, _ in objects}) > 1
    large = any(_is_large(found, shape) for _, found in objects)
    pairs = nested([found for _, found in objects], shape) if several or large or _has_crowds(image) else []
    outer = {pair[0] for pair in pairs}
    regions = {
        index
        for index, (annotation, found) in enumerate(objects)
        if annotation.crowd and (index in outer or not _is_object(found, annotation.largest))
    }
    return objects, regions, pairs


def _has_crowds(image: CocoImage) -> bool:
    return any(annotation.crowd for annotation in image.annotations)


def _pixels(annotation: Annotation, name: str, shape: tuple[int, int]) -> Pixels:
    segmentation = annotation.segmentation
    if not is_filled(segmentation):
        return NOTHING
    if isinstance(segmentation, dict):
        size, counts = entry(segmentation, "size", name), entry(segmentation, "counts", name)
        found = run_lengths(size, counts, name)[:2]
        if found != shape:
            raise InputError(f"{name} is {found} and the image {shape}; wanted one size.")
        return crop(decode_runs(size, counts, name))
    # Each polygon is a part of the object; they are joined, COCO has no holes.
    return fill([[as_ring(ring, name)] for ring in polygons(annotation)], shape)


def _is_object(pixels: Pixels, largest: float) -> bool:
    """Tell whether a mask marked as a crowd is one object: one piece, and no larger than a few objects."""
    pieces = ndimage.label(pixels.mask, structure=np.ones((3, 3), bool))[1] if pixels.size else 0
    return pieces == 1 and pixels.size <= largest


def _is_large(pixels: Pixels, shape: tuple[int, int]) -> bool:
    return 2 * pixels.size > shape[0] * shape[1]


def _around(
    pairs: list[tuple[int, int]], objects: list[tuple[Annotation, Pixels]], shape: tuple[int, int]
) -> set[int]:
    """Find regions among objects of one category: larger than half of the image, with several objects inside."""
    large = {index for index, (_, found) in enumerate(objects) if _is_large(found, shape)}
    same = [pair for pair in pairs if objects[pair[0]][0].category == objects[pair[1]][0].category]
    held = Counter(outer for outer, _ in same)
    regions = {index for index in large if held[index] > 1}
    # The pairs name the innermost region alone.
    for outer, inner in reversed(same):
        if inner in regions and outer in large:
            regions.add(outer)
    return regions


def _refuse_nested(pairs: list[tuple[int, int]], objects: list[tuple[Annotation, Pixels]], path: Path) -> None:
    """Refuse an object that holds objects of another category: it is a region, or they are its parts."""
    between = [
        (outer, inner) for outer, inner in pairs if objects[outer][0].category != objects[inner][0].category
    ]
    if between:
        outer = objects[between[0][0]][0]
        held = [objects[inner][0] for index, inner in between if index == between[0][0]]
        raise InputError(
            f"{outer.name} of {path.name}, category {outer.category}, wholly covers {len(held)} objects of "
            f"category {held[0].category}; a pixel has one id, so choose the category with --target, such as "
            f'--target "{held[0].category}".'
        )


def _json_files(path: Path) -> list[Path]:
    """List the COCO files of a folder: there, in `annotations/`, or one in each folder of a part."""
    if not path.is_dir():
        return []
    places = [path, *filter(None, [child(path, "annotations")])]
    found = next((files for place in places if (files := _visible(place))), [])
    found = found or [file for place in _part_folders(path) for file in _visible(place)]
    named = [file for file in found if "instances" in file.name.casefold()]
    return named or found


def _visible(folder: Path) -> list[Path]:
    hidden = (".", "autosam_")
    return [file for file in sorted(folder.glob("*.json")) if not file.name.startswith(hidden)]


def _image_folders(path: Path, file: Path) -> list[Path]:
    """List the folders in which the images of a COCO file can be, that of its part before the others."""
    images, part = child(path, "images", "data"), _part(file)
    found = [
        folder
        for base in (images, path)
        if base is not None
        for folder in _part_folders(base)
        if part is None or _part(folder) == part
    ]
    beside = [file.parent] if re.search("coco|instances|annotations", file.name, re.IGNORECASE) else []
    return [*found, *filter(None, [images]), *(folder for folder in beside if image_files(folder))]


def _part_folders(path: Path) -> list[Path]:
    return [folder for folder in sorted(path.iterdir()) if folder.is_dir() and _part(folder, whole=True)]


def _part(path: Path, *, whole: bool = False) -> Split | None:
    """Tell the part from a name such as `instances_val2017.json`, `train` or `valid`; `whole`: from its start."""
    pattern = r"^(train|val|test)(?:id|idation|ing)?(?:[_-]?\d*)$" if whole else r"(train|val|test)"
    for name in (path.stem, path.parent.name if path.is_file() else ""):
        match = re.search(pattern, name, re.IGNORECASE)
        if match:
            return _PARTS[match[1].casefold()]
    return None

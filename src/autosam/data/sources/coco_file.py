"""A COCO file's images, categories and annotations, checked before any pixel is read."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from autosam.data.sources.shapes import as_ring, entry, run_lengths
from autosam.errors import InputError
from autosam.images.read import read_json

# A mask that is marked as a crowd is one object if it is no larger than so many times the median object.
_LARGEST = 4
# So many objects tell the median; a file may hold a million.
_SAMPLE = 1000


@dataclass(frozen=True, eq=False)
class Annotation:
    """One annotation: its name for messages, its category by name, and its segmentation as in the file.

    `crowd` says that it is marked as a region of many objects, and `largest` up to how many pixels it may be one
    object all the same.
    """

    name: str
    category: str
    segmentation: Any
    crowd: bool = False
    largest: float = 0.0


@dataclass(frozen=True, eq=False)
class CocoImage:
    """An image as the file names it, its size as (H, W) where the file states it, and its annotations."""

    file_name: str
    size: tuple[int, int] | None
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True, eq=False)
class CocoFile:
    """The content of a COCO file that was asked for, with notes and faults."""

    images: tuple[CocoImage, ...]
    license: str
    notes: tuple[str, ...]
    faults: tuple[str, ...]


def read_coco(path: Path, target: str | None = None) -> CocoFile:
    """Read a COCO file.

    Parameters
    ----------
    path : Path
        JSON with `images`, `annotations` and, as a rule, `categories`.
    target : str, optional
        Names or ids of categories, with commas between; by default all.

    Raises
    ------
    InputError
        If the file is no COCO file, has no such category, or has boxes and no outlines.
    """
    content = read_json(path)
    raw = [_mapping(item, "annotation", path) for item in _entries(content, "annotations", path)]
    names = _categories(content, raw)
    chosen = _choose(target, names, path)
    notes, faults, by_image = [], [], dict[str, list[Annotation]]()
    taken = [item for item in raw if _category(item, names) in chosen]
    _refuse_boxes(taken, path)
    annotations, crowd_notes = _decide_crowds([_annotation(item, names, path) for item in taken])
    for item, annotation in zip(taken, annotations, strict=True):
        by_image.setdefault(str(entry(item, "image_id", path)), []).append(annotation)
    used = Counter(annotation.category for annotation in annotations)
    if target is None and len(used) > 1:
        listed = ", ".join(f"{number} {name}" for name, number in used.most_common())
        notes.append(f"all categories were taken ({listed}); --target NAME takes one")
    if len(taken) < len(raw):
        notes.append(f"{len(raw) - len(taken)} of {len(raw)} annotations are of other categories than {target}")
    ids = Counter(item["id"] for item in raw if isinstance(item.get("id"), int | str))
    repeated = [key for key, number in ids.items() if number > 1]
    if repeated:
        notes.append(
            f"{len(repeated)} annotation ids are used more than once, such as {repeated[0]}: all were taken"
        )
    images: list[CocoImage] = []
    seen: set[str] = set()
    for item in _entries(content, "images", path):
        image = _mapping(item, "image", path)
        key = str(entry(image, "id", path))
        if key in seen:
            faults.append(f"two images have the id {_line(key)}, so its annotations belong to either")
        seen.add(key)
        name = str(entry(image, "file_name", path)).replace("\\", "/")
        images.append(CocoImage(name, _size(image), tuple(by_image.pop(key, ()))))
    faults += [f"{len(rest)} annotations of the unknown image id {_line(key)}" for key, rest in by_image.items()]
    images.sort(key=lambda image: image.file_name)
    return CocoFile(tuple(images), _license(content), (*notes, *crowd_notes), tuple(faults))


def is_filled(segmentation: Any) -> bool:
    """Tell whether a segmentation holds anything."""
    return segmentation is not None and segmentation != [] and segmentation != {}


def polygons(annotation: Annotation) -> list[list[Any]]:
    """Give the rings of an annotation of polygons as lists of points; one flat list is one polygon."""
    shape = annotation.segmentation
    flat = bool(shape) and all(isinstance(value, int | float) for value in shape)
    rings = []
    for ring in [shape] if flat else shape:
        if not isinstance(ring, list) or len(ring) % 2:
            raise InputError(f"{annotation.name} has a polygon that is not a list of x, y, x, y and so on.")
        rings.append(list(zip(ring[::2], ring[1::2], strict=True)))
    return rings


def _annotation(item: dict[str, Any], names: dict[str, str], path: Path) -> Annotation:
    shape = item.get("segmentation")
    if shape is not None and not isinstance(shape, list | dict):
        raise InputError(
            f"annotation {item.get('id', '?')} of {path} has a segmentation that is neither polygons nor run "
            "lengths."
        )
    return Annotation(
        name=f"annotation {item.get('id', '?')}",
        category=_category(item, names),
        segmentation=shape,
        crowd=item.get("iscrowd", 0) in (1, True, "1"),
    )


def _decide_crowds(annotations: list[Annotation]) -> tuple[list[Annotation], list[str]]:
    """Decide which masks marked as crowds are objects: brush tools mark each mask so.

    Where they are the majority, all are objects. Otherwise the pixels of each decide.
    """
    crowds = sum(annotation.crowd for annotation in annotations)
    if 2 * crowds > len(annotations):
        note = f"{crowds} of {len(annotations)} masks are marked as crowds (iscrowd 1) and were taken for objects"
        return [replace(annotation, crowd=False) for annotation in annotations], [note]
    if not crowds:
        return annotations, []
    others = [annotation for annotation in annotations if not annotation.crowd]
    areas = [area for annotation in others[:: 1 + len(others) // _SAMPLE] if (area := _area(annotation)) > 0]
    largest = _LARGEST * statistics.median(areas or [0])
    return [replace(a, largest=largest) if a.crowd else a for a in annotations], []


def _area(annotation: Annotation) -> float:
    shape = annotation.segmentation
    if isinstance(shape, dict):
        return float(sum(run_lengths(shape.get("size", ()), shape.get("counts", ()), annotation.name)[2][1::2]))
    total = 0.0
    for ring in polygons(annotation) if is_filled(shape) else ():
        x, y = as_ring(ring, annotation.name).T
        total += abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2
    return total


def _categories(content: dict[str, Any], annotations: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Names of the categories by their ids as texts, those without an entry too."""
    listed = content.get("categories")
    names = {
        str(item["id"]): _line(item.get("name") or f"category {item['id']}")
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, dict) and "id" in item
    }
    for annotation in annotations:
        key = str(annotation.get("category_id"))
        names.setdefault(key, "no category" if key == "None" else f"category {_line(key)}")
    return names


def _line(text: object) -> str:
    return " ".join(str(text).split())


def _category(annotation: dict[str, Any], names: dict[str, str]) -> str:
    return names[str(annotation.get("category_id"))]


def _choose(target: str | None, names: dict[str, str], path: Path) -> set[str]:
    if target is None:
        return set(names.values())
    chosen: set[str] = set()
    # A name may have a comma in it.
    for text in [target] if target in names.values() else [part.strip() for part in target.split(",")]:
        found = {name for name in names.values() if name == text}
        found = found or {name for name in names.values() if name.casefold() == text.casefold()}
        found = found or {name for key, name in names.items() if key == text}
        if not found:
            listed = ", ".join(f"{name} (id {_line(key)})" for key, name in names.items()) or "none"
            raise InputError(f"{path} has no category {text}; its categories: {listed}.")
        chosen |= found
    return chosen


def _refuse_boxes(annotations: Sequence[dict[str, Any]], path: Path) -> None:
    if annotations and not any(is_filled(item.get("segmentation")) for item in annotations):
        what = "boxes alone" if any(item.get("bbox") for item in annotations) else "no outlines"
        raise InputError(
            f"the {len(annotations)} annotations of {path} have {what}; wanted polygons or run lengths, one for "
            "each object: export instance segmentation."
        )


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    try:
        height, width = int(image["height"]), int(image["width"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None


def _entries(content: Any, key: str, path: Path) -> list[Any]:
    found = entry(content, key, path)
    if not isinstance(found, list):
        raise InputError(f"{path} has {key!r} that is no list; the file is damaged or not what its suffix says.")
    return found


def _mapping(item: Any, what: str, path: Path) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise InputError(f"{path} holds an {what} that is no object; the file is damaged.")
    return item


def _license(content: dict[str, Any]) -> str:
    listed = content.get("licenses")
    names = [
        str(item.get("name")) for item in (listed if isinstance(listed, list) else ()) if isinstance(item, dict)
    ]
    return "; ".join(sorted({name for name in names if name not in ("", "None", "n/a")})) or "not stated"

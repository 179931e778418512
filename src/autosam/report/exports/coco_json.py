"""COCO: one file of instances for all images, masks as run lengths."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from autosam import __version__
from autosam.errors import InputError
from autosam.images import atomic_path
from autosam.instances.instance_table import as_cells
from autosam.instances.runs import find_runs
from autosam.report.exports.export_item import ExportItem, ExportPlane

_INFO = {"description": "instances, written by autosam", "version": __version__}


def is_ours(path: Path) -> bool:
    """Tell whether a file is one that `write_coco` wrote."""
    try:
        with path.open(encoding="utf-8") as file:
            return json.dumps(_INFO)[:45] in file.read(100)
    except (OSError, UnicodeDecodeError):
        return False


def write_coco(path: Path, items: Iterable[ExportItem]) -> None:
    """Write all objects of all images; images without an object are listed, too.

    ``area`` is the number of pixels, ``bbox`` is x, y, width and height in pixels, ``label`` the id in the labels,
    and ``score`` is there where it is known. Slices of a volume are images of their own.

    Raises
    ------
    InputError
        If an image has 2³² pixels or more, which run lengths cannot count.
    """
    images: list[dict[str, Any]] = []
    kinds: dict[str, int] = {}
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f'{{"info": {json.dumps(_INFO)},\n"annotations": [')
        for item in items:
            category = kinds.setdefault(item.kind, len(kinds) + 1)
            for number, plane in enumerate(item.planes):
                images.append(_image(item, number, len(images) + 1))
                for annotation in _annotations(plane):
                    annotation |= {"id": count + 1, "image_id": len(images), "category_id": category, "iscrowd": 0}
                    file.write((",\n" if count else "\n") + json.dumps(annotation))
                    count += 1
        file.write("\n],\n")
        rest = {
            "licenses": [],
            "categories": [{"id": number, "name": kind, "supercategory": ""} for kind, number in kinds.items()],
            "images": images,
        }
        # Without its opening brace, it goes on with the same object.
        file.write(json.dumps(rest, ensure_ascii=False, indent=1)[1:].lstrip() + "\n")


def _image(item: ExportItem, number: int, image_id: int) -> dict[str, Any]:
    height, width = item.planes[number].labels.shape
    name = item.name if item.image_file is None else item.image_file.name
    if item.volume:
        name = f"{item.name}_p{number:0{len(str(len(item.planes) - 1))}d}"
    return {"id": image_id, "file_name": (item.folder / name).as_posix(), "height": height, "width": width}


def _annotations(plane: ExportPlane) -> Iterator[dict[str, Any]]:
    from pycocotools import mask

    height, width = plane.labels.shape
    if height * width >= 2**32:
        raise InputError(f"the image has {height} × {width} pixels; COCO's run lengths count up to 2³² - 1.")
    # COCO goes down the columns.
    runs = find_runs(plane.labels.T)
    order = np.argsort(runs.index, kind="stable")
    index = runs.index[order]
    begins = (runs.rows * height + runs.starts)[order]
    ends = (runs.rows * height + runs.stops)[order]
    # A run that reaches the foot of a column goes on at the head of the next.
    joined = (np.diff(index) == 0) & (begins[1:] == ends[:-1])
    first, last = np.append(True, ~joined)[: len(index)], np.append(~joined, True)[: len(index)]
    index, begins, ends = index[first], begins[first], ends[last]
    bounds = np.searchsorted(index, np.arange(len(runs.ids) + 1))
    table = plane.table
    scores = as_cells(table["score"])
    boxes = np.stack([table[f"bbox-{side}"] for side in (1, 0, 3, 2)], axis=-1)
    boxes[:, 2:] -= boxes[:, :2]
    for number, (label, area) in enumerate(zip(table["label"].tolist(), table["area"].tolist(), strict=True)):
        mine = slice(bounds[number], bounds[number + 1])
        edges = np.stack([begins[mine], ends[mine]], axis=1).ravel()
        counts = np.diff(edges, prepend=0, append=height * width)
        plain = {"size": [height, width], "counts": (counts if counts[-1] else counts[:-1]).tolist()}
        packed = mask.frPyObjects(plain, height, width)
        found = {
            "segmentation": {"size": [height, width], "counts": packed["counts"].decode()},
            "area": area,
            "bbox": boxes[number].tolist(),
            "label": label,
        }
        if scores[number]:
            found["score"] = float(scores[number])
        yield found

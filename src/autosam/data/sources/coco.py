"""COCO instances: one JSON file of polygons and run lengths for a folder of images."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from autosam.data.manifest import as_name
from autosam.data.refusal import refuse_faults
from autosam.data.sources.release import ImageAndLabels, Release, ReleaseReader, Request, Slice
from autosam.data.sources.release_files import child
from autosam.data.sources.shapes import OVERLAP_RULE, as_ring, decode_runs, entry, paint_mask, paint_rings
from autosam.errors import InputError
from autosam.images import read_image
from autosam.images.read import read_json


class Coco(ReleaseReader):
    """`IMAGES instances.json`, or a folder with `images/` and one JSON file in it or in `annotations/`."""

    name = "coco"
    layout = "IMAGES instances.json, or a folder with images/ and annotations/NAME.json"
    takes_labels = True

    def _sniff(self, request: Request) -> bool:
        if request.labels is not None:
            return request.path.is_dir() and request.labels.lower().endswith(".json")
        return len(_json_files(request.path)) == 1 and _images(request.path) is not None

    def _open(self, request: Request) -> Release:
        if request.labels is not None:
            file, folder = Path(request.labels), request.path
        else:
            files, images = _json_files(request.path), _images(request.path)
            if len(files) != 1 or images is None:
                raise InputError(f"{request.path} has {len(files)} JSON files; wanted {self.layout}.")
            file, folder = files[0], images
        content = read_json(file)
        annotations: dict[Any, list[dict[str, Any]]] = {}
        crowds = 0
        for annotation in entry(content, "annotations", file):
            if annotation.get("iscrowd", 0) and isinstance(annotation.get("segmentation"), dict):
                # A crowd is a region of many objects, not an instance.
                crowds += 1
                continue
            annotations.setdefault(entry(annotation, "image_id", file), []).append(annotation)
        slices, faults = [], []
        for image in sorted(entry(content, "images", file), key=lambda image: str(image.get("file_name"))):
            name = str(entry(image, "file_name", file))
            path = next((p for p in (folder / name, folder / Path(name).name) if p.is_file()), None)
            if path is None:
                faults.append(f"no image {name} in {folder}")
                continue
            mine = annotations.pop(entry(image, "id", file), [])
            slices.append(Slice(as_name(str(Path(name).with_suffix(""))), partial(_read, path, mine)))
        faults += [f"{len(rest)} annotations of the unknown image id {key}" for key, rest in annotations.items()]
        refuse_faults(faults, str(file))
        notes: tuple[str, ...] = (OVERLAP_RULE,)
        if crowds:
            notes += (f"{crowds} crowd regions were left out",)
        return Release(self.name, slices, "ids-2d", license=_license(content), made="COCO instances", notes=notes)


def _read(path: Path, annotations: list[dict[str, Any]]) -> ImageAndLabels:
    image = read_image(path)
    labels = np.zeros(image.shape[:2], np.uint32)
    for number, annotation in enumerate(annotations, start=1):
        name = f"annotation {annotation.get('id', number)} of {path.name}"
        shape = entry(annotation, "segmentation", name)
        if isinstance(shape, dict):
            mask = decode_runs(entry(shape, "size", name), entry(shape, "counts", name), name)
            if mask.shape != labels.shape:
                raise InputError(f"{name} is {mask.shape} and the image {labels.shape}; wanted one size.")
            paint_mask(labels, mask, number)
        elif isinstance(shape, list):
            # Each polygon is a part of the object; they are joined, COCO has no holes.
            for ring in shape:
                paint_rings(labels, [as_ring(zip(ring[::2], ring[1::2], strict=False), name)], number)
        else:
            raise InputError(f"{name} has a segmentation that is neither polygons nor run lengths.")
    return image, labels


def _license(content: dict[str, Any]) -> str:
    names = [str(item.get("name")) for item in content.get("licenses", []) if isinstance(item, dict)]
    return "; ".join(sorted({name for name in names if name not in ("", "None", "n/a")})) or "not stated"


def _json_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(path.glob("*.json")) or sorted((child(path, "annotations") or path).glob("*.json"))


def _images(path: Path) -> Path | None:
    return child(path, "images", "train", "val", "data")

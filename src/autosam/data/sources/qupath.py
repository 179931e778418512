"""QuPath: objects exported as GeoJSON, one file per image."""

import re
from functools import partial
from pathlib import Path

from autosam.data.manifest import as_name
from autosam.data.sources.geojson import GeoObject, read_geojson
from autosam.data.sources.losses import Losses
from autosam.data.sources.painting import OVERLAP_RULE, nested, paint
from autosam.data.sources.release import ImageAndLabels, Release, ReleaseReader, Request, Slice
from autosam.data.sources.release_files import pair_up
from autosam.data.sources.shapes import NOTHING, Pixels, fill
from autosam.errors import InputError
from autosam.images import read_image
from autosam.images.folder_listing import by_stem

ENDINGS = (".geojson", ".geojson.gz", ".json")
# An export is called after the image in QuPath's project, which may have a suffix.
_NAME = re.compile(
    r"(?P<stem>.+?)(?:\.ome)?(?:\.(?:tiff?|png|jpe?g|bmp|svs|ndpi))?(?:\.geojson\.gz|\.geojson|\.json)", re.I
)
_KINDS = ("annotation", "detection", "cell")

REGION = "left out as a region around others"
IGNORED = "left out as of a class that QuPath ignores (its name ends in *)"
NO_OBJECT = "left out as no object (tiles, cores, points and lines)"
OTHER = "left out as of another kind than --target"


class QuPath(ReleaseReader):
    """`NAME.tif` and `NAME.geojson` in one folder or two; the second argument names the outlines."""

    name = "qupath"
    layout = "IMAGES OUTLINES (folders or files), or one folder of NAME.tif and NAME.geojson"
    targets = ("object", "nucleus", *_KINDS)
    own_targets = "CLASS"
    takes_labels = True

    def _sniff(self, request: Request) -> bool:
        place = Path(request.labels) if request.labels is not None else request.path
        if place.is_dir():
            return any(file.name.casefold().endswith(ENDINGS[:2]) for file in place.iterdir())
        return request.labels is not None and place.name.casefold().endswith(ENDINGS[:2])

    def _open(self, request: Request) -> Release:
        path, place = request.path, Path(request.labels) if request.labels is not None else request.path
        if path.is_file() and place.is_file() and request.labels is not None:
            pairs = [(path.stem, path, place)]
        else:
            if not path.is_dir() or not place.is_dir():
                raise InputError(f"{path} and {place} are not two folders or two files; wanted {self.layout}.")
            pairs = pair_up(_images(path), outlines_by_name(place), source=self.name)
        key = "nucleusGeometry" if request.target == "nucleus" else "geometry"
        return Release(
            self.name,
            [_slice(stem, image, file, request.target) for stem, image, file in pairs],
            "ids-2d",
            made=f"QuPath objects ({key}), filled; a pixel is inside if its center is",
            notes=(OVERLAP_RULE,),
        )


def _images(folder: Path) -> dict[str, Path]:
    """Index images by the names that outlines have: `s.ome.tif` is `s`."""
    found: dict[str, Path] = {}
    for stem, path in by_stem(folder).items():
        name = stem[:-4] if stem.lower().endswith(".ome") else stem
        if name in found:
            raise InputError(f"{folder} holds both {found[name].name} and {path.name}; take one of them out.")
        found[name] = path
    return found


def outlines_by_name(folder: Path) -> dict[str, Path]:
    """Find the files of outlines in a folder by the names of their images, without suffix."""
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        match = _NAME.fullmatch(file.name)
        if match is None or file.name.startswith((".", "autosam_")):
            continue
        if match["stem"] in found:
            raise InputError(f"{found[match['stem']]} and {file.name} are outlines of one image; take one out.")
        found[match["stem"]] = file
    return found


def _slice(stem: str, image: Path, file: Path, target: str | None) -> Slice:
    losses = Losses()
    return Slice(as_name(stem), partial(_read, image, file, target, losses), losses=losses)


def _read(image: Path, file: Path, target: str | None, losses: Losses) -> ImageAndLabels:
    pixels = read_image(image)
    height, width = pixels.shape[:2]
    losses.clear()
    found = [item for item in read_geojson(file) if not _left_out(item, losses)]
    objects = _chosen(found, target, losses)
    if target == "nucleus" and any(item.nucleus for item in objects):
        filled = [fill(item.nucleus, (height, width)) if item.nucleus else NOTHING for item in objects]
    else:
        filled = [fill(item.outline, (height, width)) for item in objects]
    regions = _regions(objects, filled, (height, width)) if target in (None, "object", "annotation") else set()
    for index in sorted(regions):
        losses.add(REGION, objects[index].name)
    kept = ((item.name, filled[index]) for index, item in enumerate(objects) if index not in regions)
    return pixels, paint(kept, (height, width), losses)


def _left_out(item: GeoObject, losses: Losses) -> bool:
    """Count what is never an object: the tiles that QuPath measures in, the cores of tissue arrays, and so on."""
    if item.kind not in (*_KINDS, "") or not item.is_surface:
        losses.add(NO_OBJECT, item.name)
        return True
    return False


def _chosen(items: list[GeoObject], target: str | None, losses: Losses) -> list[GeoObject]:
    """Choose what was asked for, by kind or by class, and count the rest."""
    kinds = {item.kind for item in items}
    nuclei = target == "nucleus" and any(item.nucleus for item in items)
    if target in (None, "object") or nuclei:
        # Where there are detections or cells, annotations are the regions that they were found in.
        regions = bool({"detection", "cell"} & kinds)
        fate = [
            REGION
            if regions and item.kind in ("annotation", "")
            else IGNORED
            if item.of_class.endswith("*")
            else ""
            for item in items
        ]
    elif target in kinds and target in _KINDS:
        fate = ["" if item.kind == target else OTHER for item in items]
    else:
        fate = ["" if _is_of(item, str(target)) else OTHER for item in items]
    for item, reason in zip(items, fate, strict=True):
        if reason:
            losses.add(reason, item.name)
    return [item for item, reason in zip(items, fate, strict=True) if not reason]


def _is_of(item: GeoObject, target: str) -> bool:
    """Tell whether a class is the one asked for, or derived from it: `Tumor: Positive` is `Tumor`."""
    name, wanted = item.of_class.casefold(), target.casefold()
    return name == wanted or name.startswith(f"{wanted}:")


def _regions(objects: list[GeoObject], filled: list[Pixels], shape: tuple[int, int]) -> set[int]:
    """Find annotations that hold other annotations, and those of the same class as they.

    A region that happens to hold nothing is known by its class, if no object inside another has that class.
    """
    if any(item.kind not in ("annotation", "") for item in objects):
        return set()
    pairs = nested(filled, shape)
    outer = {pair[0] for pair in pairs}
    classes = {objects[index].of_class for index in outer} - {objects[index].of_class for _, index in pairs}
    return outer | {index for index, item in enumerate(objects) if item.of_class and item.of_class in classes}

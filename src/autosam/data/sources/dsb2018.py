"""Data Science Bowl 2018, stage 1 (BBBC038): nuclei in five modalities, one file per nucleus in the release."""

import csv
from functools import partial
from pathlib import Path

from autosam.data.manifest import as_name
from autosam.data.sources.losses import Losses
from autosam.data.sources.painting import OVERLAP_RULE, paint
from autosam.data.sources.release import ImageAndLabels, Release, ReleaseReader, Request, Slice
from autosam.data.sources.release_files import child, pair_up, read_mask, read_pair
from autosam.data.sources.shapes import Pixels, crop
from autosam.data.sources.stack import mask_reader
from autosam.data.valid_pixels import masks_of
from autosam.errors import InputError
from autosam.images import read_image
from autosam.images.csv_text import read_rows
from autosam.images.folder_listing import by_stem, image_files


class Dsb2018(ReleaseReader):
    """`stage1_train/ID/images/ID.png` and `stage1_train/ID/masks/*.png`; or `images/`, `labels/`, `index.csv`."""

    name = "dsb2018"
    layout = "stage1_train/ID/images/ID.png and stage1_train/ID/masks/*.png, or images/, labels/ and index.csv"

    def _sniff(self, request: Request) -> bool:
        path = request.path
        if child(path, "stage1_train") is not None or path.name == "stage1_train":
            return True
        return all(child(path, name) for name in ("images", "labels")) and bool(_modalities(path))

    def _open(self, request: Request) -> Release:
        root = child(request.path, "stage1_train") or request.path
        official = [folder for folder in sorted(root.glob("*/")) if (folder / "masks").is_dir()]
        slices = [_official(folder) for folder in official]
        notes: tuple[str, ...] = (OVERLAP_RULE.replace("the file", "the order of file names"),)
        if not official and child(root, "images") and child(root, "labels"):
            slices, notes = _paired(root, self.name), ()
        return Release(
            self.name,
            slices,
            "ids-2d",
            license="CC0 1.0",
            citation="Caicedo et al. 2019, Nat. Methods 16, 1247-1253, doi:10.1038/s41592-019-0612-7 (BBBC038)",
            made="one mask per nucleus, as published",
            notes=notes,
        )


def _official(folder: Path) -> Slice:
    images = image_files(folder / "images") if (folder / "images").is_dir() else []
    if len(images) != 1:
        raise InputError(f"{folder / 'images'} holds {len(images)} images; wanted one.")
    losses = Losses()
    return Slice(as_name(folder.name), partial(_read, images[0], folder / "masks", losses), losses=losses)


def _read(image: Path, masks: Path, losses: Losses) -> ImageAndLabels:
    pixels = read_image(image)
    height, width = pixels.shape[:2]
    losses.clear()
    objects = ((f"{path.name} of {image.stem}", _object(path, (height, width))) for path in image_files(masks))
    return pixels, paint(objects, (height, width), losses)


def _object(path: Path, shape: tuple[int, int]) -> Pixels:
    mask = read_mask(path)
    if mask.shape != shape:
        raise InputError(f"{path} is {mask.shape} and its image {shape}; wanted one size.")
    return crop(mask)


def _paired(root: Path, source: str) -> list[Slice]:
    """List the pairs of `images/` and `labels/` by stem; `index.csv` gives each `id` its `modality` as group."""
    groups = _modalities(root)
    pairs = pair_up(by_stem(root / "images"), by_stem(root / "labels"), source=source)
    masks = masks_of([stem for stem, _, _ in pairs], root / "labels", None)
    return [
        Slice(
            as_name(stem),
            partial(read_pair, image, labels),
            group=groups.get(stem, ""),
            valid=mask_reader(masks.get(stem)),
        )
        for stem, image, labels in pairs
    ]


def _modalities(root: Path) -> dict[str, str]:
    """Read `id` and `modality` of `index.csv`; empty where there is none."""
    path = root / "index.csv"
    if not path.is_file():
        return {}
    try:
        table = [cells for _, cells in read_rows(path.read_text(encoding="utf-8-sig"), ("id", "modality"))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    if not table or not {"id", "modality"} <= set(table[0]):
        return {}
    rows = (dict(zip(table[0], cells, strict=False)) for cells in table[1:])
    return {row["id"]: row.get("modality", "") for row in rows if row.get("id")}

"""Cellpose: `NAME_masks.tif` or `NAME_seg.npy` beside `NAME.tif`; no code in the pickle `_seg.npy` is run."""

import re
from functools import partial
from pathlib import Path

from autosam.data.manifest import as_name
from autosam.data.refusal import refuse_faults
from autosam.data.sources.release import Labels, Release, ReleaseReader, Request, Slice
from autosam.data.sources.release_files import read_image_and_candidates
from autosam.data.sources.stack import Stack, mask_reader, stack_slices, with_masks
from autosam.data.valid_pixels import masks_of
from autosam.images.folder_listing import image_files
from autosam.images.formats import TIFF_SUFFIXES
from autosam.images.tiff import count_tiff_images

_MASKS = re.compile(r"(?P<stem>.+?)(?:_img)?_(?:cp_)?masks")


class Cellpose(ReleaseReader):
    """A folder of `NAME.tif` with `NAME_masks.tif`, `NAME_cp_masks.png` or `NAME_seg.npy`."""

    name = "cellpose"
    layout = "a folder of NAME.tif with NAME_masks.tif, NAME_cp_masks.png or NAME_seg.npy"

    def _sniff(self, request: Request) -> bool:
        return request.path.is_dir() and bool(_label_files(request.path))

    def _open(self, request: Request) -> Release:
        folder = request.path
        labels = _label_files(folder)
        images = {p.stem: p for p in image_files(folder) if not _MASKS.fullmatch(p.stem) and not _by_product(p)}
        slices: list[Slice] = []
        faults = []
        masks = masks_of(labels, folder, None)
        for stem, files in labels.items():
            image, file = images.get(stem) or images.get(f"{stem}_img"), files[0]
            if image is None:
                faults.append(f"{file} has no image {stem} beside it")
            elif file.suffix != ".npy" and image.suffix.lower() in TIFF_SUFFIXES and count_tiff_images(image) > 1:
                pages = stack_slices(as_name(stem), Stack.open(image), Stack.open(file))
                slices += with_masks(pages, masks.get(stem))
            else:
                read = partial(read_image_and_candidates, image, files, request.ignore)
                slices.append(Slice(as_name(stem), read, valid=mask_reader(masks.get(stem))))
        refuse_faults(faults, self.name)
        kind: Labels = "ids-2d" if all(item.volume is None for item in slices) else "ids-3d"
        notes = ("where an image has both a mask file and a _seg.npy, the mask file was read",)
        return Release(self.name, slices, kind, made="Cellpose masks", notes=notes)


def _label_files(folder: Path) -> dict[str, list[Path]]:
    """List the label files by image: mask files, of which there may be two, else the `_seg.npy`."""
    segs = {
        path.name.removesuffix("_seg.npy"): [path]
        for path in sorted(folder.glob("*_seg.npy"))
        if not path.name.startswith(".")
    }
    masks: dict[str, list[Path]] = {}
    for path in image_files(folder):
        match = _MASKS.fullmatch(path.stem)
        if match:
            masks.setdefault(match["stem"], []).append(path)
    return dict(sorted((segs | masks).items()))


def _by_product(path: Path) -> bool:
    return re.search(r"_(?:cp_)?(?:outlines|flows|cp_output|dP)$", path.stem) is not None

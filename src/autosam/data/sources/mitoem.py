"""MitoEM: mitochondria of rat (R) and human (H) cortex, 4096 × 4096 slices, ids that hold in 3D."""

import re
from functools import partial
from pathlib import Path

from autosam.data.manifest import Split
from autosam.data.refusal import refuse_faults
from autosam.data.sources.release import Release, ReleaseReader, Request, Slice, volume_slice
from autosam.data.sources.release_files import by_number, read_pair
from autosam.data.sources.stack import Stack, stack_slices
from autosam.images.folder_listing import image_files

_PARTS: tuple[tuple[str, Split], ...] = (("train", "train"), ("val", "val"))
_HDF5 = re.compile(r"mitoem[_-]?(?P<animal>[RH])[_-](?P<rest>.*?)_?im\.h(?:df)?5", re.IGNORECASE)


class MitoEM(ReleaseReader):
    """`EM30-R-im/[im/]im0000.png`, `EM30-R-mito-train-val-v2/mito-train-v2/seg0000.tif`; or HDF5 pairs."""

    name = "mitoem"
    layout = (
        "EM30-R-im/im0000.png and EM30-R-mito-train-val-v2/{mito-train-v2,mito-val-v2}/seg0000.tif "
        "(R or H), or mitoem_R_train_im.h5 and mitoem_R_train_seg.h5"
    )

    def _sniff(self, request: Request) -> bool:
        path = request.path
        return path.is_dir() and bool(
            _starting(path, "EM30-") or (_starting(path, "mito-train") and _images(path)) or _hdf5_pairs(path)
        )

    def _open(self, request: Request) -> Release:
        path = request.path
        slices: list[Slice] = []
        for animal in ("R", "H"):
            folder = _starting(path, f"EM30-{animal}-im")
            labels = _starting(path, f"EM30-{animal}-mito")
            images = None if folder is None else _images(folder)
            if images is not None:
                slices += _animal_slices(animal, images, labels)
        images = _images(path)
        if not slices and images is not None:
            animal = "H" if re.search(r"(^|[-_])(h|human)([-_]|$)", path.resolve().name, re.IGNORECASE) else "R"
            slices = _animal_slices(animal, images, path)
        for animal, part, image, seg in _hdf5_pairs(path):
            split: Split | None = next((split for word, split in _PARTS if word in part.casefold()), None)
            volume = "_".join(filter(None, (animal, part)))
            slices += stack_slices(volume, Stack.open(image), Stack.open(seg), group=animal, split=split)
        return Release(
            self.name,
            slices,
            "ids-3d",
            license="MIT, as tagged at huggingface.co/datasets/pytc/MitoEM; see also https://mitoem.grand-challenge.org",
            citation="Wei et al. 2020, MICCAI, LNCS 12265, 66-76, doi:10.1007/978-3-030-59722-1_7",
            voxel_size_nm=(30.0, 8.0, 8.0),
            made="3D instances as published (v2)",
        )


def _animal_slices(animal: str, images: Path, labels: Path | None) -> list[Slice]:
    raw = by_number(images)
    slices: list[Slice] = []
    faults: list[str] = []
    labeled: set[int] = set()
    for part, split in _PARTS:
        folder = None if labels is None else _starting(labels, f"mito-{part}")
        for z, file in ({} if folder is None else by_number(folder)).items():
            labeled.add(z)
            if z not in raw:
                faults.append(f"{file} has no image im{z:04d} in {images}")
                continue
            slices.append(_slice(animal, part, z, raw[z], file, split))
    refuse_faults(faults, "mitoem")
    slices += [_slice(animal, "test", z, raw[z], None, "test") for z in raw if z not in labeled]
    return slices


def _slice(animal: str, part: str, z: int, image: Path, labels: Path | None, split: Split) -> Slice:
    read = partial(read_pair, image, labels)
    return volume_slice(f"{animal}_{part}", z, read, group=animal, split=split, labeled=labels is not None)


def _starting(folder: Path, start: str) -> Path | None:
    """Find the first folder whose name starts so, whatever its case."""
    if not folder.is_dir():
        return None
    return next(
        (p for p in sorted(folder.iterdir()) if p.is_dir() and p.name.casefold().startswith(start.casefold())),
        None,
    )


def _images(folder: Path) -> Path | None:
    """Find the folder of im0000.png, ...: the folder itself or its `im`."""
    for place in (folder, folder / "im"):
        if place.is_dir() and any(re.fullmatch(r"im\d+", file.stem) for file in image_files(place)):
            return place
    return None


def _hdf5_pairs(folder: Path) -> list[tuple[str, str, Path, Path]]:
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _HDF5.fullmatch(path.name)
        seg = path.with_name(re.sub(r"im(?=\.h(?:df)?5$)", "seg", path.name, flags=re.IGNORECASE))
        if match and seg.is_file():
            found.append((match["animal"].upper(), match["rest"].strip("_-"), path, seg))
    return found

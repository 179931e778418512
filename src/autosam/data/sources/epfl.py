"""EPFL ("Lucchi"): FIB-SEM of hippocampus CA1, mitochondria, a training and a testing stack of 165 slices."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from autosam.data.manifest import Split
from autosam.data.sources.files import by_number, child, image_files, pair_up, read_mask
from autosam.data.sources.release import Pair, Release, Request, Slice, no_slices
from autosam.data.sources.stack import Stack, stack_slices
from autosam.errors import InputError
from autosam.images import read_image

_STACKS: tuple[tuple[str, Split], ...] = (("training", "train"), ("testing", "test"))


class Epfl:
    """Multi-page TIFFs, folders of slices under the same names, or `raw/` and `mitochondria/`."""

    name = "epfl"
    layout = (
        "training.tif + training_groundtruth.tif, testing.tif + testing_groundtruth.tif (or folders of slices)"
    )
    targets: tuple[str, ...] = ()
    takes_labels = False
    takes_stack = False

    def sniff(self, request: Request) -> bool:
        """See `Source.sniff`."""
        path = request.path
        if any(_find(path, stem) and _find(path, f"{stem}_groundtruth") for stem, _ in _STACKS):
            return True
        # Anyone's folder may be called raw; only its name makes it EPFL's.
        named = any(word in path.resolve().name.casefold() for word in ("epfl", "lucchi"))
        return named and (path / "raw").is_dir() and (path / "mitochondria").is_dir()

    def open(self, request: Request) -> Release:
        """See `Source.open`."""
        path = request.path
        slices: list[Slice] = []
        for stem, split in _STACKS:
            image, truth = _find(path, stem), _find(path, f"{stem}_groundtruth")
            if image is None:
                continue
            if truth is None:
                raise InputError(f"{image} has no {stem}_groundtruth beside it.")
            if image.is_dir() != truth.is_dir():
                raise InputError(f"{image} and {truth} are not both files or both folders.")
            if image.is_dir():
                slices += folder_slices(stem, image, truth, split=split)
            else:
                slices += stack_slices(stem, Stack.open(image), Stack.open(truth), split=split)
        if not slices and (path / "raw").is_dir() and (path / "mitochondria").is_dir():
            slices = folder_slices("training", path / "raw", path / "mitochondria")
        if not slices:
            raise no_slices(self.name, path, self.layout)
        return Release(
            self.name,
            slices,
            "semantic",
            licence="research use; terms of redistribution not stated",
            citation="Lucchi et al. 2012, IEEE Trans. Med. Imaging 31(2), 474-486, doi:10.1109/TMI.2011.2171705",
            voxel_size_nm=(5.0, 5.0, 5.0),
            made="semantic mask of mitochondria, drawn by hand",
        )


def folder_slices(
    volume: str,
    images: Path,
    masks: Path,
    *,
    group: str = "",
    split: Split | None = None,
    read: Callable[[Path], NDArray[Any]] = read_mask,
) -> list[Slice]:
    """List the slices of a volume in two folders of images, paired by the last number in their names, which is z.

    Parameters
    ----------
    volume : str
        Its name.
    images, masks : Path
        The folders. Where both number their files without gaps but from different starts,
        they are paired by order.
    group, split
        Those of `Slice`.
    read : callable
        Reads a mask.

    Raises
    ------
    InputError
        If a slice has no partner.
    """
    raw, truth = by_number(images), by_number(masks)
    if set(raw) != set(truth) and len(raw) == len(truth) and _gapless(raw) and _gapless(truth):
        truth = dict(zip(raw, truth.values(), strict=True))

    def reader(image: Path, mask: Path) -> Pair:
        return read_image(image), read(mask)

    return [
        Slice(
            f"{volume}_z{z:04d}",
            partial(reader, image, mask),
            group=group or volume,
            volume=volume,
            z=z,
            split=split,
        )
        for z, image, mask in pair_up(raw, truth, source=volume)
    ]


def _gapless(numbers: dict[int, Path]) -> bool:
    return bool(numbers) and max(numbers) - min(numbers) + 1 == len(numbers)


def _find(folder: Path, stem: str) -> Path | None:
    found = child(folder, f"{stem}.tif", f"{stem}.tiff", stem)
    if found is not None and found.is_dir() and not image_files(found):
        return None
    return found

"""EPFL ("Lucchi"): FIB-SEM of hippocampus CA1, mitochondria, a training and a testing stack of 165 slices."""

from pathlib import Path

from autosam.data.manifest import Split
from autosam.data.sources.release import Release, ReleaseReader, Request, Slice
from autosam.data.sources.release_files import child
from autosam.data.sources.slice_folders import folder_slices
from autosam.data.sources.stack import Stack, stack_slices
from autosam.errors import InputError
from autosam.images.folder_listing import image_files

_STACKS: tuple[tuple[str, Split], ...] = (("training", "train"), ("testing", "test"))


class Epfl(ReleaseReader):
    """Multi-page TIFFs, folders of slices under the same names, or `raw/` and `mitochondria/`."""

    name = "epfl"
    layout = (
        "training.tif + training_groundtruth.tif, testing.tif + testing_groundtruth.tif (or folders of slices)"
    )

    def _sniff(self, request: Request) -> bool:
        path = request.path
        if any(_find(path, stem) and _find(path, f"{stem}_groundtruth") for stem, _ in _STACKS):
            return True
        # Anyone's folder may be called raw; only its name makes it EPFL's.
        named = any(word in path.resolve().name.casefold() for word in ("epfl", "lucchi"))
        return named and (path / "raw").is_dir() and (path / "mitochondria").is_dir()

    def _open(self, request: Request) -> Release:
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
        return Release(
            self.name,
            slices,
            "semantic",
            license="research use; terms of redistribution not stated",
            citation="Lucchi et al. 2012, IEEE Trans. Med. Imaging 31(2), 474-486, doi:10.1109/TMI.2011.2171705",
            voxel_size_nm=(5.0, 5.0, 5.0),
            made="semantic mask of mitochondria, drawn by hand",
        )


def _find(folder: Path, stem: str) -> Path | None:
    found = child(folder, f"{stem}.tif", f"{stem}.tiff", stem)
    if found is not None and found.is_dir() and not image_files(found):
        return None
    return found

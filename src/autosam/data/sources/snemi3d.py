"""SNEMI3D (AC4 and AC3 of Kasthuri et al.): neurites of mouse cortex, 100 slices of 1024 × 1024 each."""

from pathlib import Path

from autosam.data.manifest import Split
from autosam.data.sources.release import Release, ReleaseReader, Request, Slice
from autosam.data.sources.release_files import child
from autosam.data.sources.stack import Stack, stack_slices
from autosam.images.formats import STACK_SUFFIXES

_PARTS: tuple[tuple[str, str, Split], ...] = (("AC4", "train", "train"), ("AC3", "test", "test"))


class Snemi3d(ReleaseReader):
    """`train-input.tif`, `train-labels.tif`, `test-input.tif`, or `AC4_inputs.h5`, `AC4_labels.h5`, ..."""

    name = "snemi3d"
    layout = (
        "train-input.tif, train-labels.tif, test-input.tif (or AC4_inputs.h5, AC4_labels.h5, AC3_inputs.h5, ...)"
    )

    def _sniff(self, request: Request) -> bool:
        return any(_find(request.path, volume, part, "input") for volume, part, _ in _PARTS)

    def _open(self, request: Request) -> Release:
        slices: list[Slice] = []
        for volume, part, split in _PARTS:
            image, labels = (_find(request.path, volume, part, kind) for kind in ("input", "label"))
            if image is not None:
                truth = None if labels is None else Stack.open(labels)
                slices += stack_slices(volume, Stack.open(image), truth, split=split)
        return Release(
            self.name,
            slices,
            "ids-3d",
            license="not verified; see doi:10.5281/zenodo.7142003",
            citation="Kasthuri et al. 2015, Cell 162(3), 648-661, doi:10.1016/j.cell.2015.06.054",
            voxel_size_nm=(30.0, 6.0, 6.0),
            made="3D neurites as published; 0 is membrane and unlabeled",
        )


def _find(path: Path, volume: str, part: str, kind: str) -> Path | None:
    """Find a file of the release, in the folder or, as in the archive, in its `image` or `seg`."""
    names = [
        f"{start}{joint}{kind}{plural}{suffix}"
        for start in (part, volume)
        for joint in "-_"
        for plural in ("", "s")
        for suffix in STACK_SUFFIXES
    ]
    return next((file for folder in (path, path / "image", path / "seg") if (file := child(folder, *names))), None)

"""Lucchi++ and Kasthuri++: the mitochondria labels that Casser et al. corrected, as folders of slices."""

from pathlib import Path

from autosam.data.manifest import Split
from autosam.data.sources.release import Release, ReleaseReader, Request, Slice
from autosam.data.sources.release_files import child
from autosam.data.sources.slice_folders import folder_slices
from autosam.errors import InputError

_PARTS: tuple[tuple[str, Split], ...] = (("train", "train"), ("test", "test"))


class Casser(ReleaseReader):
    """`Train_In/`, `Train_Out/`, `Test_In/`, `Test_Out/`; `word` in the folder's name tells the two sets apart."""

    layout = "Train_In/, Train_Out/, Test_In/, Test_Out/ (PNG or TIFF slices)"

    def __init__(self, name: str, word: str, voxel_size_nm: tuple[float, float, float]) -> None:
        self.name = name
        self._word = word
        self._voxel = voxel_size_nm

    def _sniff(self, request: Request) -> bool:
        root = self._root(request.path)
        named = (
            self._word in root.resolve().name.casefold() or self._word in request.path.resolve().name.casefold()
        )
        return named and child(root, "Train_In", "Test_In") is not None

    def _open(self, request: Request) -> Release:
        root = self._root(request.path)
        slices: list[Slice] = []
        for part, split in _PARTS:
            images, masks = child(root, f"{part}_In"), child(root, f"{part}_Out")
            if images is None and masks is None:
                continue
            if images is None or masks is None:
                raise InputError(f"{root} has only one of {part}_In and {part}_Out; wanted both.")
            slices += folder_slices(part, images, masks, split=split)
        return Release(
            self.name,
            slices,
            "semantic",
            license="not stated; see https://casser.io/connectomics",
            citation="Casser et al. 2020, MIDL, arXiv:1812.06024",
            voxel_size_nm=self._voxel,
            made="semantic mask of mitochondria; in colored masks white is foreground",
        )

    def _root(self, path: Path) -> Path:
        inner = child(path, f"{self._word}++")
        return path if inner is None else inner


LUCCHI_PP = Casser("lucchi_pp", "lucchi", (5.0, 5.0, 5.0))
KASTHURI_PP = Casser("kasthuri_pp", "kasthuri", (30.0, 3.0, 3.0))

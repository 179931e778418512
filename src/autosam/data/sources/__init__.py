"""The data sets that autosam imports: one small module per layout, each giving a `Release`."""

from autosam.data.sources.cellpose import Cellpose
from autosam.data.sources.coco import Coco
from autosam.data.sources.cremi import Cremi
from autosam.data.sources.dsb2018 import Dsb2018
from autosam.data.sources.epfl import Epfl
from autosam.data.sources.file_pair import FilePair
from autosam.data.sources.folder_pair import FolderPair
from autosam.data.sources.lucchi_pp import KASTHURI_PP, LUCCHI_PP
from autosam.data.sources.mitoem import MitoEM
from autosam.data.sources.monuseg import MoNuSeg
from autosam.data.sources.ome_zarr import OmeZarr
from autosam.data.sources.qupath import QuPath
from autosam.data.sources.release import Release, ReleaseReader, Request, Slice
from autosam.data.sources.snemi3d import Snemi3d
from autosam.data.sources.vnc import Vnc
from autosam.errors import InputError
from autosam.images.image_source import split_dataset

# In the order in which a path is tried: releases with names of their own before anyone's folders.
SOURCES: tuple[ReleaseReader, ...] = (
    LUCCHI_PP,
    KASTHURI_PP,
    MitoEM(),
    Snemi3d(),
    Cremi(),
    Vnc(),
    Epfl(),
    Dsb2018(),
    MoNuSeg(),
    OmeZarr(),
    Coco(),
    QuPath(),
    Cellpose(),
    FolderPair(),
    FilePair(),
)

__all__ = ["SOURCES", "Release", "ReleaseReader", "Request", "Slice", "open_release"]


def open_release(
    path: str,
    labels: str | None = None,
    *,
    source: str | None = None,
    target: str | None = None,
    stack: bool = False,
    ignore: int | None = None,
) -> Release:
    """Open a data set in its own layout; no pixels are read.

    Parameters
    ----------
    path : str
        Folder or file, or `file.h5:/dataset`.
    labels : str, optional
        The labels, where the layout has them apart.
    source : str, optional
        Name of the layout; by default the first whose `sniff` says yes.
    target : str, optional
        Which objects, where the source has several kinds.
    stack : bool
        The images of a folder are slices of one volume.
    ignore : int, optional
        Number in the labels of pixels that do not count. It may be negative.

    Raises
    ------
    InputError
        If there is no such path, no layout fits it or the name is unknown; and those of `ReleaseReader.open`.
    """
    file, dataset = split_dataset(path)
    if not file.exists():
        raise InputError(f"{file}: no such file or folder.")
    request = Request(file, dataset, labels, target, stack, ignore)
    names = ", ".join(reader.name for reader in SOURCES)
    if source is not None:
        named = next((reader for reader in SOURCES if reader.name == source), None)
        if named is None:
            raise InputError(f"unknown source {source}; known: {names}.")
        return named.open(request)
    for reader in SOURCES:
        if reader.sniff(request):
            return reader.open(request)
    raise InputError(
        f"{file} looks like none of the layouts ({names}); name the labels as the second argument, or the layout "
        "with --source (autosam data sources lists them)."
    )

"""The data sets that autosam imports: one small module per layout, all giving the same `Release`."""

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
from autosam.images.source import split_dataset

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

__all__ = ["SOURCES", "Release", "ReleaseReader", "Request", "Slice", "find_source", "open_release"]


def open_release(
    path: str,
    labels: str | None = None,
    *,
    source: str | None = None,
    target: str | None = None,
    stack: bool = False,
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

    Raises
    ------
    InputError
        If there is no such path, no source fits, or one does not understand what was asked.
    """
    file, dataset = split_dataset(path)
    request = Request(file, dataset, labels, target, stack)
    if not file.exists():
        raise InputError(f"{file}: no such file or folder.")
    chosen = find_source(request, source)
    if labels is not None and not chosen.takes_labels:
        raise InputError(f"{chosen.name} has its labels in its own layout ({chosen.layout}); leave {labels} out.")
    if target is not None and target not in chosen.targets:
        kinds = f"it has: {', '.join(chosen.targets)}" if chosen.targets else "it has one kind of object"
        raise InputError(f"{chosen.name} has no target {target}; {kinds}.")
    if stack and not chosen.takes_stack:
        raise InputError(f"{chosen.name} knows its volumes by itself; leave --stack out.")
    return chosen.open(request)


def find_source(request: Request, name: str | None = None) -> ReleaseReader:
    """Find a source by its name, or the first that fits the path.

    Raises
    ------
    InputError
        If the name is unknown, or no source fits.
    """
    if name is not None:
        for source in SOURCES:
            if source.name == name:
                return source
        raise InputError(f"unknown source {name}; known: {', '.join(source.name for source in SOURCES)}.")
    for source in SOURCES:
        if (request.labels is None or source.takes_labels) and source.sniff(request):
            return source
    raise InputError(
        f"{request.path} looks like none of the layouts ({', '.join(source.name for source in SOURCES)}); "
        "name the labels as the second argument, or the layout with --source (autosam data sources lists them)."
    )

"""Places that labels come from: files, and sets of labels that are not one file each, such as a store."""

import glob
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from autosam.errors import InputError
from autosam.evaluation.volumes import LabelVolume, open_labels
from autosam.images.formats import LABEL_SUFFIXES
from autosam.images.source import split_dataset

# A stem goes without `.ome` too, so the longer endings come first.
_ENDINGS = (".ome.tif", ".ome.tiff", ".ome.zarr", "_seg.npy", ".geojson", *LABEL_SUFFIXES)
# What autosam and Cellpose add to the name of an image, for the file of its labels.
_MARKS = ("_labels", "_cp_masks", "_masks")


@dataclass(frozen=True)
class LazyLabels:
    """Labels that are not a file of their own, and are not read before they are asked for.

    Attributes
    ----------
    name : str
        For messages; equal names are equal labels.
    open : callable
        Gives the labels.
    """

    name: str
    open: Callable[[], LabelVolume] = field(repr=False, compare=False)


@dataclass(frozen=True, eq=False)
class LabelSet:
    """The labels of the images of one place.

    Attributes
    ----------
    name : str
        The place, for messages.
    slices : mapping of str to LazyLabels
        Labels by the name of the image, those of volumes slice by slice.
    volumes : mapping of str to LazyLabels
        The same with each volume as one; equal to ``slices`` where ids do not hold across slices.
    single : bool
        Whether the place stands for one image or one volume, so that it fits a file of any name.
    as_name : callable
        Gives the name in this place of an image whose file has a certain stem.
    notes : tuple of str
        What a reader of scores should know, such as what became of objects that overlap.
    """

    name: str
    slices: Mapping[str, LazyLabels]
    volumes: Mapping[str, LazyLabels]
    single: bool = False
    as_name: Callable[[str], str] = field(default=str, repr=False)
    notes: tuple[str, ...] = ()


LabelSource = str | LazyLabels
Place = str | LabelSet


@contextmanager
def open_source(labels: LabelSource) -> Iterator[LabelVolume]:
    """Open labels, of a file or of a set; see `open_labels`.

    Raises
    ------
    InputError
        If they cannot be read.
    """
    if isinstance(labels, str):
        with open_labels(labels) as volume:
            yield volume
    else:
        yield labels.open()


def label_files(place: str) -> dict[str, str]:
    """List the label files of a place by stem.

    Where some names end in ``_labels``, ``_cp_masks`` or ``_masks``, only these count, and their stem is what
    comes before.

    Parameters
    ----------
    place : str
        A file, ``file.h5:/dataset``, a folder or a glob pattern.

    Raises
    ------
    InputError
        If the place does not exist or has no label files, or two files share a stem.
    """
    path, one = Path(place), is_one_file(place)
    if one:
        files = [place]
    elif path.is_dir():
        files = [str(file) for file in sorted(path.iterdir()) if _is_label_file(str(file))]
    elif glob.has_magic(place):
        files = [file for file in sorted(glob.glob(place, recursive=True)) if _is_label_file(file)]
    else:
        raise InputError(f"{place} does not exist: give a label file, a folder or a quoted pattern")
    # The pictures beside the labels in an output folder are not labels.
    mark = next((m for m in _MARKS if any(_stem(f).endswith(m) for f in files)), "")
    by_stem: dict[str, list[str]] = {}
    for file in files:
        if _stem(file).endswith(mark):
            by_stem.setdefault(_stem(file).removesuffix(mark), []).append(file)
    if not by_stem:
        raise InputError(f"{place} holds no label files: wanted names ending in {', '.join(LABEL_SUFFIXES)}")
    doubled = [" and ".join(same) for same in by_stem.values() if len(same) > 1]
    if doubled:
        raise InputError(f"files share a stem: {'; '.join(doubled)}: move one of each away or give a pattern")
    return {stem: same[0] for stem, same in by_stem.items()}


def is_one_file(place: str) -> bool:
    """Tell whether a place is a file, a dataset of one, or a Zarr folder."""
    path, _ = split_dataset(place)
    return path.is_file() or (path.is_dir() and path.suffix.lower() == ".zarr")


def without_suffix(name: str) -> str:
    """Take the known ending off the name of a label file.

    Examples
    --------
    >>> without_suffix("a.ome.tif"), without_suffix("TCGA-21.x")
    ('a', 'TCGA-21.x')
    """
    return next((name[: -len(s)] for s in _ENDINGS if name.lower().endswith(s)), name)


def _is_label_file(name: str) -> bool:
    hidden = Path(name).name.startswith(".")
    return not hidden and name.lower().endswith(LABEL_SUFFIXES) and is_one_file(name)


def _stem(place: str) -> str:
    return without_suffix(split_dataset(place)[0].name)

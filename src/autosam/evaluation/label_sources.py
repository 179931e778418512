"""Label sources: where labels come from, whether they are files or lie in a store or a data set."""

import glob
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autosam.errors import InputError
from autosam.evaluation.label_refs import LabelRef
from autosam.images.folder_listing import is_store
from autosam.images.formats import LABEL_SUFFIXES
from autosam.images.image_source import split_dataset
from autosam.images.label_names import LABEL_MARKS, SURE_MARKS, plain, without_suffix


@dataclass(frozen=True, eq=False)
class LabelSource:
    """The labels of one or several images, by the name of the image.

    Attributes
    ----------
    name : str
        What the user gave, for messages.
    slices : mapping of str to LabelRef
        Labels by name, those of volumes slice by slice.
    volumes : mapping of str to LabelRef
        The same with each volume as one; equal to ``slices`` where ids do not hold across slices.
    single : bool
        Whether the source stands for one image or one volume, so that it fits a file of any name.
    as_name : callable
        Gives the name in this source of an image whose file has a certain stem.
    notes : tuple of str
        What a reader of scores should know, such as what became of objects that overlap.
    valid : mapping of str to LabelRef
        Masks of the pixels that count, by name of slices or volumes; labels without one count everywhere.
    masked : bool
        Whether every label is expected to have a mask.
    folder : Path or None
        The folder of labels beside which masks may lie, see `pairing.choose_masks`; None where `valid` has them.
    """

    name: str
    slices: Mapping[str, LabelRef]
    volumes: Mapping[str, LabelRef]
    single: bool = False
    as_name: Callable[[str], str] = field(default=str, repr=False)
    notes: tuple[str, ...] = ()
    valid: Mapping[str, LabelRef] = field(default_factory=dict)
    masked: bool = False
    folder: Path | None = None


def label_files(given: str) -> LabelSource:
    """List label files by stem; those in subfolders by ``SUBFOLDER/STEM``.

    Where some names end in a mark such as ``_labels`` or ``_masks`` (see `LABEL_MARKS`), only those with the first
    such mark count, and their stem is what comes before.

    Parameters
    ----------
    given : str
        A file, ``file.h5:/dataset``, a folder or a glob pattern.

    Raises
    ------
    InputError
        If there is no such file or folder, or no label file in it, or two files share a stem.
    """
    path, single = Path(given), _is_one_file(given)
    if single:
        files = {given: ""}
    elif path.is_dir():
        files = {str(file): _prefix(file.parent, path) for file in _label_files_in(path)}
    elif glob.has_magic(given):
        files = dict.fromkeys((f for f in sorted(glob.glob(given, recursive=True)) if _is_label_file(f)), "")
    else:
        raise InputError(f"{given} does not exist: give a label file, a folder or a quoted pattern")
    # The pictures beside the labels in an output folder are not labels.
    mark = _mark_of([_stem(file) for file in files])
    marked = {file: prefix for file, prefix in files.items() if _stem(file).lower().endswith(mark)}
    by_stem: dict[str, list[str]] = {}
    names_of: tuple[Callable[[str], str], ...] = (plain, str)
    for name_of in names_of:
        by_stem.clear()
        for file, prefix in marked.items():
            stem = _stem(file)
            by_stem.setdefault(prefix + name_of(stem[: len(stem) - len(mark)]), []).append(file)
        # Where `a.tif` and `a.png` are both images, their labels keep the suffixes.
        if all(len(same) == 1 for same in by_stem.values()):
            break
    if not by_stem:
        raise InputError(f"{given} holds no label files: wanted names ending in {', '.join(LABEL_SUFFIXES)}")
    doubled = [" and ".join(same) for same in by_stem.values() if len(same) > 1]
    if doubled:
        raise InputError(f"files share a stem: {'; '.join(doubled)}: move one of each away or give a pattern")
    found = {stem: same[0] for stem, same in by_stem.items()}
    root = path if path.is_dir() and not single else Path(next(iter(files))).parent
    return LabelSource(given, found, found, single=single, folder=root)


def _mark_of(stems: Sequence[str]) -> str:
    """Find the mark that tells labels from what lies beside them; "" where names have none.

    The marks of autosam and Cellpose count where one file has them, as pictures lie beside those. Others count
    where nothing but images of these labels lies beside: one name may end so by chance.
    """
    for mark in LABEL_MARKS:
        of = {stem[: -len(mark)] for stem in stems if stem.lower().endswith(mark) and len(stem) > len(mark)}
        if of and (mark in SURE_MARKS or all(s in of or s.lower().endswith(mark) for s in stems)):
            return mark
    return ""


def _is_one_file(given: str) -> bool:
    path, _ = split_dataset(given)
    return path.is_file() or is_store(path)


def _label_files_in(folder: Path) -> Iterator[Path]:
    """List the label files of a folder by name, then those of its subfolders."""
    inner = []
    for path in sorted(folder.iterdir()):
        if _is_label_file(str(path)):
            yield path
        elif path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            inner.append(path)
    for path in inner:
        if not is_store(path):
            yield from _label_files_in(path)


def _prefix(folder: Path, root: Path) -> str:
    inner = folder.relative_to(root).as_posix()
    return "" if inner == "." else f"{inner}/"


def _is_label_file(name: str) -> bool:
    hidden = Path(name).name.startswith(".")
    return not hidden and name.lower().endswith(LABEL_SUFFIXES) and _is_one_file(name)


def _stem(given: str) -> str:
    return without_suffix(split_dataset(given)[0].name)

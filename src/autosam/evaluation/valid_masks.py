"""Masks of the pixels where a truth is complete: files of the same names in a folder `valid` beside its own."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from autosam.evaluation.label_volume import LabelRef
from autosam.images.label_names import unmarked, without_suffix
from autosam.images.source import split_dataset

VALID = "valid"
"""Name of the folder."""


def valid_beside(
    files: Mapping[str, str], root: Path, list_files: Callable[[Path], Iterable[Path]]
) -> dict[str, LabelRef]:
    """Find the masks of label files by name; none where there is no folder or it has none of the names.

    Parameters
    ----------
    files : mapping of str to str
        Label files by name, as of `label_files`.
    root : Path
        The folder that they lie in; masks lie in ``valid`` beside it, in the same subfolders.
    list_files : callable
        Lists the label files of a folder and of its subfolders.
    """
    folder = root.resolve().parent / VALID
    if not folder.is_dir() or folder == root.resolve():
        return {}
    by_name: dict[str, LabelRef] = {}
    for file in list_files(folder):
        inner = file.parent.relative_to(folder).as_posix()
        prefix = "" if inner == "." else f"{inner}/"
        stem = without_suffix(split_dataset(str(file))[0].name)
        for name in (stem, *unmarked(stem)):
            by_name.setdefault(prefix + name, str(file))
    return {name: by_name[name] for name in files if name in by_name}

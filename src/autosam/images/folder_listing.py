"""The image files of a folder, and what in it is no image to segment."""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from autosam.errors import InputError
from autosam.images.formats import IMAGE_SUFFIXES, PLAIN_SUFFIXES, TIFF_SUFFIXES
from autosam.images.readers import format_of

RUN_RECORD = "autosam_run.json"
"""The run record: a folder with it holds results."""

_MADE_OF = re.compile(
    r"(?P<stem>.+?)[_ .-](?:cp[_ .-]|sam[_ .-])?"
    r"(?:masks?|labels?|seg|segmentation|instances|overlay|outlines|flows|output|dP|stardist|groundtruth|gt"
    r"|simple segmentation|object predictions|object identities|probabilities)",
    re.IGNORECASE,
)
_LABEL_FOLDER = re.compile(
    r"(?:.+[_ .-])?(?:masks?|labels?|seg|segmentations?|gt|ground[_ -]?truths?|annotations?|instances|overlays?"
    r"|outlines)",
    re.IGNORECASE,
)
_IMAGE_FOLDER = re.compile(r"(?:.+[_ .-])?(?:images?|imgs?|raw)", re.IGNORECASE)
# NAME_img.png goes with NAME_masks.png in folders for Cellpose.
_IMAGE_ENDINGS = ("", "_img", "_image", "_raw")


def image_files(folder: Path, known: tuple[str, ...] = TIFF_SUFFIXES + PLAIN_SUFFIXES) -> list[Path]:
    """List the image files of a folder by name, without hidden ones; an `InputError` if there is no such folder.

    Upper and lower case of suffixes are equal. Hidden files are half-written ones and those of macOS.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; check the spelling.")
    return [path for path in sorted(folder.iterdir()) if has_suffix(path, known) and fault_of(path) is None]


def by_stem(folder: Path) -> dict[str, Path]:
    """Index the image files of a folder by the stem of their names; two of one stem are refused."""
    found: dict[str, Path] = {}
    for path in image_files(folder):
        if path.stem in found:
            raise InputError(f"{folder} holds both {found[path.stem].name} and {path.name}; take one of them out.")
        found[path.stem] = path
    return found


def has_suffix(path: Path, known: tuple[str, ...] = IMAGE_SUFFIXES) -> bool:
    """Tell whether a name, which is not hidden, has one of the suffixes."""
    return path.suffix.lower() in known and not path.name.startswith(".")


def is_store(path: Path) -> bool:
    """Tell whether a folder is one file of a format, such as Zarr."""
    form = format_of(path)
    return form is not None and form.folder and path.is_dir()


def fault_of(path: Path) -> str | None:
    """Say why there is no file to read under a name; None where there is one.

    Opening a pipe or a socket would wait forever.
    """
    form = format_of(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "is a link to nothing" if path.is_symlink() else "is not there any more"
    except OSError as error:
        return f"cannot be opened: {(error.strerror or str(error)).lower()}"
    if stat.S_ISDIR(mode):
        return None if form and form.folder else "is a folder; give a file"
    if stat.S_ISREG(mode):
        return None
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    return f"is {kinds.get(stat.S_IFMT(mode), 'no file')}; give a file"


def check_file(path: Path, kind: str) -> None:
    """Refuse what is no file, or not there; `kind` says what it should be."""
    if not os.path.lexists(path):
        raise InputError(f"{path}: no such {kind}.")
    fault = fault_of(path)
    if fault is not None:
        raise InputError(f"{path} {fault}.")


def tree_files(folder: Path) -> Iterator[Path]:
    """List everything in a folder and its subfolders whose suffix is that of an image, by name.

    Hidden names, folders with results and folders that cannot be entered are passed over, and links to a folder
    above.
    """
    return _tree_files(folder, (os.path.realpath(folder),))


def _tree_files(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    inner = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not is_store(path):
            inner.append(path)
        elif has_suffix(path) or (is_store(path) and not path.name.startswith(".")):
            yield path
    for path in inner:
        real = os.path.realpath(path)
        if (
            path.name.startswith(".")
            or real in above
            or holds_results(path)
            or not os.access(path, os.R_OK | os.X_OK)
        ):
            continue
        yield from _tree_files(path, (*above, real))


def holds_results(folder: Path) -> bool:
    """Tell whether a run has written its results into this folder."""
    return os.path.lexists(folder / RUN_RECORD)


def is_result(path: Path) -> bool:
    """Tell whether a file lies in a folder of results, or has the name of one in a tree of results."""
    if holds_results(path.parent):
        return True
    return _MADE_OF.fullmatch(path.stem) is not None and any(map(holds_results, path.parents[1:6]))


def made_of_others(
    files: Sequence[Path], endings: Sequence[str] = (), *, base: Path | None = None
) -> dict[Path, Path]:
    """Find files that other programs have made of images beside them: labels, masks, overlays.

    A name tells, with that of its image and an ending; or a folder ``masks`` beside ``images``, or with files of
    the same names beside it.

    Parameters
    ----------
    endings : sequence of str
        Endings of stems that mark channels of an image, which are none of these.
    base : Path, optional
        The folder that was asked for; its own name tells nothing.

    Returns
    -------
    dict of Path to Path
        What was made, with the image.

    Examples
    --------
    >>> files = [Path(name) for name in ("a.tif", "a_cp_masks.png", "a_Labels.tif", "b_masks.tif")]
    >>> [path.name for path in made_of_others(files)]
    ['a_cp_masks.png', 'a_Labels.tif']
    """
    images = [path for path in reversed(files) if not _LABEL_FOLDER.fullmatch(path.parent.name)]
    stems = {(path.parent, _stem(path).casefold()): path for path in reversed(files)}
    # Of folders side by side, and of the folder above them.
    near = {(path.parent.parent, _stem(path).casefold()): path for path in images}
    near |= {(path.parent, _stem(path).casefold()): path for path in images}
    pictured = {path.parent.parent: path for path in images if _IMAGE_FOLDER.fullmatch(path.parent.name)}
    found = {}
    for path in files:
        stem = _stem(path)
        match = None if stem.endswith(tuple(endings)) else _MADE_OF.fullmatch(stem)
        names = [match["stem"] + ending for ending in _IMAGE_ENDINGS] if match else []
        image = next((i for name in names if (i := stems.get((path.parent, name.casefold())))), None)
        if image is None and path.parent != base and _LABEL_FOLDER.fullmatch(path.parent.name):
            above = path.parent.parent
            names += [stem + ending for ending in _IMAGE_ENDINGS]
            image = next((i for name in names if (i := near.get((above, name.casefold())))), pictured.get(above))
        if image is not None and image != path:
            found[path] = image
    return found


def _stem(path: Path) -> str:
    return re.sub(r"\.ome$", "", path.stem, flags=re.IGNORECASE)

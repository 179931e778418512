"""Which files of a folder autosam wrote, so that it removes no other when they are out of date."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import file_digest, sha256
from pathlib import Path, PurePosixPath
from typing import Any

from autosam.errors import InputError
from autosam.images import read_image, read_labels
from autosam.images.write import remove_path


def describe(path: Path) -> dict[str, Any]:
    """Give size and hash of a file, or of all files in a folder and their number, for the record."""
    if not path.is_dir():
        with path.open("rb") as stream:
            return {"size": path.stat().st_size, "sha256": file_digest(stream, "sha256").hexdigest()}
    digest, size, inside = sha256(), 0, list(_inside(path))
    for file in inside:
        digest.update(f"{file.relative_to(path).as_posix()}\0".encode())
        digest.update(file.read_bytes())
        size += file.stat().st_size
    return {"size": size, "sha256": digest.hexdigest(), "number": len(inside)}


def is_whole(path: Path, noted: Mapping[str, Any] | None, shape: tuple[int, int] | None) -> bool:
    """Tell whether a result is there and not cut short; labels that a person has corrected are whole, too.

    Parameters
    ----------
    noted : mapping or None
        What `describe` gave when it was written; None for results of autosam 0.2 and before.
    shape : tuple of int or None
        Rows and columns of the image, where the record says them.
    """
    try:
        size = sum(file.stat().st_size for file in _inside(path)) if path.is_dir() else path.stat().st_size
    except OSError:
        return False
    if size == 0:
        return False
    if noted is not None and noted.get("size") == size:
        return True
    # Parts of a store that are missing read as background.
    if path.is_dir() and noted is not None and noted.get("number") != len(list(_inside(path))):
        return False
    return _is_readable(path, shape)


def _is_readable(path: Path, shape: tuple[int, int] | None) -> bool:
    """Read a result that has changed since it was written, by a person or by a full disk."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _fits(path, shape)
    except InputError:
        return False


def _fits(path: Path, shape: tuple[int, int] | None) -> bool:
    if path.stem.endswith("_labels"):
        return shape in (None, read_labels(path).shape)
    if path.suffix == ".png":
        return shape in (None, read_image(path).shape[:2])
    return True


def remove_own(out: Path, files: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Remove files that still are as autosam wrote them; give the names of those removed and of those kept."""
    removed: list[str] = []
    kept: list[str] = []
    for name, noted in files.items():
        path = out / name
        if PurePosixPath(name).is_absolute() or ".." in Path(name).parts or not path.exists():
            continue
        with suppress(OSError):
            if describe(path)["sha256"] == noted.get("sha256"):
                remove_path(path)
        (kept if path.exists() else removed).append(name)
    return removed, kept


def _inside(folder: Path) -> Iterator[Path]:
    return (file for file in sorted(folder.rglob("*")) if file.is_file())

"""Whether an image has its results already, and whether those that lie there may be replaced."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from autosam.errors import InputError
from autosam.images.image_source import split_dataset
from autosam.pipeline.identity import changed_after
from autosam.pipeline.one_image import LoadedImage
from autosam.pipeline.outputs import AnySource, Outputs
from autosam.pipeline.own_files import describe, is_whole


class ProtectedError(InputError):
    """Results of other origin, or files that autosam did not write, would be replaced: nothing is touched."""


class Comparison(NamedTuple):
    """How an image compares with the one that results came from, and its pixels if they had to be read."""

    verdict: Literal["same", "changed"]
    loaded: LoadedImage | None = None


def compare(
    entry: Mapping[str, Any],
    source: AnySource,
    *,
    origin: str,
    stamp: str,
    labels: Path,
    pixel_size_nm: float | None,
) -> Comparison:
    """Compare an image with the one that a record names.

    Parameters
    ----------
    entry : mapping
        What the record says of the results.
    origin, stamp : str
        From `origin_of` and `Stamps`.
    labels : Path
        The label file, whose time tells of results of autosam 0.2, whose record holds no hash.
    pixel_size_nm : float or None
        As in `BatchOptions`.

    Raises
    ------
    ProtectedError
        If the results come from another image of the same name.
    InputError
        If the image has to be read and cannot be.
    """
    moved = entry.get("input") != origin
    if not moved and stamp and entry.get("stamp") == stamp:
        return Comparison("same")
    loaded = None
    if "sha256" in entry:
        loaded = LoadedImage.read(source, pixel_size_nm)
        same = loaded.sha256 == entry["sha256"]
    else:
        same = not labels.exists() or not changed_after(source, labels)
        same = same and (not moved or _went_along(str(entry.get("input")), origin))
    if same:
        return Comparison("same", loaded)
    if moved:
        raise ProtectedError(
            f"the results of its name come from {entry.get('input')}, another image; choose another folder, or "
            "add --overwrite"
        )
    return Comparison("changed", loaded)


def is_complete(entry: Mapping[str, Any], outputs: Outputs, out: Path) -> bool:
    """Tell whether all files of an image are there and whole; exports can be made from them."""
    noted = entry.get("files", {})
    rows, columns = entry.get("rows"), entry.get("columns")
    shape = None if rows is None or columns is None else (int(rows), int(columns))
    files = (outputs.labels, outputs.overlay, outputs.table)
    return all(is_whole(path, noted.get(path.relative_to(out).as_posix()), shape) for path in files)


def check_replaceable(entry: Mapping[str, Any] | None, outputs: Outputs, out: Path, *, unfinished: bool) -> None:
    """Refuse to replace labels that autosam did not write.

    Parameters
    ----------
    entry : mapping or None
        What the record says of results of that name, whatever settings made them.
    unfinished : bool
        An earlier process was killed at this image, so that the labels can be its own.

    Raises
    ------
    ProtectedError
        If the labels are not those that the record tells of, or stand alone, as labels made by people do.
    """
    if unfinished or not outputs.labels.exists():
        return
    known = entry is not None and "error" not in entry
    noted = (entry or {}).get("files", {}).get(outputs.labels.relative_to(out).as_posix())
    if noted is not None:
        # Labels that are cut short are nobody's work.
        if describe(outputs.labels)["sha256"] != noted.get("sha256") and is_whole(outputs.labels, None, None):
            raise ProtectedError(
                f"{outputs.labels} was changed after autosam wrote it, and would be replaced; move it away, or "
                "add --overwrite"
            )
    elif not known and not outputs.overlay.exists() and not outputs.table.exists():
        raise ProtectedError(
            f"{outputs.labels} is there and was not written by autosam, as it seems; move it away, or choose "
            "another folder"
        )


def _went_along(before: str, now: str) -> bool:
    """Tell whether files of the same names have left the old place, for records without a hash."""
    old, new = before.split(" + "), now.split(" + ")
    if [re.split(r"[\\/]", one)[-1] for one in old] != [re.split(r"[\\/]", one)[-1] for one in new]:
        return False
    return not any(split_dataset(re.sub(r"\[\d+\]$", "", one))[0].exists() for one in old)

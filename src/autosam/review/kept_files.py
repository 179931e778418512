"""What a person has put or changed in a folder of corrected results, which new ones must not destroy."""

import json
import shutil
from pathlib import Path
from typing import Any

from autosam.images.folder_listing import RUN_RECORD
from autosam.pipeline.claims import FOLDER, LOCK
from autosam.pipeline.own_files import describe
from autosam.pipeline.summary_table import NAME as SUMMARY
from autosam.review.corrected_files import TRAINING, training_names
from autosam.review.corrections_file import CORRECTIONS, free_name
from autosam.review.provenance import NAME as PROVENANCE


def keep_others(before: Path, folder: Path) -> list[str]:
    """Copy what `autosam apply` did not write into the folder that takes the place of the one before.

    A result that was edited since gets a number, ``a_labels.1.tif``. Tables of corrections at the top are passed
    over, see `keep_corrections`, and so are locks, and what is made anew in ``training``.

    Parameters
    ----------
    before, folder : Path
        Corrected results, which may be missing, and the new ones.

    Returns
    -------
    list of str
        Names of the copies in the new folder.
    """
    if not (before / RUN_RECORD).is_file():
        return []
    own = _own_files(before)
    kept = []
    for path in sorted(before.rglob("*")):
        place = path.relative_to(before)
        name = place.as_posix()
        if path.name == LOCK or FOLDER in place.parts:
            continue
        results = next((above for one in (place, *place.parents) if (above := one.as_posix()) in own), None)
        if results == name and own[name] is not None and own[name] != describe(path)["sha256"]:
            kept.append(_copy(path, free_name(folder / name), folder))
        elif results is None and path.is_file() and not (len(place.parts) == 1 and path.match(CORRECTIONS)):
            target = folder / place
            kept.append(_copy(path, free_name(target) if target.exists() else target, folder))
    return kept


def _own_files(folder: Path) -> dict[str, str | None]:
    """Give what `autosam apply` wrote: names and hashes of results, and names of what is made anew each time."""
    record: dict[str, Any] = json.loads((folder / RUN_RECORD).read_text(encoding="utf-8"))
    training = (f"{TRAINING}/{name}" for image in record["images"] for name in training_names(image))
    anew = dict.fromkeys((RUN_RECORD, SUMMARY, PROVENANCE, *training))
    noted = (entry.get("files") or {} for entry in record["images"].values())
    return anew | {name: file.get("sha256") for files in noted for name, file in files.items()}


def _copy(path: Path, target: Path, folder: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, target)
    else:
        shutil.copy2(path, target)
    return target.relative_to(folder).as_posix()

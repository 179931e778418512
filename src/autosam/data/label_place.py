"""Where few labels lie that a model is adapted to: corrected results, or folders of images and labels."""

from pathlib import Path

from autosam.data.folder_files import find_pair
from autosam.errors import InputError
from autosam.images.folder_listing import RUN_RECORD
from autosam.images.read import read_json

CORRECTED = "training"
"""Folder of corrected results with what was reviewed."""


def label_folders(data: Path) -> tuple[Path, Path]:
    """Find the folders of images and labels.

    Parameters
    ----------
    data : Path
        A folder that `autosam apply` wrote, or one with folders of images and labels, see `find_pair`.

    Raises
    ------
    InputError
        If there is no such folder, or it holds results of which nothing was reviewed.
    """
    if not data.exists():
        raise InputError(f"no folder or store {data}; check the spelling")
    if (data / RUN_RECORD).is_file():
        if not (data / CORRECTED).is_dir():
            corrected = "corrected" in read_json(data / RUN_RECORD)
            why = "nothing in it was reviewed" if corrected else "it holds results that were not corrected"
            raise InputError(
                f"{data} has no folder {CORRECTED}: {why}; correct some objects, and give the folder that "
                "autosam apply writes"
            )
        data = data / CORRECTED
    images, labels = find_pair(data, "images", "labels")
    for folder in (images, labels):
        if not folder.is_dir():
            raise InputError(f"no folder {folder}; wanted {data} with the folders images and labels")
    return images, labels

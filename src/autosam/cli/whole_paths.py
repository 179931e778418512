"""Paths for workers whose current folder is another one."""

import os

from autosam.images.image_source import split_dataset
from autosam.images.urls import local_path, url_of


def whole_path(text: str) -> str:
    """Give the whole path of a file, a folder, a pattern or ``FILE:/DATASET``; a URL stays as it is."""
    return text if url_of(text) else os.path.abspath(local_path(text))


def whole_if_there(text: str) -> str:
    """Give the whole path of what may be a name or a path, if there is a file or folder of that path."""
    return whole_path(text) if split_dataset(text)[0].exists() else text

"""Hashes of weight files."""

import hashlib
from pathlib import Path

from autosam.errors import ModelError


def file_sha256(path: str | Path) -> str:
    """Hash a file's bytes; gives 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: Path, sha256: str) -> None:
    """Raise a ModelError unless the file has this hash; the message holds both."""
    if path.is_file() and (found := file_sha256(path)) != sha256.lower():
        raise ModelError(
            f"weight file {path} has sha256 {found}, wanted {sha256.lower()}: "
            "it is damaged or another file; get it again"
        )

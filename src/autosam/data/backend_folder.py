"""What the stores that are folders share: the manifest is the file `manifest.json`."""

from pathlib import Path

from autosam.errors import InputError
from autosam.images import write_text

MANIFEST = "manifest.json"


class FolderBackend:
    """A store that is a folder.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read_manifest(self) -> str:
        """Read the manifest's text."""
        file = self.path / MANIFEST
        if not file.is_file():
            raise InputError(
                f"{self.path} is no store of autosam: it has no {MANIFEST}; make one with `autosam data import`."
            )
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file} cannot be read: {' '.join(str(error).split())}.") from error

    def replace_manifest(self, text: str) -> None:
        """Put a manifest in the place of the old one, if there is one."""
        write_text(self.path / MANIFEST, text)

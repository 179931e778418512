"""The run record: what made the results in a folder, brought up to date after every image."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autosam import __version__
from autosam.errors import ConfigError
from autosam.images import write_json

NAME = "autosam_run.json"


class RunRecord:
    """A JSON file beside the results.

    Parameters
    ----------
    path : Path
        The file.
    content : dict
        ``autosam`` (version), ``model``, ``model_sha256``, ``settings``, ``started``, and ``images`` by name.
    """

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path = path
        self._content = content

    @classmethod
    def open(
        cls, folder: Path, *, settings: dict[str, Any], model: str, model_sha256: str, keep: bool
    ) -> "RunRecord":
        """Start a record, or go on with the one in the folder.

        Parameters
        ----------
        folder : Path
        settings : dict
            Resolved settings, JSON values only.
        model : str
            Name or path of the model.
        model_sha256 : str
            Hash of its file.
        keep : bool
            Earlier results stay, so they must come from the same model and settings.

        Raises
        ------
        ConfigError
            If they do not, or the record is damaged.
        """
        path = folder / NAME
        content = {
            "autosam": __version__,
            "model": model,
            "model_sha256": model_sha256,
            "settings": settings,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "images": {},
        }
        if path.exists():
            try:
                before = json.loads(path.read_text(encoding="utf-8"))
                images = before["images"]
                same = before["settings"] == settings and before["model_sha256"] == model_sha256
            except (OSError, ValueError, KeyError, TypeError) as error:
                if keep:
                    raise ConfigError(
                        f"the run record {path} is damaged; choose another folder, or add --overwrite"
                    ) from error
                images, same = {}, True
            if keep and not same:
                raise ConfigError(
                    f"{folder} holds results of another model or of other settings (see {NAME}); choose another "
                    "folder, or add --overwrite"
                )
            content["images"] = images if same else {}
        record = cls(path, content)
        record._write()
        return record

    def add(self, name: str, entry: dict[str, Any]) -> None:
        """Write what became of one image."""
        self._content["images"][name] = entry
        self._write()

    def _write(self) -> None:
        write_json(self.path, self._content)

"""The run record: what made the results in a folder."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autosam import __version__
from autosam.config import different_settings, make_config
from autosam.config.old_names import RECORD_FIELDS, renamed
from autosam.errors import ConfigError
from autosam.images import write_json

NAME = "autosam_run.json"


EVERY = 2.0
"""Seconds between two writings: a record of ten thousand images is not written ten thousand times."""


class RunRecord:
    """A JSON file beside the results, written from time to time and when the ``with`` block ends.

    What a killed process could not write is not lost: images that the record does not name are done again.

    Parameters
    ----------
    path : Path
        The file.
    content : dict
        ``autosam`` (version), ``model``, ``model_sha256``, ``settings``, ``options``, ``started``, and ``images``
        by name.
    """

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path = path
        self._content = content
        self._written = time.monotonic()

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        settings: dict[str, Any],
        options: dict[str, Any],
        model: str,
        model_sha256: str,
        keep: bool,
    ) -> "RunRecord":
        """Start a record, or go on with the one in the folder.

        Parameters
        ----------
        settings, options : dict
            Resolved settings, and what else changes the results; JSON values only.
        model : str
            Name or path of the model.
        model_sha256 : str
            Hash of its file.
        keep : bool
            Earlier results stay, so they must come from the same model, settings and options.

        Raises
        ------
        ConfigError
            If they do not, or the record is damaged.
        """
        path = folder / NAME
        images: dict[str, Any] = {}
        if path.exists():
            now = {"settings": settings, "options": options, "model_sha256": model_sha256}
            try:
                before = json.loads(path.read_text(encoding="utf-8"))
                before["settings"] = _completed(before["settings"], settings)
                changed = different_settings({key: before[key] for key in now}, now)
                # Images that failed bind nobody to the settings that they failed with.
                if all("error" in entry for entry in before["images"].values()):
                    changed = []
                entries = {name: renamed(entry, RECORD_FIELDS) for name, entry in before["images"].items()}
                images = {} if changed else entries
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                if keep:
                    raise ConfigError(
                        f"the run record {path} is damaged; choose another folder, or add --overwrite"
                    ) from error
                changed = []
            if keep and changed:
                raise ConfigError(
                    f"{folder} holds results of another model or of other settings ({', '.join(changed)}); choose "
                    "another folder, or add --overwrite"
                )
        content = {
            "autosam": __version__,
            "model": model,
            "model_sha256": model_sha256,
            "settings": settings,
            "options": options,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "images": images,
        }
        record = cls(path, content)
        if path.exists():
            # From here on the results are no longer those that the old record speaks of.
            record._write()
        return record

    def __enter__(self) -> "RunRecord":
        return self

    def __exit__(self, *_: object) -> None:
        # A single image that failed leaves nothing behind.
        entries = self._content["images"].values()
        if len(entries) > 1 or any("error" not in entry for entry in entries):
            self._write()

    def is_done(self, name: str, origin: str) -> bool:
        """Tell whether the results of a name are there, and come from this image.

        Raises
        ------
        ConfigError
            If they come from another image of the same name.
        """
        entry = self._content["images"].get(name)
        if entry is None or "error" in entry:
            return False
        if entry["input"] != origin:
            raise ConfigError(
                f"the results of {name} in {self.path.parent} come from {entry['input']}, not from {origin}; "
                "choose another folder, or add --overwrite"
            )
        return True

    def add(self, name: str, entry: dict[str, Any]) -> None:
        """Note what became of one image."""
        self._content["images"][name] = entry
        if time.monotonic() - self._written > EVERY:
            self._write()

    def _write(self) -> None:
        write_json(self.path, self._content)
        self._written = time.monotonic()


def _completed(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Add the defaults of settings that a later autosam has and the one that wrote the record did not know."""
    try:
        return make_config(before).model_dump(mode="json", include=set(now))
    except ConfigError:
        return before

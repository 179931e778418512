"""The run record: what made the results in a folder."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autosam import __version__
from autosam.config import different_settings, make_config
from autosam.config.old_names import RECORD_FIELDS, renamed
from autosam.errors import ConfigError
from autosam.images import write_json
from autosam.images.folder_listing import RUN_RECORD
from autosam.pipeline.claims import locked
from autosam.pipeline.summary_table import NAME as SUMMARY
from autosam.pipeline.summary_table import write_summary
from autosam.pipeline.timings import add_up

EVERY = 2.0
"""Seconds between two writings at least: a record of ten thousand images is not written ten thousand times."""
SHARE = 0.05
"""Share of the time that writings may take; those of long records are rarer."""

_OF_RUN = ("autosam", "model", "model_sha256", "settings", "options", "started")


class RunRecord:
    """A JSON file beside the results, written from time to time and when the ``with`` block ends.

    Each writing reads the file again under a lock and adds what is new, so that several processes can write into
    one folder. What a killed process could not write is not lost: images that the record does not name are done
    again. Made by `open`.

    Parameters
    ----------
    path : Path
        The file.
    run : dict
        What makes results now: ``autosam`` (version), ``model``, ``model_sha256``, ``settings``, ``options`` and
        ``started``.
    content : dict
        The file as it was read: the fields of the last run, its number ``run``, those of others in
        ``earlier_runs`` by number, and ``images`` by name, each with the number of its ``run``.
    busy : callable
        Names another process that works in the folder now, or None.
    """

    def __init__(
        self, path: Path, run: dict[str, Any], content: dict[str, Any], busy: Callable[[], object | None]
    ) -> None:
        self.path = path
        self._busy = busy
        self._run = run
        self._content = content
        self._new: dict[str, dict[str, Any]] = {}
        self._written = time.monotonic()
        self._took = 0.0
        self._seen = _state(path)
        self.before: Mapping[str, Any] = dict(content["images"])

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
        busy: Callable[[], object | None] = lambda: None,
        write: bool = True,
    ) -> "RunRecord":
        """Start a record, or go on with the one in the folder.

        Parameters
        ----------
        settings, options : dict
            Resolved settings, and what else changes the results; JSON values only. None stands for an option that
            was not given.
        model : str
            Name or path of the model.
        model_sha256 : str
            Hash of its file.
        keep : bool
            Earlier results stay, so they must come from the same model, settings and options.
        busy : callable
            Names another process that works in the folder now, or None.
        write : bool
            Write it at once; otherwise the folder is only asked whether these results may go into it.

        Raises
        ------
        ConfigError
            If they do not, or the record is damaged.
        OutputError
            If the record cannot be written.
        """
        path = folder / RUN_RECORD
        run = {
            "autosam": __version__,
            "model": model,
            "model_sha256": model_sha256,
            "settings": settings,
            "options": options,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with locked(folder):
            content = _read(path, run, damaged_is_new=not keep)
            changed = _changed(content, run)
            if keep and changed:
                # Images that failed bind nobody to the settings that they failed with.
                other = busy()
                if other or not all("error" in entry for entry in content["images"].values()):
                    working = f"; {other} is writing there now" if other else ""
                    raise ConfigError(
                        f"{folder} holds results of another model or of other settings ({', '.join(changed)})"
                        f"{working}; choose another folder, or add --overwrite"
                    )
            _make_last(content, run)
            record = cls(path, run, content, busy)
            if write:
                record._write_now()
        return record

    def __enter__(self) -> "RunRecord":
        return self

    def __exit__(self, *_: object) -> None:
        self.write()
        entries = self._content["images"].values()
        # A single image that failed leaves nothing behind.
        if len(entries) <= 1 and all("error" in entry for entry in entries) and not self._busy():
            with locked(self.path.parent):
                self.path.unlink(missing_ok=True)
                (self.path.parent / SUMMARY).unlink(missing_ok=True)

    def finished(self, name: str) -> dict[str, Any] | None:
        """Give the entry of an image that has results of this run's model, settings and options, or None.

        What other processes have written since is known.
        """
        entry = self.entry(name)
        if entry is None or "error" in entry or entry["run"] != _number(self._content, self._run):
            return None
        return entry

    def entry(self, name: str) -> dict[str, Any] | None:
        """Give the entry of an image, whatever made it, or None."""
        if name in self._new:
            return self._new[name] | {"run": _number(self._content, self._run)}
        if _state(self.path) != self._seen:
            with locked(self.path.parent):
                self._read_again()
        entry: dict[str, Any] | None = self._content["images"].get(name)
        return entry

    def add(self, name: str, entry: dict[str, Any]) -> bool:
        """Note what became of one image; tell whether it and all before it are written."""
        self._new[name] = entry
        if time.monotonic() - self._written > max(EVERY, self._took / SHARE):
            self.write()
            return True
        return False

    def write(self) -> None:
        """Write what is new."""
        if self._new:
            began = time.monotonic()
            with locked(self.path.parent):
                self._read_again()
                number = _number(self._content, self._run)
                self._content["images"].update({name: {"run": number, **e} for name, e in self._new.items()})
                self._write_now()
            self._new.clear()
            self._took = time.monotonic() - began

    def _read_again(self) -> None:
        self._content = _read(self.path, self._run, damaged_is_new=False)
        if _number(self._content, self._run) is None:
            # Somebody has taken the record away.
            _make_last(self._content, self._run)
        self._seen = _state(self.path)

    def _write_now(self) -> None:
        content = self._content
        used = {entry["run"] for entry in content["images"].values()}
        content["earlier_runs"] = {
            number: run
            for number, run in content["earlier_runs"].items()
            if int(number) in used or run == self._run
        }
        # Images are last in the file, for those who read it.
        images = content.pop("images")
        content["timings"] = _total(images.values())
        content["images"] = images
        write_json(self.path, content)
        write_summary(self.path.with_name(SUMMARY), content["images"])
        self._written, self._seen = time.monotonic(), _state(self.path)


def _read(path: Path, run: Mapping[str, Any], *, damaged_is_new: bool) -> dict[str, Any]:
    """Read a record of any version; one that is not there is empty."""
    empty: dict[str, Any] = {"run": 0, "earlier_runs": {}, "images": {}}
    if not path.exists():
        return empty
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        # Records of autosam 0.2 and before know one run.
        number = int(found.get("run", 1))
        images = {
            name: {"run": number, **renamed(entry, RECORD_FIELDS)} for name, entry in found["images"].items()
        }
        earlier = {str(int(one)): dict(block) for one, block in found.get("earlier_runs", {}).items()}
        last = {field: found[field] for field in ("settings", "options", "model_sha256")}
        last = {field: found.get(field, "") for field in _OF_RUN} | last
        for block in (last, *earlier.values()):
            block["settings"] = _completed(block["settings"], run["settings"])
            block["options"] = dict(block["options"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if damaged_is_new:
            return empty
        raise ConfigError(
            f"the run record {path} is damaged; choose another folder, or add --overwrite"
        ) from error
    return {**last, "run": number, "earlier_runs": earlier, "images": images}


def _completed(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Add the defaults of settings that a later autosam has and the one that wrote the record did not know."""
    try:
        return make_config(before).model_dump(mode="json", include=set(now))
    except ConfigError:
        return before


def _changed(made: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    """Name what differs between two runs; nothing where there was none."""
    if "settings" not in made:
        return []
    # An option that an earlier autosam did not know counts as None.
    fields = ("settings", "options", "model_sha256")
    return different_settings({field: made[field] for field in fields}, {field: run[field] for field in fields})


def _number(content: Mapping[str, Any], run: Mapping[str, Any]) -> int | None:
    """Find the number under which a record has a run, or None."""
    if "settings" in content and not _changed(content, run):
        return int(content["run"])
    return next(
        (int(number) for number, block in content["earlier_runs"].items() if not _changed(block, run)), None
    )


def _make_last(content: dict[str, Any], run: Mapping[str, Any]) -> None:
    """Make a run the last one of a record, under the number that it has or a new one."""
    number = _number(content, run)
    earlier = content["earlier_runs"]
    if "settings" in content and number != content["run"]:
        earlier[str(content["run"])] = {field: content[field] for field in _OF_RUN}
    if number is None:
        number = max((int(content["run"]), *map(int, earlier)), default=0) + 1
    earlier.pop(str(number), None)
    images = content.pop("images")
    content.pop("earlier_runs")
    content.update({**run, "run": number})
    # Last in the file, for those who read it.
    content.update(earlier_runs=earlier, images=images)


def _total(entries: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Add up where the time went, in all images of the folder."""
    known = (entry.get("timings", {}) for entry in entries)
    return {stage: round(seconds, 3) for stage, seconds in add_up(known).items()}


def _state(path: Path) -> tuple[int, int, int] | None:
    """Tell one writing of a file from another."""
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size, told.st_ino

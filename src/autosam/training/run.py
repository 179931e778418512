"""The folder of a training run: settings, log, checkpoint and model, each written whole or not at all."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from autosam.config import Config
from autosam.errors import ConfigError, InputError, OutputError
from autosam.images import atomic_path, ensure_folder, write_text

CHECKPOINT = "last.pt"
SETTINGS = "config.yaml"
MODEL = "model.safetensors"
TRAIN_LOG = "log.csv"
VALIDATION_LOG = "validation.csv"


class RunFolder:
    """Where a run keeps its files.

    Parameters
    ----------
    path : Path
        Created if it does not exist.
    config : Config
        Settings of the run; a run can only be resumed with the same ones.
    resume : bool
        Go on with the run that is there; without it, a folder that holds a run is refused.

    Raises
    ------
    ConfigError
        If there is a run and ``resume`` is off, there is none and it is on, or the settings differ.
    OutputError
        If the folder cannot be written.
    """

    def __init__(self, path: Path, config: Config, *, resume: bool) -> None:
        self.path = path
        checkpoint = path / CHECKPOINT
        if resume:
            if not checkpoint.is_file():
                raise ConfigError(f"{path} holds no {CHECKPOINT} to resume; leave --resume away to start a run")
            _check_same(path / SETTINGS, config)
        else:
            if checkpoint.exists():
                raise ConfigError(f"{path} already holds a run; add --resume to go on, or choose another folder")
            ensure_folder(path)
            write_text(path / SETTINGS, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint; the old one stays until the new one is whole."""
        with atomic_path(self.path / CHECKPOINT) as temporary:
            torch.save(dict(state), temporary)

    def load_checkpoint(self) -> dict[str, Any]:
        """Read the checkpoint; no code in it is run."""
        path = self.path / CHECKPOINT
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError) as error:
            raise InputError(f"checkpoint {path} cannot be read: {str(error).splitlines()[0]}") from error
        return state

    def append(self, name: str, row: Mapping[str, Any]) -> None:
        """Add a row to a CSV log, with a header if it is the first."""
        path = self.path / name
        try:
            new = not path.exists()
            with path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(row))
                if new:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error

    def cut_log(self, name: str, step: int) -> None:
        """Take rows from ``step`` on out of a log: a resumed run writes them again."""
        path = self.path / name
        if not path.exists():
            return
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        kept = [row for row in rows if int(row["step"]) < step]
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows(kept)


def _check_same(path: Path, config: Config) -> None:
    try:
        before = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"the run's settings {path} cannot be read: {error}") from error
    different = sorted(_differences(before, config.model_dump(mode="json")))
    if different:
        raise ConfigError(
            f"the run in {path.parent} has other settings for {', '.join(different)}; "
            "resume with the same --config and --set"
        )


def _differences(before: Any, now: Any, path: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            fault
            for key in before.keys() | now.keys()
            for fault in _differences(before.get(key), now.get(key), f"{path}.{key}".lstrip("."))
        ]
    return [] if before == now else [path]

"""The folder of a training run: settings, log, checkpoint and model, each written whole or not at all."""

import csv
import io
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from autosam.config import Config, different_settings, make_config
from autosam.config.old_names import HEADER_FIELDS, renamed
from autosam.errors import ConfigError, InputError, OutputError
from autosam.images import atomic_path, ensure_folder, write_text

CHECKPOINT = "last.pt"
SETTINGS = "config.yaml"
MODEL = "model.safetensors"
TRAIN_LOG = "log.csv"
VALIDATION_LOG = "validation.csv"
PREVIEWS = "previews"
TENSORBOARD = "tensorboard"

CHANGEABLE = ("training.precision", "training.workers")
"""Settings that may differ on resuming: for another machine, or as the way out of an overflow in bfloat16."""

STEPS = "training.steps"
"""May be more on resuming: the run then goes on longer."""

_STATE = {"step", "best", "fruitless", "license", "model", "averaged", "optimizer", "precision"}


def check_resumable(path: Path) -> None:
    """Raise a ConfigError unless the folder holds a checkpoint."""
    if not (path / CHECKPOINT).is_file():
        raise ConfigError(f"{path} holds no {CHECKPOINT} to resume; leave --resume away to start a run")


class RunFolder:
    """Where a run keeps its files.

    Parameters
    ----------
    path : Path
        Created if it does not exist.
    config : Config
        Settings of the run; it is resumed with the same ones, but for those in `CHANGEABLE` and more steps.
    resume : bool
        Go on with the run that is there; without it, a folder that holds a checkpoint or a model is refused. What
        a run left that ended before any other checkpoint than that of step 0 makes way.
    first : bool
        Of several processes of one run only the first one writes.

    Raises
    ------
    ConfigError
        If there is a run and ``resume`` is off, there is none and it is on, or the settings differ.
    OutputError
        If the folder cannot be written.
    """

    def __init__(self, path: Path, config: Config, *, resume: bool, first: bool = True) -> None:
        self.path = path
        self.first = first
        if not first:
            return
        if resume:
            check_resumable(path)
            check_same_settings(path / SETTINGS, config)
            self._check_goes_on(config)
        else:
            if self.has_checkpoint() and not self._has_only_begun():
                raise ConfigError(f"{path} already holds a run; add --resume to go on, or choose another folder")
            if (path / MODEL).exists():
                raise ConfigError(
                    f"{path} already holds a {MODEL} but no {CHECKPOINT} to go on from; choose another folder"
                )
            ensure_folder(path)
            for name in (CHECKPOINT, TRAIN_LOG, VALIDATION_LOG):
                (path / name).unlink(missing_ok=True)
        for name in (CHECKPOINT, MODEL):
            # What a writer that was killed had not yet renamed; see `atomic_path`.
            for left in path.glob(f".{Path(name).stem}.????????{Path(name).suffix}"):
                left.unlink()
        write_text(path / SETTINGS, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint; the old one stays until the new one is whole.

        Raises
        ------
        OutputError
            If it cannot be written, as on a full disk.
        """
        if not self.first:
            return
        path = self.path / CHECKPOINT
        with atomic_path(path) as temporary:
            try:
                with temporary.open("wb") as file:
                    torch.save(dict(state), file)
                    file.flush()
                    os.fsync(file.fileno())
            except RuntimeError as error:
                # torch's writer trips over its own position where the disk is full.
                cause = error.__context__
                reason = cause.strerror if isinstance(cause, OSError) else str(error).splitlines()[0]
                then = (
                    "the checkpoint before it is kept: free space, then add --resume"
                    if self.has_checkpoint()
                    else "it was the first one: free space, then start again"
                )
                raise OutputError(f"{path} cannot be written ({reason}); {then}") from error

    def has_checkpoint(self) -> bool:
        """Tell whether there is something to resume."""
        return (self.path / CHECKPOINT).is_file()

    def load_checkpoint(self) -> dict[str, Any]:
        """Read the checkpoint; no code in it is run.

        Raises
        ------
        InputError
            If it is damaged or was not written by `save_checkpoint`.
        """
        return self._read_checkpoint(mmap=False)

    def _check_goes_on(self, config: Config) -> None:
        """Raise a ConfigError where more steps are to follow on an early end."""
        patience, state = config.training.patience, self._read_checkpoint(mmap=True)
        if patience and state["fruitless"] >= patience and state["step"] < config.training.steps:
            raise ConfigError(
                f"the run in {self.path} ended early, after {state['fruitless']} validations without a better one "
                f"(training.patience={patience}), and more training.steps do not go on with it: start another run"
            )

    def _has_only_begun(self) -> bool:
        """Whether the checkpoint is that of step 0, so that nothing is lost with it."""
        return not (self.path / MODEL).exists() and self._read_checkpoint(mmap=True)["step"] == 0

    def _read_checkpoint(self, *, mmap: bool) -> dict[str, Any]:
        path = self.path / CHECKPOINT
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
        except (OSError, RuntimeError, EOFError, ValueError, LookupError, pickle.UnpicklingError) as error:
            reason = (str(error).splitlines() or ["cut short"])[0]
            raise InputError(f"checkpoint {path} cannot be read: {reason}") from error
        if isinstance(state, dict):
            state = renamed(state, HEADER_FIELDS)
        if not isinstance(state, dict) or state.keys() != _STATE:
            raise InputError(f"{path} is no checkpoint of autosam train; choose another folder")
        return state

    def append(self, name: str, row: Mapping[str, Any]) -> None:
        """Add a row to a CSV log, with a header if it is the first; a log keeps the columns that it began with."""
        if not self.first:
            return
        path = self.path / name
        try:
            columns = list(row)
            if path.exists():
                with path.open(newline="", encoding="utf-8") as file:
                    columns = next(csv.reader(file), columns)
            with path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, columns, extrasaction="ignore")
                if not file.tell():
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error

    def cut_log(self, name: str, step: int) -> None:
        """Take rows after ``step`` out of a log: a resumed run writes them again.

        A last row without its line end was torn by whatever killed the run, and goes too.
        """
        path = self.path / name
        if not self.first or not path.exists():
            return
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1].decode("utf-8")
        reader = csv.DictReader(io.StringIO(whole, newline=""))
        try:
            kept = [row for row in reader if int(row["step"]) <= step]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is no log of autosam train; take it away to resume without it") from error
        if reader.fieldnames is None:
            path.unlink()
            return
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, reader.fieldnames)
            writer.writeheader()
            writer.writerows(kept)


def check_same_settings(path: Path, config: Config) -> None:
    """Raise a ConfigError unless a run's settings, at path, are these.

    Those in `CHANGEABLE` may differ, and there may be more steps.
    """
    try:
        before = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"the run's settings {path} cannot be read: {reason}") from error
    if not isinstance(before, dict):
        raise ConfigError(f"the run's settings {path} cannot be read: they are no mapping of sections")
    # A setting that a later autosam has and the run's did not know counts as its default.
    known = make_config(before)
    free = {*CHANGEABLE, STEPS} if config.training.steps > known.training.steps else set(CHANGEABLE)
    before = known.model_dump(mode="json")
    different = sorted(set(different_settings(before, config.model_dump(mode="json"))) - free)
    if different:
        raise ConfigError(
            f"the run in {path.parent} has other settings for {', '.join(different)}; "
            "choose another folder with -o, move that run away, or resume with the same --config and --set"
        )

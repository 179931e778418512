"""Training runs that lack one source each: OUT/RECIPE/SOURCE."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from sources_data import Study

from autosam.config import Config, different_settings, make_config
from autosam.errors import ConfigError, InputError
from autosam.images import ensure_folder, write_json, write_text
from autosam.images.read import read_json

SPLIT, RECIPE = "splits.json", "recipe.yaml"
MODEL, CHECKPOINT, SETTINGS = "model.safetensors", "last.pt", "config.yaml"
DONE = "done"
"""Ending of the empty file beside a run that says that its training ended without an error."""
TRAIN = "from autosam.cli import main; main()"


def train_runs(study: Study, folder: Path, runs: Sequence[str], *, jobs: int) -> None:
    """Train what is not finished, each run in a process of its own.

    Parameters
    ----------
    folder : Path
        OUT/RECIPE; it gets the recipe, its whole split, and a folder for each run with a log beside it. What is
        there from other calls has to be of the same recipe.
    runs : sequence of str
        Names of runs: see `Study.lacking`.
    jobs : int
        Runs at once.

    Raises
    ------
    ConfigError
        If a run that is there has other settings.
    InputError
        If a run failed; the others are trained all the same.
    """
    split = (folder / SPLIT).resolve()
    configs = {run: study.config_without(run, split) for run in runs}
    for run in sorted({*configs, *_begun(folder)}):
        check_same(folder / run, study.config_without(run, split))
    if split.is_file() and read_json(split) != study.lists:
        raise ConfigError(f"{split} has other lists than the recipe's split has now; choose another OUT")
    ensure_folder(folder)
    write_json(split, study.lists)
    write_text(folder / RECIPE, _yaml(study.config))
    running: dict[str, subprocess.Popen[bytes]] = {}
    failed: list[str] = []
    for run, config in configs.items():
        if finished(folder / run):
            print(f"{run}: finished before")
            continue
        while len(running) >= jobs:
            running = _still_running(running, folder, failed)
        running[run] = _start(study, folder, run, config)
    while running:
        running = _still_running(running, folder, failed)
    if failed:
        log = folder / f"{failed[0]}.log"
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-1:]
        raise InputError(f"training failed without {', '.join(failed)}; the last line of {log}: {''.join(last)}")


def check_same(run: Path, config: Config) -> None:
    """Refuse a run that was begun with other settings."""
    if not (run / SETTINGS).is_file():
        return
    before = make_config(yaml.safe_load((run / SETTINGS).read_text(encoding="utf-8")))
    other = different_settings(before.model_dump(mode="json"), config.model_dump(mode="json"))
    if other:
        raise ConfigError(
            f"{run} was begun with other settings ({', '.join(other)}); give the recipe another name"
        )


def finished(run: Path) -> bool:
    """Whether a run has a model, and its training ended without an error.

    The model is there before thresholds are fitted, and `training.patience` may end a run before its last step.
    """
    return (run / MODEL).is_file() and _done(run).is_file()


def runs_in(folder: Path, wanted: Sequence[str]) -> dict[str, Path]:
    """Find the runs of a recipe that are finished, or refuse those that were asked for and are not.

    Raises
    ------
    InputError
        If the folder or a run is missing, a run has no model yet, or none is finished.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder} with runs; train them with: study_sources.py train")
    there = {run: folder / run for run in _begun(folder)}
    missing = [run for run in wanted if run not in there]
    if missing:
        raise InputError(f"no run {', '.join(missing)} in {folder}; there are {', '.join(there) or 'none'}")
    done = {run: path for run, path in there.items() if finished(path)}
    waiting = [run for run in wanted or there if run not in done]
    if waiting and (wanted or not done):
        raise InputError(
            f"{folder}: the run without {waiting[0]} has no finished {MODEL}; train it to its end, or make the "
            f"empty file {_done(folder / waiting[0])} if it has come there in another way"
        )
    if not there:
        raise InputError(f"no run with a {MODEL} in {folder}; train them with: study_sources.py train")
    for run in waiting:
        print(f"{run}: not finished, left out")
    return {run: path for run, path in done.items() if not wanted or run in wanted}


def _start(study: Study, folder: Path, run: str, config: Config) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", TRAIN, "train", str(study.data), "-o", str(folder / run)]
    if (folder / run / CHECKPOINT).is_file():
        command.append("--resume")
    else:
        write_text(folder / f"{run}.yaml", _yaml(config))
        command += ["--config", str(folder / f"{run}.yaml")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    with (folder / f"{run}.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    print(f"{time.strftime('%H:%M')} {run}: training", flush=True)
    return process


def _still_running(
    running: dict[str, subprocess.Popen[bytes]], folder: Path, failed: list[str]
) -> dict[str, subprocess.Popen[bytes]]:
    """Wait a little; mark the runs that are finished, and add those that have failed to the list."""
    time.sleep(0.2)
    # Asked once: a run may end between two looks.
    status = {run: process.poll() for run, process in running.items()}
    failed += [run for run, code in status.items() if code]
    for run, code in status.items():
        if code == 0:
            write_text(_done(folder / run), "")
    return {run: process for run, process in running.items() if status[run] is None}


def _begun(folder: Path) -> list[str]:
    """Name the runs that a folder holds."""
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path.name for path in there if (path / SETTINGS).is_file()]


def _done(run: Path) -> Path:
    return run.with_name(f"{run.name}.{DONE}")


def _yaml(config: Config) -> str:
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)

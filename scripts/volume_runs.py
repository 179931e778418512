"""Runs of ``autosam volume`` for `bench_volume.py`: commands, their time and memory, and what they leave."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import zarr
from numpy.typing import NDArray

KIB_PER_GB = 1e9 / (1 if sys.platform == "darwin" else 1024)
"""Units of ru_maxrss in a gigabyte: bytes on macOS, KiB elsewhere."""

_CALL = "import sys; from autosam.cli import main; sys.argv[0] = 'autosam'; main()"


@dataclass(frozen=True)
class Measured:
    """What a command took: seconds, seconds of all cores, and the highest resident set of one of its processes."""

    seconds: float
    cpu_seconds: float
    peak_gb: float


def volume_command(given: Path, out: Path, *, model: str, sets: Sequence[str] = (), workers: int = 1) -> list[str]:
    """Make the command that segments a volume."""
    settings = [part for one in sets for part in ("--set", one)]
    command = [sys.executable, "-c", _CALL, "volume", str(given), "-o", str(out), "--model", model]
    return [*command, "--workers", str(workers), "--device", "cpu", *settings]


def one_thread() -> dict[str, str]:
    """Give an environment in which every process uses one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "MKL_NUM_THREADS": "1"}


_MEASURE = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
print(json.dumps([process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""
"""A small process that starts the measured one: the peak of a process begins with what its parent holds."""


def run(command: Sequence[str]) -> Measured:
    """Run a command that has to succeed, and measure it with all its processes."""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *command], env=one_thread(), capture_output=True, text=True, check=True
    )
    status, cpu_seconds, peak_kib = json.loads(done.stdout)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {status}: {done.stderr[-2000:]}")
    return Measured(time.monotonic() - start, cpu_seconds, peak_kib / KIB_PER_GB)


def finest_level(store: Path) -> "zarr.Array[Any]":
    """Open the labels of an OME-Zarr image, whatever its versions, at their finest level."""
    group = zarr.open_group(store, mode="r")
    attributes = dict(group.attrs)
    said: Any = attributes.get("ome", attributes)
    found = group[said["multiscales"][0]["datasets"][0]["path"]]
    assert isinstance(found, zarr.Array)
    return found


def read_store(store: Path) -> NDArray[Any]:
    """Read the labels of a small volume whole."""
    return np.asarray(finest_level(store)[...])


def file_hashes(out: Path) -> dict[str, str]:
    """Hash what a run leaves, by names without that of the run.

    Left out are the record, which tells the time, and the files of tasks, whose number depends on the tasks. Of
    Parquet the rows count: they are grouped by tasks.
    """
    stem = out.stem
    found = {}
    for path in sorted(out.parent.glob(f"{stem}*")):
        if path.name in (f"{stem}_run.json", f"{stem}_tasks"):
            continue
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                name = str(file.relative_to(out.parent)).replace(stem, "", 1)
                found[name] = hashlib.sha256(_content(file)).hexdigest()
    return found


def _content(file: Path) -> bytes:
    if file.suffix != ".parquet":
        return file.read_bytes()
    table = pq.read_table(file)
    return b"".join(
        [str(table.schema).encode(), *(np.asarray(column.to_numpy()).tobytes() for column in table.columns)]
    )


def remove_run(out: Path) -> None:
    """Remove all that a run leaves."""
    for path in out.parent.glob(f"{out.stem}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()

"""What the scripts that measure speed share: the least of several times, the machine, versions, and JSON files.

It knows neither torch nor autosam, so that the environment of the peers can use it, too.
"""

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
Clock = Callable[[], float]


def seconds_of(
    call: Callable[[], object],
    repeats: int,
    *,
    warm_up: bool = True,
    clock: Clock = time.perf_counter,
) -> list[float]:
    """Time a call several times, one after the other, after one that is not counted."""
    if warm_up:
        call()
    seconds = []
    for _ in range(repeats):
        started = clock()
        call()
        seconds.append(clock() - started)
    return seconds


def least(
    call: Callable[[], object],
    repeats: int,
    *,
    warm_up: bool = True,
    clock: Clock = time.perf_counter,
) -> float:
    """Give the least of the seconds of several calls: what disturbs a call only ever makes it slower."""
    return min(seconds_of(call, repeats, warm_up=warm_up, clock=clock))


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Give the versions of Python and of those packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Name the processor as the system does; its architecture where the system does not tell."""
    table = Path("/proc/cpuinfo")
    lines = table.read_text(encoding="utf-8").splitlines() if table.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def commit() -> str | None:
    """Give the commit of this checkout, with a ``+`` after it where files differ from it; None without git."""
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()


def machine(threads: int) -> dict[str, Any]:
    """Say where figures come from: processor, cores, threads, and how busy the machine is now."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
        "load": load(),
        "system": platform.platform(terse=True),
    }


def load() -> float | None:
    """Give the mean number of running processes over the last minute; None where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record under a temporary name, then rename it: a file is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)

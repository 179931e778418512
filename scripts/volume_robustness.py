"""Does a run of ``autosam volume`` depend on how it is cut, how it is shared, or on being killed?"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from volume_runs import file_hashes, one_thread, read_store, remove_run, run, volume_command


def memory(
    given: NDArray[Any], work: Path, depths: Sequence[int], *, model: str, sets: Sequence[str]
) -> dict[str, Any]:
    """Measure the peak memory for stacks of several depths, made by repeating one."""
    rows: dict[str, Any] = {}
    for depth in depths:
        path, out = work / f"depth{depth}.tif", work / f"depth{depth}_labels.zarr"
        with tifffile.TiffWriter(path, bigtiff=True) as file:
            for z in range(depth):
                file.write(given[z % len(given)], photometric="minisblack", contiguous=True)
        measured = run([*volume_command(path, out, model=model, sets=sets), "--overwrite"])
        rows[str(depth)] = {
            "peak_gb": round(measured.peak_gb, 3),
            "seconds": round(measured.seconds, 1),
            "seconds_per_slice": round(measured.seconds / depth, 2),
        }
        print(depth, rows[str(depth)], flush=True)
    peaks = [row["peak_gb"] for row in rows.values()]
    return {"slices": rows, "shape": list(given.shape[1:]), "most_over_least": round(max(peaks) / min(peaks), 4)}


def workers(given: NDArray[Any], work: Path, *, model: str, sets: Sequence[str], repeats: int) -> dict[str, Any]:
    """Measure whole runs with one worker and with two, each of one thread."""
    path = work / "workers.tif"
    tifffile.imwrite(path, given, photometric="minisblack")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    labels: dict[int, NDArray[Any]] = {}
    for repeat in range(repeats):
        for count, times in seconds.items():
            out = work / f"workers{count}_{repeat}.zarr"
            remove_run(out)
            times.append(run(volume_command(path, out, model=model, sets=sets, workers=count)).seconds)
            labels[count] = read_store(out)
            print(f"{count} workers: {times[-1]:.1f} s", flush=True)
    best = {count: min(times) for count, times in seconds.items()}
    return {
        "shape": list(given.shape),
        "seconds": {str(count): [round(one, 2) for one in times] for count, times in seconds.items()},
        "ratio": round(best[1] / best[2], 3),
        "voxels_that_differ": int((labels[1] != labels[2]).sum()),
    }


def blocks(
    given: NDArray[Any], work: Path, *, model: str, sets: Sequence[str], count: int, seed: int
) -> dict[str, Any]:
    """Compare runs of random slabs, tiles and workers with a run in one piece, voxel by voxel and file by file."""
    path = work / "blocks.tif"
    tifffile.imwrite(path, given, photometric="minisblack")
    rng = np.random.default_rng(seed)
    whole = work / "blocks_whole.zarr"
    remove_run(whole)
    depth, *plane = given.shape
    side = max(plane)
    run(volume_command(path, whole, model=model, sets=[*sets, f"volume.slab={depth}", f"volume.tile={2 * side}"]))
    expected, hashes = read_store(whole), file_hashes(whole)
    rows = []
    for number in range(count):
        slab, tile = int(rng.integers(1, depth + 1)), int(rng.integers(1, side + 1))
        shared = int(rng.integers(1, 4))
        out = work / f"blocks_{number}.zarr"
        remove_run(out)
        cut = [*sets, f"volume.slab={slab}", f"volume.tile={tile}"]
        run(volume_command(path, out, model=model, sets=cut, workers=shared))
        found = read_store(out)
        other = sorted(name for name, value in file_hashes(out).items() if hashes.get(name) != value)
        row = {"slab": slab, "tile": tile, "workers": shared, "voxels_that_differ": int((found != expected).sum())}
        rows.append({**row, "files_that_differ": other})
        print(rows[-1], flush=True)
        remove_run(out)
    return {
        "shape": list(given.shape),
        "instances": len(np.unique(expected)) - 1,
        "geometries": rows,
        "voxels_that_differ": sum(row["voxels_that_differ"] for row in rows),
        "files_that_differ": sorted({name for row in rows for name in row["files_that_differ"]}),
    }


def kill(
    given: NDArray[Any], work: Path, *, model: str, sets: Sequence[str], count: int, seed: int, shared: int
) -> dict[str, Any]:
    """Kill driver or workers at random moments and repeat the command until it ends; compare with a quiet run.

    Each moment is drawn from the time that a whole run takes. When a run has ended, its files are compared, and
    the next one starts anew.
    """
    path, quiet, out = work / "kill.tif", work / "kill_quiet.zarr", work / "kill_now.zarr"
    tifffile.imwrite(path, given, photometric="minisblack")
    remove_run(quiet)
    seconds = run(volume_command(path, quiet, model=model, sets=sets, workers=shared)).seconds
    expected = file_hashes(quiet)
    rng = np.random.default_rng(seed)
    victims: dict[str, int] = {"driver": 0, "worker": 0, "all": 0}
    ended: list[list[str]] = []
    failures: list[str] = []
    remove_run(out)
    while sum(victims.values()) < count or not ended:
        wanted = str(rng.choice(list(victims))) if sum(victims.values()) < count else None
        killed, status, told = _killed_run(
            volume_command(path, out, model=model, sets=sets, workers=shared),
            rng.uniform(0.05, 1) * seconds,
            wanted,
        )
        if killed is not None:
            victims[killed] += 1
        if status == 0:
            found = file_hashes(out)
            ended.append(sorted(n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n)))
            remove_run(out)
        elif killed is None or (killed == "worker" and status not in (0, 1, 2, 3)):
            failures.append(f"status {status}: {told[-400:]}")
        print(
            f"{sum(victims.values())} kills, {len(ended)} runs ended, {sum(map(bool, ended))} differ", flush=True
        )
    return {
        "shape": list(given.shape),
        "workers": shared,
        "undisturbed_seconds": round(seconds, 1),
        "kills": victims,
        "runs_that_ended": len(ended),
        "runs_that_differ": sum(map(bool, ended)),
        "files_that_differ": sorted({name for names in ended for name in names}),
        "other_failures": failures,
    }


def _killed_run(command: Sequence[str], delay: float, wanted: str | None) -> tuple[str | None, int, str]:
    """Run a command in a group of its own and kill a part of it; who was killed, exit status and what it told."""
    killed = None
    with subprocess.Popen(
        command, env=one_thread(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            process.wait(delay if wanted else None)
        except subprocess.TimeoutExpired:
            workers = _descendants(process.pid)
            killed = wanted if wanted != "worker" or workers else "driver"
            targets = {"driver": [process.pid], "worker": workers[-1:], "all": [*workers, process.pid]}
            for target in targets[killed or "driver"]:
                _kill(target)
        status = process.wait()
        # Workers that lost their driver end by themselves; nothing may write into the next run.
        for target in _group(process.pid):
            _wait_or_kill(target)
        assert process.stderr is not None
        told = process.stderr.read().decode(errors="replace")
    return killed, status, told


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _wait_or_kill(pid: int, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    if Path(f"/proc/{pid}").exists():
        print(f"process {pid} outlived its driver by {seconds} s and is ended", flush=True)
        _kill(pid)


def _processes() -> dict[int, tuple[int, int]]:
    """Parent and group of every process."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] != "Z":
                found[int(folder.name)] = int(fields[1]), int(fields[2])
    return found


def _descendants(pid: int) -> list[int]:
    """Children of a process and theirs that do the work of a task: not the helpers of multiprocessing."""
    known = _processes()
    found, new = [], [pid]
    while new:
        new = [child for child, (parent, _) in known.items() if parent in new]
        found += new
    return [child for child in found if "resource_tracker" not in _command_line(child)]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _group(pid: int) -> list[int]:
    return [other for other, (_, group) in _processes().items() if group == pid and other != pid]

"""`autosam segment --workers` and `--devices` with real processes: results, messages, interrupts, refusals."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
from fake_networks import draw_ellipses
from small_models import GENERATOR_ALONE, write_model

from autosam import cli
from autosam.cli.segment_workers import choose_processes
from autosam.errors import ConfigError
from autosam.pipeline import batch_workers

SPOTS, _ = draw_ellipses((64, 96), [(18, 20, 9, 12), (45, 60, 10, 9)])
LIMIT = 600
"""Seconds after which a process hangs; on a busy machine, four of them take long to start."""


@pytest.fixture
def images(tmp_path):
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    for name in "abcdef":
        noise = rng.integers(0, 25, SPOTS.shape).astype(np.uint8)
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", SPOTS + noise, photometric="minisblack")
    write_model(tmp_path / "model.safetensors", *GENERATOR_ALONE)
    return tmp_path / "in"


def command(images, out, *options):
    # Where the tests run in the background of a shell, SIGINT is ignored.
    code = (
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from autosam.cli import main\nif __name__ == '__main__': main()"
    )
    model = images.parent / "model.safetensors"
    return [sys.executable, "-c", code, "segment", str(images), "-o", str(out), "-m", str(model), *options]


def run(images, out, *options):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command(images, out, *options), capture_output=True, text=True, check=False, timeout=LIMIT, env=environment
    )


def results(out):
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.suffix != ".json"}


def children(process):
    """Give the processes that a process has started, and those that they have."""
    found = []
    for path in (f"/proc/{process}/task/{process}/children",):
        try:
            with open(path, encoding="ascii") as file:
                found = [int(one) for one in file.read().split()]
        except OSError:
            return []
    return [*found, *(one for child in found for one in children(child))]


def alive(processes):
    def lives(process):
        try:
            with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
                return file.read().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return [process for process in processes if lives(process)]


def until(condition):
    end = time.monotonic() + LIMIT
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


def test_workers_write_the_bytes_of_one_process(images, tmp_path):
    (images / "c.tif").write_bytes(b"II*\0 cut short")
    alone = run(images, tmp_path / "alone")
    shared = run(images, tmp_path / "shared", "--workers", "2")
    assert (alone.returncode, shared.returncode) == (1, 1)
    assert results(tmp_path / "alone") == results(tmp_path / "shared")
    assert len(results(tmp_path / "shared")) == 5 * 3 + 1
    assert alone.stderr == shared.stderr
    # The seconds differ.
    assert alone.stdout.split(" found")[0] == shared.stdout.split(" found")[0]
    told = [json.loads((tmp_path / out / "autosam_run.json").read_text()) for out in ("alone", "shared")]
    for one in told:
        assert sorted(one["images"]) == list("abcdef")
        for entry in one["images"].values():
            entry.pop("seconds", None)
            entry.pop("timings", None)
        del one["timings"], one["started"]
    assert told[0] == told[1]
    assert not list((tmp_path / "shared").glob(".*"))
    assert "5 images skipped" in run(images, tmp_path / "shared", "--workers", "2").stdout


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("phase", ["starting", "working"])
def test_an_interrupt_leaves_no_process_no_claim_and_no_part(images, tmp_path, number, phase):
    out = tmp_path / "out"
    for copy in range(40):
        (images / f"g{copy}.tif").write_bytes((images / "a.tif").read_bytes())
    job = subprocess.Popen(command(images, out, "--workers", "2"), stderr=subprocess.PIPE, text=True)
    try:
        # Two workers, and Python's own process that looks after what they share.
        started = until(lambda: (found := children(job.pid)) and len(found) >= 2 and found)
        if phase == "working":
            until(lambda: list(out.glob("*_labels.tif")))
        job.send_signal(number)
        _, err = job.communicate(timeout=LIMIT)
    finally:
        job.kill()
    assert job.returncode == 130
    assert err.splitlines()[-1] == "autosam: interrupted; the same command goes on where it stopped"
    until(lambda: not alive(started))
    assert not list(out.glob(".*"))
    record = out / "autosam_run.json"
    done = sorted(json.loads(record.read_text())["images"]) if record.exists() else []
    assert sorted(path.name.removesuffix("_labels.tif") for path in out.glob("*_labels.tif")) == done


def test_which_processes_are_started():
    assert choose_processes("auto", None, None, 5) == []
    assert choose_processes("auto", 1, None, 5) == []
    assert choose_processes("cpu", 3, None, 5) == ["cpu"] * 3
    assert choose_processes("auto", 8, None, 2) == ["auto"] * 2
    assert choose_processes("auto", None, "0, 1", 5) == ["cuda:0", "cuda:1"]
    for devices in ("0,0", "a", "", "0,-1", "0,,1"):
        with pytest.raises(ConfigError, match="is no list of GPUs"):
            choose_processes("auto", None, devices, 5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", "0"], "'--workers': Input should be greater than or equal to 1"),
        (["--workers", "2", "--devices", "0,1"], "--devices and --workers exclude each other"),
        (["--device", "cpu", "--devices", "0,1"], "--devices and --device exclude each other"),
        (["--devices", "7,8"], "there is no cuda:7, cuda:8: this machine has"),
        (["--workers", "4"], "4 processes need about 4.8 GB of memory, 1.2 GB each, and 3.0 GB are free; use "),
    ],
)
def test_what_there_is_no_room_for_is_one_line(images, tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.setattr(batch_workers, "free_gb", lambda: 3.0)
    monkeypatch.setattr(sys, "argv", command(images, tmp_path / "out", *options)[2:])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    captured = capsys.readouterr()
    assert (stop.value.code, captured.out) == (2, "")
    (line,) = captured.err.strip().splitlines()
    assert words in line
    assert not (tmp_path / "out").exists()


def test_memory_that_is_not_known_refuses_nothing(monkeypatch):
    monkeypatch.setattr(batch_workers, "free_gb", lambda: None)
    batch_workers.check_room(["cpu"] * 1000)
    monkeypatch.setattr(batch_workers, "free_gb", lambda: 2.5)
    batch_workers.check_room(["cpu"] * 2)
    with pytest.raises(ConfigError, match="use --workers 2"):
        batch_workers.check_room(["cpu"] * 3)


def test_the_cores_are_shared(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [batch_workers.threads_each(workers) for workers in (1, 2, 5, 12, 40)] == [12, 6, 2, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert [batch_workers.threads_each(workers) for workers in (1, 2, 5)] == [4, 4, 2]

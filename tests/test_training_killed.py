"""A run that is killed at any moment ends, resumed, with the weights of one that was not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import imagecodecs
import pytest
from blobs import SMALL, discs

from autosam.training.run.run_folder import MODEL, TRAIN_LOG

STEPS = 12


def command(data: Path, out: Path, *more: str) -> list[str]:
    program = "from autosam.cli import main; main()"
    return [sys.executable, "-c", program, "train", str(data), "-o", str(out), *more]


def settings() -> list[str]:
    chosen = [*SMALL, f"training.steps={STEPS}", "training.checkpoint_every=5", "training.validate_every=6"]
    return [part for setting in chosen for part in ("--set", setting)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for part in ("images", "labels"):
        (folder / part).mkdir()
    for seed in range(4):
        image, labels = discs(seed, 64)
        (folder / "images" / f"{seed}.png").write_bytes(imagecodecs.png_encode(image))
        (folder / "labels" / f"{seed}.png").write_bytes(imagecodecs.png_encode(labels.astype("uint8")))
    return folder


def logged(log: Path) -> int:
    return len(log.read_text(encoding="utf-8").splitlines()) - 1 if log.is_file() else 0


@pytest.mark.slow
def test_killed_and_resumed(data: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command(data, tmp_path / "whole", *settings()), env=environment, check=True, timeout=300)

    killed = tmp_path / "killed"
    # Before any checkpoint but that of step 0, and then, resumed, in the middle of whatever comes after step 8.
    for more, rows in ((settings(), 3), (["--resume"], 9)):
        with subprocess.Popen(command(data, killed, *more), env=environment, stdout=subprocess.DEVNULL) as process:
            until = time.monotonic() + 240
            while logged(killed / TRAIN_LOG) < rows:
                assert process.poll() is None, "the run ended before it could be killed"
                assert time.monotonic() < until
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    subprocess.run(command(data, killed, "--resume"), env=environment, check=True, timeout=300)

    assert (killed / MODEL).read_bytes() == (tmp_path / "whole" / MODEL).read_bytes()

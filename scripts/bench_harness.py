"""What the rows of `bench_speed.py` share: how a row looks, and how other scripts are run for it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from bench_images import EM_SLICE, nuclei

SCRIPTS = Path(__file__).parent


class SkippedError(Exception):
    """A row that cannot be measured here; the message says what it needs."""


@dataclass(frozen=True)
class Row:
    """One figure, and what it is compared with."""

    name: str
    what: str
    value: float
    unit: str
    wanted: float | None
    """None for what is only told."""
    autosam_seconds: float | None = None
    peer: str | None = None
    peer_seconds: float | None = None
    repeats: int = 1
    details: dict[str, Any] = field(default_factory=dict)


def ratio(
    name: str,
    what: str,
    wanted: float | None,
    seconds: float,
    peer: str,
    peer_seconds: float,
    repeats: int,
    **details: Any,
) -> Row:
    """Make the row of one time over another."""
    return Row(name, what, seconds / peer_seconds, "×", wanted, seconds, peer, peer_seconds, repeats, details)


@dataclass
class Bench:
    """How to measure: threads, repetitions, the Python of the peers, folders of data and for temporary files."""

    folder: Path
    threads: int = 2
    repeats: int = 5
    peers: str | None = None
    data: Path | None = None
    peer_versions: dict[str, str] = field(default_factory=dict)
    _peer_seconds: dict[str, dict[str, float]] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        return {**os.environ, "OMP_NUM_THREADS": str(self.threads)}

    def run(self, command: Sequence[str], *, wanted: Path | None = None) -> None:
        """Run a command that has to succeed, or to write a file: its status may say that a bound was missed."""
        run = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)
        if run.returncode if wanted is None else not wanted.exists():
            lines = [line for line in run.stderr.splitlines() if line.strip()]
            why = lines[-1] if lines else f"exit status {run.returncode}"
            raise SkippedError(f"{' '.join(command[:2])} failed: {why}")

    def script(self, name: str, *arguments: str, python: str = sys.executable) -> dict[str, Any]:
        """Run one of the scripts here and read its JSON."""
        if not (SCRIPTS / name).exists():
            raise SkippedError(f"needs scripts/{name}")
        out = self.folder / f"{name}.json"
        out.unlink(missing_ok=True)
        self.run([python, str(SCRIPTS / name), *arguments, "--json", str(out)], wanted=out)
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found

    def segment(
        self, model: str, images: Sequence[Path], *settings: str, repeats: int = 0
    ) -> list[dict[str, Any]]:
        """Time a model on images, with a warm-up for each: `runs`, `objects` and `megapixels` of each image."""
        sets = [part for setting in settings for part in ("--set", setting)]
        counts = ("--threads", str(self.threads), "--repeats", str(repeats or self.repeats))
        names = [str(image) for image in images]
        rows: list[dict[str, Any]] = self.script("bench_segment.py", *names, "--model", model, *sets, *counts)[
            "images"
        ]
        return rows

    def peer(self, package: str) -> dict[str, float]:
        """Time a peer, once in a run."""
        if self.peers is None:
            raise SkippedError(f"needs {package}: --peers PYTHON, see scripts/bench_peers.py")
        if package not in self._peer_seconds:
            counts = ("--threads", str(self.threads), "--repeats", str(self.repeats))
            found = self.script("bench_peers.py", "--only", package, *counts, python=self.peers)
            self.peer_versions |= found["versions"]
            self._peer_seconds[package] = found["seconds"]
        return self._peer_seconds[package]

    def draw_nuclei(self, side: int) -> Path:
        """Write an image with a nucleus in every square of 32 pixels."""
        return self.save(f"nuclei_{side}.npy", nuclei(side, (side // 32) ** 2)[0])

    def em_crop(self, side: int) -> Path:
        """Write the middle of the EM slice."""
        from skimage.io import imread

        image = imread(EM_SLICE)
        top, left = ((length - side) // 2 for length in image.shape)
        return self.save(f"em_{side}.npy", image[top : top + side, left : left + side])

    def save(self, name: str, image: Any) -> Path:
        np.save(self.folder / name, image)
        return self.folder / name


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep cores busy with processes that do nothing else, and end with this one even where it is killed."""
    loop = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
    loops = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(count)]
    try:
        yield
    finally:
        for process in loops:
            process.kill()
            process.wait()

"""The logs of a run: CSV rows and previews, and TensorBoard's events where the package is there."""

import csv
import math
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from blobs import small_config

from autosam.training.run import run_log
from autosam.training.run.run_folder import PREVIEWS, TENSORBOARD, TRAIN_LOG, VALIDATION_LOG, RunFolder
from autosam.training.run.run_log import RunLog, open_board
from autosam.training.run.validation import Validation

PICTURE = np.full((4, 6, 3), 7, np.uint8)
VALIDATION = Validation({"ap50": 0.5, "a_rand": math.nan}, [("discs/1", PICTURE)])


class Board:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.experiment = self

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.told.append((metrics, step))

    def add_image(self, name: str, rgb: np.ndarray, step: int, *, dataformats: str) -> None:
        self.told.append((name, rgb.shape, step, dataformats))

    def finalize(self, status: str) -> None:
        self.told.append((status,))


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)


def fill(folder: Path, *, first: bool = True) -> None:
    log = RunLog(RunFolder(folder, small_config(), resume=False, first=first))
    log.step({"step": 450, "loss": 2.0, "matched": math.nan})
    log.validation(450, VALIDATION)
    log.close()


def test_rows_previews_and_curves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    board = Board()
    monkeypatch.setattr(run_log, "open_board", lambda folder: board)
    fill(tmp_path)
    for name, row in (
        (TRAIN_LOG, {"step": "450", "loss": "2.0", "matched": "nan"}),
        (VALIDATION_LOG, {"step": "450", "ap50": "0.5", "a_rand": "nan"}),
    ):
        with (tmp_path / name).open(newline="", encoding="utf-8") as file:
            assert list(csv.DictReader(file)) == [row]
    assert [path.name for path in (tmp_path / PREVIEWS).iterdir()] == ["step_000450_discs_1.png"]
    # A curve has no place for what is no number.
    assert board.told == [
        ({"train/loss": 2.0}, 450),
        ({"val/ap50": 0.5}, 450),
        ("discs/1", (4, 6, 3), 450, "HWC"),
        ("success",),
    ]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget(monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert open_board(tmp_path / "board") is None
    fill(tmp_path / "run")
    assert (tmp_path / "run" / VALIDATION_LOG).is_file()
    assert not (tmp_path / "run" / TENSORBOARD).exists()


@pytest.mark.skipif(find_spec("tensorboard") is not None, reason="the package is there")
def test_a_folder_of_that_name_is_not_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # What Python imports where a run's folder `tensorboard` lies on its path.
    forget(monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorboard", ModuleType("tensorboard"))
    assert open_board(tmp_path / "board") is None


def test_only_the_first_process_writes_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run_log, "open_board", lambda folder: pytest.fail("another process opened the board"))
    log = RunLog(RunFolder(tmp_path / "run", small_config(), resume=False, first=False))
    log.step({"step": 1, "loss": 2.0})
    log.close()
    assert not (tmp_path / "run").exists()


def test_event_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fill(tmp_path)
    events = EventAccumulator(str(tmp_path / TENSORBOARD))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"train/loss", "val/ap50"}
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(450, 2.0)]
    (image,) = events.Images("discs/1")
    assert (image.step, image.height, image.width) == (450, 4, 6)

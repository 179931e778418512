"""The TensorBoard log: what it hands to the writer, what it writes, and the case without the package."""

import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from autosam.training.run.board import TensorBoardLog

WRITER = "torch.utils.tensorboard"


class Writer:
    """Remembers what it is told."""

    def __init__(self, folder: str) -> None:
        self.told: list[tuple[object, ...]] = [("open", folder)]

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.told.append((name, value, step))

    def add_image(self, name: str, rgb: np.ndarray, step: int, *, dataformats: str) -> None:
        self.told.append((name, rgb.shape, step, dataformats))

    def close(self) -> None:
        self.told.append(("close",))


def test_what_is_handed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = ModuleType(WRITER)
    writers: list[Writer] = []

    def make(folder: str) -> Writer:
        writers.append(Writer(folder))
        return writers[-1]

    fake.SummaryWriter = make  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, WRITER, fake)
    log = TensorBoardLog(tmp_path)
    log.scalars(450, {"val/ap50": 0.5, "val/a_rand": math.nan, "val/iou": 1})
    log.scalars(451, {})
    log.image(450, "discs/1", np.zeros((4, 6, 3), np.uint8))
    log.close()
    assert writers[0].told == [
        ("open", str(tmp_path)),
        ("val/ap50", 0.5, 450),
        ("val/iou", 1, 450),
        ("discs/1", (4, 6, 3), 450, "HWC"),
        ("close",),
    ]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name == WRITER or name.startswith(f"{WRITER}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert not TensorBoardLog.available()
    with pytest.raises(ImportError):
        TensorBoardLog(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_of_that_name_is_not_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    if TensorBoardLog.available():
        pytest.skip("the package is there")
    # What Python imports where a folder `tensorboard` lies on its path.
    monkeypatch.setitem(sys.modules, "tensorboard", ModuleType("tensorboard"))
    assert not TensorBoardLog.available()


def test_event_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert TensorBoardLog.available()
    log = TensorBoardLog(tmp_path / "board")
    log.scalars(1, {"loss": 2.0, "a_rand": math.nan})
    log.scalars(2, {"loss": 1.0})
    log.image(2, "discs/1", np.full((4, 6, 3), 7, np.uint8))
    log.close()
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    assert events.Tags()["scalars"] == ["loss"]
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 2.0), (2, 1.0)]
    (image,) = events.Images("discs/1")
    assert (image.step, image.height, image.width) == (2, 4, 6)

"""What a run writes while it trains: CSV logs, previews, and TensorBoard's events where it is installed."""

import math
from collections.abc import Mapping
from pathlib import Path

from lightning.fabric.loggers.tensorboard import TensorBoardLogger

from autosam.images import ensure_folder, write_png
from autosam.training.run.run_folder import PREVIEWS, TENSORBOARD, TRAIN_LOG, VALIDATION_LOG, RunFolder
from autosam.training.run.validation import Validation


def open_board(folder: Path) -> TensorBoardLogger | None:
    """Open a TensorBoard log; None without the extra (``pip install autosam[tensorboard]``)."""
    try:
        # Lightning takes a folder `tensorboard`, as a run has one, for the package.
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        return None
    return TensorBoardLogger(folder, name="", version="")


class RunLog:
    """The logs of a run; several processes share one, which only the first writes."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._board = open_board(run.path / TENSORBOARD) if run.first else None

    def step(self, row: Mapping[str, float]) -> None:
        """Add a row of the training log; its ``step`` counts from 1."""
        self._run.append(TRAIN_LOG, row)
        self._curves("train", row)

    def validation(self, step: int, validation: Validation) -> None:
        """Add a row of the validation log, and the previews."""
        row = {"step": step, **validation.scores}
        self._run.append(VALIDATION_LOG, row)
        self._curves("val", row)
        for name, picture in validation.previews:
            file = f"step_{step:06d}_{name.replace('/', '_')}.png"
            write_png(ensure_folder(self._run.path / PREVIEWS) / file, picture)
            if self._board is not None:
                self._board.experiment.add_image(name, picture, step, dataformats="HWC")

    def close(self) -> None:
        """Write what is left; nothing can be added afterwards."""
        if self._board is not None:
            self._board.finalize("success")

    def _curves(self, part: str, row: Mapping[str, float]) -> None:
        """Add a point to the curve of every column; NaN is left out."""
        if self._board is not None:
            points = {name: value for name, value in row.items() if name != "step" and not math.isnan(value)}
            self._board.log_metrics({f"{part}/{name}": value for name, value in points.items()}, int(row["step"]))

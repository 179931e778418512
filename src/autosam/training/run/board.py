"""The run's curves and pictures for TensorBoard, where it is installed (``pip install autosam[tensorboard]``)."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class TensorBoardLog:
    """Writes event files into a folder; several runs of one training may write into the same.

    Parameters
    ----------
    folder : Path
        Made where it is missing.

    Raises
    ------
    ImportError
        If TensorBoard is not installed; ask `available` first.
    """

    def __init__(self, folder: Path) -> None:
        # Only here: the package is an extra.
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    @staticmethod
    def available() -> bool:
        """Whether TensorBoard is installed."""
        # Looked for by name, a folder `tensorboard`, as a run has one, would pass for the package.
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError:
            return False
        return True

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to the curve of every name; values that are NaN are left out."""
        for name, value in values.items():
            if not math.isnan(value):
                self._writer.add_scalar(name, value, step)

    def image(self, step: int, name: str, rgb: NDArray[np.uint8]) -> None:
        """Add a picture, uint8 (H, W, 3)."""
        self._writer.add_image(name, rgb, step, dataformats="HWC")

    def close(self) -> None:
        """Write what is left; nothing can be added afterwards."""
        self._writer.close()

"""Arrays in one run of bytes of a file, of which parts are read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class MappedArray:
    """An array that lies uncompressed in a file.

    The file is mapped anew for each read: of a mapping that stays, all pages that were ever read count as memory
    of the process.

    Attributes
    ----------
    dtype : str
        With its byte order, such as ``>u2``.
    offset : int
        Bytes before the first number.
    order : str
        ``C`` where the last axis lies together, ``F`` where the first does.
    """

    path: Path
    dtype: str
    offset: int
    shape: tuple[int, ...]
    order: Literal["C", "F"] = "C"

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Read a part, in native byte order; ValueError where the file is too short."""
        mapped = np.memmap(self.path, np.dtype(self.dtype), "r", self.offset, self.shape, self.order)
        return np.array(mapped[index], dtype=mapped.dtype.newbyteorder("="), order="C")

"""NaN and infinite pixels of a volume, which no network can see."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError


def check_finite(
    pixels: NDArray[Any],
    *,
    name: str,
    z: int,
    window: tuple[slice, slice],
    non_finite: Literal["error", "background"],
) -> None:
    """Refuse a part of a slice that holds NaN or infinity, unless these count as background.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)
    name, z, window
        Of the volume, and where the part lies in it.
    non_finite : {"error", "background"}
        The setting ``images.non_finite``.

    Raises
    ------
    InputError
        Naming the slice and the first such pixel.
    """
    if non_finite == "background" or pixels.dtype.kind != "f":
        return
    finite = np.isfinite(pixels)
    if finite.all():
        return
    broken = ~(finite if pixels.ndim == 2 else finite.all(axis=2))
    row, col = (int(i) for i in np.unravel_index(int(broken.argmax()), broken.shape))
    raise InputError(
        f"{name}: {np.count_nonzero(broken)} pixels of slice {z} are NaN or infinite, the first in row "
        f"{row + (window[0].start or 0)}, column {col + (window[1].start or 0)}; wanted finite ones: repair the "
        "volume, or treat them as background with --set images.non_finite=background."
    )

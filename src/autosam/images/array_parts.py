"""Parts of an array whose axes have letters, as slices of a volume."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_part(
    array: Any,
    axes: str,
    *,
    slices: slice,
    rows: slice,
    cols: slice,
    time: int = 0,
    channel: int | None = 0,
) -> NDArray[Any]:
    """Read a part of some slices; only what is asked for is read.

    Parameters
    ----------
    array
        Of NumPy, Zarr, h5py or dask.
    axes : str
        A letter for each axis of the array: ``z``, ``y``, ``x``, ``t``, ``c``, or others of length 1.
    channel : int, optional
        None takes all, with their axis last.

    Returns
    -------
    ndarray, shape (D, H, W) or (D, H, W, C)

    Examples
    --------
    >>> array = np.arange(24).reshape(3, 4, 2)
    >>> read_part(array, "yxz", slices=slice(0, 2), rows=slice(1, 2), cols=slice(0, 3)).tolist()
    [[[8, 10, 12]], [[9, 11, 13]]]
    """
    at: dict[str, Any] = {"z": slices, "y": rows, "x": cols, "t": time}
    at["c"] = slice(None) if channel is None else channel
    found = array[tuple(at.get(axis, 0) for axis in axes)]
    # Of dask; in this thread, as a task of a cluster has one to itself.
    found = np.asarray(found.compute(scheduler="synchronous") if hasattr(found, "compute") else found)
    kept = [axis for axis in axes if isinstance(at.get(axis), slice)]
    found = found.transpose([kept.index(axis) for axis in "zyxc" if axis in kept])
    return found if "z" in kept else found[None]

"""Instances of a semantic mask: its connected components."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from autosam.metrics.label_arrays import as_mask_array


def components(mask: ArrayLike, *, min_size: int = 50) -> NDArray[np.int32]:
    """Make instances of a semantic mask: its connected components of at least ``min_size`` voxels.

    Voxels that touch at a face, an edge or a corner belong together: 8 neighbors in 2D, 26 in 3D.

    Parameters
    ----------
    mask : array_like
        Anything but 0 is foreground; any dimension. Masked elements of a masked array are background.
    min_size : int
        Smallest component in voxels; smaller ones become background.

    Returns
    -------
    ndarray of int32, same shape
        Ids 1..n without gaps, in raster order of the first voxel; all zeros for an empty mask.

    Examples
    --------
    >>> import numpy as np
    >>> components(np.array([[255, 0, 255], [0, 255, 0], [0, 0, 0], [255, 0, 0]]), min_size=2)
    array([[1, 0, 1],
           [0, 1, 0],
           [0, 0, 0],
           [0, 0, 0]], dtype=int32)
    """
    array = as_mask_array(mask)
    touching = np.ones((3,) * array.ndim, bool)
    labels, n = ndimage.label(array != 0, structure=touching, output=np.int32)
    kept = np.bincount(labels.ravel(), minlength=n + 1) >= min_size
    kept[0] = False
    ids = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return np.asarray(ids[labels], dtype=np.int32)

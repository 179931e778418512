"""How another microscope would record the same: sharpness, resolution, compression."""

from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch.nn import functional as F

from autosam.training.samples.planes import Plane


def defocus(plane: Plane, radii: tuple[float, float]) -> Plane:
    """Blur as a lens out of focus, or astigmatic, does: by the mean over an ellipse.

    Parameters
    ----------
    plane : ndarray of float32, shape (H, W)
        0 to 1.
    radii : tuple of float
        Half axes of the ellipse along rows and columns, in pixels; below about 0.5 nothing is blurred.

    Returns
    -------
    ndarray of float32, shape (H, W)
        Beyond its border, the plane goes on as it ends.
    """
    reach = [int(np.ceil(radius)) for radius in radii]
    rows, cols = (np.arange(-n, n + 1) / max(radius, 1e-3) for n, radius in zip(reach, radii, strict=True))
    depth = (1 - np.hypot(rows[:, None], cols)) * np.sqrt(radii[0] * radii[1])
    # Pixels on the rim count by the part of them that lies inside, about.
    kernel = np.clip(depth + 0.5, 0, 1).astype(np.float32)
    padded = F.pad(torch.from_numpy(plane)[None, None], (reach[1], reach[1], reach[0], reach[0]), mode="replicate")
    return F.conv2d(padded, torch.from_numpy(kernel / kernel.sum())[None, None])[0, 0].numpy()


def sharpen(plane: Plane, *, amount: float, sigma: float) -> Plane:
    """Add ``amount`` times what a Gaussian blur of ``sigma`` pixels takes away: unsharp masking."""
    return np.asarray(plane + amount * (plane - ndimage.gaussian_filter(plane, sigma)), dtype=np.float32)


def coarsen(plane: Plane, factor: float, *, smooth: bool) -> Plane:
    """Record with pixels ``factor`` times as large, and enlarge again.

    Parameters
    ----------
    plane : ndarray of float32, shape (H, W)
    factor : float
        At least 1.
    smooth : bool
        Enlarge by linear interpolation; otherwise the coarse pixels are seen.
    """
    small = (max(1, round(plane.shape[0] / factor)), max(1, round(plane.shape[1] / factor)))
    reduced = F.interpolate(torch.from_numpy(plane)[None, None], small, mode="bilinear", antialias=True)
    mode = "bilinear" if smooth else "nearest-exact"
    return F.interpolate(reduced, plane.shape, mode=mode)[0, 0].numpy()


def compress(image: NDArray[np.float32], quality: int) -> NDArray[np.float32]:
    """Write an image, (H, W, 1) or (H, W, 3), as a JPEG of that quality, 1 to 95, and read it again."""
    picture = np.rint(image * 255).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(file, "JPEG", quality=quality)
    read = np.asarray(Image.open(file)).reshape(image.shape)
    return np.asarray(read / np.float32(255), dtype=np.float32)

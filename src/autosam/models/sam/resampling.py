"""SAM's resampling, in any part of an image: every step is linear and acts on rows and columns apart.

So a part of the result is a product of two narrow matrices with a part of the input. What does not count is
neither read nor made, and the result is the same to rounding.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Span = tuple[int, int]
"""First place and the one after the last, as in a slice; equal where there is none."""


@dataclass(frozen=True, eq=False)
class Upsampling:
    """One axis of the way from low-resolution logits to an image's own pixels.

    Attributes
    ----------
    weights : Tensor, shape (pixels, low)
        Share of each low-resolution pixel in each pixel, on the CPU.
    first, last : ndarray of int64, shape (pixels,)
        The low-resolution pixels that each pixel is made of; both never decrease.
    """

    weights: Tensor
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    def reached(self, low: Span) -> Span:
        """Give the pixels that low-resolution pixels have a share in."""
        if low[0] >= low[1]:
            return 0, 0
        return int(np.searchsorted(self.last, low[0], "left")), int(np.searchsorted(self.first, low[1], "left"))

    def product(self, pixels: Span, low: Span) -> tuple[Tensor, Span]:
        """Give weights (pixels, used) for pixels made of these low-resolution ones alone, and those that are used.

        Beyond the first and the last of ``low``, their own values go on. ``pixels`` holds none that ``low`` has no
        share in.
        """
        begin, end = int(self.first[pixels[0]]), int(self.last[pixels[1] - 1]) + 1
        used = max(begin, low[0]), min(end, low[1])
        weights = self.weights[pixels[0] : pixels[1], begin:end]
        if used != (begin, end):
            beyond = weights[:, : used[0] - begin].sum(dim=1), weights[:, used[1] - begin :].sum(dim=1)
            weights = weights[:, used[0] - begin : used[1] - begin].clone()
            weights[:, 0] += beyond[0]
            weights[:, -1] += beyond[1]
        return weights, used


@lru_cache(maxsize=16)
def upsampling(low: int, full: int, given: int, original: int) -> Upsampling:
    """Make one axis of `Sam.postprocess_masks`.

    Parameters
    ----------
    low, full : int
        Length of SAM's low-resolution logits and of its square input.
    given : int
        How much of the input the image fills.
    original : int
        Length of the image before it was resized to ``given``.
    """
    whole = torch.eye(low)[None, None]
    resized = F.interpolate(whole, (full, low), mode="bilinear", align_corners=False)[:, :, :given]
    weights = F.interpolate(resized, (original, low), mode="bilinear", align_corners=False)[0, 0]
    shares = (weights != 0).numpy()
    return Upsampling(weights, shares.argmax(axis=1), low - 1 - shares[:, ::-1].argmax(axis=1))


@lru_cache(maxsize=16)
def reduction(original: int, given: int, full: int, stride: int) -> Tensor:
    """Make one axis of the way from an image's own pixels to SAM's low-resolution ones, shape (low, original).

    Each low-resolution pixel is the mean of ``stride`` pixels of SAM's input; parameters as `upsampling`. Pixels
    beyond the image get no share.
    """
    pixels = torch.eye(original)[None, None]
    if given != original:
        pixels = F.interpolate(pixels, (given, original), mode="bilinear", antialias=True)
    padded = F.pad(pixels, (0, 0, 0, full - given))
    return F.avg_pool2d(padded, (stride, 1))[0, 0]

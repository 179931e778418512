"""Images that the scripts measure speed with: made-up nuclei, and the names of real ones.

It needs numpy alone, so that the environment of the peers can use it, too.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
EM_SLICE = ROOT / "examples" / "vnc_12.png"
"""1024 × 1024 pixels with about 20 mitochondria."""

REAL = (
    "dsb2018/images/05040e2e959c.png",  # 256 × 256, fluorescence
    "dsb2018/images/2c61fdcb36fd.png",  # 256 × 320, stained tissue
    "dsb2018/images/03f583ec5018.png",  # 360 × 360, fluorescence
    "dsb2018/images/212b858a66f0.png",  # 520 × 696, fluorescence
    "dsb2018/images/538b7673d507.png",  # 603 × 1272, fluorescence
    "dsb2018/images/2a1a294e21d7.png",  # 1024 × 1024, bright field
    "dsb2018_extra/images/d616d323a9eeb9da.png",  # 519 × 162, fluorescence
    "dsb2018_extra/images/0ed3555a4bd48046.png",  # 256 × 256, fluorescence
    "dsb2018_extra/images/3c4c675825f75098.png",  # 524 × 348, purple stain
    "dsb2018_extra/images/259b35151d4a7a5f.png",  # 512 × 680, stained tissue
    "bbbc039/images/A22_s8_w1E2AFE190-831D-4D9C-961E-3AA2ECB3599D.png",  # 520 × 696, 16 bit
    "monuseg/images/TCGA-21-5786-01Z-00-DX1.png",  # 1000 × 1000, stained tissue
    "monuseg/images/TCGA-B0-5698-01Z-00-DX1.png",
)
"""Validation images of every size and kind, in folders as their publishers name them."""


def nuclei(side: int, count: int, *, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Draw bright disks with soft edges on dark noise, one in each cell of a grid, so that none touch.

    Returns
    -------
    image : uint8, (side, side)
    labels : int32, (side, side)
        1 to `count`; 0 for the ground.
    """
    rng = np.random.default_rng(seed)
    image, labels = rng.normal(14, 2.5, (side, side)), np.zeros((side, side), np.int32)
    cells = int(np.ceil(np.sqrt(count)))
    pitch = side // cells
    rows, cols = np.mgrid[:pitch, :pitch]
    for number, cell in enumerate(rng.permutation(cells * cells)[:count], 1):
        radius = rng.uniform(0.25, 0.375) * pitch
        row, col = (pitch - 1) / 2 + rng.uniform(-0.08, 0.08, 2) * pitch
        beyond = np.hypot(rows - row, cols - col) - radius
        part = np.s_[cell // cells * pitch :, cell % cells * pitch :]
        image[part][:pitch, :pitch] += rng.uniform(76, 136) / (1 + np.exp(np.clip(beyond / 0.7, -30, 30)))
        labels[part][:pitch, :pitch][beyond <= 0] = number
    return np.clip(image, 0, 255).round().astype(np.uint8), labels

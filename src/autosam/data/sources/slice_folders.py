"""A volume as two folders of numbered slices."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from autosam.data.manifest import Split
from autosam.data.sources.release import Slice, volume_slice
from autosam.data.sources.release_files import by_number, pair_up, read_mask, read_pair


def folder_slices(
    volume: str,
    images: Path,
    masks: Path,
    *,
    group: str = "",
    split: Split | None = None,
    read: Callable[[Path], NDArray[Any]] = read_mask,
) -> list[Slice]:
    """List the slices of a volume in two folders of images, paired by the last number in their names, which is z.

    Where both folders number their files without gaps but from different starts, they are paired by order.

    Raises
    ------
    InputError
        If a slice has no partner.
    """
    raw, truth = by_number(images), by_number(masks)
    if set(raw) != set(truth) and len(raw) == len(truth) and _gapless(raw) and _gapless(truth):
        truth = dict(zip(raw, truth.values(), strict=True))

    return [
        volume_slice(volume, z, partial(read_pair, image, mask, read), group=group, split=split)
        for z, image, mask in pair_up(raw, truth, source=volume)
    ]


def _gapless(numbers: dict[int, Path]) -> bool:
    return bool(numbers) and max(numbers) - min(numbers) + 1 == len(numbers)

"""A volume as two folders of numbered slices."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from autosam.data.manifest import Split
from autosam.data.sources.release import ImageAndLabels, Slice
from autosam.data.sources.release_files import by_number, pair_up, read_mask
from autosam.images import read_image


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

    Parameters
    ----------
    volume : str
        Its name.
    images, masks : Path
        The folders. Where both number their files without gaps but from different starts,
        they are paired by order.
    group, split
        Those of `Slice`.
    read : callable
        Reads a mask.

    Raises
    ------
    InputError
        If a slice has no partner.
    """
    raw, truth = by_number(images), by_number(masks)
    if set(raw) != set(truth) and len(raw) == len(truth) and _gapless(raw) and _gapless(truth):
        truth = dict(zip(raw, truth.values(), strict=True))

    def reader(image: Path, mask: Path) -> ImageAndLabels:
        return read_image(image), read(mask)

    return [
        Slice(
            f"{volume}_z{z:04d}",
            partial(reader, image, mask),
            group=group or volume,
            volume=volume,
            z=z,
            split=split,
        )
        for z, image, mask in pair_up(raw, truth, source=volume)
    ]


def _gapless(numbers: dict[int, Path]) -> bool:
    return bool(numbers) and max(numbers) - min(numbers) + 1 == len(numbers)

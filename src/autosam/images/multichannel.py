"""The channels of multichannel images: NAME_dapi.tif and NAME_gfp.tif, or one file with a channel axis."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError
from autosam.images.image_source import ImageSource
from autosam.images.read import read_image, read_stored

MOST_NAMED = 5
"""Incomplete images that an error names; the others are counted."""

_Groups = dict[tuple[Path, str, str | None, int | None], dict[str, ImageSource]]


@dataclass(frozen=True)
class MultichannelImage:
    """Aligned images of one place, each a channel.

    Attributes
    ----------
    name, image : str
        Those of `ImageSource`.
    sources : tuple of ImageSource
        The channels, in their order; with `split`, the one file whose channel axis holds them all.
    """

    name: str
    image: str
    sources: tuple[ImageSource, ...]
    split: bool = False

    @property
    def folder(self) -> Path:
        """That of `ImageSource`."""
        return self.sources[0].folder

    def resolved(self) -> "MultichannelImage":
        """Give the same image with absolute paths."""
        return replace(self, sources=tuple(source.resolved() for source in self.sources))

    def __str__(self) -> str:
        return " + ".join(map(str, self.sources))


class FoundChannels(NamedTuple):
    """Multichannel images in the order of their first files, and the sources that belong to none."""

    images: list[MultichannelImage]
    left_out: list[ImageSource]


def find_channels(sources: Sequence[ImageSource], endings: Sequence[str]) -> FoundChannels:
    """Group images whose stems differ in an ending.

    Parameters
    ----------
    sources : sequence of ImageSource
        From `find_sources`; pages of files are grouped page by page.
    endings : sequence of str
        Endings of the stems of the channels' files, such as ``_dapi``; upper and lower case differ. Where several
        fit, the longest counts. Their order is the order of the channels. Files of one folder whose stems are
        equal before the ending make one image of that name.

    Raises
    ------
    InputError
        If an ending is empty or given twice, no file has one, images lack a channel, or two have one name.

    Examples
    --------
    >>> files = [ImageSource(Path(name)) for name in ("a_r.tif", "a_g.png", "b.tif")]
    >>> found = find_channels(files, ["_g", "_r"])
    >>> [(image.name, str(image)) for image in found.images], [str(source) for source in found.left_out]
    ([('a', 'a_g.png + a_r.tif')], ['b.tif'])
    """
    if not all(endings) or len(set(endings)) < len(endings) or not endings:
        raise InputError(
            f"the endings of the channels are {', '.join(map(repr, endings)) or 'missing'}; wanted one or more, "
            "all different, such as _dapi,_gfp."
        )
    groups: _Groups = {}
    left_out = []
    for source in sources:
        stem = source.stem
        fitting = [ending for ending in endings if stem.endswith(ending) and stem != ending]
        if not fitting:
            left_out.append(source)
            continue
        ending = max(fitting, key=len)
        key = (source.path.parent, stem.removesuffix(ending), source.dataset, source.page)
        other = groups.setdefault(key, {}).setdefault(ending, source)
        if other is not source:
            raise InputError(
                f"{other} and {source} are both the channel {ending} of {key[1]}; rename one of them."
            )
    if not groups:
        raise InputError(f"none of the {len(sources)} names ends in {' or '.join(endings)}; correct the endings.")
    _check_complete(groups, endings)
    images = [_join(key[1], [group[ending] for ending in endings]) for key, group in groups.items()]
    by_name: dict[tuple[Path, str], MultichannelImage] = {}
    for image in images:
        twin = by_name.setdefault((image.folder, image.name.casefold()), image)
        if twin is not image:
            raise InputError(
                f"{twin} and {image} would both write their results as {image.name}; run them apart with "
                "different output folders."
            )
    return FoundChannels(images, left_out)


def split_channels(sources: Sequence[ImageSource]) -> list[MultichannelImage]:
    """Take the channel axis of every source for the channels of an image."""
    return [MultichannelImage(source.name, source.image, (source,), split=True) for source in sources]


def read_channels(channels: MultichannelImage) -> list[NDArray[Any]]:
    """Read the channels of an image, each (H, W), values as stored; errors as of `read_image`.

    A file of its own that holds colors comes as (H, W, 3), which `normalize_channels` refuses. With ``split``,
    the channels of a multichannel image or the colors of a picture come one by one. A TIFF whose pages have no C
    axis holds several images, not channels.
    """
    if not channels.split:
        return [read_image(source) for source in channels.sources]
    (source,) = channels.sources
    pixels, image = read_stored(source)
    if pixels.ndim == 2:
        return [pixels]
    return [np.ascontiguousarray(channel) for channel in (np.moveaxis(pixels, -1, 0) if image.color else pixels)]


def _join(stem: str, sources: list[ImageSource]) -> MultichannelImage:
    first = sources[0]
    name = replace(first, path=first.path.with_name(stem + first.path.suffix)).name
    return MultichannelImage(name, name, tuple(sources))


def _check_complete(groups: _Groups, endings: Sequence[str]) -> None:
    lacking = []
    for (_, stem, _, page), group in groups.items():
        missing = [stem + ending for ending in endings if ending not in group]
        if missing:
            there = next(iter(group.values()))
            where = "" if page is None else f" (page {page})"
            lacking.append(f"{' and '.join(missing)}{where} beside {there}")
    if lacking:
        named, more = "; no ".join(lacking[:MOST_NAMED]), len(lacking) - MOST_NAMED
        raise InputError(
            f"{len(lacking)} of {len(groups)} images lack a channel: there is no {named}"
            f"{f'; and so on for {more} more' if more > 0 else ''}. Add the files, or name fewer channels."
        )

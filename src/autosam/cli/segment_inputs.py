"""What `autosam segment` is given besides plain images: channels of one scene, and the truth for an oracle."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from autosam.evaluation.volumes import LabelRef
    from autosam.images import ImageSource
    from autosam.images.multichannel import MultichannelImage

ALL = "all"
"""--channels all: the channel axis of each file holds the channels."""

SMALLEST_COMPONENT = 50
"""Smallest object of a semantic truth in pixels, as of `autosam evaluate --components`."""

MOST_NAMED = 5
"""Files that a message names before it only counts them."""


class Truths(NamedTuple):
    """The truth of every image, and the hash of all of them."""

    of: "Callable[[ImageSource | MultichannelImage], NDArray[np.integer[Any]]]"
    sha256: str


def find_channels(sources: "Sequence[ImageSource]", channels: str) -> "list[MultichannelImage]":
    """Group images into scenes as ``--channels`` says, and say which are left out.

    Parameters
    ----------
    sources : sequence of ImageSource
    channels : str
        ``all``, or the endings of the channels' stems with commas between them.

    Raises
    ------
    InputError
        As of `autosam.images.multichannel.find_channels`.
    """
    from autosam.images.multichannel import find_channels, split_channels

    if channels == ALL:
        return split_channels(sources)
    endings = [ending.strip() for ending in channels.split(",")]
    found = find_channels(sources, endings)
    if found.left_out:
        names = [source.name for source in found.left_out]
        count = f"{len(names)} image{' is' if len(names) == 1 else 's are'}"
        typer.echo(f"{count} left out, whose names end in none of {', '.join(endings)}: {_listed(names)}.")
    return found.images


def read_truths(place: str, sources: "Sequence[ImageSource | MultichannelImage]", *, components: bool) -> Truths:
    """Pair images with true labels, and read all of these once to find their faults before the work starts.

    Parameters
    ----------
    place : str
        Where labels are, as `autosam evaluate` takes it: a file, a folder, a quoted pattern, a store and so on.
        One single file is the truth of one single image, whatever their names; otherwise the names must be equal.
    sources : sequence of ImageSource or MultichannelImage
    components : bool
        The labels are semantic: their connected components of at least 50 pixels are the objects.

    Raises
    ------
    InputError
        If labels are missing or cannot be read, or hold a volume.
    """
    from autosam.errors import InputError
    from autosam.metrics.components import looks_semantic

    labels_of = _paired(place, [source.name for source in sources])
    digest, semantic = sha256(), 0
    for name, labeled in labels_of.items():
        labels = _read(labeled, name, components=components)
        if labels.ndim != 2:
            raise InputError(
                f"the truth of {name} in {place} has shape {labels.shape}; wanted (H, W): give one label "
                "image for each image"
            )
        semantic += not components and looks_semantic(labels)
        digest.update(f"{name} {labels.shape} ".encode())
        digest.update(labels.astype("<u8").tobytes())
    if semantic:
        typer.echo(
            f"{semantic} file{'' if semantic == 1 else 's'} of the truth may be semantic, with one id for all "
            "objects; --components makes objects of them."
        )

    def truth_of(source: "ImageSource | MultichannelImage") -> "NDArray[np.integer[Any]]":
        return _read(labels_of[source.name], source.name, components=components)

    return Truths(truth_of, digest.hexdigest())


def _paired(place: str, names: Sequence[str]) -> "dict[str, LabelRef]":
    from autosam.errors import InputError
    from autosam.evaluation.find_labels import find_labels

    found = find_labels(place)
    if found.single and len(names) == len(found.slices) == 1:
        return {names[0]: next(iter(found.slices.values()))}
    missing = [name for name in names if found.as_name(name) not in found.slices]
    if missing:
        raise InputError(
            f"--oracle-mask {place} holds no truth for {_listed(missing)}; wanted labels of the same names, "
            f"such as {missing[0]}.tif or {missing[0]}_labels.tif"
        )
    return {name: found.slices[found.as_name(name)] for name in names}


def _read(labeled: "LabelRef", name: str, *, components: bool) -> "NDArray[np.integer[Any]]":
    from autosam.errors import InputError
    from autosam.evaluation.volumes import open_labels
    from autosam.metrics.components import components as connected

    try:
        with open_labels(labeled) as volume:
            labels = volume.whole()
    except InputError as error:
        raise InputError(f"the truth of {name}: {error}") from error
    return connected(labels, min_size=SMALLEST_COMPONENT) if components else labels


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")

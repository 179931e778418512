"""The ground truth of a batch of images, for an oracle."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError, listed
from autosam.evaluation.find_labels import find_labels
from autosam.evaluation.label_refs import LabelRef
from autosam.evaluation.volumes import read_instances
from autosam.images.image_source import ImageSource
from autosam.images.multichannel import MultichannelImage
from autosam.metrics.semantic import looks_semantic
from autosam.pipeline.outputs import result_name

SMALLEST_COMPONENT = 50
"""Smallest object of a semantic truth in pixels, as of `autosam evaluate --components`."""


@dataclass(frozen=True)
class Truths:
    """The ground truth of every image.

    Attributes
    ----------
    of : callable
        Reads the labels of an image, (H, W).
    sha256 : str
        Hash of all of them.
    semantic : int
        Number of images whose labels look like a semantic mask.
    """

    of: Callable[[ImageSource | MultichannelImage], NDArray[np.integer[Any]]]
    sha256: str
    semantic: int


def open_truths(given: str, sources: Sequence[ImageSource | MultichannelImage], *, components: bool) -> Truths:
    """Pair images with true labels, and read all of these once to find their faults before the work starts.

    Parameters
    ----------
    given : str
        Where labels are, as `find_labels` takes it. One single file is the truth of one single image, whatever
        their names; otherwise the names must be equal.
    components : bool
        The labels are semantic: their connected components of at least 50 pixels are the objects.

    Raises
    ------
    InputError
        If labels are missing or cannot be read, or hold a volume.
    """
    labels_of = pair_labels(given, sources, option="--oracle-mask", what="truth")
    digest, semantic = sha256(), 0
    for name, source in labels_of.items():
        labels = _read(source, name, components=components)
        if labels.ndim != 2:
            raise InputError(
                f"the truth of {name} in {given} has shape {labels.shape}; wanted (H, W): give one label "
                "image for each image"
            )
        semantic += not components and looks_semantic(labels)
        digest.update(f"{name} {labels.shape} ".encode())
        digest.update(labels.astype("<u8").tobytes())
    return Truths(partial(_truth_of, labels_of, components), digest.hexdigest(), semantic)


def _truth_of(
    labels_of: dict[str, LabelRef], components: bool, source: ImageSource | MultichannelImage
) -> NDArray[np.integer[Any]]:
    name = result_name(source)
    return _read(labels_of[name], name, components=components)


def pair_labels(
    given: str, sources: Sequence[ImageSource | MultichannelImage], *, option: str, what: str
) -> dict[str, LabelRef]:
    """Find the labels of each image by its name in the tree of results, or by a bare name that no other has.

    Raises
    ------
    InputError
        If there are none for an image; ``option`` and ``what`` name them in the message.
    """
    found = find_labels(given)
    number = Counter(source.name for source in sources)
    labels: dict[str, LabelRef | None] = {}
    for source in sources:
        names = [result_name(source), *([source.name] if number[source.name] == 1 else [])]
        there = [found.slices[name] for name in map(found.as_name, names) if name in found.slices]
        labels[names[0]] = there[0] if there else None
    if found.single and len(labels) == len(found.slices) == 1:
        return {next(iter(labels)): next(iter(found.slices.values()))}
    missing = [name for name, one in labels.items() if one is None]
    if missing:
        raise InputError(
            f"{option} {given} holds no {what} for {listed(missing)}; wanted labels of "
            f"the same names, such as {missing[0]}.tif or {missing[0]}_labels.tif"
        )
    return {name: one for name, one in labels.items() if one is not None}


def _read(source: LabelRef, name: str, *, components: bool) -> NDArray[np.integer[Any]]:
    try:
        return read_instances(source, SMALLEST_COMPONENT if components else None)
    except InputError as error:
        raise InputError(f"the truth of {name}: {error}") from error

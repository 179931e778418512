"""A pair of labels, opened, with the objects that count."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod

import numpy as np

from autosam.evaluation.label_refs import LabelRef, LazyLabels
from autosam.evaluation.pairing import Pair
from autosam.evaluation.volume_components import IGNORED, volume_components
from autosam.evaluation.volumes import BLOCK_VOXELS, check_valid, open_labels
from autosam.images.label_volume import LabelVolume
from autosam.metrics.components import components
from autosam.metrics.label_arrays import check_shapes


@dataclass(frozen=True)
class ObjectRules:
    """What objects and which pixels of labels count; see `score_predictions`."""

    truth_size: int | None = None
    pred_size: int | None = None
    ignore: int | None = None


@dataclass(frozen=True)
class OpenPair:
    """Labels of a prediction and its truth, of which parts can be read.

    Attributes
    ----------
    pred, truth : LabelVolume
        Of equal shapes; components, where labels are semantic.
    valid : LabelVolume or None
        Mask of the pixels that count.
    ignore : int or None
        Number in `truth` of pixels that do not count either.
    """

    pred: LabelVolume
    truth: LabelVolume
    valid: LabelVolume | None
    ignore: int | None


@contextmanager
def open_pair(pair: Pair, rules: ObjectRules, *, in_memory: int) -> Iterator[OpenPair]:
    """Open a pair; it is valid within the ``with`` block.

    Parameters
    ----------
    in_memory : int
        Voxels from which components of a volume are made slice by slice.

    Raises
    ------
    InputError
        If labels cannot be opened or their shapes differ.
    """
    with ExitStack() as stack:
        pred = stack.enter_context(open_labels(pair.pred))
        truth = stack.enter_context(open_labels(pair.truth, ignore=rules.ignore))
        valid = None if pair.valid is None else stack.enter_context(open_labels(pair.valid))
        check_shapes(pred.shape, truth.shape)
        if valid is not None:
            check_valid(valid, truth)
        ignore = rules.ignore
        if rules.pred_size is not None:
            pred = _components(pred, pair.pred, rules.pred_size, None, in_memory)
        if rules.truth_size is not None:
            truth = _components(truth, pair.truth, rules.truth_size, ignore, in_memory)
            ignore = None if ignore is None else IGNORED
        yield OpenPair(pred, truth, valid, ignore)


def _components(
    mask: LabelVolume, place: LabelRef, min_size: int, ignore: int | None, in_memory: int
) -> LabelVolume:
    numbers = place.numbers if isinstance(place, LazyLabels) else ()
    gaps = len(numbers) > 0 and numbers[-1] - numbers[0] >= len(numbers)
    if len(mask.shape) == 3 and (gaps or prod(mask.shape) > in_memory):
        return volume_components(
            mask, min_size=min_size, ignore=ignore, numbers=numbers, voxels=min(BLOCK_VOXELS, in_memory)
        )
    stored = mask.whole(ignore=ignore)
    if ignore is None:
        return LabelVolume.of_array(mask.name, components(stored, min_size=min_size))
    outside = stored == ignore
    ids = components((stored != 0) & ~outside, min_size=min_size).astype(np.int64)
    ids[outside] = IGNORED
    return LabelVolume.of_array(mask.name, ids)

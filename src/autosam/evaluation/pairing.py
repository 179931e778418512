"""Which predicted labels belong to which true ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autosam.errors import InputError, listed
from autosam.evaluation.find_labels import find_labels
from autosam.evaluation.label_refs import LabelRef
from autosam.evaluation.label_sources import LabelSource, label_files
from autosam.evaluation.pages import match_pages, slice_of
from autosam.evaluation.volumes import open_labels
from autosam.images.valid_masks import NO_MASKS, misnamed_masks, valid_beside
from autosam.metrics.label_arrays import check_shapes

MOST_NAMED = 20
"""Names without a partner that a message tells; it counts the others."""


@dataclass(frozen=True)
class Pair:
    """A prediction and its truth, the name that they share, and a mask of the pixels that count; None for all."""

    name: str
    pred: LabelRef
    truth: LabelRef
    valid: LabelRef | None = None


def pair_labels(
    pred: LabelSource, truth: LabelSource, *, stems: Sequence[str] | None = None
) -> tuple[list[Pair], list[str]]:
    """Pair the labels of two sources by name.

    Two single files are a pair whatever their names; one single file is compared with the labels of its stem
    alone. A volume of a source is compared as a whole where the other side has its name, else slice by slice; so
    is a stack whose pages are files on the other side (`match_pages`). Labels in subfolders count where both sides
    have some.

    Parameters
    ----------
    pred, truth : LabelSource
        From `find_labels`.
    stems : sequence of str, optional
        Compare these alone; by default all must have a partner.

    Returns
    -------
    pairs : list of Pair
        Those that there are, sorted by name.
    missing : list of str
        Who has no partner.

    Raises
    ------
    InputError
        If two files have one name in the other source.
    """
    as_name = next((source.as_name for source in (pred, truth) if source.as_name is not str), str)
    pred, truth = (
        replace(
            source,
            slices=_renamed(source.slices, as_name),
            volumes=_renamed(source.volumes, as_name),
            valid=_renamed(source.valid, as_name),
        )
        for source in (pred, truth)
    )
    preds, truths = dict(_side(pred, truth)), dict(_side(truth, pred))
    if not all(any("/" in name for name in side) for side in (preds, truths)):
        preds, truths = ({n: found for n, found in side.items() if "/" not in n} for side in (preds, truths))
    named = None if stems is None else {as_name(stem) for stem in stems}
    alone = [side.keys() for side, source in ((preds, pred), (truths, truth)) if source.single and len(side) == 1]
    if named is None and len(alone) == 2:
        (pred_name, found), (true_name, true) = next(iter(preds.items())), next(iter(truths.items()))
        return [Pair(pred_name, found, true, truth.valid.get(true_name))], []
    wanted = named or set().union(*(alone[:1] or (preds, truths)))
    valid = dict(truth.valid)
    for files, stacks, masks, source in ((preds, truths, valid, pred), (truths, preds, {}, truth)):
        wanted = _with_pages(wanted, files, stacks, masks, given=source.name, some=named is not None)
    names = sorted(wanted)
    faults = [
        f"{what} for {listed(missing, most=MOST_NAMED)} in {source.name}"
        for what, source, side in (("no prediction", pred, preds), ("no truth", truth, truths))
        if (missing := [name for name in names if name not in side])
    ]
    return [
        Pair(name, preds[name], truths[name], valid.get(name))
        for name in names
        if name in preds and name in truths
    ], faults


def _with_pages(
    wanted: set[str],
    files: dict[str, LabelRef],
    stacks: dict[str, LabelRef],
    masks: dict[str, LabelRef],
    *,
    given: str,
    some: bool,
) -> set[str]:
    """Add slices of stacks and of their masks where pages are files on the other side; return what to compare.

    Pages that are named alone are compared alone.
    """
    alone = [
        {n: found for n, found in side.items() if n not in other}
        for side, other in ((files, stacks), (stacks, files))
    ]
    for stack, numbers in match_pages(*alone, given=given, some=some).items():
        for side in (stacks, masks):
            if stack in side:
                side |= {page: slice_of(side[stack], number) for page, number in numbers.items()}
        if stack in wanted:
            wanted = wanted - {stack} | numbers.keys()
    return wanted


def pair_predictions(
    preds: Sequence[str],
    truth: str,
    *,
    stems: Sequence[str] | None = None,
    valid: str | None = None,
    prepare: Callable[[LabelSource], LabelSource] = lambda source: source,
) -> tuple[dict[str, list[Pair]], list[str]]:
    """Find the labels of several predictions and of one truth, and pair each as `pair_labels` does.

    Where a partner is missing, the pairs that there are get looked at too: sizes that differ and files that cannot
    be opened are named in the same error.

    Parameters
    ----------
    preds, truth : str
        As of `find_labels`.
    stems : sequence of str, optional
        As of `pair_labels`.
    valid : str, optional
        As of `choose_masks`.
    prepare : callable, optional
        Changes a source before it is paired, such as `stack_slices`.

    Returns
    -------
    pairs : dict of str to list of Pair
        By prediction.
    notes : list of str
        What a reader of the scores should know.

    Raises
    ------
    InputError
        One error that names all faults of all predictions; or if they have different truths.
    """
    found: dict[str, LabelSource] = {}
    pairs: dict[str, list[Pair]] = {}
    faults: list[str] = []
    missing: list[str] = []
    for given in dict.fromkeys((*preds, truth)):
        try:
            found[given] = find_labels(given)
        except InputError as error:
            faults.append(str(error))
    if truth in found:
        found[truth] = _told_of_misnamed(choose_masks(found[truth], valid), valid)
    for given in list(found):
        try:
            found[given] = prepare(found[given])
        except InputError as error:
            faults.append(str(error))
            del found[given]
    for given in preds if truth in found else ():
        if given in found:
            try:
                pairs[given], lacking = pair_labels(found[given], found[truth], stems=stems)
            except InputError as error:
                faults.append(str(error))
            else:
                missing += lacking
    if missing:
        faults.append(_missing(missing))
    if truth in found and found[truth].masked:
        unmasked = sorted({pair.name for own in pairs.values() for pair in own if pair.valid is None})
        if unmasked:
            faults.append(f"no mask of valid pixels for {', '.join(unmasked)}: add it, or give --valid none")
    if faults:
        faults += [f"{given}: {fault}" for given, own in pairs.items() for fault in _unlike(own)]
        raise InputError("; ".join(dict.fromkeys(faults)))
    _refuse_different_truths(pairs)
    return pairs, [note for source in found.values() for note in source.notes]


def choose_masks(
    truth: LabelSource,
    valid: str | None,
    *,
    beside: Callable[[Path], Mapping[str, str]] = valid_beside,
    files: Callable[[str], LabelSource] = label_files,
) -> LabelSource:
    """Give a truth the masks of the pixels that count.

    Parameters
    ----------
    valid : str, optional
        A folder or pattern of masks with the names of the truth, or one mask for one truth; "none" for no masks.
        By default those that the truth brings: of label files those in a folder ``valid`` beside theirs.
    beside, files : callable
        List the masks beside a folder of labels, and those that were given: for many truths of one folder, each
        list is to be made once.

    Raises
    ------
    InputError
        If there are no such files.
    """
    if valid is None:
        if truth.folder is None:
            return truth
        there = {truth.as_name(name): mask for name, mask in beside(truth.folder).items()}
        found = {name: there[name] for name in truth.slices if name in there}
        return replace(truth, valid=found, masked=bool(found))
    if valid == NO_MASKS:
        return replace(truth, valid={}, masked=False)
    masks: Mapping[str, LabelRef] = files(valid).slices
    if truth.single and len(masks) == 1:
        masks = dict.fromkeys((*truth.slices, *truth.volumes), next(iter(masks.values())))
    return replace(truth, valid=masks, masked=True)


def _told_of_misnamed(truth: LabelSource, valid: str | None) -> LabelSource:
    """Note masks beside a truth that have other names."""
    if valid is not None or truth.valid or truth.folder is None or not (said := misnamed_masks(truth.folder)):
        return truth
    return replace(truth, notes=(*truth.notes, f"{said}: every pixel counts"))


def _side(source: LabelSource, other: LabelSource) -> Mapping[str, LabelRef]:
    """Return the labels of a source by name, a volume whole or slice by slice as the other side has it."""
    named_there = other.slices.keys() | other.volumes.keys()
    fits_any_name = source.single and other.single and not named_there & source.slices.keys()
    whole = fits_any_name or named_there & (source.volumes.keys() - source.slices.keys())
    return source.volumes if whole else source.slices


def _renamed(labels: Mapping[str, LabelRef], as_name: Callable[[str], str]) -> dict[str, LabelRef]:
    named: dict[str, LabelRef] = {}
    for stem, found in labels.items():
        name = as_name(stem)
        if name in named:
            raise InputError(f"{named[name]} and {found} are both called {name} here: rename one of them")
        named[name] = found
    return named


def _missing(faults: Sequence[str]) -> str:
    return (
        f"{'; '.join(dict.fromkeys(faults))}: add the files, or give --list with the stems that are to be compared"
    )


def _unlike(pairs: Sequence[Pair]) -> list[str]:
    faults = []
    for pair in pairs:
        try:
            with open_labels(pair.pred) as pred, open_labels(pair.truth) as truth:
                check_shapes(pred.shape, truth.shape)
        except InputError as error:
            faults.append(f"{pair.name}: {error}")
    return faults


def _refuse_different_truths(pairs: Mapping[str, Sequence[Pair]]) -> None:
    truths = {given: [pair.truth for pair in own] for given, own in pairs.items()}
    first, expected = next(iter(truths.items()))
    others = {given: len(own) for given, own in truths.items() if own != expected}
    if others:
        counts = ", ".join(f"{given} with {number}" for given, number in others.items())
        raise InputError(
            f"{first} is compared with {len(expected)} truths, and with different truths {counts}: give "
            "predictions of the same images, or --list with those they share"
        )

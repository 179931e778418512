"""Which predicted labels belong to which true ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from autosam.errors import InputError
from autosam.evaluation.label_sources import LabelSet, LabelSource, Place, is_one_file, label_files, open_source
from autosam.metrics.contingency import check_shapes


@dataclass(frozen=True)
class Pair:
    """A prediction and its truth.

    Attributes
    ----------
    name : str
        The stem that they share.
    pred, truth : str or LazyLabels
        Paths, of HDF5 with ``:/dataset`` where it was given; or labels that are not a file of their own.
    """

    name: str
    pred: LabelSource
    truth: LabelSource


def pair_files(pred: Place, truth: Place, *, stems: Sequence[str] | None = None) -> list[Pair]:
    """Pair the labels of two places by stem.

    A place is a file, ``file.h5:/dataset``, a folder, a glob pattern or a `LabelSet`. In the output folder of
    ``autosam segment`` only the ``NAME_labels.*`` files count, and ``NAME`` is their stem. Two single files
    are a pair whatever their names; one single file is compared with the file of its stem alone. A volume of a
    set is compared as a whole where the other side has its name, else slice by slice.

    Parameters
    ----------
    pred, truth : str or LabelSet
        The two places.
    stems : sequence of str, optional
        Compare these alone; by default all must have a partner.

    Returns
    -------
    list of Pair
        Sorted by name.

    Raises
    ------
    InputError
        If a place does not exist or has no label files, two files share a stem, or partners are missing:
        every missing one is named.
    """
    pairs, faults = _pair(pred, truth, stems)
    if faults:
        raise _missing(faults)
    return pairs


def pair_predictions(
    preds: Mapping[str, Place], truth: Place, *, stems: Sequence[str] | None = None
) -> dict[str, list[Pair]]:
    """Pair several predictions with one truth, each as `pair_files` does.

    Where a partner is missing, the pairs that there are get looked at too: sizes that differ and files that cannot
    be opened are named in the same error.

    Parameters
    ----------
    preds : mapping of str to (str or LabelSet)
        Predictions by name.
    truth : str or LabelSet
        The truth of all.
    stems : sequence of str, optional
        Compare these alone.

    Returns
    -------
    dict of str to list of Pair
        By the name of the prediction.

    Raises
    ------
    InputError
        One error that names all faults of all predictions.
    """
    found: dict[str, list[Pair]] = {}
    places: list[str] = []
    missing: list[str] = []
    for name, pred in preds.items():
        try:
            found[name], lacking = _pair(pred, truth, stems)
        except InputError as error:
            places.append(str(error))
        else:
            missing += lacking
    if places or missing:
        faults = list(dict.fromkeys(places))
        if missing:
            faults.append(str(_missing(list(dict.fromkeys(missing)))))
        faults += [f"{name}: {fault}" for name, pairs in found.items() for fault in _unlike(pairs)]
        raise InputError("; ".join(faults))
    return found


def _pair(pred: Place, truth: Place, stems: Sequence[str] | None) -> tuple[list[Pair], list[str]]:
    """Return the pairs that there are, and who has no partner."""
    preds, truths = _sides(pred, truth)
    if stems is None:
        alone = [_single(place) and len(side) == 1 for place, side in ((pred, preds), (truth, truths))]
        if all(alone):
            (name, only_pred), (only_truth,) = next(iter(preds.items())), truths.values()
            return [Pair(name, only_pred, only_truth)], []
        lone = [side for side, single in zip((preds, truths), alone, strict=True) if single]
        wanted = sorted(lone[0] if lone else preds.keys() | truths.keys())
    else:
        rename = _rename(pred, truth)
        wanted = sorted({rename(stem) for stem in stems})
    faults = [
        f"{what} for {', '.join(missing)} in {place if isinstance(place, str) else place.name}"
        for what, place, side in (("no prediction", pred, preds), ("no truth", truth, truths))
        if (missing := [stem for stem in wanted if stem not in side])
    ]
    there = [name for name in wanted if name in preds and name in truths]
    return [Pair(name, preds[name], truths[name]) for name in there], faults


def _sides(pred: Place, truth: Place) -> tuple[dict[str, LabelSource], dict[str, LabelSource]]:
    """Return the labels of both places by name, a volume whole or slice by slice as the other side has it."""
    places, rename = (pred, truth), _rename(pred, truth)
    files: list[dict[str, LabelSource]] = []
    for place in places:
        named: dict[str, LabelSource] = {}
        for stem, file in (label_files(place) if isinstance(place, str) else {}).items():
            if rename(stem) in named:
                raise InputError(
                    f"{named[rename(stem)]} and {file} are both called {rename(stem)} here: rename one of them"
                )
            named[rename(stem)] = file
        files.append(named)
    sides: list[dict[str, LabelSource]] = []
    for number, place in enumerate(places):
        if isinstance(place, str):
            sides.append(files[number])
            continue
        other = places[1 - number]
        named_there = {*files[1 - number], *(() if isinstance(other, str) else (*other.slices, *other.volumes))}
        fits_any_name = place.single and not named_there & place.slices.keys() and _single(other)
        whole = fits_any_name or named_there & (place.volumes.keys() - place.slices.keys())
        sides.append(dict(place.volumes if whole else place.slices))
    return sides[0], sides[1]


def _single(place: Place) -> bool:
    return is_one_file(place) if isinstance(place, str) else place.single


def _rename(*places: Place) -> Callable[[str], str]:
    return next((place.as_name for place in places if isinstance(place, LabelSet)), str)


def _missing(faults: Sequence[str]) -> InputError:
    return InputError(f"{'; '.join(faults)}: add the files, or give --list with the stems that are to be compared")


def _unlike(pairs: Sequence[Pair]) -> list[str]:
    faults = []
    for pair in pairs:
        try:
            with open_source(pair.pred) as pred, open_source(pair.truth) as truth:
                check_shapes(pred.shape, truth.shape)
        except InputError as error:
            faults.append(f"{pair.name}: {error}")
    return faults

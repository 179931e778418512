"""Volumes made for a comparison: slices that are files of their own, stacked, and parts of volumes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import InputError, listed
from autosam.evaluation.label_refs import LabelRef, LazyLabels
from autosam.evaluation.label_sources import LabelSource
from autosam.evaluation.pairing import Pair
from autosam.evaluation.volumes import open_labels
from autosam.images.label_volume import LabelVolume, Region


def stack_slices(
    source: LabelSource, *, stems: Sequence[str] | None = None, ignore: int | None = None
) -> LabelSource:
    """Make volumes of labels whose slices are files or items of their own, in order of their numbers.

    Names that differ in one number are slices of one volume: ``z000`` to ``z020``. Of several such numbers the
    last one counts slices, and the others tell volumes apart: ``a1_z000``, ``a2_z000``. One file, and the volumes
    of a store, stay as they are.

    Parameters
    ----------
    stems : sequence of str, optional
        Take these slices alone.
    ignore : int, optional
        Number of pixels that do not count, which may be negative.

    Raises
    ------
    InputError
        If a slice that is named is missing, names have no numbers or the same ones, or some slices have a mask of
        valid pixels and others have none.
    """
    if source.volumes != source.slices:
        return replace(source, slices=source.volumes)
    if source.single:
        return source
    wanted = None if stems is None else [source.as_name(stem) for stem in stems]
    if missing := [stem for stem in wanted or () if stem not in source.slices]:
        raise InputError(f"{source.name} has no slice {listed(missing)}: correct --list")
    names = list(source.slices) if wanted is None else wanted
    if not all(map(_digits, names)):
        without = [name for name in names if not _digits(name)]
        raise InputError(f"{source.name}: {listed(without)} has no number in its name, so its place is not known")
    volumes: dict[str, LabelRef] = {}
    valid: dict[str, LabelRef] = {}
    notes = list(source.notes)
    found = _volumes_of(names)
    if len(found) == 1 and Path(source.name).is_dir():
        found = {Path(source.name).name: next(iter(found.values()))}
    for volume, numbers in found.items():
        slices = list(numbers)
        steps = _steps(f"{source.name}: {volume}", numbers)
        volumes[volume] = _stack(f"{source.name}:{volume}", [source.slices[s] for s in slices], steps, ignore)
        notes.append(f"{source.name}: {len(slices)} slices, {slices[0]} to {slices[-1]}, are one volume")
        if steps[-1] > len(steps) - 1:
            notes[-1] += f"; {steps[-1] + 1 - len(steps)} between them are missing, and components end there"
        masks = [source.valid[s] for s in slices if s in source.valid]
        if masks and len(masks) < len(slices):
            lacking = [s for s in slices if s not in source.valid]
            raise InputError(f"no mask of valid pixels for {listed(lacking)}: add it, or give --valid none")
        if masks:
            valid[volume] = _stack(f"{source.name}:{volume} valid", masks, steps, None)
    return replace(
        source, slices=volumes, volumes=volumes, single=len(volumes) == 1, valid=valid, notes=tuple(notes)
    )


def cut_pairs(pairs: Sequence[Pair], region: Region) -> list[Pair]:
    """Restrict pairs to a part, one slice for each axis; a volume's ids and components are those inside.

    Raises
    ------
    InputError
        If labels have another number of axes, or end before.
    """
    return [
        replace(
            pair,
            pred=_part(pair.pred, region),
            truth=_part(pair.truth, region),
            valid=None if pair.valid is None else _part(pair.valid, region),
        )
        for pair in pairs
    ]


def parse_region(given: str) -> Region:
    """Read ``z0:z1,y0:y1,x0:x1``; an empty bound is that of the volume.

    Raises
    ------
    InputError
        If it reads otherwise.

    Examples
    --------
    >>> parse_region("0:20,:,128:640")
    (slice(0, 20, None), slice(None, None, None), slice(128, 640, None))
    """
    sides = [re.fullmatch(r"\s*(\d*)\s*:\s*(\d*)\s*", side) for side in given.split(",")]
    bounds = [[int(bound) if bound else None for bound in side.groups()] for side in sides if side is not None]
    empty = any(first is not None and last is not None and first >= last for first, last in bounds)
    if len(sides) != 3 or len(bounds) != 3 or empty:
        raise InputError(f"--roi is {given!r}: give z0:z1,y0:y1,x0:x1, such as 0:20,:,128:640")
    return tuple(slice(*side) for side in bounds)


def start_of(region: str | None) -> tuple[int, int, int]:
    """Give the first voxel of a region as `parse_region` reads it; of the whole volume where there is none."""
    z, row, column = (side.start or 0 for side in parse_region(region or ":,:,:"))
    return z, row, column


def all_volumes(pairs: Sequence[Pair], *, ignore: int | None = None) -> bool:
    """Tell whether every truth has three axes; what cannot be opened is none."""
    try:
        for pair in pairs:
            with open_labels(pair.truth, ignore=ignore) as labels:
                if len(labels.shape) != 3:
                    return False
    except InputError:
        return False
    return len(pairs) > 0


def _digits(name: str) -> list[str]:
    return re.findall(r"\d+", name)


def _volumes_of(names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Group names into volumes; of each the number of every slice by its name, ascending."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        alike.setdefault(tuple(re.split(r"\d+", name)), []).append(name)
    found: dict[tuple[str, ...], dict[str, int]] = {}
    for same in alike.values():
        columns = list(zip(*([int(part) for part in _digits(name)] for name in same), strict=True))
        at = max((i for i, column in enumerate(columns) if len(set(column)) > 1), default=len(columns) - 1)
        for name, number in zip(same, columns[at], strict=True):
            parts = re.split(r"(\d+)", name)
            parts[2 * at + 1] = ""
            found.setdefault(tuple(parts), {})[name] = number
    named: dict[str, dict[str, int]] = {}
    for key, numbers in found.items():
        volume = re.sub(r"^\W+|[\W_]+$", "", "".join(key))
        by_number = dict(sorted(numbers.items(), key=lambda item: item[1]))
        named[volume if volume and volume not in named else next(iter(by_number))] = by_number
    return named


def _steps(what: str, numbers: Mapping[str, int]) -> tuple[int, ...]:
    """Count slices from 0 by their numbers, which may be some apart; a gap stays one."""
    values = list(numbers.values())
    apart = np.diff(values)
    if not apart.all():
        raise InputError(f"{what}: two slices have the number {values[int((apart == 0).argmax())]}")
    step = int(apart.min()) if len(apart) else 1
    return tuple((value - values[0]) // step for value in values)


def _stack(name: str, slices: Sequence[LabelRef], numbers: tuple[int, ...], ignore: int | None) -> LazyLabels:
    return LazyLabels(name, partial(_open_stack, name, slices, ignore), numbers=numbers)


def _open_stack(name: str, slices: Sequence[LabelRef], ignore: int | None) -> LabelVolume:
    with open_labels(slices[0], ignore=ignore) as first:
        shape = first.shape
    if len(shape) != 2:
        raise InputError(f"{first.name} has shape {shape}; wanted single slices: leave --volume out")

    def load(region: Region) -> NDArray[Any]:
        found = []
        for place in slices[region[0]]:
            with open_labels(place, ignore=ignore) as labels:
                if labels.shape != shape:
                    raise InputError(f"{labels.name} has shape {labels.shape} and {first.name} {shape}")
                found.append(labels.load(region[1:]))
        return np.stack(found)

    return LabelVolume(name, (len(slices), *shape), (1, *shape), load)


def _part(labels: LabelRef, region: Region) -> LazyLabels:
    name, numbers = (labels.name, labels.numbers) if isinstance(labels, LazyLabels) else (labels, ())
    return LazyLabels(name, partial(_open_part, labels, region), numbers=numbers[region[0]])


def _open_part(labels: LabelRef, region: Region) -> LabelVolume:
    with open_labels(labels) as volume:
        name, shape, chunks = volume.name, volume.shape, volume.chunks
    if len(shape) != len(region):
        raise InputError(f"{name} has shape {shape}; --roi wants a volume of three axes")
    if any((side.stop or side.start or 0) > n for side, n in zip(region, shape, strict=True)):
        raise InputError(f"{name} has shape {shape}, and --roi ends beyond it")
    sides = [range(*side.indices(n)) for side, n in zip(region, shape, strict=True)]

    def load(within: Region) -> NDArray[Any]:
        parts = (side[cut] for side, cut in zip(sides, within, strict=True))
        with open_labels(labels) as volume:
            return volume.load(tuple(slice(part.start, part.stop) for part in parts))

    return LabelVolume(name, tuple(map(len, sides)), chunks, load)

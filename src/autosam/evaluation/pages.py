"""Pages of a stack that are files of their own, against the slices of the stack as one file."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from autosam.errors import InputError
from autosam.evaluation.label_refs import LabelRef, LazyLabels
from autosam.evaluation.volumes import open_labels
from autosam.images.formats import HDF5_SUFFIXES
from autosam.images.image_source import split_dataset
from autosam.images.label_volume import LabelVolume


def match_pages(
    files: Mapping[str, LabelRef], stacks: Mapping[str, LabelRef], *, given: str, some: bool = False
) -> dict[str, dict[str, int]]:
    """Find files that are pages of stacks on the other side.

    ``vol_p000`` to ``vol_p164`` are the pages of ``vol``, as ``autosam segment`` names the images of one file. So
    are other endings of letters and numbers, such as ``vol_s0_z12``. After the name of an HDF5 file, its dataset
    may come first.

    Parameters
    ----------
    files, stacks : mapping of str to LabelRef
        Labels by name that have no partner.
    given : str
        Where the files are, for messages.
    some : bool
        Take some pages of a stack too, whose numbers count from 0. By default all must be there.

    Returns
    -------
    dict of str to dict of str to int
        By the name of the stack, the slice of each page by its name.

    Raises
    ------
    InputError
        If a stack has another number of slices than there are pages.
    """
    files_of: dict[str, list[str]] = {}
    for file in files:
        # By the beginnings of names, not each file against each stack: there may be thousands of both.
        for name in (file[: mark.start()] for mark in re.finditer("_", file)):
            if name in stacks and _is_ending(file.removeprefix(name), stacks[name]):
                files_of.setdefault(name, []).append(file)
    pages: dict[str, dict[str, int]] = {}
    for name, stack in stacks.items():
        if name not in files_of:
            continue
        named = sorted(files_of[name], key=_numbers)
        with open_labels(stack) as volume:
            depth = volume.shape[0] if len(volume.shape) == 3 else 1
        numbers = [int(match[1]) if (match := re.search(r"_p(\d+)$", file)) else depth for file in named]
        if depth == len(named):
            numbers = list(range(depth))
        elif not some or max(numbers) >= depth:
            raise InputError(
                f"{stack} has {depth} slice{'s' * (depth != 1)} and {given} {len(named)} "
                f"page{'s' * (len(named) != 1)} of it ({_listed(named)}): give as many of both"
            )
        pages[name] = dict(zip(named, numbers, strict=True))
    return pages


def _is_ending(ending: str, stack: LabelRef) -> bool:
    """Tell whether what follows a stack's name is that of a page."""
    path = Path() if not isinstance(stack, str) else split_dataset(stack)[0]
    dataset = r"(?:_[\w.-]+?)?" if path.suffix.lower() in HDF5_SUFFIXES else ""
    return re.fullmatch(dataset + r"(?:_[A-Za-z]+\d+)+", ending) is not None


def _numbers(name: str) -> tuple[tuple[int, ...], str]:
    return tuple(map(int, re.findall(r"\d+", name))), name


def slice_of(stack: LabelRef, number: int) -> LazyLabels:
    """Give one slice of a stack as labels of their own."""
    name = f"{stack}[{number}]"
    return LazyLabels(name, partial(_open_slice, stack, number, name))


def _open_slice(stack: LabelRef, number: int, name: str) -> LabelVolume:
    with open_labels(stack) as volume:
        *depth, height, width = (slice(0, n) for n in volume.shape)
        labels = volume.read((*(slice(number, number + 1) for _ in depth), height, width))
    return LabelVolume.of_array(name, labels.reshape(labels.shape[-2:]))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"

"""From what a user types (files, folders, globs, HDF5 datasets) to a list of images with distinct names."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autosam.errors import InputError
from autosam.images.folder_listing import (
    RUN_RECORD,
    fault_of,
    has_suffix,
    holds_results,
    is_result,
    is_store,
    made_of_others,
    tree_files,
)
from autosam.images.formats import IMAGE_SUFFIXES
from autosam.images.image_source import ImageSource, split_dataset
from autosam.images.readers import EVERYTHING, Selection, StoredImage, format_of, list_images
from autosam.images.urls import url_of

MOST_NAMED = 5
"""Files of one name that a reason names; the others are counted."""


@dataclass(frozen=True)
class LeftOut:
    """A file that was found and is not among the images.

    Attributes
    ----------
    reason : str
        A sentence that names the file.
    failure : bool
        It should be an image; False for what other programs have made of an image, such as its masks.
    """

    path: Path
    reason: str
    failure: bool


@dataclass(frozen=True)
class FoundSources:
    """The images that were found, and the files that were left out."""

    sources: tuple[ImageSource, ...]
    left_out: tuple[LeftOut, ...]


def find_sources(inputs: Sequence[str | Path], selection: Selection = EVERYTHING) -> list[ImageSource]:
    """List every image that the inputs name, once, in the order of the inputs.

    Inputs are files, folders, globs and HDF5 datasets (`file.h5:/dataset`). A folder is searched with its
    subfolders, by name, without hidden files, unknown suffixes, and folders with results. Masks and labels of an
    image beside them (``NAME_masks.tif``) are left out. Damaged files, and HDF5 files of a folder whose dataset is
    unclear, are listed too: `read_image` refuses them one by one.

    Parameters
    ----------
    selection : Selection
        Which images and which channel of a file to take.

    Raises
    ------
    InputError
        If an input does not exist, a folder or glob is empty, a file has an unknown suffix or is a pipe, a dataset
        is not there or not clear, a file lacks what is selected, or two images would write to the same files
        (upper and lower case taken as equal).
    """
    found = search_sources(inputs, selection)
    for left_out in found.left_out:
        if left_out.failure:
            raise InputError(left_out.reason)
    return list(found.sources)


def search_sources(
    inputs: Sequence[str | Path], selection: Selection = EVERYTHING, *, endings: Sequence[str] = ()
) -> FoundSources:
    """List images as `find_sources` does, and tell of single files what it refuses.

    Parameters
    ----------
    inputs, selection
        See `find_sources`.
    endings : sequence of str
        Endings of the stems of channels' files, which are not taken for masks of an image.

    Raises
    ------
    InputError
        If an input does not exist or cannot be read, a folder or glob is empty, or no image is left.
    """
    if not inputs:
        raise InputError("no image was given; name files, folders, globs or file.h5:/dataset.")
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    seen: dict[tuple[str, str | None, int | None], ImageSource] = {}
    left_out: dict[Path, LeftOut] = {}
    for text in inputs:
        for found in _expand(str(text), selection, endings):
            if isinstance(found, LeftOut):
                left_out.setdefault(found.path, found)
            else:
                seen.setdefault((os.path.realpath(found.path), found.dataset, found.page), found)
    distinct, clashing = _apart(list(seen.values()))
    # A file that is named, and also found beside its image, is an image.
    taken = {source.path for source in distinct}
    every = (*(one for path, one in left_out.items() if path not in taken), *clashing)
    if not distinct:
        failures = [one.reason for one in every if one.failure] or [one.reason for one in every]
        more = f" ({len(failures) - 1} more like it)" if len(failures) > 1 and not clashing else ""
        raise InputError(failures[0] + more)
    return FoundSources(tuple(distinct), every)


def _apart(sources: Sequence[ImageSource]) -> tuple[list[ImageSource], list[LeftOut]]:
    """Take out images that would write to the same files."""
    by_name: dict[tuple[str, str], list[ImageSource]] = {}
    for source in sources:
        by_name.setdefault((str(source.folder).casefold(), source.name.casefold()), []).append(source)
    clashing: dict[Path, LeftOut] = {}
    bad = set()
    for same in by_name.values():
        if len(same) == 1:
            continue
        bad.update(same)
        more = f" and {len(same) - MOST_NAMED} more" if len(same) > MOST_NAMED else ""
        reason = (
            f"{' and '.join(map(str, same[:MOST_NAMED]))}{more} would {'both' if len(same) == 2 else 'all'} write "
            f"their results as {same[0].name}; "
            "rename one of them, or run them apart with different output folders."
        )
        # The reason names all of them; it is told once.
        clashing.setdefault(same[0].path, LeftOut(same[0].path, reason, failure=True))
    return [source for source in sources if source not in bad], list(clashing.values())


def _expand(text: str, selection: Selection, endings: Sequence[str]) -> Iterator[ImageSource | LeftOut]:
    path, dataset = split_dataset(text)
    if url_of(path) is not None:
        yield from _sources(path, dataset, selection, named=True)
        return
    if path.is_dir() and not is_store(path):
        if holds_results(path):
            raise InputError(
                f"the folder {path} holds results of autosam ({RUN_RECORD}); give the folder of the images."
            )
        if not os.access(path, os.R_OK | os.X_OK):
            raise InputError(f"the folder {path} may not be read: permission denied; change its rights.")
        files = list(tree_files(path))
        base, empty = path, f"the folder {path} holds no image"
    elif os.path.lexists(path):
        if format_of(path) is None:
            raise InputError(f"{path}: unknown suffix {path.suffix!r}; known: {' '.join(IMAGE_SUFFIXES)}.")
        fault = fault_of(path)
        if fault is not None:
            raise InputError(f"{path} {fault}.")
        yield from _sources(path, dataset, selection, named=True)
        return
    elif glob.has_magic(str(path)):
        files = [file for file in map(Path, sorted(glob.glob(str(path), recursive=True))) if has_suffix(file)]
        files = [file for file in files if is_store(file) or not file.is_dir()]
        base, empty = _base(path), f"{path} matches no image"
    else:
        raise InputError(
            f"{path}: no such file or folder; check the spelling (the current folder is {Path.cwd()})."
        )
    if not files:
        raise InputError(f"{empty}; known suffixes: {' '.join(IMAGE_SUFFIXES)}.")
    yield from _of_files(files, base, dataset, selection, endings)


def _base(pattern: Path) -> Path:
    """Give the folder that a pattern starts from."""
    fixed = [part for part in pattern.parents if not glob.has_magic(str(part))]
    return fixed[0]


def _of_files(
    files: Sequence[Path], base: Path, dataset: str | None, selection: Selection, endings: Sequence[str]
) -> Iterator[ImageSource | LeftOut]:
    made = made_of_others(files, endings, base=base)
    for file in files:
        fault = fault_of(file)
        if fault is not None:
            yield LeftOut(file, f"{file} {fault}.", failure=True)
        elif is_result(file):
            yield LeftOut(
                file, f"{file} is one of the results of autosam; name the file to segment it.", failure=False
            )
        elif file in made:
            reason = f"{file} is taken for labels or a picture of {made[file].name}; name the file to segment it."
            yield LeftOut(file, reason, failure=False)
        else:
            folder = file.parent.relative_to(base)
            try:
                for source in _sources(file, dataset, selection, named=False):
                    yield replace(source, folder=folder)
            except InputError as error:
                yield LeftOut(file, str(error), failure=True)


def _sources(path: Path, dataset: str | None, selection: Selection, *, named: bool) -> Iterator[ImageSource]:
    """List the images of one file; a damaged file is one source, which `read_image` refuses."""
    images: tuple[StoredImage, ...] = ()
    form = format_of(path)
    try:
        images = list_images(path, dataset, level=selection.level)
    except InputError:
        # Not so where the file is whole, and only what was asked for is not there.
        if selection.level or (named and (form is None or form.datasets)):
            raise
    if not images:
        yield ImageSource(path, dataset)
    for number in selection.numbers(images, path):
        image = images[number]
        page = number if len(images) > 1 else None
        channel = selection.channel_of(image, path)
        name = image.dataset or dataset
        yield ImageSource(path, name, page, len(images), image.place, channel, selection.level, shape=image.shape)

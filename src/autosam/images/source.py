"""From what a user types (files, folders, globs, HDF5 datasets) to a list of images with distinct names."""

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autosam.errors import InputError
from autosam.images.formats import IMAGE_SUFFIXES, PLAIN_SUFFIXES, TIFF_SUFFIXES
from autosam.images.readers import EVERYTHING, Selection, StoredImage, format_of, reader_of, suffixes


@dataclass(frozen=True)
class ImageSource:
    """One image: a file, or one page of it.

    Attributes
    ----------
    dataset : str or None
        Dataset of an HDF5 file, with its leading slash; None elsewhere.
    page, pages : int or None, int
        Number among the images of the file, from 0, and how many there are; None for a single image. They are
        pages of a TIFF, slices of a (Z, Y, X) dataset, planes of scenes.
    place : str
        Ending of `name` for an image of several; by default ``p`` and the page.
    channel : int or None
        The channel to read alone; None for all.
    level : int
        Of a resolution pyramid, 0 for the finest.

    Examples
    --------
    >>> source = ImageSource(Path("raw/stack.tif"), page=3, pages=165)
    >>> source.name, str(source)
    ('stack_p003', 'raw/stack.tif[3]')
    """

    path: Path
    dataset: str | None = None
    page: int | None = None
    pages: int = 1
    place: str = ""
    channel: int | None = None
    level: int = 0

    @property
    def stem(self) -> str:
        """Name of the file without its suffix, which may be `.ome.tif`."""
        return re.sub(r"\.ome$", "", self.path.stem, flags=re.IGNORECASE)

    @property
    def name(self) -> str:
        """Stem of the files that the results are written to, without a slash."""
        stem = self.stem
        if self.dataset is not None:
            stem += "_" + re.sub(r"[^\w.-]+", "_", self.dataset.strip("/"))
        if self.page is not None:
            stem += "_" + (self.place or f"p{self.page:0{len(str(self.pages - 1))}d}")
        return stem

    @property
    def image(self) -> str:
        """The image in tables of prompts: its file name, or `name` where the file holds several."""
        return self.path.name if self.page is None and self.dataset is None else self.name

    def __str__(self) -> str:
        dataset = "" if self.dataset is None else f":{self.dataset}"
        page = "" if self.page is None else f"[{self.page}]"
        return f"{self.path}{dataset}{page}"


def split_dataset(text: str) -> tuple[Path, str | None]:
    """Split `file.h5:/dataset` into its two parts.

    Examples
    --------
    >>> split_dataset("a/b.h5:/raw")[1], split_dataset("a/b.h5")[1], split_dataset("C:/b.tif")[1]
    ('/raw', None, None)
    """
    known = "|".join(re.escape(suffix) for suffix in suffixes(datasets=True))
    match = re.fullmatch(rf"(.+(?:{known})):(.+)", text, flags=re.IGNORECASE | re.DOTALL)
    return (Path(match[1]), "/" + match[2].strip("/")) if match else (Path(text), None)


def image_files(folder: Path, known: tuple[str, ...] = TIFF_SUFFIXES + PLAIN_SUFFIXES) -> list[Path]:
    """List the image files of a folder by name, without hidden ones; an `InputError` if there is no such folder.

    Upper and lower case of suffixes are equal. Hidden files are half-written ones and those of macOS.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; check the spelling.")
    return [path for path in sorted(folder.iterdir()) if _is_image(path, known)]


def by_stem(folder: Path) -> dict[str, Path]:
    """Index the image files of a folder by the stem of their names; two of one stem are refused."""
    found: dict[str, Path] = {}
    for path in image_files(folder):
        if path.stem in found:
            raise InputError(f"{folder} holds both {found[path.stem].name} and {path.name}; take one of them out.")
        found[path.stem] = path
    return found


def find_sources(inputs: Sequence[str | Path], selection: Selection = EVERYTHING) -> list[ImageSource]:
    """List every image that the inputs name, once, in the order of the inputs.

    Inputs are files, folders (their own files, sorted by name, without hidden files and unknown suffixes), globs
    and HDF5 datasets (`file.h5:/dataset`). Damaged files, and HDF5 files of a folder whose dataset is
    unclear, are listed too: `read_image` refuses them one by one.

    Parameters
    ----------
    selection : Selection
        Which images and which channel of a file to take.

    Raises
    ------
    InputError
        If an input does not exist, a folder or glob is empty, a file has an unknown suffix, a dataset is not there
        or not clear, a file lacks what is selected, or two images would write to the same files (upper and lower
        case taken as equal).
    """
    if not inputs:
        raise InputError("no image was given; name files, folders, globs or file.h5:/dataset.")
    seen: dict[tuple[Path, str | None, int | None], ImageSource] = {}
    for text in inputs:
        for source in _expand(str(text), selection):
            seen.setdefault((source.path.resolve(), source.dataset, source.page), source)
    by_name: dict[str, ImageSource] = {}
    for source in seen.values():
        other = by_name.setdefault(source.name.casefold(), source)
        if other is not source:
            raise InputError(
                f"{other} and {source} would both write their results as {source.name}; "
                "rename one of them, or run them apart with different output folders."
            )
    return list(seen.values())


def _expand(text: str, selection: Selection) -> Iterator[ImageSource]:
    path, dataset = split_dataset(text)
    form = format_of(path)
    if path.is_dir() and not (form and form.folder):
        files = image_files(path, IMAGE_SUFFIXES)
        if not files:
            raise InputError(f"the folder {path} holds no image; known suffixes: {' '.join(IMAGE_SUFFIXES)}.")
    elif path.exists():
        if form is None:
            raise InputError(f"{path}: unknown suffix {path.suffix!r}; known: {' '.join(IMAGE_SUFFIXES)}.")
        yield from _sources(path, dataset, selection, named=True)
        return
    elif glob.has_magic(str(path)):
        files = [
            f for f in map(Path, sorted(glob.glob(str(path), recursive=True))) if _is_image(f, IMAGE_SUFFIXES)
        ]
        if not files:
            raise InputError(f"{path} matches no image; known suffixes: {' '.join(IMAGE_SUFFIXES)}.")
    else:
        raise InputError(
            f"{path}: no such file or folder; check the spelling (the current folder is {Path.cwd()})."
        )
    for file in files:
        yield from _sources(file, dataset, selection, named=False)


def _is_image(path: Path, known: tuple[str, ...]) -> bool:
    if path.suffix.lower() not in known or path.name.startswith("."):
        return False
    form = format_of(path)
    return path.is_dir() if form and form.folder else path.is_file()


def _sources(path: Path, dataset: str | None, selection: Selection, *, named: bool) -> Iterator[ImageSource]:
    """List the images of one file; a damaged file is one source, which `read_image` refuses."""
    images: tuple[StoredImage, ...] = ()
    try:
        images = reader_of(path).images(path, dataset, level=selection.level)
    except InputError:
        # Not so where the file is whole, and only what was asked for is not there.
        if selection.level or (named and path.suffix.lower() in suffixes(datasets=True)):
            raise
    if not images:
        yield ImageSource(path, dataset)
    for number in selection.numbers(images, path):
        image = images[number]
        page = number if len(images) > 1 else None
        channel = selection.channel_of(image, path)
        yield ImageSource(path, image.dataset or dataset, page, len(images), image.place, channel, selection.level)

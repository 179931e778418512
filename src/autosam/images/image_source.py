"""One image of a file, and the name that its results get."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from autosam.images.readers import suffixes
from autosam.images.urls import local_path, url_of


@dataclass(frozen=True)
class ImageSource:
    """One image: a file, or one page of it.

    Attributes
    ----------
    dataset : str or None
        Dataset of an HDF5 file, with its leading slash; None elsewhere.
    page, pages : int or None, int
        Number among the images of the file, from 0, and how many there are; None for a single image. They are
        pages of a TIFF, slices of a (Z, Y, X) dataset, planes of several series.
    place : str
        Ending of `name` for an image of several; by default ``p`` and the page.
    channel : int or None
        The channel to read alone; None for all.
    level : int
        Of a resolution pyramid, 0 for the finest.
    folder : Path
        Folder of the file relative to the folder or pattern that was searched; results go into the same tree.
    shape : tuple of int or None
        Rows and columns, where they were told when the image was listed.

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
    folder: Path = Path()
    shape: tuple[int, int] | None = field(default=None, compare=False, repr=False)

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

    @property
    def sources(self) -> tuple["ImageSource"]:
        """The image itself, as `MultichannelImage.sources` gives the channels."""
        return (self,)

    def resolved(self) -> "ImageSource":
        """Give the same image with its absolute path; a URL stays as it is."""
        return self if url_of(self.path) else replace(self, path=self.path.resolve())

    def __str__(self) -> str:
        dataset = "" if self.dataset is None else f":{self.dataset}"
        page = "" if self.page is None else f"[{self.page}]"
        return f"{url_of(self.path) or self.path}{dataset}{page}"


def split_dataset(text: str) -> tuple[Path, str | None]:
    """Split `file.h5:/dataset` into its two parts; ``file://`` goes.

    Examples
    --------
    >>> split_dataset("a/b.h5:/raw")[1], split_dataset("a/b.h5")[1], split_dataset("C:/b.tif")[1]
    ('/raw', None, None)
    """
    known = "|".join(re.escape(suffix) for suffix in suffixes(datasets=True))
    match = re.fullmatch(rf"(.+(?:{known})):(.+)", text, flags=re.IGNORECASE | re.DOTALL)
    file, dataset = (match[1], "/" + match[2].strip("/")) if match else (text, None)
    return Path(local_path(file)), dataset

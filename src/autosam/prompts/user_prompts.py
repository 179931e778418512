"""User prompts for a batch of images: one table for all, or a folder with a table for each."""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from autosam.errors import ConfigError, InputError
from autosam.images.csv_text import read_rows
from autosam.images.image_source import ImageSource
from autosam.images.multichannel import MultichannelImage
from autosam.prompts.prompt import Prompt
from autosam.prompts.table import COLUMNS, read_prompts


@dataclass(frozen=True)
class PromptTables:
    """The prompts of every image.

    Attributes
    ----------
    of : callable
        Gives those of an image with the given height and width; None for the shape checks no coordinates.
    sha256 : str
        Hash of all tables.
    """

    of: Callable[[ImageSource | MultichannelImage, tuple[int, int] | None], list[Prompt]]
    sha256: str


def open_prompt_tables(
    place: Path, sources: Sequence[ImageSource | MultichannelImage], *, required: bool
) -> PromptTables:
    """Read all tables once, so that faults show before the work starts.

    Parameters
    ----------
    place : Path
        A table, or a folder with ``NAME_prompts.csv`` for each image, as ``--save-prompts`` writes them. In a
        table, images of one name in several folders are called ``FOLDER/NAME``.
    sources : sequence of ImageSource or MultichannelImage
        The images.
    required : bool
        Whether every image must have prompts; otherwise at least one must.

    Raises
    ------
    ConfigError
        If a table is missing or empty, has no column ``image`` for several images, or no image has prompts.
    InputError
        If `read_prompts` refuses a table.
    """
    number = Counter(source.image for source in sources)
    several = frozenset(name for name, count in number.items() if count > 1)
    prompts_of = _PromptsOf(place, place.is_dir(), required, several)
    digest = sha256()
    for table in dict.fromkeys(map(prompts_of.table, sources)):
        if required or not prompts_of.folder or table.is_file():
            digest.update(_checked(table, place, len(sources)))
    found = [len(prompts_of(source, None)) for source in sources]
    if not required and not any(found):
        raise ConfigError(f"--prompts {place} holds no prompt for any of the images; correct its names")
    return PromptTables(prompts_of, digest.hexdigest())


@dataclass(frozen=True)
class _PromptsOf:
    """Reads the prompts of an image; it can be sent to another process."""

    place: Path
    folder: bool
    required: bool
    several: frozenset[str]

    def table(self, source: ImageSource | MultichannelImage) -> Path:
        """Give the table of an image."""
        return self.place / source.folder / f"{source.name}_prompts.csv" if self.folder else self.place

    def __call__(self, source: ImageSource | MultichannelImage, shape: tuple[int, int] | None) -> list[Prompt]:
        table = self.table(source)
        if not self.required and not table.is_file():
            return []
        # In one table for a tree of folders, the name alone can stand for several images.
        alone = self.folder or source.image not in self.several
        name = source.image if alone else (source.folder / source.image).as_posix()
        return read_prompts(table, image=name, shape=shape, required=self.required)


def _checked(table: Path, place: Path, images: int) -> bytes:
    """Read a table's bytes, and check its header and length."""
    if not table.is_file():
        raise ConfigError(
            f"--prompts {place} holds no {table.name}; wanted one for each image, as --save-prompts writes them"
        )
    content = table.read_bytes()
    try:
        rows = [row for _, row in read_rows(content.decode("utf-8-sig"), COLUMNS) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"prompts {table} cannot be read ({error}), wanted a CSV file in UTF-8") from error
    if len(rows) < 2:
        raise ConfigError(f"--prompts {table} holds no prompt below its header; add a row for each point or box")
    if images > 1 and table == place and "image" not in rows[0]:
        raise ConfigError(
            f"--prompts {table} has no column image, and {images} images came; add the column, or give one image"
        )
    return content

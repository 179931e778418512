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
    folder = place.is_dir()

    def table_of(source: ImageSource | MultichannelImage) -> Path:
        return place / source.folder / f"{source.name}_prompts.csv" if folder else place

    number = Counter(source.image for source in sources)

    def name_of(source: ImageSource | MultichannelImage) -> str:
        # In one table for a tree of folders, the name alone can stand for several images.
        return source.image if folder or number[source.image] == 1 else (source.folder / source.image).as_posix()

    def prompts_of(source: ImageSource | MultichannelImage, shape: tuple[int, int] | None) -> list[Prompt]:
        table = table_of(source)
        if not required and not table.is_file():
            return []
        return read_prompts(table, image=name_of(source), shape=shape, required=required)

    digest = sha256()
    for table in dict.fromkeys(map(table_of, sources)):
        if required or not folder or table.is_file():
            digest.update(_checked(table, place, len(sources)))
    found = [len(prompts_of(source, None)) for source in sources]
    if not required and not any(found):
        raise ConfigError(f"--prompts {place} holds no prompt for any of the images; correct its names")
    return PromptTables(prompts_of, digest.hexdigest())


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

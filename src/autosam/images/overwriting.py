"""Keeping a result from being written over what it is made from."""

from collections.abc import Iterable
from pathlib import Path

from autosam.errors import InputError
from autosam.images.image_source import split_dataset


def refuse_overwriting(output: Path, sources: Iterable[Path | str]) -> None:
    """Refuse an output that is one of the sources, holds one, or lies inside one that is a folder of Zarr's form.

    Two names of one file are one, by a link of either kind too. Sources that are no paths on this disk, such as
    names of models, do not matter; ``file.h5:/dataset`` counts as the file.

    Raises
    ------
    InputError
        Naming both.
    """
    place = output.resolve()
    for source in sources:
        path = split_dataset(str(source))[0]
        if not path.exists():
            continue
        real = path.resolve()
        same = output.exists() and output.samefile(path)
        inside = real in place.parents and any(part.lower().endswith(".zarr") for part in real.parts)
        if same or place == real or (place in real.parents and place.suffix) or inside:
            raise InputError(
                f"{output} would be written over its own source {path}; choose another name with --output."
            )


def refuse_among_slices(output: Path, source: str) -> None:
    """Refuse an output in the folder whose files are the slices: it would be one of them the next time.

    Raises
    ------
    InputError
        Naming both.
    """
    folder = Path(source)
    if folder.is_dir() and output.resolve().parent == folder.resolve():
        raise InputError(
            f"{output} would lie among the slices of {folder}, and be read as one of them; choose another folder "
            "with --output."
        )

"""What `autosam segment` works on: images, user prompts and ground truth, checked before the work starts."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autosam.cli.console import note
from autosam.cli.words import count
from autosam.errors import listed

METHODS = ("distance", "centroid", "probability", "grid")
"""Ways to predict prompts that --prompts takes by name."""
ALL = "all"
"""--channels all: the channel axis of each file holds the channels."""

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autosam.evaluation.inside_masks import InsideMasks
    from autosam.evaluation.truths import Truths
    from autosam.images import ImageSource
    from autosam.images.multichannel import MultichannelImage
    from autosam.images.readers import Selection
    from autosam.prompts.user_prompts import PromptTables


def length(text: str) -> float:
    """Read a length above 0."""
    try:
        value = float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number") from None
    if not 1e-6 <= value <= 1e9:
        raise typer.BadParameter(f"{text} is not above 0 and at most 1e9")
    return value


def find_images(
    inputs: list[str], out: Path, channels: str | None, selection: "Selection"
) -> "tuple[Sequence[ImageSource] | Sequence[MultichannelImage], list[str]]":
    """List the images, and say which files are left out; also give why files that should be images are not."""
    from autosam.errors import OutputError
    from autosam.images.multichannel import find_channels, split_channels
    from autosam.images.source import search_sources

    endings = [] if channels in (None, ALL) else [ending.strip() for ending in str(channels).split(",")]
    searched = search_sources(inputs, selection, endings=endings)
    files = list(searched.sources)
    failures = [left_out.reason for left_out in searched.left_out if left_out.failure]
    made = [left_out.path.name for left_out in searched.left_out if not left_out.failure]
    if made:
        note(
            f"{count(len(made), 'file')} left out, as results or for names of labels or pictures: "
            f"{listed(made)}; name such a file to segment it"
        )
    if out.resolve() in {file.path.resolve().parent for file in files}:
        raise OutputError(
            f"{out} holds the images themselves, and the next run would take the results for images; "
            "choose another folder with --output"
        )
    if channels is None:
        return files, failures
    if channels == ALL:
        return split_channels(files), failures
    found = find_channels(files, endings)
    if found.left_out:
        names = [source.name for source in found.left_out]
        note(f"{count(len(names), 'image')} left out, for names that end in none of {channels}: {listed(names)}")
    return found.images, failures


def open_prompts(
    prompts: str | None,
    settings: list[str],
    sources: "Sequence[ImageSource | MultichannelImage]",
    *,
    with_automatic: bool,
) -> "tuple[PromptTables | None, list[str]]":
    """Tell a method from a table of prompts, and find the faults of the table before the work starts."""
    from autosam.errors import ConfigError
    from autosam.prompts.user_prompts import open_prompt_tables

    if with_automatic and (prompts is None or prompts in METHODS):
        raise ConfigError("--with-automatic wants prompts of your own beside it; give a table with --prompts")
    if prompts is None or prompts in METHODS:
        return None, [*([f"prompts.method={prompts}"] if prompts else []), *settings]
    place = Path(prompts)
    if not place.exists():
        raise ConfigError(
            f"--prompts {prompts}: no such table or folder, and no method; methods are {', '.join(METHODS)}"
        )
    if not place.is_file() and not place.is_dir():
        raise ConfigError(f"--prompts {prompts} is no file and no folder; give a table, or a folder of tables")
    method = [] if with_automatic else ["prompts.method=user"]
    return open_prompt_tables(place, sources, required=not with_automatic), [*method, *settings]


def open_truth(
    place: str | None, sources: "Sequence[ImageSource | MultichannelImage]", *, components: bool
) -> "Truths | None":
    """Pair the images with the labels of ``--oracle-mask``; None without it."""
    from autosam.errors import ConfigError

    if place is None:
        if components:
            raise ConfigError(
                "--components makes objects of the labels of --oracle-mask; add that or leave it out"
            )
        return None

    from autosam.evaluation.truths import open_truths

    truths = open_truths(place, sources, components=components)
    if truths.semantic:
        note(
            f"{count(truths.semantic, 'file')} of the truth may be semantic, with one id for many objects; "
            "--components makes objects of them"
        )
    return truths


def open_area(place: str | None, sources: "Sequence[ImageSource | MultichannelImage]") -> "InsideMasks | None":
    """Pair the images with the masks or drawings of ``--inside``; None without it."""
    if place is None:
        return None

    from autosam.evaluation.inside_masks import open_inside

    return open_inside(place, sources)

"""What the commands that go through the images of a store have in common: a bar, and counts in words."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


def image_progress(doing: str) -> "Progress":
    """Make a bar on stderr that counts images; it is not shown where no person looks on."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from autosam.cli.console import console

    return Progress(
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("images, time left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def count(number: int, one: str, many: str | None = None) -> str:
    """Write a number of things.

    Examples
    --------
    >>> count(1, "image"), count(1980, "patch", "patches")
    ('1 image', '1,980 patches')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"

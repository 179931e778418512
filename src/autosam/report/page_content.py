"""What a report page shows, in words, numbers and pictures that are ready to be laid out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from autosam.report.page_pictures import PagePicture


@dataclass(frozen=True)
class Fact:
    """A number with its name, and what there is to know about it."""

    label: str
    value: str
    about: str = ""


@dataclass(frozen=True)
class Notice:
    """Something to look at first.

    Attributes
    ----------
    level : {"error", "warning", "note"}
        What failed, what is doubtful, and what is only to be known.
    images : tuple of str
        Names of the images that it is about.
    """

    level: Literal["error", "warning", "note"]
    text: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ImageCard:
    """An image in the index.

    Attributes
    ----------
    picture : PagePicture or None
        None where there is nothing to show; then `missing` says why.
    caption : str
        One line: how many objects, and the like.
    about : tuple of Fact
        What the viewer says of it.
    badges : tuple of str
        Short words for what is doubtful.
    scores : mapping of int to float
        Of its objects, by id.
    """

    name: str
    picture: PagePicture | None
    caption: str
    about: tuple[Fact, ...] = ()
    badges: tuple[str, ...] = ()
    missing: str = ""
    scores: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """A column of a table; numbers are flush right."""

    title: str
    numeric: bool = True
    about: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell: its text, and the number that it is sorted by; None for text, and for what is not known."""

    text: str
    sort: float | None = None


@dataclass(frozen=True)
class Table:
    """A table whose rows begin with a name."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Chart:
    """A chart as SVG, with its title."""

    title: str
    svg: str


@dataclass(frozen=True, eq=False)
class Crop:
    """An object that went wrong, in its surroundings.

    Attributes
    ----------
    kind : str
        What became of it: missed, merged and so on.
    image : str
        Name of its image.
    lines : tuple of str
        What there is to know about it.
    """

    kind: str
    image: str
    lines: tuple[str, ...]
    picture: PagePicture


@dataclass(frozen=True, eq=False)
class TruthPart:
    """The comparison with the truth.

    Attributes
    ----------
    kinds : tuple of Fact
        What became of the true objects, and how many objects are spurious; `about` is the share.
    """

    facts: tuple[Fact, ...]
    scores: Table
    kinds: tuple[Fact, ...]
    charts: tuple[Chart, ...]
    crops: tuple[Crop, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Measure:
    """One measure, compared between groups of images."""

    chart: Chart
    spreads: Table
    shifts: Table | None
    sentence: str


@dataclass(frozen=True)
class GroupsPart:
    """The comparison of groups of images."""

    measures: tuple[Measure, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class RunPart:
    """A run that made some of the images: what is known of its model, and its settings that differ."""

    title: str
    facts: tuple[Fact, ...]
    settings: Table | None
    sentence: str


@dataclass(frozen=True, eq=False)
class PageContent:
    """All of a report.

    Attributes
    ----------
    title : str
        Name of the folder of results.
    subtitle : str
        Model, number of images, date.
    methods : tuple of str
        Paragraphs for a publication.
    cite : tuple of str
        What to cite.
    """

    title: str
    subtitle: str
    notices: tuple[Notice, ...]
    summary: tuple[Fact, ...]
    cards: tuple[ImageCard, ...]
    hidden: int
    charts: tuple[Chart, ...]
    table: Table
    runs: tuple[RunPart, ...]
    methods: tuple[str, ...]
    cite: tuple[str, ...]
    truth: TruthPart | None = None
    groups: GroupsPart | None = None


def as_sentence(text: str) -> str:
    """Begin with a capital, unless a name comes first, and end with one period.

    Examples
    --------
    >>> as_sentence("nothing found"), as_sentence("2 images: no truth."), as_sentence("a: it is gone")
    ('Nothing found.', '2 images: no truth.', 'a: it is gone.')
    """
    first = text.split(" ", 1)[0]
    return (text[:1].upper() + text[1:] if first.isalpha() else text) + ("" if text.endswith(".") else ".")

"""A report as one HTML file that needs no server and no network."""

from pathlib import Path

from autosam.images import write_text
from autosam.report.page_content import PageContent
from autosam.report.self_contained import PageKind, picture_data

REPORT = PageKind(
    "report",
    "autosam",
    "autosam.report/report.html.j2",
    ("autosam.report/report.css",),
    ("autosam.report/viewer.js", "autosam.report/page.js", "autosam.report/report.js"),
)


def check_place(path: Path) -> None:
    """Refuse a place that is no name of an HTML file, or holds a file that is no report.

    Raises
    ------
    OutputError
        Saying what lies there.
    """
    REPORT.check_place(path)


def write_page(path: Path, content: PageContent) -> None:
    """Write a report, whole or not at all; the same content gives the same bytes.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_text(path, render_page(content))


def render_page(content: PageContent) -> str:
    """Lay a report out as HTML; see `PageKind.render`."""
    crops = content.truth.crops if content.truth is not None else ()
    pictures = [
        *(
            picture_data(card.name, card.picture, card.scores)
            for card in content.cards
            if card.picture is not None
        ),
        *(picture_data(crop.image, crop.picture, {}) for crop in crops),
    ]
    with_picture = [card.name for card in content.cards if card.picture is not None]
    return REPORT.render(
        {"pictures": pictures},
        page=content,
        places={card.name: place for place, card in enumerate(content.cards)},
        pictures={name: number for number, name in enumerate(with_picture)},
        doubtful={name for notice in content.notices if notice.level != "note" for name in notice.images},
        first_crop=len(with_picture),
    )

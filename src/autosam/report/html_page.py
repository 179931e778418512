"""A report as one HTML file that needs no server and no network: pictures, style and scripts are inside."""

import base64
import json
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from autosam import __version__
from autosam.errors import OutputError
from autosam.images import write_text
from autosam.report.page_content import PageContent
from autosam.report.page_pictures import PagePicture

MARK = '<meta name="generator" content="autosam '
"""What a report says of itself near its begin, so that no other file is replaced by one."""
SUFFIXES = (".html", ".htm")

_HEAD = 2000
_SCRIPTS = ("viewer.js", "report.js")


def check_place(path: Path) -> None:
    """Refuse a place that is no name of an HTML file, or holds a file that is no report.

    Raises
    ------
    OutputError
        Saying what lies there.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path} is no name of an HTML file; give --output a name that ends in .html")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give --output the name of a file in it")
    if path.exists() and not _is_ours(path):
        raise OutputError(f"{path} is there and is no report of autosam; move it away, or choose another --output")


def write_page(path: Path, content: PageContent) -> None:
    """Write a report, whole or not at all; the same content gives the same bytes.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_text(path, render_page(content))


def render_page(content: PageContent) -> str:
    """Lay a report out as HTML.

    All text is escaped, names of files too. The page's policy lets no script run but its own, and nothing be
    loaded from elsewhere.
    """
    # Needed by this command alone.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("autosam.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    scripts = [_resource(name) for name in _SCRIPTS]
    style = _resource("report.css")
    crops = content.truth.crops if content.truth is not None else ()
    pictures = [
        *(
            _picture_data(card.name, card.picture, card.scores)
            for card in content.cards
            if card.picture is not None
        ),
        *(_picture_data(crop.image, crop.picture, {}) for crop in crops),
    ]
    with_picture = [card.name for card in content.cards if card.picture is not None]
    return environment.get_template("report.html.j2").render(
        page=content,
        places={card.name: place for place, card in enumerate(content.cards)},
        pictures={name: number for number, name in enumerate(with_picture)},
        doubtful={name for notice in content.notices if notice.level != "note" for name in notice.images},
        first_crop=len(with_picture),
        version=__version__,
        style=style,
        scripts=scripts,
        data=_as_script({"pictures": pictures}),
        policy=_policy(style, scripts),
    )


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return MARK.encode() in stream.read(_HEAD)
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror or error}; choose another --output") from error


def _resource(name: str) -> str:
    return (files("autosam.report") / "templates" / name).read_text(encoding="utf-8")


def _picture_data(name: str, picture: PagePicture, scores: Mapping[int, float]) -> dict[str, Any]:
    """Give what the page's scripts know of a picture; an object is its id, its outline and, if known, score."""
    return {
        "name": name,
        "width": picture.width,
        "height": picture.height,
        "layers": {
            layer: [
                [number, path, *([round(scores[number], 3)] if layer == "objects" and number in scores else [])]
                for number, path in paths.items()
            ]
            for layer, paths in picture.layers.items()
        },
    }


def _as_script(data: Mapping[str, Any]) -> str:
    """Write data as JSON for a script element, which no text in it can end."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _policy(style: str, scripts: list[str]) -> str:
    """Let only this style and these scripts count, by their hashes, and only pictures inside the page be shown."""
    return (
        f"default-src 'none'; img-src data:; style-src {_hash_of(style)}; "
        f"script-src {' '.join(map(_hash_of, scripts))}; base-uri 'none'; form-action 'none'"
    )


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"

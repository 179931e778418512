"""HTML files that need no server and no network: style, scripts, data and pictures are inside."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autosam import __version__
from autosam.errors import OutputError
from autosam.report.page_pictures import PagePicture

if TYPE_CHECKING:
    from jinja2 import Environment

SUFFIXES = (".html", ".htm")
_HEAD = 2000
_ROOM = "autosam.report"


@dataclass(frozen=True)
class PageKind:
    """One kind of page.

    Attributes
    ----------
    name : str
        What it is to a reader, such as ``report``.
    generator : str
        What the page says near its begin of who wrote it, so that no other file is replaced by one.
    template : str
        With the room that holds it, as its style and scripts: ``autosam.report/report.html.j2``.
    styles, scripts : sequence of str
        In their order.
    """

    name: str
    generator: str
    template: str
    styles: Sequence[str]
    scripts: Sequence[str]

    def check_place(self, path: Path) -> None:
        """Refuse a place that is no name of an HTML file, or holds a file that is no page of this kind.

        Raises
        ------
        OutputError
            Saying what lies there.
        """
        if path.suffix.lower() not in SUFFIXES:
            raise OutputError(f"{path} is no name of an HTML file; give --output a name that ends in .html")
        if path.is_dir():
            raise OutputError(f"{path} is a folder; give --output the name of a file in it")
        if path.exists() and not self._is_ours(path):
            raise OutputError(
                f"{path} is there and is no {self.name} of autosam; move it away, or choose another --output"
            )

    def render(self, data: Mapping[str, Any], *, served: bool = False, **content: Any) -> str:
        """Lay a page out; the same content gives the same bytes.

        All text is escaped, names of files too. The page's policy lets no script run but its own, and nothing be
        loaded from elsewhere.

        Parameters
        ----------
        data : mapping
            What the scripts read, as JSON.
        served : bool
            The scripts may talk to the server that the page comes from.
        **content
            What the template reads.
        """
        style = "\n".join(map(_resource, self.styles))
        scripts = [_resource(name) for name in self.scripts]
        room, _, template = self.template.rpartition("/")
        page = (
            _environment(room)
            .get_template(template)
            .render(
                version=__version__,
                generator=self.generator,
                style=style,
                scripts=scripts,
                data=_as_script(data),
                policy=_policy(style, scripts, served=served),
                **content,
            )
        )
        # Bytes of file names that are no UTF-8.
        return page.encode(errors="backslashreplace").decode()

    def _is_ours(self, path: Path) -> bool:
        try:
            with path.open("rb") as stream:
                return f'<meta name="generator" content="{self.generator} '.encode() in stream.read(_HEAD)
        except OSError as error:
            raise OutputError(
                f"{path} cannot be read: {error.strerror or error}; choose another --output"
            ) from error


def picture_data(name: str, picture: PagePicture, scores: Mapping[int, float]) -> dict[str, Any]:
    """Give what the viewer knows of a picture; an object is its id, its outline and, if known, score."""
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


def _environment(room: str) -> "Environment":
    # Needed by these commands alone.
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((room, _ROOM))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _resource(place: str) -> str:
    room, _, name = place.rpartition("/")
    return (files(room) / "templates" / name).read_text(encoding="utf-8")


def _as_script(data: Mapping[str, Any]) -> str:
    """Write data as JSON for a script element, which no text in it can end."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _policy(style: str, scripts: Sequence[str], *, served: bool) -> str:
    """Let only this style and these scripts count, by their hashes, and only pictures inside the page be shown."""
    connect = "connect-src 'self'; " if served else ""
    return (
        f"default-src 'none'; img-src data:; style-src {_hash_of(style)}; "
        f"script-src {' '.join(map(_hash_of, scripts))}; {connect}base-uri 'none'; form-action 'none'"
    )


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"

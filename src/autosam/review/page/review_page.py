"""The review page as HTML: crops, and what a person can say about each."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from autosam.images import write_text
from autosam.report.self_contained import PageKind
from autosam.review.corrections import Correction
from autosam.review.corrections_file import COLUMNS
from autosam.review.join_objects import WIDEST_GAP
from autosam.review.page.review_crops import ReviewCrop
from autosam.review.review_results import ReviewResults

REVIEW = PageKind(
    "review page",
    "autosam-review",
    "autosam.review/review.html.j2",
    ("autosam.report/report.css", "autosam.review/review.css"),
    (
        "autosam.report/viewer.js",
        "autosam.report/page.js",
        "autosam.review/corrections.js",
        "autosam.review/crop_state.js",
        "autosam.review/crop_view.js",
        "autosam.review/draft.js",
        "autosam.review/review.js",
    ),
)


@dataclass(frozen=True, eq=False)
class ReviewPage:
    """All of a review page.

    Attributes
    ----------
    title, subtitle : str
        Name of the folder of results, and what is in it.
    model : str
        Name of the model that made them, without its folder; empty where it is not known.
    crops : tuple of ReviewCrop
        The most doubtful first, or the parts of whole images.
    hidden : int
        Doubts or parts that the page does not show.
    notes : tuple of str
        Sentences on what is missing.
    results : mapping of str to str
        What ids are about, by image, see `ReviewImage.results`; of the images that are on the page.
    key : str
        By which a browser keeps what was clicked: other results have another one, other crops of them do not.
    corrections : tuple of Correction
        Made earlier.
    whole : bool
        Whether the crops are parts of whole images.
    """

    title: str
    subtitle: str
    model: str
    crops: tuple[ReviewCrop, ...]
    hidden: int
    notes: tuple[str, ...]
    results: dict[str, str]
    key: str
    corrections: tuple[Correction, ...]
    whole: bool = False


def make_page(
    results: ReviewResults,
    crops: Sequence[ReviewCrop],
    *,
    hidden: int,
    notes: Iterable[str],
    corrections: Iterable[Correction],
    whole: bool = False,
) -> ReviewPage:
    """Put a page together."""
    earlier = tuple(corrections)
    named = {crop.doubt.image for crop in crops} | {one.image for one in earlier}
    first = results.record.runs[0]
    count = len(results.images)
    return ReviewPage(
        title=results.folder.resolve().name or str(results.folder.resolve()),
        subtitle=f"{first.model_name or 'unknown model'}, {count:,} image{'' if count == 1 else 's'}",
        model=first.model_name,
        crops=tuple(crops),
        hidden=hidden,
        notes=tuple(notes),
        results={name: image.results for name, image in results.images.items() if name in named},
        key=_key(results),
        corrections=earlier,
        whole=whole,
    )


def _key(results: ReviewResults) -> str:
    about = sorted((name, image.results) for name, image in results.images.items())
    return sha256(repr(about).encode()).hexdigest()[:16]


def write_review(path: Path, page: ReviewPage) -> None:
    """Write a page that saves by download, whole or not at all.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_text(path, render_review(page))


def render_review(page: ReviewPage, *, saved_as: str = "") -> str:
    """Lay a page out as HTML; see `PageKind.render`.

    Parameters
    ----------
    saved_as : str
        The file in which the server saves corrections; by default there is no server.
    """
    data = {
        "pictures": [crop.data for crop in page.crops],
        "crops": [crop.for_page() for crop in page.crops],
        "key": page.key,
        "results": page.results,
        "columns": COLUMNS,
        "widest_gap": WIDEST_GAP,
        "corrections": [correction_data(one) for one in page.corrections],
        "served": bool(saved_as),
        "whole": page.whole,
    }
    folder = Path(saved_as).parent if saved_as else page.title
    # Corrected results and the new model cannot have the names of what they are made from.
    fixed = f"{page.title}_again" if page.title.startswith("fixed") else "fixed"
    old = page.model.partition(".")[0]
    new = f"{old}_again" if old.startswith("mine") else "mine"
    commands = [
        shlex.join(["autosam", "apply", str(folder), saved_as or "corrections.csv", "-o", fixed]),
        shlex.join(["autosam", "adapt", fixed, "--model", page.model or "MODEL", "-o", new]),
    ]
    return REVIEW.render(data, served=bool(saved_as), page=page, saved_as=saved_as, commands=commands)


def correction_data(one: Correction) -> dict[str, Any]:
    """Give what the page knows of a correction."""
    return {
        "id": one.action_id,
        "image": one.image,
        "action": one.action,
        "objects": one.objects,
        "points": one.points,
        "labels": one.point_labels,
        "box": one.box,
        "mask": one.mask,
        "by": one.made_by,
        "results": one.results,
    }

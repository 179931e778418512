"""From a folder of results to the content of its review page."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from autosam.report.page_content import as_sentence
from autosam.review.check_corrections import check_corrections
from autosam.review.corrections import Correction
from autosam.review.corrections_file import FURTHER, read_corrections
from autosam.review.find_doubts import FoundDoubts, find_doubts
from autosam.review.fixed_place import is_corrected
from autosam.review.page import MOST_CROPS, MOST_PARTS
from autosam.review.page.review_crops import make_crops
from autosam.review.page.review_page import ReviewPage, make_page
from autosam.review.review_results import ReviewResults
from autosam.review.whole_images import whole_images


@dataclass(frozen=True)
class ReviewOptions:
    """What a review shows.

    Attributes
    ----------
    crops : int, optional
        How many crops at most, the first ones; by default `MOST_CROPS` of doubt, or `MOST_PARTS` of whole images.
    images : str, optional
        File or folder of the images, by name; by default where the run record says.
    device : str
        As in `Segmenter.from_model`.
    whole : bool
        Whether whole images are shown, part by part, not what is doubtful.
    """

    crops: int | None = None
    images: str | None = None
    device: str = "auto"
    whole: bool = False


def corrections_file(results: Path) -> Path:
    """Name the file in a folder of results that holds the corrections of these results.

    In a folder of corrected results, ``corrections.csv`` holds those that were applied. So further ones have a
    file of their own.
    """
    return results / (FURTHER if is_corrected(results) else "corrections.csv")


def earlier_corrections(results: ReviewResults) -> list[Correction]:
    """Read the corrections of a folder that stand, with the names of results for their images.

    Without a file there are none.

    Raises
    ------
    InputError
        If the file is damaged, or does not fit the results.
    """
    path = corrections_file(results.folder)
    found = read_corrections(path) if path.exists() else []
    checked = check_corrections(found, results).of if found else {}
    return [replace(one, image=name) for name, (_, own) in checked.items() for one in own]


def make_review(
    results: ReviewResults,
    options: ReviewOptions,
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> ReviewPage:
    """Find what to look at, and cut it out of the images.

    Parameters
    ----------
    progress : callable, optional
        Called with what is done, the images that are done, and their number.

    Raises
    ------
    InputError
        If not a single image is there, or earlier corrections are damaged or do not fit the results.
    """
    earlier = earlier_corrections(results)
    tell = progress or (lambda what, done, todo: None)
    found = _to_look_at(results, options, lambda done, todo: tell("looking for doubts", done, todo))
    made = make_crops(
        results, found.doubts, images=options.images, progress=lambda done, todo: tell("cutting crops", done, todo)
    )
    # An image that is gone was named by the search already.
    named = {note.split(":")[0] for note in found.notes}
    notes = [*found.notes, *(note for note in made.notes if note.split(":")[0] not in named)]
    return make_page(
        results,
        made.crops,
        hidden=found.others,
        notes=map(as_sentence, notes),
        corrections=earlier,
        whole=options.whole,
    )


def _to_look_at(
    results: ReviewResults, options: ReviewOptions, progress: Callable[[int, int], None]
) -> FoundDoubts:
    if options.whole:
        return whole_images(results, most=options.crops or MOST_PARTS, images=options.images)
    most = options.crops or MOST_CROPS
    return find_doubts(results, images=options.images, device=options.device, most=most, progress=progress)

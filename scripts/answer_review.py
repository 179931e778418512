"""Correct results as a person does on the review page who knows the true labels:

    python scripts/answer_review.py RESULTS TRUTH [--most 30] [--whole-images]

The crops come in the order of the page, which is that of `autosam review` with or without --whole-images. In each
one, every wrong object that it shows is corrected. SAM is asked first about an object that is drawn. Where its
outline is wrong, it is drawn by hand. Then the crop is said to be right. The corrections go into
RESULTS/corrections.csv, one after the other. If one is refused, the script stops.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from corrections_annotator import Labels, plan_answers
from corrections_drawing import Annotator
from corrections_order import Known, answers_about

from autosam.errors import AutosamError, InputError
from autosam.evaluation.label_sources import label_files
from autosam.images import read_labels
from autosam.review.corrections import Correction
from autosam.review.find_doubts import find_doubts
from autosam.review.page.make_review import corrections_file
from autosam.review.review_results import ReviewResults
from autosam.review.server.save_corrections import SavedCorrections
from autosam.review.whole_images import whole_images


def answer_review(results: ReviewResults, truth: str, *, most: int, whole: bool = False) -> list[Correction]:
    """Correct the first crops, and give the corrections of the folder.

    Parameters
    ----------
    truth : str
        A folder of label files with the names of the images.
    most : int
        After so many corrections, the crop is finished, and no other one begun.
    whole : bool
        Whether crops are parts of whole images, not what is most doubtful.

    Raises
    ------
    InputError
        If an image has no labels there, or a correction does not fit those that stand.
    ConfigError, ModelError
        If the model of the results has no SAM, or is gone.
    """
    truths = _read_truths(results, truth)
    known = {}
    for name, true in truths.items():
        labels = results.images[name].read_labels()
        known[name] = Known(labels, true, None, plan_answers(name, labels, true))
    annotator = Annotator(results, truths, asks_sam=True)
    saved = SavedCorrections(results, corrections_file(results.folder))
    found = whole_images(results) if whole else find_doubts(results, device="cpu")
    for doubt in found.doubts:
        said = saved.read()
        if len(said) >= most:
            break
        boxes = (one.box for one in said if one.image == doubt.image and one.action == "reviewed")
        there = {_without_id(one) for one in said}
        for one in answers_about(doubt, known[doubt.image], boxes):
            correction = annotator.make(one).correction
            if _without_id(correction) not in there:
                saved.save([correction])
    return saved.read()


def _read_truths(results: ReviewResults, truth: str) -> dict[str, Labels]:
    files: Mapping[str, object] = label_files(truth).slices
    missing = [name for name in results.images if name not in files]
    if missing:
        raise InputError(f"{truth} has no labels of {', '.join(missing)}; add label files of these names")
    return {name: read_labels(str(files[name])) for name in results.images}


def _without_id(one: Correction) -> Correction:
    return replace(one, action_id="", by=one.made_by)


def main() -> int:
    """Correct a folder; an error of the user is one line and exit status 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("truth")
    parser.add_argument("--most", type=int, default=30, help="corrections, about")
    parser.add_argument("--whole-images", action="store_true", help="whole images, part by part")
    given = parser.parse_args()
    try:
        made = answer_review(
            ReviewResults.open(given.results), given.truth, most=given.most, whole=given.whole_images
        )
    except AutosamError as error:
        print(f"answer_review: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(", ".join(f"{number} {action}" for action, number in Counter(one.action for one in made).items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One image while a person corrects it: what is shown, and what the file says then."""

import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from results_folders import discs, write_results

from autosam.errors import InputError
from autosam.review import image_review
from autosam.review.apply import apply_corrections
from autosam.review.check_corrections import check_corrections
from autosam.review.corrected_labels import correct_labels
from autosam.review.corrections import Correction
from autosam.review.corrections_file import append_corrections, read_corrections
from autosam.review.image_review import ImageReview, with_mask
from autosam.review.page.make_review import corrections_file
from autosam.review.review_results import ReviewResults
from autosam.review.server import save_corrections
from autosam.review.server.save_corrections import SavedCorrections

THREE = discs([(20, 20, 8), (20, 60, 8), (60, 90, 9)])
SQUARE = Correction("", "add", mask="80 10 4 4: 0 16", by="hand")


@pytest.fixture
def review(tmp_path):
    results = ReviewResults.open(write_results(tmp_path / "out", {"a": THREE, "b": THREE}))
    return ImageReview(results, "a", corrections_file(results.folder))


def saved(review):
    return [(one.action, one.objects) for one in read_corrections(review.path)]


def shown_at(review, row, col):
    return int(review.corrected.labels[row, col])


def test_without_corrections_the_results_are_shown(review):
    assert np.array_equal(review.corrected.labels, THREE)
    assert review.standing == []
    assert review.undo() is None
    assert not review.path.exists()


def test_ids_of_the_file_are_those_of_the_results(review):
    review.act("delete", [1])
    # The former object 3 is shown as 2 now.
    assert shown_at(review, 60, 90) == 2
    review.act("accept", [2])
    assert saved(review) == [("delete", (1,)), ("accept", (3,))]
    assert {one.results for one in review.standing} == {review.image.results}
    assert {one.image for one in review.standing} == {"a"}


def test_a_new_correction_takes_the_place_of_an_older_one(review):
    review.act("accept", [1, 2])
    review.act("delete", [2])
    assert sorted(saved(review)) == [("accept", (1,)), ("delete", (2,))]
    review.act("accept", [1])
    assert sorted(saved(review)) == [("accept", (1,)), ("delete", (2,))]
    assert len(review.corrected.scores) == 2


def test_an_object_that_was_added_is_drawn_anew_and_deleted(review):
    review.act("add", drawing=SQUARE)
    number = shown_at(review, 81, 11)
    assert number == 4
    review.act("redraw", [number], drawing=Correction("", "redraw", mask="80 30 4 4: 0 16", by="hand"))
    assert saved(review) == [("add", ())]
    assert shown_at(review, 81, 11) == 0
    with pytest.raises(InputError, match=r"comes from a correction \(add, action 2\), and merge takes objects"):
        review.act("merge", [1, shown_at(review, 81, 31)])
    review.act("delete", [shown_at(review, 81, 31)])
    assert saved(review) == []
    assert np.array_equal(review.corrected.labels, THREE)


def test_parts_of_a_split_object_wait_for_undo(review):
    halves = Correction("", "split", points=((20.0, 15.0), (20.0, 25.0)), point_labels=(1, 1))
    review.act("split", [1], drawing=halves)
    assert shown_at(review, 20, 15) != shown_at(review, 20, 25)
    with pytest.raises(InputError, match="take that correction back first, with undo"):
        review.act("delete", [shown_at(review, 20, 15)])
    assert review.undo().action == "split"
    assert np.array_equal(review.corrected.labels, THREE)


def test_what_does_not_fit_is_not_saved(review):
    with pytest.raises(InputError, match="more than 16 pixels apart"):
        review.act("merge", [1, 3])
    with pytest.raises(InputError, match="split wants two points or more"):
        review.act("split", [1], drawing=Correction("", "split", points=((20.0, 20.0),), point_labels=(1,)))
    beside = Correction("", "split", points=((20.0, 20.0), (90.0, 90.0)), point_labels=(1, 1))
    with pytest.raises(InputError, match="the point 90, 90 is not on object 1"):
        review.act("split", [1], drawing=beside)
    assert not review.path.exists()


def test_corrections_of_other_programs_are_seen(review):
    review.act("reviewed", drawing=Correction("", "reviewed", box=(0, 0, 9, 9)))
    append_corrections(review.path, [Correction("a.tif", "delete", (2,)), Correction("b", "delete", (1,))])
    review.refresh()
    assert shown_at(review, 20, 60) == 0
    assert shown_at(review, 20, 20) == 1
    assert [one.action for one in review.standing] == ["reviewed", "delete"]
    # SAM has still to answer this one, so that nothing is shown of it.
    append_corrections(review.path, [Correction("a", "redraw", (1,), ((20.0, 22.0),), (1,))])
    review.refresh()
    assert shown_at(review, 20, 20) == 1
    append_corrections(review.path, [Correction("a", "delete", (3,), results="sha256:0123456789abcdef")])
    with pytest.raises(InputError, match=r"actions 5 are about other results of a; move the file away"):
        review.refresh()


def test_points_and_a_box_make_a_question(review):
    on, beside = np.array([[20.0, 21.5]]), np.zeros((0, 2))
    corners = np.array([[-3.0, 10.2], [-3.0, 300], [9.6, 300], [9.6, 10.2]])
    one = review.question([], on, beside, corners)
    assert (one.image, one.action, one.objects) == ("a", "add", ())
    assert (one.points, one.point_labels) == (((20.0, 21.5),), (1,))
    assert one.box == (0, 10, 10, 127)
    review.act("delete", [1])
    again = review.question([1], beside, on)
    assert (again.action, again.objects, again.point_labels, again.box) == ("redraw", (2,), (0,), None)


def test_a_mask_is_that_of_sam_until_a_hand_changes_it():
    asked = Correction("a", "add", points=((2.0, 2.0),), point_labels=(1,))
    answer = np.zeros((6, 6), bool)
    with pytest.raises(InputError, match="there is no answer of SAM yet"):
        with_mask(asked, answer, answer)
    answer[1:4, 1:4] = True
    one = with_mask(asked, answer, answer)
    assert (one.mask, one.by, one.points) == ("1 1 3 3: 0 9", "sam", asked.points)
    painted = answer.copy()
    painted[1, 1] = False
    one = with_mask(asked, painted, answer)
    assert (one.mask, one.by, one.points) == ("1 1 3 3: 1 8", "hand", ())


def test_what_another_program_wrote_meanwhile_counts(review):
    saved_by_page = SavedCorrections(review._results, review.path)
    for one in (Correction("a", "accept", (1,)), Correction("a", "delete", (3,))):
        saved_by_page.save([replace(one, results=review.image.results)])
    # The last word counts, and the file stays one that can be read.
    review.act("delete", [1])
    assert saved(review) == [("delete", (3,)), ("delete", (1,))]
    assert len(review.corrected.scores) == 1
    # Object 2 is shown as the first one now. What was chosen by a former number is that object still.
    other = ImageReview(review._results, "a", review.path)
    other.undo()
    review.act("accept", [1])
    assert saved(review) == [("delete", (3,)), ("accept", (2,))]
    assert shown_at(review, 20, 20) == 1


def test_an_object_that_another_program_has_changed_is_to_be_chosen_again(review):
    other = ImageReview(review._results, "a", review.path)
    other.act("delete", [3])
    with pytest.raises(InputError, match="another program has changed object 3 meanwhile; choose again"):
        review.act("accept", [3])
    assert saved(review) == [("delete", (3,))]
    assert shown_at(review, 60, 90) == 0
    other.act("add", drawing=SQUARE)
    with pytest.raises(InputError, match="all pixels of its object belong to objects"):
        review.act("add", drawing=Correction("", "add", mask="81 11 1 1: 0 1", by="hand"))
    assert [one for one, _ in saved(review)] == ["delete", "add"]


@pytest.mark.parametrize("program", ["napari", "server"])
def test_nothing_comes_between_the_check_and_the_new_rows(review, monkeypatch, program):
    """Another process writes while the first one is still checking."""
    wrote = []

    def other(*given, **options):
        if not wrote:
            wrote.append(threading.Thread(target=write))
            wrote[0].start()
            wrote[0].join(0.5)
        return correct_labels(*given, **options)

    def write():
        append_corrections(review.path, [Correction("a", "accept", (2,))])

    if program == "napari":
        monkeypatch.setattr(image_review, "correct_labels", other)
        review.act("reviewed")
    else:
        monkeypatch.setattr(save_corrections, "correct_labels", other)
        one = Correction("a", "reviewed", results=review.image.results)
        SavedCorrections(review._results, review.path).save([one])
    wrote[0].join()
    assert saved(review) == [("reviewed", ()), ("accept", (2,))]


@pytest.fixture
def second(review):
    """Apply corrections of three objects, and open what comes out."""
    halves = Correction("", "split", points=((60.0, 85.0), (60.0, 95.0)), point_labels=(1, 1))
    review.act("accept", [1])
    review.act("split", [3], drawing=halves)
    fixed = review.path.parent.parent / "fixed"
    apply_corrections(check_corrections(read_corrections(review.path), review._results), fixed)
    results = ReviewResults.open(fixed)
    return ImageReview(results, "a", corrections_file(fixed))


@pytest.mark.parametrize("program", ["napari", "server"])
def test_what_was_reviewed_in_an_earlier_round_keeps_its_pixels(second, program):
    inside = Correction("a", "add", mask="19 19 2 2: 0 4", by="hand", results=second.image.results)
    napari, server = partial(second.act, "add", drawing=inside), SavedCorrections(second._results, second.path)
    with pytest.raises(InputError, match="all pixels of its object belong to objects 1"):
        napari() if program == "napari" else server.save([inside])
    assert not second.path.exists()
    # As what applies them says.
    append_corrections(second.path, [inside])
    with pytest.raises(InputError, match="all pixels of its object belong to objects 1"):
        apply_corrections(
            check_corrections(read_corrections(second.path), second._results), second.path.parent.parent / "again"
        )


def test_an_object_of_an_earlier_round_is_corrected_as_any_other(second):
    labels = second.corrected.labels
    assert {one.action for one in second.corrected.origins} == {"", "accept", "split"}
    # In the first round, action 1 was another one.
    second.act("accept", [int(labels[20, 60])])
    second.act("accept", [int(labels[20, 20])])
    second.act("delete", [int(labels[60, 84])])
    number = int(second._labels[60, 84])
    assert saved(second)[2:] == [("delete", (number,))]
    assert len(saved(second)) == 3
    second.undo()
    assert np.array_equal(second.corrected.labels, labels)

"""The script that corrects results by their truth, as a person does on the review page."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fake_networks import use_rule_models
from numpy.typing import NDArray
from results_folders import discs, image_of
from script_modules import load_script

from autosam.images import find_sources, read_labels, write_labels
from autosam.models.files.file_hash import file_sha256
from autosam.pipeline.batch import segment_batch
from autosam.pipeline.segmenter import Segmenter
from autosam.review.apply import apply_corrections
from autosam.review.check_corrections import check_corrections
from autosam.review.corrections import Correction
from autosam.review.corrections_file import append_corrections
from autosam.review.drawn_mask import read_mask_text
from autosam.review.page.make_review import corrections_file
from autosam.review.review_results import ReviewResults

script = load_script("answer_review")

PLACES = [
    (20, 20, 8),
    (20, 60, 8),
    (60, 90, 9),
    (70, 30, 12),
    (24, 105, 8),
    (24, 122, 8),
    (112, 20, 10),
    (115, 100, 9),
]
TRUTH = discs(PLACES, (136, 144))
LOST, MERGED, JOINED, SMALL, FALSE = 2, 4, 5, 7, 10


def wrong_labels() -> NDArray[np.int32]:
    """Lose an object, cut one, join two, draw one too small, and find one where nothing is."""
    found = TRUTH.copy()
    found[TRUTH == LOST] = 0
    found[70:][TRUTH[70:] == MERGED] = 9
    found[TRUTH == JOINED + 1] = JOINED
    found[22:27, 113:115] = JOINED
    found[110:][TRUTH[110:] == SMALL] = 0
    found[85:93, 60:68] = FALSE
    return found


@pytest.fixture
def results_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ReviewResults]:
    """Segment the image into a folder, and put the wrong labels there."""
    use_rule_models(monkeypatch)
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"stands for the weights")
    tifffile.imwrite(tmp_path / "a.tif", image_of(TRUTH), photometric="minisblack")
    (tmp_path / "truth").mkdir()
    write_labels(tmp_path / "truth" / "a.png", TRUTH)

    def make(folder: str) -> ReviewResults:
        segmenter, sources = Segmenter.from_model(model), find_sources([tmp_path / "a.tif"])
        list(segment_batch(sources, segmenter, tmp_path / folder, model_sha256=file_sha256(model)))
        write_labels(tmp_path / folder / "a_labels.tif", wrong_labels())
        return ReviewResults.open(tmp_path / folder)

    return make


def test_what_is_wrong_is_put_right(tmp_path, results_of):
    results = results_of("out")
    made = script.answer_review(results, str(tmp_path / "truth"), most=100)
    wanted = [one for one in made if one.action != "reviewed"]
    assert sorted((one.action, one.objects) for one in wanted) == [
        ("add", ()),
        ("delete", (FALSE,)),
        ("merge", (MERGED, 9)),
        ("redraw", (SMALL,)),
        ("split", (JOINED,)),
    ]
    assert {one.made_by for one in wanted if one.mask} == {"sam"}
    boxes = [one.box for one in made if one.action == "reviewed"]
    for one in wanted:
        assert any(pixels(one)[around(box)].sum() == pixels(one).sum() for box in boxes), one.action
    apply_corrections(check_corrections(made, results), tmp_path / "fixed")
    fixed = read_labels(tmp_path / "fixed" / "a_labels.tif")
    assert fixed.max() == len(PLACES)
    # But for the bridge between the two that were joined.
    assert np.array_equal((fixed > 0) & (TRUTH == 0), (wrong_labels() == JOINED) & (TRUTH == 0))
    assert (fixed > 0)[TRUTH > 0].all()

    again = script.answer_review(ReviewResults.open(tmp_path / "out"), str(tmp_path / "truth"), most=100)
    assert again == made, "all crops were called right"


def pixels(one: Correction) -> NDArray[np.bool_]:
    """Give the pixels of what a correction is about, and of what it draws."""
    found = np.isin(wrong_labels(), one.objects)
    if one.mask:
        drawn = read_mask_text(one.mask)
        found[drawn.window] |= drawn.mask
    return found


def around(box: tuple[float, float, float, float]) -> tuple[slice, slice]:
    top, left, bottom, right = map(int, box)
    return slice(top, bottom + 1), slice(left, right + 1)


def test_after_enough_corrections_the_crop_is_finished_and_no_other_one_begun(tmp_path, results_of):
    everything = script.answer_review(results_of("all"), str(tmp_path / "truth"), most=100)
    ends = [number for number, one in enumerate(everything, 1) if one.action == "reviewed"]
    assert len(ends) > 1
    few = script.answer_review(results_of("few"), str(tmp_path / "truth"), most=1)
    assert len(few) == ends[0] < len(everything)
    # It goes on where it stopped, and says nothing twice.
    rest = script.answer_review(ReviewResults.open(tmp_path / "few"), str(tmp_path / "truth"), most=100)
    assert [one.action for one in rest] == [one.action for one in everything]


def test_a_crop_is_not_called_right_where_a_correction_is_refused(tmp_path, results_of, capsys, monkeypatch):
    results = results_of("out")
    kept = Correction("a", "accept", (FALSE,), results=results.images["a"].results)
    append_corrections(corrections_file(results.folder), [kept])
    assert run(monkeypatch, results.folder, tmp_path / "truth", "--most", 100) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "answer_review: corrections cannot be applied: object 10 is line 2 (action 1) to accept"
    )
    said = script.SavedCorrections(results, corrections_file(results.folder)).read()
    assert "delete" not in [one.action for one in said]
    false = wrong_labels() == FALSE
    assert not any(false[around(one.box)].any() for one in said if one.action == "reviewed")


def test_an_image_without_labels_is_one_line(tmp_path, results_of, capsys, monkeypatch):
    results = results_of("out")
    (tmp_path / "truth" / "a.png").rename(tmp_path / "truth" / "b.png")
    assert run(monkeypatch, results.folder, tmp_path / "truth") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"answer_review: {tmp_path / 'truth'} has no labels of a; add label files of these names"
    assert not corrections_file(results.folder).exists()


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["answer_review.py", *map(str, arguments)])
    return script.main()

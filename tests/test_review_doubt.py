"""Where to look first."""

import numpy as np
import pytest
import tifffile
from fake_networks import use_rule_models
from results_folders import discs, image_of, write_results

from autosam.images import find_sources
from autosam.models.files.file_hash import file_sha256
from autosam.pipeline.batch import segment_batch
from autosam.pipeline.segmenter import Segmenter
from autosam.review.corrected_labels import ObjectOrigin
from autosam.review.doubt import Doubt, SeenAgain, image_doubts, rank
from autosam.review.find_doubts import find_doubts
from autosam.review.object_shapes import find_neck, touching_objects
from autosam.review.provenance import write_provenance
from autosam.review.review_results import ReviewResults

LABELS = discs([(20, 20, 8), (20, 60, 8), (60, 30, 8), (60, 90, 8), (80, 60, 8)])
SCORES = np.array([0.9, 0.35, 0.6, 0.9, np.nan])


def of(doubts, *objects):
    (one,) = [one for one in doubts if one.objects == objects]
    return one


def test_an_image_without_anything_is_one_doubt():
    seen = SeenAgain("a", np.zeros((30, 40), np.int32), np.empty(0))
    assert image_doubts(seen) == [Doubt("a", (0, 0, 30, 40), (), "image", 0.3, "Nothing was found in this image.")]
    (unlike,) = image_doubts(SeenAgain("a", seen.labels, seen.scores, novelty=3.2))
    assert "unlike the training images (novelty 3.2)" in unlike.why


def test_low_scores_come_first():
    doubts = image_doubts(SeenAgain("a", LABELS, SCORES, min_score=0.3))
    assert [one.objects for one in rank(doubts, ["a"])] == [(2,), (3,), (1,), (4,), (5,)]
    assert np.allclose([one.doubt for one in doubts], [0.1, 0.65, 0.4, 0.1, 0])
    assert of(doubts, 2).kind == "threshold"
    assert of(doubts, 2).why == "The score of object 2 is 0.35, and below 0.30 it would have been left out."
    assert of(doubts, 3).kind == "score"
    assert of(doubts, 5).why == "The score of object 5 is not known."
    for one in doubts:
        rows, cols = np.nonzero(one.objects[0] == LABELS)
        top, left, bottom, right = one.crop
        assert 0 <= top <= rows.min() < rows.max() < bottom <= 96
        assert 0 <= left <= cols.min() < cols.max() < right <= 128


def test_equal_doubts_keep_the_order_of_images_and_rows():
    doubts = [Doubt(name, (row, 0, 9, 9), (), "missed", 0.5, "") for name in "ba" for row in (3, 1)]
    doubts.append(Doubt("b", (9, 0, 9, 9), (), "missed", 0.6, ""))
    assert [(one.image, one.crop[0]) for one in rank(doubts, ["a", "b"])] == [
        ("b", 9),
        ("a", 1),
        ("a", 3),
        ("b", 1),
        ("b", 3),
    ]


def test_sam_against_the_generator():
    regions = LABELS.copy()
    regions[LABELS == 4] = 0
    regions[60, 90] = 4
    doubts = image_doubts(SeenAgain("a", LABELS, SCORES, regions=regions))
    assert of(doubts, 1).doubt == 0.1
    assert of(doubts, 4).kind == "conflict"
    assert of(doubts, 4).doubt == pytest.approx(1 - 0.9 * (1 - 0.5 * (1 - 1 / 197)), abs=1e-4)


def test_two_discs_in_one_have_a_neck_and_a_place_for_each_click():
    labels = discs([(70, 20, 8), (20, 60, 8), (20, 75, 8), (70, 50, 8), (70, 80, 8), (70, 110, 8)])
    labels[labels == 3] = 2
    one = of(image_doubts(SeenAgain("a", labels, np.full(6, 0.9))), 2)
    assert one.kind == "merge"
    assert np.allclose(sorted(one.points), [(20, 60), (20, 75)], atol=2)


def test_neck_is_deep_where_it_is_narrow():
    def two(distance):
        return discs([(20, 20, 9), (20, 20 + distance, 9)], (41, 70)) > 0

    depths = [find_neck(two(distance)).depth for distance in (0, 10, 15, 18)]
    assert depths[0] == 0
    assert depths == sorted(depths)
    assert depths[-1] > 0.5
    assert find_neck(np.ones((1, 1), bool)).places is None


def test_parts_of_one_shape_could_be_one():
    labels = discs([(40, 40, 20), (40, 100, 9)])
    labels[40:, :60][labels[40:, :60] == 1] = 3
    border = np.zeros(labels.shape, np.float32)
    assert list(touching_objects(labels)) == [(1, 3)]
    doubts = image_doubts(SeenAgain("a", labels, np.full(3, 0.9), maps={"boundary": border}))
    one = of(doubts, 1, 3)
    assert one.kind == "split"
    assert one.doubt > 0.25
    # With a border between them, they are two.
    closed = image_doubts(SeenAgain("a", labels, np.full(3, 0.9), maps={"boundary": border + 1}))
    assert not [one for one in closed if len(one.objects) == 2]


def test_touching_objects_have_at_most_a_pixel_between():
    labels = np.array([[1, 0, 2, 0, 0, 3], [0, 0, 0, 0, 0, 0], [4, 0, 0, 0, 0, 0]], np.int32)
    pairs = touching_objects(labels)
    assert {key: value.tolist() for key, value in pairs.items()} == {
        (1, 2): [0, 2],
        (1, 4): [0, 12],
        (2, 4): [2, 12],
    }
    assert touching_objects(np.zeros((3, 3), np.int32)) == {}


def test_foreground_in_no_object_may_be_missed():
    foreground = np.where(discs([(20, 20, 8), (60, 70, 7), (90, 120, 1)]) > 0, 0.8, 0.1).astype(np.float32)
    labels = discs([(20, 20, 8)])
    doubts = image_doubts(SeenAgain("a", labels, np.array([0.9]), maps={"foreground": foreground}))
    (place,) = [one for one in doubts if one.kind == "missed"]
    assert place.objects == ()
    assert place.points == ((60.0, 70.0),)
    assert place.doubt == pytest.approx(0.3 + 0.4 * 0.8, abs=1e-4)
    assert "probability 0.80" in place.why


def test_what_was_reviewed_is_in_no_doubt():
    doubts = image_doubts(SeenAgain("a", LABELS, SCORES, done=frozenset({2, 3})))
    assert [one.objects for one in doubts] == [(1,), (4,), (5,)]
    everything = SeenAgain("a", LABELS, SCORES, done=frozenset(range(1, 6)))
    assert image_doubts(everything) == []


def test_unlike_images_are_more_doubtful():
    (plain, *_), (unlike, *_) = (
        image_doubts(SeenAgain("a", LABELS, SCORES, novelty=novelty)) for novelty in (0.9, 2.5)
    )
    assert plain.doubt == 0.1
    assert unlike.doubt == pytest.approx(1 - 0.9 * 0.7)


def test_the_most_doubtful_of_many_images_are_kept_and_the_others_counted(tmp_path):
    results = ReviewResults.open(write_results(tmp_path / "out", dict.fromkeys("abcd", LABELS)))
    every = find_doubts(results)
    few = find_doubts(results, most=2)
    assert few.doubts == every.doubts[:2]
    assert (few.others, every.others) == (len(every.doubts) - 2, 0)


def test_without_model_and_images_labels_and_scores_are_left(tmp_path):
    results = write_results(tmp_path / "out", {"a": LABELS, "b": np.zeros((20, 20), np.int32)})
    found = find_doubts(ReviewResults.open(results))
    assert [one.image for one in found.doubts] == ["a", "a", "b", "a", "a", "a"]
    assert found.doubts[0].objects == (1,)
    assert any("gone.safetensors" in note and "scores and shapes alone" in note for note in found.notes)
    write_provenance(results, {"a": [ObjectOrigin(1, "model", "accept", "1", (1,))]})
    assert (1,) not in [one.objects for one in find_doubts(ReviewResults.open(results)).doubts]


def test_images_are_seen_again_through_the_model(tmp_path, monkeypatch):
    use_rule_models(monkeypatch)
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"stands for the weights")
    labels = discs([(20, 20, 8), (20, 60, 8), (60, 90, 9)])
    tifffile.imwrite(tmp_path / "a.tif", image_of(labels), photometric="minisblack")
    segmenter = Segmenter.from_model(model)
    list(
        segment_batch(
            find_sources([tmp_path / "a.tif"]), segmenter, tmp_path / "out", model_sha256=file_sha256(model)
        )
    )
    # Somebody else's run has lost an object.
    path = tmp_path / "out" / "a_labels.tif"
    kept = tifffile.imread(path)
    tifffile.imwrite(path, np.where(kept == kept[20, 60], 0, kept))
    found = find_doubts(ReviewResults.open(tmp_path / "out"))
    assert found.notes == ()
    missed = found.doubts[0]
    assert (missed.kind, missed.image) == ("missed", "a")
    assert missed.points == ((20.0, 60.0),)
    record = tmp_path / "out" / "autosam_run.json"
    text = record.read_text(encoding="utf-8")
    record.write_text(text.replace('"rows":', '"inside_px": 3000, "rows":'), encoding="utf-8")
    inside = find_doubts(ReviewResults.open(tmp_path / "out"))
    assert [one.objects for one in inside.doubts] == [(1,), (3,)]
    assert "inside an area alone (--inside)" in inside.notes[0]
    record.write_text(text, encoding="utf-8")
    (tmp_path / "a.tif").unlink()
    gone = find_doubts(ReviewResults.open(tmp_path / "out"))
    assert "is not there any more" in gone.notes[0]
    assert not [one for one in gone.doubts if one.kind == "missed"]

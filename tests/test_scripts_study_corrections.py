"""The study of corrections: what the simulated annotator does, in which order, and points that repeat."""

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from blobs import discs
from fake_networks import use_rule_models
from numpy.typing import NDArray
from results_folders import write_results
from script_modules import SCRIPTS, load_script
from small_models import GENERATOR_ALONE, write_model

from autosam.config import ImagesConfig
from autosam.errors import ConfigError, InputError
from autosam.images import read_image, read_labels, write_labels
from autosam.instances import MaskCrop
from autosam.pipeline.segmenter import Segmenter
from autosam.review.check_corrections import check_corrections
from autosam.review.corrected_labels import correct_labels
from autosam.review.doubt import Doubt
from autosam.review.drawn_mask import read_mask_text
from autosam.review.review_results import ReviewResults

study_corrections = load_script("study_corrections")
annotator = load_script("corrections_annotator")
drawing = load_script("corrections_drawing")
images = load_script("corrections_images")
log = load_script("corrections_log")
order = load_script("corrections_order")
times = load_script("corrections_time")
points = load_script("corrections_points")
plot = load_script("corrections_plot")
slices_plot = load_script("slices_plot")

Labels = NDArray[np.int32]


@pytest.fixture
def results_of(tmp_path):
    def make(labels):
        write_results(tmp_path / "out", labels)
        return ReviewResults.open(tmp_path / "out")

    return make


def boxes(*places: tuple[int, int, int, int], shape: tuple[int, int] = (40, 60)) -> Labels:
    """Draw rectangles of first row, first column, height and width, with ids from 1."""
    labels = np.zeros(shape, np.int32)
    for number, (row, col, height, width) in enumerate(places, 1):
        labels[row : row + height, col : col + width] = number
    return labels


def actions(labels: Labels, truth: Labels, valid: NDArray[np.bool_] | None = None) -> list[tuple[object, ...]]:
    plan = annotator.plan_answers("a", labels, truth, valid)
    return [(one.action, one.objects, one.truths) for one in plan]


def test_a_right_object_is_accepted_a_false_one_deleted_and_a_missed_one_added():
    labels = boxes((2, 2, 10, 10), (25, 40, 8, 8))
    truth = boxes((20, 2, 12, 12), (2, 2, 10, 9))
    assert actions(labels, truth) == [("accept", (1,), (2,)), ("delete", (2,), ()), ("add", (), (1,))]


def test_two_objects_in_one_are_split_by_a_click_in_each():
    truth = boxes((5, 5, 12, 12), (5, 18, 12, 12))
    labels = np.where(truth > 0, 1, 0)
    labels[10:12, 17] = 1
    (one,) = annotator.plan_answers("a", labels, truth)
    assert (one.action, one.objects, one.truths) == ("split", (1,), (1, 2))
    assert [truth[int(row), int(col)] for row, col in one.points] == [1, 2]


def test_parts_of_one_object_are_merged():
    truth = boxes((5, 5, 12, 40))
    labels = boxes((5, 5, 12, 18), (5, 25, 12, 20))
    assert actions(labels, truth) == [("merge", (1, 2), (1,))]


def test_an_outline_that_is_wrong_is_redrawn_and_fragments_of_the_object_go_with_it():
    truth = boxes((5, 5, 20, 40))
    # The union of both is not right either.
    labels = boxes((5, 5, 18, 15), (10, 30, 6, 6))
    (one,) = annotator.plan_answers("a", labels, truth)
    assert (one.action, one.objects, one.truths, one.covered) == ("redraw", (1,), (1,), (2,))
    assert one.touches == {1, 2}


def test_of_what_lies_where_no_truth_is_known_nothing_is_said():
    labels, valid = boxes((2, 2, 10, 10), (25, 40, 8, 8)), np.zeros((40, 60), bool)
    valid[:, :30] = True
    assert actions(labels, np.zeros((40, 60), np.int32), valid) == [("delete", (1,), ())]
    assert actions(labels, np.zeros((40, 60), np.int32), np.zeros((40, 60), bool)) == []
    assert actions(np.zeros((40, 60), np.int32), np.zeros((40, 60), np.int32)) == []


def random_labels(seed: int) -> tuple[Labels, Labels]:
    """Make labels and a truth that have objects in common, and others cut, joined, moved and left out."""
    rng = np.random.default_rng(seed)
    truth = discs(seed, 128)[1]
    labels = np.roll(truth, (0, int(rng.integers(0, 5))), (0, 1)).astype(np.int32)
    for number in range(1, labels.max() + 1):
        what, own = rng.integers(5), labels == number
        cols = np.flatnonzero(own.any(axis=0))
        if what == 0:
            labels[own] = 0
        elif what == 1:
            labels[own & (np.arange(128) > np.median(cols))] = labels.max() + 1
        elif what == 2 and number > 1:
            labels[own] = number - 1
    labels[100:108, 60:68] = labels.max() + 1
    return labels, truth


@pytest.mark.parametrize("seed", range(6))
def test_all_answers_together_make_all_objects_right(seed, results_of):
    labels, truth = random_labels(seed)
    results = results_of({"a": labels})
    answers = annotator.plan_answers("a", labels, truth)
    person = drawing.Annotator(results, {"a": truth}, asks_sam=False)
    corrections = [person.make(one).correction for one in answers]
    named = [replace(one, action_id=str(number)) for number, one in enumerate(corrections)]
    own = check_corrections(named, results).of["a"][1]
    drawn = {one.action_id: read_mask_text(one.mask) for one in own if one.mask}
    fixed = correct_labels(labels, np.ones(labels.max()), own, drawn).labels
    assert fixed.max() == truth.max()
    again = annotator.plan_answers("a", fixed, truth)
    assert {one.action for one in again} == {"accept"}
    # Each object is named once, so that any of the answers can be left out.
    named = [number for one in answers for number in one.touches]
    assert len(named) == len(set(named))
    assert sorted(true for one in answers for true in one.truths) == list(range(1, truth.max() + 1))


def known(labels: Labels, truth: Labels, valid: NDArray[np.bool_] | None = None):
    return order.Known(labels, truth, valid, annotator.plan_answers("a", labels, truth, valid))


def doubt_of(objects: tuple[int, ...], *points: tuple[float, float], kind: str = "missed") -> Doubt:
    return Doubt("a", (15, 0, 40, 30), objects, kind, 0.5, "", points)


def test_each_crop_is_put_right_and_then_called_right():
    # The crop shows the false object, and a part of the missed one.
    labels = boxes((2, 40, 8, 8), (20, 2, 8, 8))
    truth = boxes((2, 40, 8, 8), (8, 15, 10, 10))
    one = known(labels, truth)
    box = (15.0, 0.0, 39.0, 29.0)
    given = order.by_doubt({"a": one}, [doubt_of((2,), kind="score"), doubt_of((), (30.0, 5.0))])
    assert [answer.action for answer in given] == ["delete", "add", "reviewed", "accept"]
    assert given[2].box == box
    # What no crop shows comes last, image by image.
    assert order.by_doubt({"a": one}, []) == one.answers
    whole = replace(doubt_of((), kind="image"), crop=(0, 0, *truth.shape))
    missed = known(np.zeros_like(truth), truth)
    given = order.by_doubt({"a": missed}, [whole])
    assert [answer.action for answer in given] == ["add", "add", "reviewed"]


def test_an_answer_is_given_once_and_a_crop_in_another_one_is_skipped():
    one = known(boxes((2, 40, 8, 8), (20, 2, 8, 8)), boxes((2, 40, 8, 8)))
    first, inside = doubt_of((2,)), replace(doubt_of((2,)), crop=(16, 1, 30, 20))
    beside = replace(first, crop=(15, 5, 40, 50))
    given = order.by_doubt({"a": one}, [first, inside, beside])
    assert [answer.action for answer in given] == ["delete", "reviewed", "reviewed", "accept"]
    assert [answer.box for answer in given[1:3]] == [order.box_of(first), order.box_of(beside)]
    other = known(boxes((20, 2, 8, 8)), boxes((20, 2, 8, 8)))
    given = order.by_doubt({"a": one, "b": other}, [first, replace(inside, image="b")])
    assert [answer.image for answer in given if answer.action == "reviewed"] == ["a", "b"]


def test_a_crop_without_truth_in_a_part_is_not_called_right():
    labels, truth = boxes((2, 40, 8, 8), (20, 2, 8, 8), (20, 14, 8, 8)), boxes((2, 40, 8, 8), (20, 2, 8, 8))
    valid = np.ones(labels.shape, bool)
    valid[35:] = False
    one = known(labels, truth, valid)
    given = order.by_doubt({"a": one}, [doubt_of((2,))])
    assert [(answer.action, answer.objects) for answer in given] == [
        ("delete", (3,)),
        ("accept", (2,)),
        ("accept", (1,)),
    ]


def test_random_crops_are_the_same_crops_and_repeat_with_their_seed():
    labels, truth = random_labels(1)
    one = known(labels, truth)
    doubts = [Doubt("a", (at, at, at + 30, at + 30), (), "missed", 0.5, "") for at in range(0, 90, 15)]
    first, again, other = (order.at_random({"a": one}, doubts, seed) for seed in (3, 3, 4))
    assert first == again != other
    by_doubt = order.by_doubt({"a": one}, doubts)
    assert sorted(first, key=repr) == sorted(by_doubt, key=repr)
    assert {answer for answer in first if answer.action != "reviewed"} == {*one.answers}


def asked_of(answers: list[MaskCrop | None], labels: Labels, truth: Labels, results_of):
    """Draw the first answer with a SAM that gives these masks; give what was made and the prompts that came."""
    prompts = []

    def ask(prompt):
        prompts.append(prompt)
        return answers[len(prompts) - 1]

    image = results_of({"a": labels}).images["a"]
    (one,) = annotator.plan_answers("a", labels, truth)
    return drawing.make_correction(one, image, truth, ask), prompts


def crop_of(labels: Labels) -> MaskCrop:
    return MaskCrop(0, 0, labels > 0, 0.9, 0)


def test_sam_is_clicked_until_its_outline_is_right(results_of):
    truth, nothing = boxes((10, 10, 12, 20)), np.zeros((40, 60), np.int32)
    half, more = boxes((10, 10, 12, 8)), boxes((10, 10, 12, 34))
    made, prompts = asked_of([crop_of(half), crop_of(more), crop_of(truth)], nothing, truth, results_of)
    one = made.correction
    assert (one.action, one.made_by, one.point_labels, one.objects) == ("add", "sam", (1, 1, 0), ())
    assert [truth[int(row), int(col)] for row, col in one.points] == [1, 1, 0]
    assert np.array_equal(read_mask_text(one.mask).mask, np.ones((12, 20), bool))
    # A key, three clicks and Enter.
    assert made.clicks == 5
    assert [len(prompt.points) for prompt in prompts] == [1, 2, 3]


def test_an_outline_is_drawn_by_hand_where_sam_does_not_get_there(results_of):
    truth, found = boxes((10, 10, 12, 20)), boxes((10, 10, 12, 6))
    half = boxes((10, 10, 12, 8))
    made, prompts = asked_of([crop_of(half)] * drawing.MOST_POINTS, found, truth, results_of)
    one = made.correction
    assert (one.action, one.made_by, one.objects, one.points) == ("redraw", "hand", (1,), ())
    assert np.array_equal(read_mask_text(one.mask).mask, np.ones((12, 20), bool))
    assert len(prompts) == drawing.MOST_POINTS
    assert made.clicks == 1 + drawing.MOST_POINTS + drawing.corners(truth == 1)
    assert 4 <= drawing.corners(truth == 1) <= 8
    # Where it sees nothing, another click at the same place would tell it nothing new.
    made, prompts = asked_of([crop_of(half), None], found, truth, results_of)
    assert len(prompts) == 2
    assert made.correction.made_by == "hand"
    assert made.clicks == 1 + 2 + drawing.corners(truth == 1)


LABELED = 30
"""Columns of the first image that have labels."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images to learn from and one to score, with masks of what has labels."""
    folder = tmp_path_factory.mktemp("data")
    for number in range(3):
        image, labels = discs(number, 96)
        valid = np.full(labels.shape, 255)
        if number == 0:
            valid[:, LABELED:] = 0
        for part, array in (("images", image[..., 0]), ("labels", labels), ("valid", valid)):
            (folder / "far" / part).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / "far" / part / f"{number}.tif", array.astype(np.uint8))
    case = {"images": "far/images", "labels": "far/labels"}
    cases = {
        "far": {**case, "learn": ["0", "1"], "score": ["2"]},
        "split": {**case, "learn": "train", "score": "val"},
    }
    (folder / "cases.yaml").write_text(yaml.safe_dump(cases), encoding="utf-8")
    (folder / "splits.json").write_text(json.dumps({"far": {"train": ["0", "1"], "val": ["2"]}}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    return write_model(path, *GENERATOR_ALONE, "tiles.size=64")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["study_corrections.py", *map(str, arguments)])
    return study_corrections.main()


def timeless(table: Path) -> list[object]:
    return [replace(row, cpu_s=0.0) for row in log.read_rows(table)]


@pytest.mark.usefixtures("few_windows")
def test_points_are_computed_once_and_repeat(data, model, tmp_path, monkeypatch, capsys):
    def compute(table: Path, *counts: int) -> None:
        given = ["run", table, "far", "--cases", data / "cases.yaml", "--data", data, "--model", model]
        given += ["--curves", "none", "doubt", "random", "all", "peer:doubt", "--counts", *counts, "--steps", 2]
        sets = ("training.workers=0", "training.precision=float32", "tiles.size=64")
        given += ["--peer-steps", 1, *(part for text in sets for part in ("--set", text))]
        assert run(monkeypatch, *given) == 0

    compute(tmp_path / "a.csv", 3)
    compute(tmp_path / "a.csv", 3, 12)
    assert capsys.readouterr().out.count("small adapt doubt 3:") == 1
    compute(tmp_path / "b.csv", 3, 12)
    rows = timeless(tmp_path / "a.csv")
    assert sorted(rows, key=repr) == sorted(timeless(tmp_path / "b.csv"), key=repr)
    keys = [(row.key.learner, row.key.order, row.key.corrections) for row in rows]
    assert len(keys) == len(set(keys)) == 8
    for row in rows:
        assert row.effort.number == row.key.corrections == sum(log.counted(row.actions).values())
        assert row.true_objects == 9
        assert 0 <= row.scores[1] <= row.scores[0] <= row.scores[2] <= 1
    # More corrections are more to learn from, and with all labels all is learnt from.
    of = dict(zip(keys, rows, strict=True))
    labels = (tmp_path / "a" / "far" / "learn" / "labels").iterdir()
    there = sum(len(np.unique(read_labels(one))) - 1 for one in labels)
    assert 2 <= of["adapt", "doubt", 3].objects < of["adapt", "all", 0].objects == there
    assert of["adapt", "doubt", 3].objects < of["adapt", "doubt", 12].objects
    assert of["peer", "doubt", 3].objects == of["adapt", "doubt", 3].objects
    image, truth = (tifffile.imread(data / "far" / part / "2.tif") for part in ("images", "labels"))
    found = Segmenter.from_model(model).segment(image).labels
    left = Counter(one.action for one in annotator.plan_answers("", found, truth))
    assert log.counted(of["adapt", "none", 0].left) == left != {}

    assert run(monkeypatch, "time", tmp_path / "a.csv") == 0
    told = capsys.readouterr().out
    assert "far small none 0: finishing the 9 objects" in told
    assert "far small doubt 12:" in told
    assert run(monkeypatch, "plot", tmp_path / "a.csv", tmp_path / "curves.png") == 0
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert run(monkeypatch, "plot", tmp_path / "a.csv", tmp_path / "slices.png", "--slices") == 2
    assert "no case of slices" in capsys.readouterr().err


def test_all_labels_are_learnt_without_finding_doubts_first(data, model, tmp_path, monkeypatch):
    given = ["run", tmp_path / "t.csv", "far", "--cases", data / "cases.yaml", "--data", data, "--model", model]
    given += ["--curves", "all", "--steps", 1, "--set", "training.workers=0", "--set", "tiles.size=64"]
    assert run(monkeypatch, *given) == 0
    (row,) = log.read_rows(tmp_path / "t.csv")
    assert row.key.order == "all"
    assert row.objects > 0


@pytest.mark.usefixtures("few_windows")
def test_sam_draws_what_the_study_clicks(data, tmp_path, monkeypatch):
    use_rule_models(monkeypatch)
    (tmp_path / "rule.safetensors").write_bytes(b"stands for the weights")
    prepared = images.Prepared.make(images.read_case(data / "cases.yaml", "far", data), data, tmp_path / "far")
    learning = points.Learning(1, 1, 0, ())
    study = points.Study(prepared, tmp_path / "rule.safetensors", "rule", tmp_path / "t.csv", learning)
    file = study.results.folder / "1_labels.tif"
    write_labels(file, np.where(read_labels(file) > 6, 0, read_labels(file)))
    number = len(study.answers["doubt"])
    study.run("peer", "doubt", [number])
    (row,) = log.read_rows(tmp_path / "t.csv")
    # All but the three that were lost had been found.
    assert log.counted(row.actions)["add"] == row.effort.by_sam == 3
    assert row.effort.by_hand == 0
    # Of a whole image all that is wrong is put right, and then all of it is called right.
    ends = [place for place, one in enumerate(study.answers["whole"]) if one.action == "reviewed"]
    for first, end in zip((0, *(place + 1 for place in ends)), ends, strict=False):
        *wrong, right = study.answers["whole"][first : end + 1]
        known = study.known[right.image]
        truth_is_known = np.ones_like(known.truth, bool) if known.valid is None else known.valid
        rows, cols = np.nonzero(truth_is_known)
        assert right.box == (rows.min(), cols.min(), rows.max(), cols.max())
        assert wrong == [one for one in known.answers if one.action != "accept"]
    assert len(ends) == len(study.known)
    # An answer is drawn once, however often it is given.
    monkeypatch.setattr(drawing, "make_correction", None)
    assert all(study.annotator.make(one).correction for one in study.answers["doubt"])


def test_time_is_counted_in_objects_drawn_by_hand():
    assert times.time_of({"accept": 10}, 0.0) == pytest.approx(10 * 30 / 544)
    assert times.time_of({"add": 2, "redraw": 2, "split": 1}, 0.5) == pytest.approx(2 + 3 * 69 / 544)
    assert times.time_of({}, 0.5) == 0
    (_, labeling, finishing) = times.estimates([row_of("doubt", 4)])
    # One by hand, one by SAM, a merge, and a glance: 1 + 2 * 69/544 + 30/544.
    assert "30 clicks for 3 objects, 10.0 each; labeling them takes 1.3 instead of 3" in labeling
    # Half of the objects were drawn by SAM, and so are half of the four that are left.
    assert "takes 2.3 instead of 9" in finishing


def row_of(order: str, corrections: int, learner: str = "adapt", score: float = 0.5):
    key = log.Key("far", "m", "ab", learner, order, corrections, 2, 0, "")
    effort = log.Effort(2, 1, 1, 30)
    return log.Row(key, "accept 1, add 2, merge 1", effort, 3, "thresholds", 1.0, (score,) * 6, 9, "add 4")


def test_curves_begin_with_the_model_as_it_is():
    rows = [row_of("doubt", 25, score=0.7), row_of("none", 0, score=0.4), row_of("doubt", 10, score=0.6)]
    rows += [row_of("all", 0, score=0.9), row_of("random", 10, "peer", score=0.1)]
    ap50, mean_ap = plot.draw_curves(rows).axes
    for axis in (ap50, mean_ap):
        doubt, peer, everything = axis.lines
        assert list(doubt.get_xdata()) == [0, 10, 25]
        assert list(doubt.get_ydata()) == [0.4, 0.6, 0.7]
        assert (list(peer.get_xdata()), list(peer.get_ydata())) == ([10], [0.1])
        assert list(everything.get_ydata()) == [0.9, 0.9]
    with pytest.raises(InputError, match="the table has no point"):
        plot.draw_curves([])


def test_curves_of_slices_begin_with_the_model_as_it_is():
    def slices(number: int, order: str, learner: str = "adapt", score: float = 0.5):
        row = row_of(order, 0, learner, score)
        return replace(row, key=replace(row.key, case=f"vnc_{number}"))

    rows = [slices(5, "all", score=0.8), slices(1, "all"), slices(5, "none", score=0.3)]
    rows += [slices(1, "all", "peer", 0.1), row_of("all", 0)]
    ap50, mean_ap = slices_plot.draw_slices(rows).axes
    for axis in (ap50, mean_ap):
        adapted, peer = axis.lines
        assert list(adapted.get_xdata()) == [0, 1, 5]
        assert list(adapted.get_ydata()) == [0.3, 0.5, 0.8]
        assert (list(peer.get_xdata()), list(peer.get_ydata())) == ([1], [0.1])
    with pytest.raises(InputError, match="no case of slices"):
        slices_plot.draw_slices([row_of("all", 0)])


def test_images_are_cut_to_what_has_labels(data, tmp_path):
    case = images.read_case(data / "cases.yaml", "far", data)
    prepared = images.Prepared.make(case, data, tmp_path)
    columns = LABELED + images.MARGIN
    cut, whole = (read_image(tmp_path / "learn" / "images" / f"{number}.tif") for number in (0, 1))
    assert cut.shape == (96, columns)
    assert np.array_equal(cut, tifffile.imread(data / "far" / "images" / "0.tif")[:, :columns])
    assert np.array_equal(whole, tifffile.imread(data / "far" / "images" / "1.tif"))
    assert [path.name for path in (tmp_path / "score" / "images").iterdir()] == ["2.tif"]
    first, _ = prepared.labeled("learn", ImagesConfig())
    assert first.valid.shape == (96, columns)
    assert first.valid[:, :LABELED].all()
    assert not first.valid[:, LABELED:].any()
    assert not first.labels[:, LABELED:].any()


def test_images_of_another_list_are_not_taken_for_those_of_this_one(data, tmp_path):
    case = images.read_case(data / "cases.yaml", "far", data)
    images.Prepared.make(case, data, tmp_path)
    file = tmp_path / "learn" / "images" / "0.tif"
    made = file.stat().st_mtime_ns
    images.Prepared.make(case, data, tmp_path)
    assert file.stat().st_mtime_ns == made, "they were there"
    with pytest.raises(ConfigError, match="was made when case far was another; delete"):
        images.Prepared.make(replace(case, learn=("1",)), data, tmp_path)
    other = case.source.model_copy(update={"valid": "none"})
    with pytest.raises(ConfigError, match="was made when case far was another; delete"):
        images.Prepared.make(replace(case, source=other), data, tmp_path)


def test_a_case_may_name_the_parts_of_a_split(data):
    split, far = (images.read_case(data / "cases.yaml", name, data) for name in ("split", "far"))
    assert (split.learn, split.score) == (far.learn, far.score) == (("0", "1"), ("2",))
    assert split.source == far.source.model_copy(update={"name": "split"})


@pytest.mark.parametrize("file", ["corrections.yaml", "slices.yaml"])
def test_the_cases_of_the_project_are_read(tmp_path, file):
    cases = yaml.safe_load((SCRIPTS / file).read_text(encoding="utf-8"))
    parts = {case["images"].partition("/")[0]: {"train": ["0"], "val": ["1"]} for case in cases.values()}
    (tmp_path / "splits.json").write_text(json.dumps(parts), encoding="utf-8")
    for name, given in cases.items():
        case = images.read_case(SCRIPTS / file, name, tmp_path)
        assert case.source.pixel_size == given.get("pixel_size")
        assert case.learn
        listed = isinstance(given["learn"], list) and isinstance(given["score"], list)
        assert not (listed and {*case.learn} & {*case.score})


@pytest.mark.parametrize(
    ("changes", "case", "told"),
    [
        ({}, "near", "has no case near; it has far, split"),
        ({"score": None}, "far", "no images to score"),
        ({"score": 2}, "far", "no images to score"),
        ({"images": None}, "far", r"case far of .* 1 wrong setting: data.sources.0.images is missing"),
        ({"pixels": 3}, "far", r"case far of .* 1 wrong setting: data.sources.0.pixels is unknown"),
        ({"learn": "test"}, "far", "has no list far.test"),
    ],
)
def test_a_case_that_is_no_case_is_one_line(data, tmp_path, changes, case, told):
    cases = yaml.safe_load((data / "cases.yaml").read_text(encoding="utf-8"))
    given = cases["far"] | changes
    cases["far"] = {key: value for key, value in given.items() if value is not None}
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(cases), encoding="utf-8")
    with pytest.raises((ConfigError, InputError), match=told) as error:
        images.read_case(tmp_path / "cases.yaml", case, data)
    assert "\n" not in str(error.value)


def test_a_table_of_something_else_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match="no table of this study"):
        log.read_rows(tmp_path / "t.csv")

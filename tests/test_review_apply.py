"""`autosam apply` as a user runs it, and corrected results as other commands read them."""

import csv
import json

import numpy as np
import pytest
import tifffile
from fake_networks import use_rule_models
from results_folders import discs, image_of, write_results

from autosam.data import load_labeled_images
from autosam.images import read_labels, write_labels
from autosam.pipeline.claims import Claims
from autosam.review.corrections import Correction
from autosam.review.corrections_file import append_corrections, read_corrections
from autosam.review.provenance import read_provenance
from autosam.review.review_results import ReviewResults

TWO = discs([(30, 30, 12), (60, 90, 9)])
THREE = discs([(20, 20, 8), (20, 60, 8), (60, 90, 9)])


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path / "out", {"a": TWO, "day1/b": THREE})


def correct(tmp_path, *corrections):
    append_corrections(tmp_path / "c.csv", corrections)


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_corrected_results_without_a_model(autosam, tmp_path, results):
    before = content(results)
    image = ReviewResults.open(results).images["day1/b"]
    correct(
        tmp_path,
        Correction("day1/b", "accept", (1,), results=image.results),
        Correction("day1/b.tif", "delete", (2,), results=image.results),
        Correction("day1/b", "add", mask="80 10 4 4: 0 16", results=image.results),
    )
    status, out, _ = autosam("apply", "out", "c.csv", "-o", "new/fixed")
    assert status == 0
    assert "3 corrections applied to 1 image: 3 objects before, 3 now. Results: new/fixed" in out
    assert content(results) == before
    fixed = tmp_path / "new" / "fixed"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["fixed"]
    labels = read_labels(fixed / "day1" / "b_labels.tif")
    assert labels.max() == 3
    assert labels[20, 60] == 0
    assert (labels[80:84, 10:14] == 3).all()
    assert [row["score"] for row in rows(fixed / "day1" / "b_instances.csv")] == ["0.6", "0.9", "1"]
    for name in ("a_labels.tif", "a_overlay.png", "a_instances.csv"):
        assert (fixed / name).read_bytes() == (results / name).read_bytes()
    told = {(row["label"], row["by"], row["action"], row["before"]) for row in rows(fixed / "provenance.csv")}
    assert told == {
        ("1", "model", "accept", "1"),
        ("2", "model", "", "3"),
        ("3", "hand", "add", ""),
        ("", "hand", "delete", "2"),
    }
    record = json.loads((fixed / "autosam_run.json").read_text(encoding="utf-8"))
    assert record["images"]["day1/b"]["corrected"] == {"model": 2, "sam": 0, "hand": 1}
    assert record["images"]["day1/b"]["instances"] == 3
    assert len(record["options"]["corrections_sha256"]) == 64
    assert [row["objects"] for row in rows(fixed / "summary.csv")] == ["2", "3"]
    # The same input gives the same bytes.
    assert autosam("apply", "out", "c.csv", "-o", "again")[0] == 0
    told = {path.relative_to(fixed): text for path, text in content(fixed).items()}
    again = tmp_path / "again"
    assert {path.relative_to(again): text for path, text in content(again).items()} == told


def test_other_commands_take_corrected_results(autosam, tmp_path, results):
    correct(tmp_path, Correction("day1/b", "delete", (2,)), Correction("day1/b", "reviewed", box=(0, 0, 95, 63)))
    assert autosam("apply", "out", "c.csv", "-o", "fixed")[0] == 0
    status, out, _ = autosam("evaluate", "fixed", "out")
    assert status == 0
    assert "pooled (2 images)" in out
    assert autosam("report", "fixed")[0] == 0
    page = (tmp_path / "fixed" / "report.html").read_text(encoding="utf-8")
    assert "corrections by a person" in page
    assert autosam("export", "fixed", "--to", "geojson")[0] == 0
    training = tmp_path / "fixed" / "training"
    (learnt,) = load_labeled_images(training / "images", training / "labels", source="data")
    assert learnt.name == "data/day1__b"
    # The box, and what the deleted object had beside it.
    assert learnt.counted == 96 * 64 + (THREE[:, 64:] == 2).sum()
    assert learnt.valid[:, :64].all()
    assert np.unique(learnt.labels).tolist() == [0, 1]


def test_corrected_results_are_corrected_again(autosam, tmp_path, results):
    correct(tmp_path, Correction("a", "accept", (1,)), Correction("a", "add", mask="2 100 4 4: 0 16"))
    assert autosam("apply", "out", "c.csv", "-o", "once")[0] == 0
    append_corrections(tmp_path / "d.csv", [Correction("a", "delete", (3,)), Correction("day1/b", "accept", (1,))])
    assert autosam("apply", "once", "d.csv", "-o", "twice")[0] == 0
    told = [
        (row["image"], row["label"], row["by"], row["action"]) for row in rows(tmp_path / "twice/provenance.csv")
    ]
    assert told == [
        ("a", "1", "hand", "add"),
        ("a", "2", "model", "accept"),
        ("a", "", "hand", "delete"),
        ("day1/b", "1", "model", "accept"),
        ("day1/b", "2", "model", ""),
        ("day1/b", "3", "model", ""),
    ]
    valid = read_labels(tmp_path / "twice" / "training" / "valid" / "a.tif") > 0
    # What was reviewed the first time stays so.
    assert valid[30, 30]
    assert valid[60, 90]
    assert not valid[90, 10]


def test_sam_answers_points_and_boxes(autosam, tmp_path, monkeypatch):
    use_rule_models(monkeypatch)
    (tmp_path / "images").mkdir()
    (tmp_path / "model.safetensors").write_bytes(b"stands for the weights")
    tifffile.imwrite(tmp_path / "images" / "a.tif", image_of(THREE), photometric="minisblack")
    assert autosam("segment", "images/a.tif", "-o", "out", "-m", "model.safetensors")[0] == 0
    labels = read_labels(tmp_path / "out" / "a_labels.tif")
    assert labels.max() == 3
    numbers = [int(labels[place]) for place in ((20, 20), (20, 60))]
    correct(
        tmp_path,
        Correction("a", "delete", (numbers[0],)),
        Correction("a", "add", points=((20.0, 20.0),), point_labels=(1,)),
        Correction("a", "redraw", (numbers[1],), ((20.0, 75.0),), (0,)),
    )
    assert autosam("apply", "out", "c.csv", "-o", "fixed")[0] == 0
    assert np.array_equal(read_labels(tmp_path / "fixed" / "a_labels.tif") > 0, labels > 0)
    told = [(row["by"], row["action"]) for row in rows(tmp_path / "fixed" / "provenance.csv") if row["label"]]
    assert sorted(told) == [("model", ""), ("sam", "add"), ("sam", "redraw")]
    # A run does not go on in corrected results, nor write over them.
    status, _, err = autosam("segment", "images/a.tif", "-o", "fixed", "-m", "model.safetensors")
    assert status == 2
    assert "corrections_sha256" in err
    append_corrections(tmp_path / "d.csv", [Correction("a", "add", points=((80.0, 20.0),), point_labels=(1,))])
    status, out, err = autosam("apply", "out", "d.csv", "-o", "again")
    assert (status, out) == (2, "")
    assert "line 2 (action 1): SAM sees no object there" in err
    (tmp_path / "model.safetensors").unlink()
    status, out, err = autosam("apply", "out", "c.csv", "-o", "again")
    assert (status, out) == (2, "")
    assert "is gone" in err
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("corrections", "arguments", "words"),
    [
        ([Correction("z", "accept", (1,))], (), "out has no results of 'z'"),
        ([Correction("a", "accept", (1,), results="sha256:00")], (), "it is about other results of a"),
        ([Correction("a", "accept", (3,))], (), "line 2 (action 1): a has no object 3"),
        ([Correction("a", "accept", (1,)), Correction("a", "delete", (1,))], (), "object 1 is line 2 (action 1)"),
        ([Correction("a", "merge", (1, 2))], (), "lie more than 16 pixels apart"),
        ([Correction("a", "add", box=(1.0, 1.0, 9.0, 9.0))], (), "the model gone.safetensors that made"),
        ([Correction("a", "delete", (1,))], ("--images", "none"), "none"),
        (
            [Correction("a", "delete", (1,))],
            ("-o", "out"),
            "--output out is the folder of results out, holds it or lies in it",
        ),
        (
            [Correction("a", "delete", (1,))],
            ("-o", "out/in"),
            "is the folder of results out, holds it or lies in it",
        ),
        ([Correction("a", "delete", (1,))], ("-o", "."), "--output . has no name of its own"),
        ([Correction("a", "delete", (1,))], ("-o", "images"), "images is there and holds no corrected results"),
        ([Correction("a", "delete", (1,))], ("-o", "c.csv"), "c.csv is there and holds no corrected results"),
        ([Correction("day1/b", "delete", (1,))], (), "has changed since it was segmented"),
        ([Correction("failed", "delete", (1,))], (), "no results of 'failed' (it failed)"),
        ([], (), "there is no correction of out that stands"),
        (
            [Correction("z", "accept", (1,)), Correction("a", "accept", (3,)), Correction("a", "delete", (4,))],
            (),
            "'z'; line 3 (action 2): a has no object 3; line 4 (action 3): a has no object 4: correct these rows",
        ),
    ],
)
def test_one_line_and_nothing_written(autosam, tmp_path, corrections, arguments, words):
    write_results(tmp_path / "out", {"a": TWO, "day1/b": THREE}, entries={"failed": {"error": "it is no image"}})
    tifffile.imwrite(tmp_path / "images" / "day1" / "b.tif", image_of(TWO), photometric="minisblack")
    correct(tmp_path, *corrections)
    before = content(tmp_path)
    status, out, err = autosam("apply", "out", "c.csv", "-o", "fixed", *arguments)
    assert (status, out) == (2, "")
    (line,) = err.strip().splitlines()
    assert words in line
    assert content(tmp_path) == before
    assert not list(tmp_path.glob(".fixed*"))


def test_results_that_cannot_be_corrected(autosam, tmp_path, results):
    correct(tmp_path, Correction("a", "delete", (1,)))
    for name, words in (("gone", "no such folder"), ("images", "holds no autosam_run.json")):
        status, _, err = autosam("apply", name, "c.csv", "-o", "fixed")
        assert status == 2
        assert words in err
    record = results / "autosam_run.json"
    record.write_bytes(record.read_bytes()[:99])
    assert "damaged or half written" in autosam("apply", "out", "c.csv", "-o", "fixed")[2]
    assert not (tmp_path / "fixed").exists()


def test_an_image_that_is_gone_is_found_elsewhere(autosam, tmp_path, results):
    correct(tmp_path, Correction("a", "delete", (1,)))
    (tmp_path / "images").rename(tmp_path / "moved")
    status, _, err = autosam("apply", "out", "c.csv", "-o", "fixed")
    assert status == 2
    assert "is not there any more; put it back, or say where it is with --images" in err
    assert autosam("apply", "out", "c.csv", "-o", "fixed", "--images", "moved")[0] == 0


def test_corrected_results_are_replaced_only_on_demand(autosam, tmp_path, results):
    correct(tmp_path, Correction("a", "delete", (1,)))
    assert autosam("apply", "out", "c.csv", "-o", "fixed")[0] == 0
    first = content(tmp_path / "fixed")
    correct(tmp_path, Correction("a", "delete", (2,)))
    status, _, err = autosam("apply", "out", "c.csv", "-o", "fixed")
    assert status == 2
    assert "add --overwrite" in err
    assert content(tmp_path / "fixed") == first
    assert autosam("apply", "out", "c.csv", "-o", "fixed", "--overwrite")[0] == 0
    assert not read_labels(tmp_path / "fixed" / "a_labels.tif").any()
    record = json.loads((tmp_path / "fixed" / "autosam_run.json").read_text(encoding="utf-8"))
    assert record["images"]["a"]["warnings"] == ["nothing found"]
    assert record["images"]["a"]["median_area"] is None


def test_corrections_of_a_folder_that_is_replaced_are_kept(autosam, tmp_path, results):
    fixed = tmp_path / "fixed"
    for number, object_ in enumerate((1, 2)):
        (tmp_path / "c.csv").unlink(missing_ok=True)
        correct(tmp_path, Correction("a", "accept", (object_,)))
        assert autosam("apply", "out", "c.csv", "-o", "fixed", *["--overwrite"] * number)[0] == 0
        append_corrections(fixed / "further_corrections.csv", [Correction("b", "accept", (1,))])
    assert [one.objects for one in read_corrections(fixed / "corrections.csv")] == [(2,)]
    assert [one.objects for one in read_corrections(fixed / "corrections.1.csv")] == [(1,)]
    # What was not applied yet is about the labels of before.
    assert [one.image for one in read_corrections(fixed / "further_corrections.1.csv")] == ["b"]
    assert autosam("apply", "out", "c.csv", "-o", "fixed", "--overwrite")[0] == 0
    assert sorted(path.name for path in fixed.glob("*corrections*")) == [
        "corrections.1.csv",
        "corrections.csv",
        "further_corrections.1.csv",
        "further_corrections.2.csv",
    ]


def test_what_a_person_put_or_changed_in_a_folder_that_is_replaced_is_kept(autosam, tmp_path, results):
    fixed = tmp_path / "fixed"
    correct(tmp_path, Correction("a", "accept", (1,)))
    assert autosam("apply", "out", "c.csv", "-o", "fixed")[0] == 0
    (fixed / "mine.safetensors").write_bytes(b"a model")
    (fixed / "notes").mkdir()
    (fixed / "notes" / "day 1.txt").write_text("by hand", encoding="utf-8")
    (fixed / "notes" / "my_corrections.csv").write_text("of another program", encoding="utf-8")
    (fixed / "training" / "more.txt").write_text("by hand", encoding="utf-8")
    edited = np.where(TWO == 2, 0, TWO).astype(np.int32)
    write_labels(fixed / "a_labels.tif", edited)
    status, _, err = autosam("apply", "out", "c.csv", "-o", "fixed", "--overwrite")
    assert status == 0
    assert "a_labels.1.tif, mine.safetensors, notes/day 1.txt and 2 more" in " ".join(err.split())
    assert (fixed / "notes" / "my_corrections.csv").read_text(encoding="utf-8") == "of another program"
    assert (fixed / "training" / "more.txt").read_text(encoding="utf-8") == "by hand"
    assert (fixed / "mine.safetensors").read_bytes() == b"a model"
    assert (fixed / "notes" / "day 1.txt").read_text(encoding="utf-8") == "by hand"
    assert np.array_equal(read_labels(fixed / "a_labels.1.tif"), edited)
    assert np.array_equal(read_labels(fixed / "a_labels.tif"), TWO)


def test_what_apply_writes_itself_is_not_kept_twice(autosam, tmp_path, results):
    correct(tmp_path, Correction("a", "accept", (1,)))
    assert autosam("apply", "out", "c.csv", "-o", "fixed")[0] == 0
    first = set(content(tmp_path / "fixed"))
    status, _, err = autosam("apply", "out", "c.csv", "-o", "fixed", "--overwrite")
    assert (status, "kept in" in err) == (0, False)
    assert set(content(tmp_path / "fixed")) - first == set()


def test_a_model_that_nobody_asks_is_named_right_all_the_same(autosam, tmp_path, results):
    correct(tmp_path, Correction("a", "accept", (1,)))
    status, out, err = autosam("apply", "out", "c.csv", "-o", "fixed", "--model", "nucleus")
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert "no model is named 'nucleus'" in err
    status, _, err = autosam("apply", "out", "none.csv", "-o", "fixed")
    assert (status, err) == (
        2,
        "autosam: there is no file none.csv; give the table of corrections that autosam review saves\n",
    )


def test_edited_labels_are_other_results(tmp_path, results):
    before = ReviewResults.open(results).images["a"].results
    assert ReviewResults.open(results).images["a"].results == before
    labels = read_labels(results / "a_labels.tif")
    tifffile.imwrite(results / "a_labels.tif", np.where(labels == 1, 0, labels))
    assert ReviewResults.open(results).images["a"].results != before


def test_blanks_around_the_name_of_an_image(autosam, tmp_path):
    write_results(tmp_path / "out", {"x ": TWO})
    correct(tmp_path, Correction("x ", "accept", (1,)))
    assert autosam("apply", "out", "c.csv", "-o", "fixed")[0] == 0
    assert read_provenance(tmp_path / "fixed")["x "][1].action == "accept"
    # By hand, blanks come and go.
    rows_by_hand = "image,action_id,action,object\n  x, 1, delete, 1\n x  , 1, delete, 2\n"
    (tmp_path / "c.csv").write_text(rows_by_hand, encoding="utf-8")
    assert autosam("apply", "out", "c.csv", "-o", "again")[0] == 0
    assert not read_labels(tmp_path / "again" / "x _labels.tif").any()
    rows_by_hand = "image,action_id,action,object\n  x .tif , 1, delete, 2\n"
    (tmp_path / "c.csv").write_text(rows_by_hand, encoding="utf-8")
    assert autosam("apply", "out", "c.csv", "-o", "third")[0] == 0
    assert read_labels(tmp_path / "third" / "x _labels.tif").max() == 1


def test_ids_that_memory_cannot_hold_are_one_line(autosam, tmp_path, results):
    correct(tmp_path, Correction("a", "delete", (1,)))
    tifffile.imwrite(results / "a_labels.tif", np.where(TWO == 2, 2_000_000_000, TWO).astype(np.uint32))
    status, _, err = autosam("apply", "out", "c.csv", "-o", "fixed")
    assert status == 2
    assert "have ids up to 2,000,000,000; wanted up to 16,777,216: number them anew" in " ".join(err.split())


def test_results_that_are_being_written_wait(autosam, tmp_path, results):
    correct(tmp_path, Correction("a", "delete", (1,)))
    with Claims(results):
        status, _, err = autosam("apply", "out", "c.csv", "-o", "fixed")
    assert status == 2
    assert "out is being written by" in err
    assert autosam("apply", "out", "c.csv", "-o", "fixed")[0] == 0


def test_a_disk_that_fails_leaves_nothing(autosam, tmp_path, results, monkeypatch):
    correct(tmp_path, Correction("a", "delete", (1,)))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("autosam.review.apply.write_summary", full)
    status, _, err = autosam("apply", "out", "c.csv", "-o", "fixed")
    assert status == 2
    assert "No space left on device" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.csv", "images", "out"]

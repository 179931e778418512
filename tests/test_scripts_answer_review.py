"""The script that corrects results by their truth, as a person does on the review page."""

import numpy as np
import tifffile
from fake_networks import use_rule_models
from results_folders import discs, image_of
from script_modules import load_script

from autosam.images import find_sources, read_labels, write_labels
from autosam.models.files.file_hash import file_sha256
from autosam.pipeline.batch import segment_batch
from autosam.pipeline.segmenter import Segmenter
from autosam.review.apply import apply_corrections
from autosam.review.check_corrections import check_corrections
from autosam.review.review_results import ReviewResults

TRUTH = discs([(20, 20, 8), (20, 60, 8), (60, 90, 9), (70, 30, 12)])


def test_what_is_wrong_is_put_right(tmp_path, monkeypatch):
    use_rule_models(monkeypatch)
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"stands for the weights")
    tifffile.imwrite(tmp_path / "a.tif", image_of(TRUTH), photometric="minisblack")
    segmenter, sources = Segmenter.from_model(model), find_sources([tmp_path / "a.tif"])
    list(segment_batch(sources, segmenter, tmp_path / "out", model_sha256=file_sha256(model)))
    # One object is lost, one is in two parts, and one is nothing.
    found = TRUTH.copy()
    found[TRUTH == 2] = 0
    found[70:][TRUTH[70:] == 4] = 5
    found[85:93, 60:68] = 6
    write_labels(tmp_path / "out" / "a_labels.tif", found)
    (tmp_path / "truth").mkdir()
    write_labels(tmp_path / "truth" / "a.png", TRUTH)

    script, results = load_script("answer_review"), ReviewResults.open(tmp_path / "out")
    made = script.answer_review(results, str(tmp_path / "truth"), most=30)
    wanted = [one for one in made if one.action != "reviewed"]
    assert sorted((one.action, one.objects) for one in wanted) == [
        ("add", ()),
        ("delete", (6,)),
        ("merge", (4, 5)),
    ]
    assert {one.made_by for one in wanted if one.action == "add"} == {"sam"}
    apply_corrections(check_corrections(made, results), tmp_path / "fixed")
    fixed = read_labels(tmp_path / "fixed" / "a_labels.tif")
    assert np.array_equal(fixed > 0, TRUTH > 0)
    assert fixed.max() == 4

    again = script.answer_review(ReviewResults.open(tmp_path / "out"), str(tmp_path / "truth"), most=2)
    assert again == made, "there are enough corrections"

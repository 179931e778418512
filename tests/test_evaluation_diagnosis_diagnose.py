"""A whole run: stages, ceilings, counts and files."""

import csv
import json

import numpy as np
import pytest
from diagnosis_runs import STAGES, draw_image, fake_models, write_images, write_run

from autosam.config import PromptsConfig
from autosam.errors import InputError
from autosam.evaluation.diagnosis import Stage
from autosam.evaluation.diagnosis.diagnose import diagnose_run, ground_truth_region_prompts
from autosam.evaluation.diagnosis.recorded_run import open_run
from autosam.evaluation.diagnosis.summary import (
    count_false,
    count_faults,
    count_stages,
    groups_of,
    write_diagnosis,
)
from autosam.evaluation.find_labels import find_labels
from autosam.evaluation.pairing import pair_labels
from autosam.images import write_labels
from autosam.prompts import ground_truth_prompts
from autosam.prompts.prompt import ABSENT


@pytest.fixture
def diagnosed(tmp_path, monkeypatch):
    """Segment and diagnose two equal images with certain settings."""
    fake_models(monkeypatch)
    images, truth = write_images(tmp_path, ("a", "b"))

    def diagnose(*overrides):
        write_run(images, tmp_path / "out", *overrides)
        pairs, _ = pair_labels(find_labels(str(tmp_path / "out")), find_labels(str(truth)))
        run = open_run(tmp_path / "out")
        return run, diagnose_run(run, pairs)

    return diagnose


def accuracies(found, at=0.5):
    return {name: precision.at(at) for name, precision in found.pooled().items()}


def test_stages_and_ceilings(diagnosed):
    run, found = diagnosed()
    assert [image.name for image in found.images] == ["a", "b"]
    for image in found.images:
        assert image.reproduced
        assert [stage.value for stage in image.stages.stages] == STAGES
        assert image.centers.tolist() == [[12, 12], [12, 47], [42, 14.5], [42, 38.5]]
    # One hit of two instances and four objects; the joined one is false because its prompt is.
    assert accuracies(found) == {
        "this run": 0.2,
        "generator alone": 0.2,
        "truth boxes": 0.2,
        "truth boxes and points": 0.2,
        "truth regions": 0.2,
    }
    assert count_stages(found.images) == {
        Stage.FOUND: 2,
        Stage.DETECTION: 2,
        Stage.PROMPT: 4,
        Stage.MASK: 0,
        Stage.MERGE: 0,
    }
    assert count_false(found.images)[Stage.PROMPT] == sum(count_false(found.images).values()) == 2
    assert {fault.value: n for fault, n in count_faults(found.images).items()} == {
        "merged": 4,
        "part": 0,
        "loose": 0,
    }
    assert run.segmenter.config.prompts.method == "distance"


def test_perfect_prompts_find_what_the_generator_does_not(diagnosed):
    """The generator sees nothing above its threshold; SAM answers boxes and points all the same."""
    _, found = diagnosed("prompts.min_size=5000")
    assert count_stages(found.images)[Stage.DETECTION] == 8
    assert accuracies(found) == {
        "this run": 0.0,
        "generator alone": 0.0,
        "truth boxes": 0.2,
        "truth boxes and points": 0.2,
        "truth regions": 0.2,
    }


def test_truth_regions_part_what_boxes_do_not(diagnosed):
    """Where the generator has a say in the outline, it is told where one object ends and the next begins."""
    _, found = diagnosed("decode.fusion=4")
    # Three hits of three instances and four objects: nobody sees the dark one.
    assert accuracies(found)["truth regions"] == 0.75
    assert accuracies(found)["truth boxes and points"] == accuracies(found)["this run"] == 0.2


def test_without_mask_prompts_truth_regions_say_nothing_new(diagnosed):
    _, found = diagnosed("prompts.mask=false")
    assert list(found.pooled()) == ["this run", "generator alone", "truth boxes", "truth boxes and points"]


def test_mask_prompts_of_the_truth_hold_the_generators_logits():
    truth = np.zeros((20, 20), dtype=np.uint16)
    truth[2:8, 2:8], truth[2:8, 8:14] = 7, 300
    foreground = np.full((20, 20), 0.25, dtype=np.float32)
    first, second = ground_truth_region_prompts(truth, {"foreground": foreground}, PromptsConfig(box_margin=0.5))
    assert first.mask is not None
    row, col = first.mask.row, first.mask.col
    assert (row, col, first.mask.logits.shape) == (0, 0, (11, 11))
    # ln(0.25 / 0.75) in the object and beside it, and the other object is out of the question.
    assert first.mask.logits[4, 4] == first.mask.logits[0, 0] == pytest.approx(-1.0986, abs=1e-4)
    assert (first.mask.logits[2:8, 8:11] == ABSENT).all()
    assert (first.region, second.region) == (1, 2)
    assert (
        ground_truth_region_prompts(np.zeros((20, 20), np.uint8), {"foreground": foreground}, PromptsConfig())
        == []
    )


def test_a_merge_that_drops_good_masks(diagnosed):
    _, found = diagnosed("merge.min_size=230")
    # 225 pixels are too few now, for the truth's own box, too.
    assert [stage.value for stage in found.images[0].stages.stages] == ["merge", *STAGES[1:]]
    assert accuracies(found)["truth boxes"] == 0.0


def test_the_comparison_is_on_the_images_own_grid(diagnosed):
    # Tiles that hold the zoomed image whole: the networks answer window by window.
    _, found = diagnosed("images.zoom=2", "tiles.size=256")
    assert [stage.value for stage in found.images[0].stages.stages] == STAGES
    assert found.images[0].stages.mask_iou[0] > 0.9
    assert accuracies(found)["truth boxes"] == 0.2


def test_a_model_without_sam_has_neither_masks_nor_ground_truth_prompts(diagnosed):
    _, found = diagnosed("decode.sam=false")
    assert [stage.value for stage in found.images[0].stages.stages] == STAGES
    assert accuracies(found) == {"this run": 0.2, "generator alone": 0.2}


def test_a_grid_has_no_generator_to_compare_with(diagnosed):
    _, found = diagnosed("prompts.method=grid", "prompts.grid=16")
    # Points lie in each object; none is wrong by itself.
    assert [stage.value for stage in found.images[0].stages.stages] == ["found", "mask", "mask", "mask"]
    assert list(found.pooled()) == ["this run", "truth boxes", "truth boxes and points"]


def test_labels_that_were_changed_are_noticed(diagnosed, tmp_path):
    diagnosed()
    write_labels(tmp_path / "out" / "a_labels.tif", np.zeros((64, 96), dtype=np.int32))
    pairs, _ = pair_labels(find_labels(str(tmp_path / "out")), find_labels(str(tmp_path / "truth")))
    found = diagnose_run(open_run(tmp_path / "out"), pairs)
    assert [image.reproduced for image in found.images] == [False, True]
    assert [stage.value for stage in found.images[0].stages.stages] == STAGES


def test_a_truth_of_another_size(diagnosed, tmp_path):
    diagnosed()
    write_labels(tmp_path / "truth" / "a.png", np.zeros((64, 95), dtype=np.int32))
    pairs, _ = pair_labels(find_labels(str(tmp_path / "out")), find_labels(str(tmp_path / "truth")))
    with pytest.raises(InputError, match="the truth"):
        diagnose_run(open_run(tmp_path / "out"), pairs)


def test_no_truth_at_all(diagnosed, tmp_path):
    diagnosed()
    for name in ("a", "b"):
        write_labels(tmp_path / "truth" / f"{name}.png", np.zeros((64, 96), dtype=np.int32))
    pairs, _ = pair_labels(find_labels(str(tmp_path / "out")), find_labels(str(tmp_path / "truth")))
    found = diagnose_run(open_run(tmp_path / "out"), pairs)
    assert sum(count_stages(found.images).values()) == 0
    assert count_false(found.images)[Stage.DETECTION] == 4
    assert found.examples == []
    assert accuracies(found)["this run"] == 0.0
    assert np.isnan(accuracies(found)["truth boxes"])


def test_ground_truth_prompts_are_boxes_and_inner_points():
    truth = draw_image()[1].astype(np.uint16) * 300
    boxes = ground_truth_prompts(truth, points=0, box_margin=0.0)
    assert [prompt.box.tolist() for prompt in boxes if prompt.box is not None][:2] == [
        [5, 5, 19, 19],
        [5, 40, 19, 54],
    ]
    assert all(len(prompt.points) == 0 and prompt.mask is None for prompt in boxes)
    (point,) = ground_truth_prompts(truth, points=1, box_margin=0.0)[0].points
    assert point.tolist() == [12, 12]
    assert ground_truth_prompts(np.zeros((4, 4), dtype=np.uint8), points=1, box_margin=0.1) == []


def test_examples_are_the_largest_and_show_their_surroundings(diagnosed):
    _, found = diagnosed()
    assert [(e.stage.value, e.image, e.number) for e in found.examples] == [
        ("detection", "a", 2),
        ("detection", "b", 2),
        ("prompt", "a", 3),
        ("prompt", "a", 4),
        ("prompt", "b", 3),
        ("prompt", "b", 4),
    ]
    dark = found.examples[0]
    # 16 pixels around rows 5 to 19 and columns 40 to 54, inside the image
    assert dark.picture.shape == (36, 47, 3)
    assert dark.truth.sum() == 225
    assert dark.mask.sum() == 0
    joined = found.examples[2]
    assert (joined.labels[joined.truth] == 2).all()
    assert joined.mask[joined.truth].all()


def test_groups_are_images_or_folders(diagnosed, tmp_path):
    _, found = diagnosed()
    assert list(groups_of(found.images)) == ["all", "a", "b"]
    assert list(groups_of(found.images[:1])) == ["all"]
    assert list(groups_of(found.images * 11)) == ["all"]
    first, second = found.images
    object.__setattr__(first, "folder", tmp_path / "x" / "raw")
    object.__setattr__(second, "folder", tmp_path / "y" / "raw")
    groups = groups_of([first, second])
    assert {name: [image.name for image in images] for name, images in groups.items()} == {
        "all": ["a", "b"],
        "x/raw": ["a"],
        "y/raw": ["b"],
    }


def test_table_and_json(diagnosed, tmp_path):
    run, found = diagnosed()
    table, record = write_diagnosis(tmp_path / "new", run, found, ["a note"])
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert [row["stage"] for row in rows] == STAGES * 2
    assert rows[0] == {
        "image": "a",
        "object": "1",
        "size_px": "225",
        "row": "12.0",
        "column": "12.0",
        "stage": "found",
        "fault": "",
        "region_iou": "1",
        "box_iou": "1",
        "mask_iou": "1",
        "label_iou": "1",
    }
    assert rows[2]["fault"] == "merged"
    # 15 × 20 of 2 · 15 × 20 + 5 × 4
    assert float(rows[2]["region_iou"]) == pytest.approx(300 / 620, abs=1e-6)
    document = json.loads(record.read_text(encoding="utf-8"))
    assert document["objects"] == 8
    assert document["stages"]["prompt"] == {"count": 4, "share": 0.5}
    assert document["false_stages"]["prompt"] == {"count": 2, "share": 1.0}
    assert document["prompt_faults"]["merged"] == 4
    assert document["limits"] == {"iou": 0.5, "box_iou": 0.7}
    assert document["notes"] == ["a note"]
    assert document["average_precision"]["truth boxes"]["ap50"] == 0.2
    assert [image["image"] for image in document["images"]] == ["a", "b"]

"""Validation: scores by hand, what is asked of which networks, and the pictures."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake_networks import BrightPixels, build_small_sam, draw_ellipses, use_component_sam
from numpy.typing import NDArray

from autosam.config import Config, make_config
from autosam.data import LabeledImage
from autosam.errors import InputError
from autosam.metrics import adapted_rand, evaluate_pair, pool
from autosam.models.networks import Networks
from autosam.pipeline.segmenter import Segmenter
from autosam.training.run import validation
from autosam.training.run.validation import Validation, validate

PIPELINE = ["ap50", "ap75", "mean_ap", "dice", "iou", "f1", "a_rand"]
GENERATOR = ["generator_ap50", "generator_ap75", "generator_mean_ap"]
SAM = {"image_size": 64}


def settings(**sections: dict[str, Any]) -> Config:
    """Make settings for networks that answer by rule; the generator's section is only looked at for null."""
    model = {"sam": SAM, **sections.pop("model", {})}
    return make_config({"model": model, "decode": {"precision": "float32"}, **sections})


def spots(number: int, *ellipses: tuple[float, float, float, float], missing: int = 0) -> LabeledImage:
    """Draw a labeled image whose first so many bright ellipses are not in the labels."""
    image, labels = draw_ellipses((90, 120), ellipses)
    labels = np.where(labels > missing, labels - missing, 0).astype(np.int32)
    return LabeledImage(f"spots/{number}", "spots", np.repeat(image[..., None], 3, axis=2), labels)


TWO = spots(0, (20, 30, 9, 12), (60, 80, 14, 10))
THREE_OF_WHICH_TWO = spots(1, (20, 30, 9, 12), (60, 80, 14, 10), (70, 20, 8, 11), missing=1)
BLANK = spots(2)

BOTH = Networks(build_small_sam(), BrightPixels())  # type: ignore[arg-type]
ONLY_SAM = replace(BOTH, generator=None)
ONLY_GENERATOR = replace(BOTH, sam=None)
BOXED = settings(model={"generator": None}, prompts={"method": "user"})
BASINS = settings(model={"sam": None}, decode={"sam": False})


@pytest.fixture(autouse=True)
def _components(monkeypatch: pytest.MonkeyPatch) -> None:
    use_component_sam(monkeypatch)


def test_names_and_perfect_scores() -> None:
    result = validate(BOTH, settings(), [TWO])
    assert list(result.scores) == [*PIPELINE, *GENERATOR, "seconds_per_image"]
    for name in set(PIPELINE) - {"a_rand"} | set(GENERATOR):
        assert result.scores[name] == 1, name
    assert result.scores["a_rand"] == 0
    assert result.scores["seconds_per_image"] > 0
    assert result.score == 1


def test_scores_are_pooled_over_objects() -> None:
    # 4 true objects, 4 found, 1 too many: TP 4, FP 1.
    result = validate(BOTH, settings(), [TWO, THREE_OF_WHICH_TWO])
    assert result.scores["ap50"] == result.scores["generator_mean_ap"] == 0.8
    assert result.scores["f1"] == pytest.approx(8 / 9, abs=1e-4)
    truth = [labeled_image.labels for labeled_image in (TWO, THREE_OF_WHICH_TWO)]
    found = [draw_ellipses((90, 120), [(20, 30, 9, 12), (60, 80, 14, 10), (70, 20, 8, 11)][:n])[1] for n in (2, 3)]
    expected = pool([evaluate_pair(*pair) for pair in zip(found, truth, strict=True)])
    assert result.scores["iou"] == pytest.approx(expected.overlap.iou, abs=1e-4)
    assert result.scores["dice"] == pytest.approx(expected.overlap.dice, abs=1e-4)
    assert result.scores["iou"] < result.scores["dice"] < 1


def test_a_rand_is_that_of_the_challenge(monkeypatch: pytest.MonkeyPatch) -> None:
    merged = (TWO.labels > 0).astype(np.int32)
    segment = Segmenter.segment

    def merging(self: Segmenter, image: NDArray[np.uint8], **given: Any) -> Any:
        return replace(segment(self, image, **given), labels=merged)

    monkeypatch.setattr(Segmenter, "segment", merging)
    scores = validate(BOTH, settings(), [TWO]).scores
    expected = adapted_rand(merged, TWO.labels, convention="snemi3d").error
    assert scores["a_rand"] == pytest.approx(expected, abs=1e-4)
    assert scores["a_rand"] > 0.1
    assert scores["iou"] == scores["generator_ap50"] == 1
    assert scores["ap75"] < 1


def test_a_model_without_generator_is_prompted_with_true_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    segment = Segmenter.segment

    def watched(self: Segmenter, image: NDArray[np.uint8], **given: Any) -> Any:
        asked.extend(given["prompts"])
        assert self.config.prompts.method == "user"
        return segment(self, image, **given)

    monkeypatch.setattr(Segmenter, "segment", watched)
    for config in (BOXED, settings(model={"generator": None}, prompts={"method": "grid"})):
        asked.clear()
        result = validate(ONLY_SAM, config, [TWO])
        assert list(result.scores) == [*(f"box_{name}" for name in PIPELINE), "seconds_per_image"]
        assert result.scores["box_mean_ap"] == result.score == 1
        assert [prompt.box.tolist() for prompt in asked] == [[11, 18, 29, 42], [46, 70, 74, 90]]
        assert all(prompt.points.shape == (0, 2) and prompt.mask is None for prompt in asked)


def test_boxes_leave_objects_that_are_not_true_alone() -> None:
    assert validate(ONLY_SAM, BOXED, [THREE_OF_WHICH_TWO]).scores["box_f1"] == 1


def test_regions_as_the_result_are_scored_once() -> None:
    result = validate(ONLY_GENERATOR, BASINS, [TWO])
    assert list(result.scores) == [*PIPELINE, "seconds_per_image"]
    assert result.score == 1


@pytest.mark.parametrize(("networks", "config"), [(BOTH, settings()), (ONLY_SAM, BOXED), (ONLY_GENERATOR, BASINS)])
def test_nothing_to_find(networks: Networks, config: Config) -> None:
    result = validate(networks, config, [BLANK])
    by_name = {name.removeprefix("box_"): value for name, value in result.scores.items()}
    # Models are selected by the score, so it is a number; what is undefined is none.
    assert result.score == by_name["ap50"] == by_name["f1"] == 0
    assert all(math.isnan(by_name[name]) for name in ("dice", "iou", "a_rand"))
    assert [name for name, _ in result.previews] == ["spots/2"]


def test_blank_images_do_not_spoil_the_others() -> None:
    assert validate(BOTH, settings(), [TWO, BLANK]).scores["mean_ap"] == 1


def test_zoomed_images_come_back_on_their_own_grid() -> None:
    config = settings(images={"zoom": 2.0})
    for networks, chosen in ((BOTH, config), (ONLY_SAM, BOXED.model_copy(update={"images": config.images}))):
        result = validate(networks, chosen, [TWO])
        assert result.scores["ap50" if networks is BOTH else "box_ap50"] == 1
        assert result.previews[0][1].shape[0] == 90


def test_images_are_not_normalized_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    view = Segmenter.view

    def watched(self: Segmenter, image: NDArray[np.uint8], *given: Any, **named: Any) -> Any:
        seen.append(view(self, image, *given, **named))
        return seen[-1]

    monkeypatch.setattr(Segmenter, "view", watched)
    # Half of the range: a second normalization would stretch it.
    dim = replace(TWO, image=TWO.image // 2)
    validate(BOTH, settings(images={"low": 5, "high": 90}), [dim])
    assert seen
    assert np.array_equal(seen[0].picture, dim.image)


@pytest.mark.parametrize(
    ("images", "previews", "used", "drawn"),
    [
        (8, 3, [0, 1, 3, 4, 6, 7, 9, 10], [0, 6, 10]),
        (8, 0, [0, 1, 3, 4, 6, 7, 9, 10], []),
        (2, 3, [0, 10], [0, 10]),
        (3, 1, [0, 5, 10], [0]),
        (20, 11, list(range(11)), list(range(11))),
    ],
)
def test_which_images_are_used_and_drawn(images: int, previews: int, used: list[int], drawn: list[int]) -> None:
    # Only the labeled images that are used have their objects in the truth.
    blank = np.zeros_like(TWO.labels)
    labeled_images = [
        replace(TWO, name=f"spots/{index}", labels=TWO.labels if index in used else blank) for index in range(11)
    ]
    training = {"validation_images": images, "previews": previews}
    config = settings(model={"sam": None}, decode={"sam": False}, training=training)
    first, second = (validate(ONLY_GENERATOR, config, labeled_images) for _ in "ab")
    assert first.score == 1
    assert [name for name, _ in first.previews] == [f"spots/{index}" for index in drawn]
    for (_, one), (_, other) in zip(first.previews, second.previews, strict=True):
        assert one.tobytes() == other.tobytes()


def test_a_preview_shows_the_foreground_where_there_is_a_generator() -> None:
    assert validate(BOTH, settings(), [TWO]).previews[0][1].shape == (90, 3 * 120 + 16, 3)
    assert validate(ONLY_SAM, BOXED, [TWO]).previews[0][1].shape == (90, 2 * 120 + 8, 3)


def test_no_images_are_refused() -> None:
    with pytest.raises(InputError, match="wanted at least one"):
        validate(BOTH, settings(), [])


def test_the_score_of_a_validation() -> None:
    scores = {"generator_mean_ap": 0.9, "mean_ap": 0.4, "a_rand": 0.25}
    assert Validation(scores, []).score == 0.4
    assert Validation(scores, [], "a_rand").score == 0.75
    boxes = {f"{validation.BOX_PROMPTED}{name}": score for name, score in (("mean_ap", 0.3), ("a_rand", 0.5))}
    assert Validation(boxes, []).score == 0.3

from dataclasses import replace

import numpy as np
import pytest
from blobs import discs, labeled_image

from autosam.data import LabeledImage
from autosam.prompts import Prompt
from autosam.studies.scores import COLUMNS, digest_of, score_labeled_images


class Answers:
    """Stands for a segmenter that gives these labels, one after the other."""

    def __init__(self, *labels: np.ndarray) -> None:
        self._labels = iter(labels)
        self.zooms: list[float | None] = []

    def segment(self, image: np.ndarray, *, zoom: float | None, normalized: bool) -> object:
        assert normalized
        self.zooms.append(zoom)

        class Segmentation:
            labels = next(self._labels)

        return Segmentation()


def test_scores_are_pooled_over_objects_and_by_source() -> None:
    # a: one of its two objects is found; b: its one object is, and something else
    image = np.zeros((4, 6, 3), np.uint8)
    a = np.array([[1, 1, 0, 0, 2, 2]] * 4, np.int32)
    b = np.array([[1, 1, 1, 0, 0, 0]] * 4, np.int32)
    found_a = np.where(a == 1, 1, 0).astype(np.int32)
    found_b = b + 2 * (np.arange(6) == 5).astype(np.int32)
    row = score_labeled_images(
        Answers(found_a, found_b),  # type: ignore[arg-type]
        [LabeledImage("a/0", "a", image, a), LabeledImage("b/0", "b", image, b)],
    )
    assert tuple(row)[: len(COLUMNS)] == COLUMNS
    assert row["images_scored"] == 2
    assert row["ap50"] == row["mean_ap"] == 0.5  # 2 / (2 + 1 + 1)
    assert (row["predicted"], row["objects"]) == (3, 3)
    assert row["dice"] == pytest.approx(2 * 20 / (24 + 28), abs=1e-4)
    assert row["a_ap50"] == 0.5
    assert row["b_objects"] == 1


def test_images_of_known_pixel_size_are_seen_at_their_zoom() -> None:
    labels = np.eye(6, dtype=np.int32)
    image = np.zeros((6, 6, 3), np.uint8)
    answers = Answers(labels, labels)
    given = [LabeledImage("a/0", "a", image, labels, zoom=zoom) for zoom in (2.0, None)]
    score_labeled_images(answers, given)  # type: ignore[arg-type]
    assert answers.zooms == [2.0, None]
    assert digest_of(given[:1]) != digest_of(given[1:])


def test_only_valid_pixels_are_scored() -> None:
    labels = np.array([[1, 1, 0, 0, 0, 0]] * 4, np.int32)
    found = labels + 2 * (np.arange(6) > 3).astype(np.int32)
    known = np.broadcast_to(np.arange(6) < 3, labels.shape)
    image = np.zeros((4, 6, 3), np.uint8)
    for valid, predicted, ap in ((None, 2, 0.5), (known, 1, 1.0)):
        row = score_labeled_images(
            Answers(found),  # type: ignore[arg-type]
            [LabeledImage("a/0", "a", image, labels, valid=valid)],
        )
        assert (row["predicted"], row["objects"], row["ap50"]) == (predicted, 1, ap)


def test_without_any_object_scores_are_undefined() -> None:
    empty = np.zeros((4, 4), np.int32)
    row = score_labeled_images(
        Answers(empty),  # type: ignore[arg-type]
        [LabeledImage("a/0", "a", np.zeros((4, 4, 3), np.uint8), empty)],
    )
    assert row["mean_ap"] is None
    assert row["dice"] is None
    assert row["objects"] == 0
    assert not [column for column in row if column.startswith("a_")], "one source says what the pool says"


def test_the_digest_tells_images_and_labels_apart() -> None:
    one = labeled_image(0)
    image, labels = discs(0)
    assert digest_of([one]) == digest_of([LabeledImage(one.name, "discs", image, labels)])
    others = [
        replace(one, name="discs/1"),
        replace(one, image=255 - one.image),
        replace(one, labels=one.labels * 2),
        replace(one, valid=one.labels == 0),
        replace(one, prompts=(Prompt(np.array([[1.0, 2.0]]), np.array([1])),)),
    ]
    assert len({digest_of([other]) for other in [one, *others]} | {digest_of([]), digest_of([one, one])}) == 8

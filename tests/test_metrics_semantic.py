"""Classes are told from instances, one image at a time and over a data set."""

import numpy as np
import pytest

from autosam.metrics.semantic import SemanticEvidence, looks_semantic


def nuclei(count: int, *, rim: int = 0, ids: tuple[int, int] = (1, 2), instances: bool = False) -> np.ndarray:
    """Give squares in a row, each its own id or all one; with the frame around each another one."""
    labels = np.zeros((12, 12 * count), np.uint16)
    for number in range(count):
        labels[1:11, 12 * number + 1 : 12 * number + 11] = ids[1] if rim else number + 1 if instances else ids[0]
        if rim:
            labels[1 + rim : 11 - rim, 12 * number + 1 + rim : 12 * number + 11 - rim] = ids[0]
    return labels


def kind_of(*images: np.ndarray) -> str:
    evidence = SemanticEvidence()
    for image in images:
        evidence.add(image)
    return evidence.kind


def test_one_id() -> None:
    assert looks_semantic(np.array([[0, 255, 255]], np.uint8))
    assert looks_semantic(np.array([[1, 0, 1]]))
    assert not looks_semantic(np.array([[0, 1, 1]]))
    assert not looks_semantic(np.zeros((3, 3), int))
    assert not looks_semantic(np.zeros((0, 3), int))
    # One image alone with a single object makes no instances of the others.
    assert kind_of(nuclei(4), nuclei(3), nuclei(1)) == "mask"
    assert kind_of(nuclei(1), nuclei(1), nuclei(2)) == ""


@pytest.mark.parametrize("ids", [(1, 2), (2, 1), (127, 255), (255, 3)])
@pytest.mark.parametrize("count", [2, 3, 6])
def test_a_nucleus_and_its_rim(count: int, ids: tuple[int, int]) -> None:
    assert looks_semantic(nuclei(count, rim=2, ids=ids))
    assert kind_of(nuclei(count, rim=2, ids=ids), nuclei(1, rim=2, ids=ids)) == "classes"


def test_classes_side_by_side() -> None:
    labels = nuclei(9)
    for number in range(9):
        window = labels[:, 12 * number : 12 * number + 12]
        window[window > 0] = 1 + number % 3
    assert looks_semantic(labels)
    # Nor does it help if all that is between them has a number, too.
    labels[labels == 0] = 4
    assert looks_semantic(labels)


def test_instances() -> None:
    assert not looks_semantic(nuclei(6, instances=True))
    assert kind_of(*(nuclei(n, instances=True) for n in (1, 2, 3, 4))) == ""
    assert kind_of(nuclei(30, instances=True), nuclei(2, rim=2)) == ""
    # Some objects of a volume branch: of three, two lie in two pieces.
    branching = nuclei(5, instances=True)
    branching[branching == 4] = 1
    branching[branching == 5] = 2
    assert not looks_semantic(branching)


def test_an_object_in_the_ring_of_another_is_an_instance() -> None:
    ring = nuclei(1, rim=2)
    assert not looks_semantic(ring)
    assert kind_of(ring, ring, ring) == ""


def test_crumbs_are_no_pieces() -> None:
    labels = np.zeros((60, 60), np.uint8)
    labels[5:25, 5:25], labels[30:50, 30:50] = 1, 2
    labels[::4, 55], labels[55, ::4] = 1, 2
    assert not looks_semantic(labels)


def test_volumes_and_masked_arrays() -> None:
    assert looks_semantic(np.stack([nuclei(4, rim=2)] * 3))
    assert not looks_semantic(np.stack([nuclei(4, instances=True)] * 3))
    hidden = np.broadcast_to(np.arange(48) >= 12, (12, 48))
    assert not looks_semantic(np.ma.masked_array(nuclei(4), hidden))


def test_counts_alone() -> None:
    evidence = SemanticEvidence()
    evidence.add_counts({1: 5, 2: 4})
    assert evidence.kind == "classes"
    evidence.add_counts(dict.fromkeys(range(20), 9))
    assert evidence.kind == ""
    assert SemanticEvidence().kind == ""


def test_few_classes_each_in_two_pieces() -> None:
    # Two nuclei of each of three classes; no id is a single piece.
    pair = np.array([[1, 0, 2, 0, 3, 0, 1, 0, 2, 0, 3]])
    assert kind_of(pair) == kind_of(pair, pair) == "classes"
    assert kind_of(np.array([[1, 0, 2, 0, 1, 0, 2]])) == ""
    assert kind_of(pair, np.array([[1, 0, 2, 0, 3]])) == ""

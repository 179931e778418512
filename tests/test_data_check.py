"""What `check` finds: each fault planted alone in data that are sound otherwise, and nothing in sound data."""

from pathlib import Path

import numpy as np
import pytest
from memory_store import memory_store, noise, square, store_of
from scipy import ndimage

from autosam.data.alignment import advantage, slice_edges
from autosam.data.check import check_store
from autosam.data.duplicates import Duplicate, fingerprint, near_duplicates
from autosam.data.manifest import Item
from autosam.data.objects import ObjectCount
from autosam.data.shares import shares
from autosam.errors import InputError
from autosam.images import read_image
from autosam.metrics import components

EXAMPLES = Path(__file__).parents[1] / "examples"


def kinds(store) -> dict[str, str]:
    return {finding.item: finding.kind for finding in check_store(store).findings}


@pytest.fixture(scope="module")
def sections() -> list[tuple[np.ndarray, np.ndarray]]:
    """Give six scenes of two consecutive ssTEM sections each, with what is dark in a section as its labels."""
    pairs = []
    images = [read_image(EXAMPLES / name) for name in ("vnc_12.png", "vnc_13.png")]
    for row, col in ((0, 0), (0, 384), (384, 0), (384, 384), (500, 100), (200, 500)):
        for image in images:
            crop = image[row : row + 448, col : col + 448]
            smooth = ndimage.gaussian_filter(crop.astype(np.float32), 3)
            pairs.append((crop, components(smooth < np.percentile(smooth, 15), min_size=50).astype(np.uint8)))
    return pairs


def scenes(pairs, order) -> object:
    """Store image i with the labels order[i]; two sections of a scene are a volume."""
    items = [
        Item(f"s{i:02d}", "", f"v{i // 2}", i % 2, pairs[i][0].shape, "uint8", "uint8") for i in range(len(order))
    ]
    return memory_store(items, lambda item: (pairs[int(item.name[1:])][0], pairs[order[int(item.name[1:])]][1]))


def test_real_sections_in_order_have_no_fault(sections):
    assert not [f for f in check_store(scenes(sections, range(12))).findings if f.kind == "misaligned"]


def test_real_sections_whose_labels_are_swapped_are_named(sections):
    # The labels of the scenes 1 and 4 are exchanged between their two sections.
    order = [0, 1, 3, 2, 4, 5, 6, 7, 9, 8, 10, 11]
    report = check_store(scenes(sections, order))
    found = {f.item: f.text for f in report.findings if f.kind == "misaligned"}
    assert set(found) == {"s02", "s03", "s08", "s09"}
    assert found["s02"].startswith("labels fit s03 better")
    assert report.faults == 4


def test_labels_shifted_along_a_stack_of_lone_images_are_named(sections):
    # Every image has the labels of the one before, as where one file is missing in a folder.
    pairs = {f"s{i:02d}": (sections[i][0], sections[max(i - 1, 0)][1]) for i in range(12)}
    found = {f.item: f.text for f in check_store(store_of(pairs)).findings if f.kind == "misaligned"}
    assert set(found) == {f"s{i:02d}" for i in range(1, 12)}
    assert all(f"fit s{int(name[1:]) - 1:02d} better" in text for name, text in found.items())


def test_alignment_of_what_tells_nothing():
    # Outlines count on both sides: 140 px along four sides, twice, less the corners.
    labels = square((200, 200), 20, 160)
    blank, there = (slice_edges(image, labels) for image in (np.zeros((200, 200), np.uint8), noise(0, (200, 200))))
    assert not blank.strength.any()
    assert blank.outline.size == 4 * 139 + 4 * 140
    assert (advantage(blank, blank).difference, advantage(blank, blank).t) == (0, 0)
    short = slice_edges(noise(0, (200, 200)), square((200, 200), 20, 40))
    empty = slice_edges(noise(0, (200, 200)), np.zeros((200, 200), np.uint8))
    narrow = slice_edges(noise(0, (200, 180)), labels[:, :180])
    for own, other in ((short, there), (empty, there), (there, narrow)):
        assert np.isnan(advantage(own, other).difference)
        assert not advantage(own, other).is_clear
    with pytest.raises(InputError, match="same rows and columns"):
        slice_edges(noise(0), square((32, 32)))


def test_sound_data_have_no_findings():
    pairs = {f"i{n}": (noise(n), square()) for n in range(4)}
    pairs["j"] = (noise(9), square() + 2 * square(first=40, last=50))
    report = check_store(store_of(pairs, splits={"i0": "train", "i1": "val"}))
    assert report.findings == ()
    assert report.faults == 0
    assert [row.objects.ids.tolist() for row in report.rows] == [[1]] * 4 + [[1, 2]]


def test_ids():
    labels = np.zeros((64, 64), np.uint8)
    labels[:20, :20], labels[30:40, 30:40], labels[50:60, 50:60], labels[0, 60] = 1, 4, 4, 2
    found = {f.kind: f.text for f in check_store(store_of({"a": (noise(1), labels)})).findings}
    assert found == {
        "ids not contiguous": "1 ids up to 4 are not used",
        "ids not connected": "1 of 3 objects in up to 2 pieces: id 4",
        "tiny objects": "1 of 3 objects under 10 px: id 2",
    }


def test_ids_of_a_volume_hold_across_its_slices():
    one, two = np.zeros((2, 64, 64), np.uint8)
    one[5:20, 5:20] = 1
    one[5:20, 40:60] = 1
    two[5:20, 5:60] = 1
    two[40:60, 40:60] = 2
    pairs = {"a": (noise(1), one), "b": (noise(2), two)}
    flat, whole = (check_store(store_of(pairs, volume="v", ids=ids)) for ids in ("2d", "3d"))
    # In slice a alone, object 1 is in two pieces; in the volume b joins them.
    assert [(f.kind, f.item) for f in flat.findings] == [("ids not connected", "a")]
    assert whole.findings == ()
    assert whole.volumes["v"].sizes.tolist() == [15 * 15 + 15 * 20 + 15 * 55, 400]
    assert flat.volumes == {}


def test_pieces_that_touch_at_a_corner_across_slices_are_one():
    count = ObjectCount()
    for row in range(3):
        labels = np.zeros((4, 4), np.uint64)
        labels[row, row] = 2**64 - 1
        count.add(labels)
    found = count.objects()
    assert (found.ids.tolist(), found.sizes.tolist(), found.pieces.tolist()) == ([2**64 - 1], [3], [1])
    assert found.foreground == 3 / 48
    count.add(np.zeros((4, 4), np.uint64))
    count.add(labels)
    assert count.objects().pieces.tolist() == [2]


def test_neighboring_ids_do_not_join():
    count = ObjectCount()
    count.add(np.array([[1, 2], [1, 2]]))
    count.add(np.array([[2, 1], [2, 1]]))
    assert count.objects().pieces.tolist() == [1, 1]
    count = ObjectCount()
    count.add(np.array([[1, 2, 2, 2]]))
    count.add(np.array([[2, 2, 2, 1]]))
    assert count.objects().pieces.tolist() == [2, 1]


def test_no_objects():
    count = ObjectCount()
    assert count.objects().ids.size == 0
    count.add(np.zeros((3, 3), np.int32))
    count.add(np.zeros((3, 3), np.int32))
    found = count.objects()
    assert (found.ids.size, found.foreground, found.missing) == (0, 0.0, 0)
    with pytest.raises(InputError, match="none negative"):
        count.add(np.full((3, 3), -1))
    with pytest.raises(InputError, match="wanted one size"):
        count.add(np.zeros((3, 4), np.int32))


def test_images():
    nan = noise(1).astype(np.float32)
    nan[0, 0] = np.nan
    pairs = {
        "nan": (nan, square()),
        "flat": (np.full((64, 64), 7, np.uint8), square()),
        "empty": (noise(3), np.zeros((64, 64), np.uint8)),
        "bare": (noise(4), None),
    }
    assert kinds(store_of(pairs)) == {
        "nan": "not finite",
        "flat": "constant image",
        "empty": "empty labels",
        "": "mixed types",
    }
    assert [f.text for f in check_store(store_of(pairs)).findings if f.item == ""] == [
        "1 of 4 images have none",
        "3 uint8, 1 float32",
    ]


def test_what_differs_from_the_manifest_and_what_cannot_be_read_are_faults():
    items = [Item(name, "", None, None, (64, 64), "uint8", "uint8") for name in ("size", "type", "lost")]
    pixels = {
        "size": (noise(1), square((64, 32))),
        "type": (noise(2).astype(np.uint16), square()),
        "lost": (noise(3), None),
    }
    report = check_store(memory_store(items, lambda item: pixels[item.name]))
    assert [(f.level, f.kind, f.text) for f in report.findings] == [
        ("fault", "size", "labels of (64, 32); the manifest says (64, 64)"),
        ("fault", "type", "image of uint16; the manifest says uint8"),
        ("fault", "unreadable", "lost cannot be read."),
    ]
    assert report.faults == 3
    assert report.rows[2].objects is None


def test_leaks_between_parts():
    scene = ndimage.zoom(noise(1, (16, 16)), 4, order=1)
    brighter = (scene // 2 + 90).astype(np.uint8)
    pairs = {
        name: (image, square()) for name, image in (("a", scene), ("b", scene), ("c", brighter), ("d", noise(5)))
    }
    splits = {"a": "train", "b": "test", "c": "val", "d": "val"}
    report = check_store(store_of(pairs, splits=splits))
    found = [(f.level, f.kind, f.item, f.text) for f in report.findings]
    assert found[0] == ("fault", "same image in two parts", "a", "equals b")
    assert found[1] == ("warning", "alike in two parts", "a", "in train looks like b in test: correlation 1.00")
    assert {(f.item, f.text.split()[4]) for f in report.findings[1:]} == {("a", "b"), ("a", "c"), ("b", "c")}
    # Within one part, and without parts, sharing is no leak.
    same = check_store(store_of(pairs, splits=dict.fromkeys(pairs, "train"))).findings
    assert [(f.level, f.kind) for f in same] == [("warning", "same image twice")]
    assert [f.kind for f in check_store(store_of(pairs)).findings] == ["same image twice"]


def test_next_slices_in_two_parts():
    pairs = {f"s{z}": (noise(z), square()) for z in range(4)}
    report = check_store(store_of(pairs, volume="v", splits={"s0": "train", "s1": "train", "s2": "val"}))
    assert [(f.kind, f.item) for f in report.findings] == [("neighbors in two parts", "s1")]


def test_a_mask_is_told_from_instances():
    pairs = {f"m{n}": (noise(n), 255 * square()) for n in range(2)}
    assert "semantic labels" in {f.kind for f in check_store(store_of(pairs)).findings}


def test_fingerprints_forget_brightness_contrast_and_size():
    scene = ndimage.zoom(noise(1, (32, 32)).astype(np.float64), 8, order=0, grid_mode=True, mode="grid-constant")
    first = fingerprint(scene)
    assert first @ first == pytest.approx(1, abs=1e-6)
    assert first @ fingerprint(np.repeat(scene[::2, ::4], 3, axis=0) * 0.2 + 30) == pytest.approx(1, abs=1e-5)
    assert first @ fingerprint(255 - scene) == pytest.approx(-1, abs=1e-5)
    assert abs(float(first @ fingerprint(noise(2, (256, 256))))) < 0.2
    assert first @ fingerprint(np.stack([scene] * 3, axis=2)) == pytest.approx(1, abs=1e-5)
    assert not fingerprint(np.full((50, 70), 0.1)).any()
    assert fingerprint(noise(1, (5, 3))).shape == (1024,)
    with pytest.raises(InputError, match="not empty"):
        fingerprint(np.zeros((0, 4)))


def test_near_duplicates_by_hand():
    prints = np.array([[1, 0], [0.8, 0.6], [0, 1], [0, 0]], np.float32)
    assert near_duplicates(prints, ["train", "val", "val", "test"], threshold=0.5) == [Duplicate(0, 1, 0.8)]
    assert near_duplicates(prints, ["train", "val", "test", "test"], threshold=0.5) == [
        Duplicate(0, 1, 0.8),
        Duplicate(1, 2, 0.6),
    ]
    assert near_duplicates(prints, ["train", "", "test", "test"], threshold=0.5) == []
    assert near_duplicates(np.zeros((0, 2), np.float32), []) == []
    with pytest.raises(InputError, match="4 fingerprints and 1 parts"):
        near_duplicates(prints, ["train"])


def test_class_balance_and_sizes():
    labels = square() + 2 * square(first=40, last=50)
    pairs = {"a": (noise(1), labels), "b": (noise(2), np.zeros((64, 64), np.uint8)), "c": (noise(3), None)}
    report = check_store(store_of(pairs, splits={"a": "train", "b": "train"}))
    train, rest, everything = shares(report.rows)
    assert (train.name, train.images, train.empty, train.objects) == ("train", 2, 1, 2)
    assert train.foreground == 500 / 8192
    # Sizes 100 and 400: the 5th percentile is 100 + .05 * 300.
    assert train.sizes == pytest.approx((115, 250, 385))
    assert (rest.name, rest.images, rest.objects) == ("no part", 1, 0)
    assert np.isnan(rest.foreground)
    assert np.isnan(rest.sizes).all()
    assert (everything.name, everything.images) == ("all", 3)


def test_groups_are_summed_up_where_there_are_several():
    items = [Item(f"i{n}", "ab"[n // 2], None, None, (64, 64), "uint8", "uint8") for n in range(3)]
    report = check_store(memory_store(items, lambda item: (noise(int(item.name[1:])), square())))
    assert [(s.name, s.images) for s in shares(report.rows)] == [
        ("no part", 3),
        ("group a", 2),
        ("group b", 1),
        ("all", 3),
    ]
    assert [s.name for s in shares(report.rows, most_groups=1)] == ["no part", "all"]


def test_no_images():
    report = check_store(store_of({}))
    assert (report.rows, report.findings) == ((), ())
    assert shares(report.rows)[0].images == 0


def test_each_image_is_looked_at_once():
    store = store_of({f"i{n}": (noise(n), square()) for n in range(3)})
    seen = []
    check_store(store, look=lambda item, image, labels: seen.append((item.name, image.shape, labels.shape)))
    assert seen == [(f"i{n}", (64, 64), (64, 64)) for n in range(3)]
    assert store._backend.reads == 6


def test_classes_are_told_from_instances():
    classes = np.kron(np.array([[1, 0, 2, 0, 1], [0, 0, 0, 0, 0], [2, 0, 1, 0, 2]]), np.ones((12, 12), int))
    pairs = {f"m{n}": (noise(n, classes.shape), classes.astype(np.uint8)) for n in range(2)}
    text = next(f.text for f in check_store(store_of(pairs)).findings if f.kind == "semantic labels")
    assert text.startswith("the only ids anywhere are 1, 2, in many pieces each")
    # In a volume the pieces are counted over its slices.
    assert "semantic labels" in {f.kind for f in check_store(store_of(pairs, volume="v", ids="3d")).findings}

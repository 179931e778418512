"""COCO's and the MitoEM challenge's average precision."""

import contextlib
import io
from fractions import Fraction
from math import isnan

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from autosam.errors import InputError
from autosam.metrics import THRESHOLDS, RankedPrecision, average_precision

KINDS = ["touching", "split", "merged", "shifted", "empty_pred", "one_pixel", "huge_ids", "volume"]


def cells(seed, shape=(48, 48)):
    """Touching cells: each pixel belongs to the nearest of some seeds; some cells become background."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform(0, 1, (14, len(shape))) * shape
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    nearest = ((grid[..., None, :] - centers) ** 2).sum(-1).argmin(-1) + 1
    return np.where(np.isin(nearest, rng.permutation(14)[:4] + 1), 0, nearest)


def make_pair(kind, seed):
    rng = np.random.default_rng(seed + 100)
    truth = cells(seed, (6, 20, 20) if kind == "volume" else (48, 48))
    pred = np.roll(truth, tuple(rng.integers(0, 3, truth.ndim)), tuple(range(truth.ndim)))
    if kind == "split":
        pred = np.where((pred > 0) & (np.indices(pred.shape)[0] > 22), pred + 20, pred)
    elif kind == "merged":
        pred = (pred + 1) // 2
    elif kind == "shifted":
        pred = np.roll(truth, 5, 0)
    elif kind == "empty_pred":
        pred = np.zeros_like(truth)
    elif kind == "one_pixel":
        truth, pred = np.zeros_like(truth), np.zeros_like(truth)
        truth[3, 4] = pred[3, 4] = 1
        pred[9, 9] = 2
    elif kind == "huge_ids":
        truth, pred = (np.where(x > 0, np.uint64(2**64 - 100) + x.astype(np.uint64), 0) for x in (truth, pred))
    return pred, truth


def ids_of(labels):
    return [i for i in np.unique(labels).tolist() if i]


def encode(labels, identity):
    mask = (labels == np.asarray(identity, labels.dtype)).reshape(len(labels), -1)
    return coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))


def pycocotools_ap(pairs, scores, *, max_dets, size_range=(0, 1e10)):
    """Average precision at the ten thresholds as pycocotools itself finds it."""
    truths, found = [], []
    for image, ((pred, truth), known) in enumerate(zip(pairs, scores, strict=True), 1):
        truths += [
            {
                "image_id": image,
                "segmentation": encode(truth, i),
                "area": int((truth == np.asarray(i, truth.dtype)).sum()),
            }
            for i in ids_of(truth)
        ]
        found += [{"image_id": image, "segmentation": encode(pred, i), "score": known[i]} for i in ids_of(pred)]
    for number, item in enumerate(truths, 1):
        item.update(id=number, category_id=1, iscrowd=0)
    for item in found:
        item["category_id"] = 1
    shape = pairs[0][0].reshape(len(pairs[0][0]), -1).shape
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = COCO()
        dataset.dataset = {
            "info": {},
            "images": [{"id": i + 1, "height": shape[0], "width": shape[1]} for i in range(len(pairs))],
            "annotations": truths,
            "categories": [{"id": 1}],
        }
        dataset.createIndex()
        evaluation = COCOeval(dataset, dataset.loadRes(found), "segm")
        evaluation.params.maxDets = [max_dets]
        evaluation.params.areaRng = [list(size_range)]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, 0, 0, 0].mean(axis=1)


def mitoem_by_hand(pred, truth, scores, low=0, high=np.inf):
    """The challenge's rule, prediction by prediction: the best truth counts, taken or not."""
    size_of = {i: int((truth == np.asarray(i, truth.dtype)).sum()) for i in ids_of(truth)}
    ranked = sorted(ids_of(pred), key=lambda i: -scores[i])
    wanted = [t for t, n in size_of.items() if low < n <= high]
    best = []
    for p in ranked:
        mine = pred == np.asarray(p, pred.dtype)
        iou = {}
        for t in size_of:
            theirs = truth == np.asarray(t, truth.dtype)
            if (mine & theirs).any():
                iou[t] = Fraction(int((mine & theirs).sum()), int((mine | theirs).sum()))
        among = [t for t in iou if t in wanted] or list(iou)
        best.append((max(((iou[t], -t) for t in among), default=(Fraction(0), 0)), int(mine.sum()), scores[p]))
    areas = []
    for threshold in THRESHOLDS:
        hits = falses = 0
        points = []
        for place, ((value, minus_id), size, score) in enumerate(best):
            if value >= threshold:
                hits += -minus_id in wanted
            elif low < size <= high:
                falses += 1
            if place + 1 == len(best) or best[place + 1][2] < score:  # equal scores count at once
                points.append((hits / len(wanted), hits / max(hits + falses, 1)))
        grid = np.linspace(0, 1, 101)
        areas.append(np.mean([max((p for r, p in points if r >= recall), default=0.0) for recall in grid]))
    return np.array(areas)


def random_scores(pred, seed):
    """Scores without ties, whose order pycocotools takes from its input."""
    rng = np.random.default_rng(seed)
    return {i: float(rng.random()) for i in ids_of(pred)}


def test_hand_worked_curve():
    # Three predictions of 4 × 4 labels, ranked: 1 hits truth 1, 2 hits nothing, 3 hits truth 3; truth 4 is missed.
    #   prediction 1 1 2 2    truth 1 1 0 0
    #              1 1 2 2          1 1 0 0
    #              3 3 0 0          3 3 4 4
    #              3 3 0 0          3 3 4 4
    pred = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 0, 0], [3, 3, 0, 0]])
    truth = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [3, 3, 4, 4], [3, 3, 4, 4]])
    result = average_precision(pred, truth, convention="coco", scores={1: 0.9, 2: 0.8, 3: 0.7})
    # precision 1, 1/2, 2/3 at recalls 1/3, 1/3, 2/3. Monotone: 1 up to recall 1/3 (34 of the 101 points: 0 to
    # .33), 2/3 up to recall 2/3 (33 points: .34 to .66), then 0.
    assert result.accuracy == pytest.approx([(34 * 1 + 33 * 2 / 3) / 101] * 10)
    assert result.recall.tolist() == [2 / 3] * 10
    assert result.at(0.75) == pytest.approx(result.mean)
    assert result.curve(0.5)[[0, 33, 34, 66, 67]] == pytest.approx([1, 1, 2 / 3, 2 / 3, 0])
    # The false one ranked last costs nothing: 1 up to recall 2/3, 67 points.
    last = average_precision(pred, truth, convention="coco", scores={1: 0.9, 2: 0.1, 3: 0.7})
    assert last.mean == pytest.approx(67 / 101)


def test_a_truth_may_be_matched_twice_only_in_mitoem2020():
    pred, truth = np.array([1, 1, 2, 2]), np.array([1, 1, 1, 1])  # both IoU 2 / 4
    coco = average_precision(pred, truth, convention="coco", thresholds=[0.5])
    mitoem = average_precision(pred, truth, convention="mitoem2020", thresholds=[0.5])
    assert coco.hit.tolist() == [[True, False]]
    assert mitoem.hit.tolist() == [[True, True]]
    assert mitoem.recall == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("max_dets", [None, 4])
def test_equals_pycocotools(kind, max_dets):
    pairs = [make_pair(kind, seed) for seed in range(3)] + [
        make_pair("volume" if kind == "volume" else "split", 9)
    ]
    scores = [random_scores(pred, seed) for seed, (pred, _) in enumerate(pairs)]
    result = RankedPrecision.pooled(
        average_precision(p, t, convention="coco", scores=s, max_dets=max_dets)
        for (p, t), s in zip(pairs, scores, strict=True)
    )
    expected = pycocotools_ap(pairs, scores, max_dets=max_dets or 10_000)
    np.testing.assert_allclose(result.accuracy, expected, atol=1e-12)


@pytest.mark.parametrize("size_range", [(0, 120), (120, 170), (170, 1e10)])
def test_size_classes_equal_pycocotools(size_range):
    pairs = [make_pair("shifted", 3), make_pair("split", 4), make_pair("touching", 5)]
    scores = [random_scores(pred, seed) for seed, (pred, _) in enumerate(pairs)]
    result = RankedPrecision.pooled(
        average_precision(p, t, convention="coco", scores=s, size_range=size_range)
        for (p, t), s in zip(pairs, scores, strict=True)
    )
    expected = pycocotools_ap(pairs, scores, max_dets=10_000, size_range=size_range)
    np.testing.assert_allclose(result.accuracy, expected, atol=1e-12)
    assert result.mean > 0


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "empty_pred"])
@pytest.mark.parametrize("size_range", [None, (100, 180)])
def test_mitoem2020_equals_its_rule_by_hand(kind, size_range):
    pred, truth = make_pair(kind, 1)
    if kind == "one_pixel" and size_range:
        size_range = (0, 1)
    sizes = {i: int((pred == np.asarray(i, pred.dtype)).sum()) for i in ids_of(pred)}
    for scores in (random_scores(pred, 0), None):
        result = average_precision(pred, truth, convention="mitoem2020", scores=scores, size_range=size_range)
        low, high = size_range or (0, np.inf)
        expected = mitoem_by_hand(pred, truth, scores or sizes, low, high)
        np.testing.assert_allclose(result.accuracy, expected, atol=1e-12)


def test_thresholds_are_exact():
    pred, truth = np.array([1, 1, 1, 0, 0]), np.ones(5, int)  # IoU 3 / 5
    for convention in ("coco", "mitoem2020"):
        assert average_precision(pred, truth, convention=convention).accuracy.tolist() == [1] * 3 + [0] * 7


def test_below_one_half_the_best_score_chooses_first():
    pred, truth = np.array([1, 1, 2, 2, 2, 0]), np.array([1, 1, 1, 1, 2, 2])  # IoU (1,1) 2/4, (2,1) 2/5, (2,2) 1/4
    one = average_precision(pred, truth, convention="coco", thresholds=[0.4], scores={1: 0.2, 2: 0.9})
    assert one.hit.tolist() == [[True, False]]  # 2 takes truth 1, nothing is left for 1
    other = average_precision(pred, truth, convention="coco", thresholds=[0.4], scores={1: 0.9, 2: 0.2})
    assert other.scores.tolist() == [0.9, 0.2]
    assert other.hit.tolist() == [[True, False]]


def test_equal_scores_count_at_once():
    # Four predictions of one score, two of which hit the two truths: precision 1/2 at recall 1 in any order.
    pred, truth = np.array([1, 1, 2, 3, 4, 4]), np.array([5, 5, 0, 0, 6, 6])
    for convention in ("coco", "mitoem2020"):
        result = average_precision(pred, truth, convention=convention, scores=dict.fromkeys([1, 2, 3, 4], 0.5))
        assert result.accuracy.tolist() == [0.5] * 10


@pytest.mark.parametrize("convention", ["coco", "mitoem2020"])
@pytest.mark.parametrize("max_dets", [None, 4])
@pytest.mark.parametrize("seed", range(6))
def test_neither_ids_nor_the_order_of_images_decide(convention, max_dets, seed):
    rng = np.random.default_rng(seed)
    pairs = [(rng.integers(0, 7, (6, 6)), rng.integers(0, 5, (6, 6))) for _ in range(3)]
    scores = [{i: float(rng.integers(1, 3)) for i in range(1, 7)} for _ in pairs]

    def score(order, ids, true_ids):
        return RankedPrecision.pooled(
            average_precision(
                ids[pairs[n][0]],
                true_ids[pairs[n][1]],
                convention=convention,
                thresholds=[0.1, 0.2, 0.5],
                scores={int(ids[i]): s for i, s in scores[n].items()},
                max_dets=max_dets,
                size_range=(4, 9),
            )
            for n in order
        ).accuracy.tolist()

    expected = score(range(3), np.arange(7), np.arange(5))
    shuffled, others = (np.concatenate([[0], rng.permutation(n) + 1]) for n in (6, 4))
    assert score([2, 0, 1], shuffled, others) == expected


@pytest.mark.parametrize("convention", ["coco", "mitoem2020"])
def test_empty_sides(convention):
    none, one = np.zeros((3, 3), int), np.ones((3, 3), int)
    assert average_precision(none, one, convention=convention).accuracy.tolist() == [0] * 10
    for pred in (none, one):
        result = average_precision(pred, none, convention=convention)
        assert isnan(result.mean)
        assert np.isnan(result.recall).all()
        assert average_precision(pred, none, convention=convention, empty_value=1.0).mean == 1
    # Pooled with an image that has truth, the false prediction counts.
    pooled = RankedPrecision.pooled(
        average_precision(p, t, convention=convention, scores={1: s})
        for p, t, s in ((one, none, 0.9), (one, one, 0.5))
    )
    assert pooled.mean == pytest.approx(1 / 2)


def test_size_classes_of_dsb():
    # Truths of 2 and 6 voxels, both found; a false prediction of 3 voxels and one of 8.
    truth = np.repeat([1, 0, 2, 0], [2, 3, 6, 8])
    pred = np.repeat([1, 3, 2, 4], [2, 3, 6, 8])
    small = average_precision(pred, truth, thresholds=[0.5], size_range=(1, 5))
    assert (small.tp, small.fp, small.fn) == (1, 1, 0)
    large = average_precision(pred, truth, thresholds=[0.5], size_range=(6, 8))  # both ends are included
    assert (large.tp, large.fp, large.fn) == (1, 1, 0)
    middle = average_precision(pred, truth, thresholds=[0.5], size_range=(3, 5))
    assert (middle.tp, middle.fp, middle.fn) == (0, 1, 0)
    # A truth in range that is matched with a prediction out of range is a hit.
    grown = average_precision(np.repeat([1, 0], [7, 2]), np.repeat([1, 0], [5, 4]), size_range=(1, 5))
    assert (grown.tp[0], grown.fp[0], grown.fn[0]) == (1, 0, 0)


def test_faults_are_named():
    labels = np.array([1, 2, 0])
    with pytest.raises(InputError, match=r"no score for 1 predicted objects \(2\)"):
        average_precision(labels, labels, convention="coco", scores={1: 1.0})
    with pytest.raises(InputError, match="score of object 2 is nan"):
        average_precision(labels, labels, convention="coco", scores={1: 1.0, 2: float("nan")})
    with pytest.raises(InputError, match="the scores are a list: give a mapping"):
        average_precision(labels, labels, convention="coco", scores=[1.0, 0.5])
    with pytest.raises(InputError, match="max_dets is 0"):
        average_precision(labels, labels, convention="coco", max_dets=0)
    with pytest.raises(InputError, match="leave out `strict`"):
        average_precision(labels, labels, convention="coco", strict=True)
    with pytest.raises(InputError, match="dsb ranks nothing"):
        average_precision(labels, labels, max_dets=10)
    with pytest.raises(InputError, match="size range is"):
        average_precision(labels, labels, size_range=(5, 1))
    with pytest.raises(InputError, match="no results"):
        RankedPrecision.pooled([])
    one = average_precision(labels, labels, convention="coco")
    with pytest.raises(InputError, match="evaluate all images with the same"):
        RankedPrecision.pooled([one, average_precision(labels, labels, convention="mitoem2020")])
    with pytest.raises(InputError, match=r"no counts at IoU 0\.3"):
        one.at(0.3)

"""What each column of a table of scores means, as it is written beside the results."""

from autosam.metrics.all_scores import Protocol

_RAND = {
    "snemi3d": "true voxels that are predicted as background hardly count: the challenge's script",
    "skimage": "true voxels that are predicted as background are one segment; a voxel and itself are no pair",
    "foreground": "true voxels that are predicted as background are one segment",
    "singletons": "true voxels that are predicted as background are a segment each",
}
_RANKED = {
    "coco": "area under the precision-recall curve; greedy by score, 101 recalls (pycocotools)",
    "mitoem2020": "the same area; each prediction against its best truth, taken or not (mAP_3Dvolume)",
}


def definitions(protocol: Protocol) -> dict[str, str]:
    """Define the columns that `Scores.row` gives under a protocol, and its rows."""
    above = ">" if protocol.strict else "≥"
    found = {
        "ap": f"TP / (TP + FP + FN); a match has IoU {above} threshold; optimal one-to-one matching (dsb)",
        "mean_ap": "mean of ap over the IoU thresholds .50, .55, … .95",
        "rand_error": "1 − F-score of the adapted Rand index; true background ignored; "
        f"{_RAND[protocol.rand]} (convention {protocol.rand})",
        "voi_split, voi_merge": "H(P | T) and H(T | P) in bits; true background ignored, predicted one a segment",
        "cremi": "√((voi_split + voi_merge) · rand_error), the latter by convention snemi3d",
        "pq, sq, dq": "panoptic, segmentation and detection quality; a match has IoU > 1/2",
        "aji": "aggregated Jaccard index, as MoNuSeg's script of 2018-07-17: a prediction may be in several pairs",
        "aji_plus": "the same with the one-to-one pairing of the largest sum of IoU",
        "dice": "2 |P ∩ T| / (|P| + |T|) of the foreground",
        "iou": "|P ∩ T| / |P ∪ T| of the foreground",
        "missed, split, merged": "true objects without a match at IoU ≥ 1/2, by kind; spurious: predicted ones",
    }
    for name in protocol.ranked:
        found[f"{name}_ap"] = _RANKED[name]
    if protocol.max_dets is not None:
        found["max_dets"] = f"ranked precisions count the {protocol.max_dets} best predictions of each image"
    if protocol.size_bounds:
        listed = ", ".join(map(str, protocol.size_bounds))
        found["uptoN, aboveN"] = f"AP of objects by size, classes bounded by {listed} voxels"
    return found | {
        "pooled": "counts of all images added up; of rand_error the pairs of voxels; voi is the mean weighted by "
        "the voxels of true objects; ranked precisions rank all predictions together",
        "mean": "mean over the images in which the score is defined",
        "undefined": "empty cell or null: where both sides are empty; rand_error, voi, cremi and ranked "
        "precisions without truth",
    }

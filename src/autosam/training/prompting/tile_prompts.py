"""The prompts of a training tile: made of its labels, or of the generator's maps as at inference."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.config import PromptsConfig, TrainingConfig
from autosam.models.sam.interface import LOW_RES_STRIDE
from autosam.pipeline.propose import Regions, make_region_prompts, threshold_regions
from autosam.prompts import make_prompts
from autosam.training.prompting.prompt_targets import TilePrompts, match_regions
from autosam.training.prompting.simulate import jitter_box, low_resolution_mask, sample_points
from autosam.training.prompting.vary import vary_thresholds


def simulated_prompts(
    labels: NDArray[np.int32],
    foreground: NDArray[np.float32] | None,
    prompts: PromptsConfig,
    training: TrainingConfig,
    rng: np.random.Generator,
) -> TilePrompts:
    """Simulate prompts for randomly chosen objects: a jittered box, random pixels and a mask.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
    foreground : ndarray of float32, shape (H, W), or None
        The generator's probabilities, for the mask prompt. Without them, it is made of the object itself.
    prompts : PromptsConfig
        Objects with fewer visible pixels than ``min_size`` are not prompted. Jitter is added to ``box_margin``.
    training : TrainingConfig
        At most ``prompts_per_tile`` prompts, as ``simulate`` says; without masks where ``mask_prompt`` is 0.

    Returns
    -------
    TilePrompts
        In order of object id; the regions are the labels. Empty lists where no object is large enough.
    """
    simulate, with_mask = training.simulate, training.mask_prompt > 0
    sizes = np.bincount(labels.ravel())
    ids = np.flatnonzero(sizes >= max(prompts.min_size, 1))
    ids = ids[ids > 0]
    chosen = np.sort(rng.permutation(ids)[: training.prompts_per_tile])
    # The objects that were not chosen stay in: their pixels are absent in the others' mask prompts.
    plain = make_prompts(
        labels,
        foreground,
        method="distance",
        points=1,
        negatives=prompts.negatives,
        box=True,
        box_margin=prompts.box_margin,
        mask=with_mask and foreground is not None,
    )
    boxes = ndimage.find_objects(labels)
    by_id = {prompt.region: prompt for prompt in plain}
    simulated = []
    for object_id in chosen:
        prompt = by_id[int(object_id)]
        # One pixel more on every side shows where the outline is, except at the image's border.
        crop = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in boxes[object_id - 1])
        places = sample_points(labels[crop] == object_id, prompts.points, how=simulate.points, rng=rng)
        places += [side.start for side in crop]
        beside = prompt.points[prompt.point_labels == 0]
        mask = prompt.mask
        box = jitter_box(
            np.asarray(prompt.box), labels.shape, sigma=simulate.box_jitter, limit=simulate.max_jitter, rng=rng
        )
        if with_mask and foreground is None:
            mask = low_resolution_mask(labels == object_id, stride=LOW_RES_STRIDE, rng=rng)
        simulated.append(
            replace(
                prompt,
                points=np.concatenate([places, beside]),
                point_labels=np.repeat(np.array([1, 0], dtype=np.int64), [len(places), len(beside)]),
                box=box,
                mask=mask,
            )
        )
    return TilePrompts(simulated, chosen.astype(np.int64), labels)


def predicted_prompts(
    labels: NDArray[np.int32],
    maps: Mapping[str, NDArray[np.float32]],
    prompts: PromptsConfig,
    training: TrainingConfig,
    rng: np.random.Generator,
    *,
    valid: NDArray[np.bool_] | None = None,
) -> TilePrompts:
    """Prompt as at inference, from the generator's maps, and assign the prompts to objects.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
    maps : mapping of str to ndarray of float32, shape (H, W)
    training : TrainingConfig
        Thresholds are drawn within ``vary_thresholds``. ``matching`` assigns prompts to objects; without
        ``unmatched``, prompts without an object are left out before ``prompts_per_tile`` are chosen.
    valid : ndarray of bool, shape (H, W), optional
        Where labels are known. Regions of which more than half lies elsewhere give no prompts, and the others are
        compared with objects where both are known.

    Returns
    -------
    TilePrompts
        In order of region id. Empty lists where the generator sees nothing.
    """
    settings = vary_thresholds(prompts, reach=training.vary_thresholds, rng=rng)
    regions = threshold_regions(maps, settings)
    ids = np.arange(1, int(regions.max(initial=0)) + 1)
    if valid is not None and not valid.all():
        known, sizes = np.bincount(regions[valid], minlength=len(ids) + 1), np.bincount(regions.ravel())
        ids = ids[2 * known[ids] >= sizes[ids]]
        partner = match_regions(np.where(valid, regions, 0).astype(np.int32), labels, matching=training.matching)
    else:
        partner = match_regions(regions, labels, matching=training.matching)
    if not training.unmatched:
        ids = ids[partner[ids] > 0]
    # Prompts are made of the chosen regions alone: an untrained generator sees hundreds.
    chosen = ids[np.sort(rng.permutation(len(ids))[: training.prompts_per_tile])]
    kept = make_region_prompts(Regions(regions), maps.get("foreground"), settings, only=set(chosen.tolist()))
    return TilePrompts(kept, partner[chosen], regions, best_iou=training.unmatched == "best_iou")

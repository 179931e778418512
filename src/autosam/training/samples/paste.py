"""Objects of one source pasted into the tiles of another, so that a model does not learn their surroundings."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MOST_PASTED = 4
"""Objects that a tile gets at most."""

MARGIN = 6
"""Pixels around an object that are compared with those at its new place, and must be free there."""

TRIES = 15
"""Places that are drawn for an object; where none of them is free, it is left out."""

GAINS = 0.6, 1.6
"""How far contrast is changed at most."""


def paste_objects(
    image: NDArray[np.float32],
    labels: NDArray[np.int32],
    donor: NDArray[np.float32],
    donor_labels: NDArray[np.int32],
    *,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Paste a few whole objects of another tile on background (Ghiasi et al. 2021, "Simple copy-paste").

    Each object is as much darker or brighter than its surroundings as it was, by the contrast of the tile that it
    comes into, and gets a soft edge (Dwibedi et al. 2017, "Cut, paste and learn").

    Parameters
    ----------
    image, donor : ndarray of float32, shape (H, W, C) and (h, w, C)
        0 to 1.
    labels, donor_labels : ndarray of int32, shape (H, W) and (h, w)
        0 for background, -1 where nothing is known.
    rng : Generator
        Draws the objects, 1 to 4 of them, and their places.

    Returns
    -------
    image : ndarray of float32, shape (H, W, C)
        0 to 1; as it was where nothing is pasted.
    labels : ndarray of int32, shape (H, W)
        Pasted objects have new ids. Nothing is pasted over or beside an object or a pixel that is not known.
    """
    gain = float(np.clip((image.std() + 0.01) / (donor.std() + 0.01), *GAINS))
    image, labels = image.copy(), labels.copy()
    whole = _whole_objects(donor_labels)
    for object_id in rng.permutation(sorted(whole))[: rng.integers(1, MOST_PASTED + 1)]:
        crop = whole[int(object_id)]
        mask = donor_labels[crop] == object_id
        near = ndimage.binary_dilation(mask, iterations=MARGIN)
        place = _free_place(labels, near, rng)
        if place is not None:
            around = near & (donor_labels[crop] == 0)
            beside = donor[crop][around if around.any() else near]
            # Medians, since membranes are beside many objects.
            offset = np.median(image[place][near], axis=0) - gain * np.median(beside, axis=0)
            image[place] = _blended(image[place], gain * donor[crop] + offset, mask)
            labels[place][mask] = labels.max() + 1
    return image, labels


def _whole_objects(labels: NDArray[np.int32]) -> dict[int, tuple[slice, slice]]:
    """Give the boxes, with a margin, of objects that neither the border nor what is unknown cuts off."""
    found = {}
    for object_id, box in enumerate(ndimage.find_objects(np.maximum(labels, 0)), start=1):
        if box is None:
            continue
        rows, cols = (slice(side.start - MARGIN, side.stop + MARGIN) for side in box)
        inside = (
            rows.start >= 0 and cols.start >= 0 and rows.stop <= labels.shape[0] and cols.stop <= labels.shape[1]
        )
        if inside and (labels[rows, cols] >= 0).all():
            found[object_id] = (rows, cols)
    return found


def _free_place(
    labels: NDArray[np.int32], near: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[slice, slice] | None:
    """Draw a place where an object and its margin cover nothing but background."""
    free = [length - side for length, side in zip(labels.shape, near.shape, strict=True)]
    if min(free) < 0:
        return None
    for row, col in rng.integers(0, np.array(free) + 1, size=(TRIES, 2)):
        place = slice(int(row), int(row) + near.shape[0]), slice(int(col), int(col) + near.shape[1])
        if not labels[place][near].any():
            return place
    return None


def _blended(
    target: NDArray[np.float32], fitted: NDArray[np.float32], mask: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Blend an object into its new place."""
    weight = ndimage.gaussian_filter(ndimage.binary_dilation(mask).astype(np.float32), 1.0)[..., None]
    return np.asarray(np.clip(target + weight * (fitted - target), 0, 1), dtype=np.float32)

"""The pixels of an image that a person has reviewed, so that something can be learnt there."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.review.check_corrections import pixel_of
from autosam.review.corrected_labels import CorrectedLabels
from autosam.review.corrections import Correction

RIM = 0.25
"""Width of the background around an object that counts as reviewed with it, relative to the object's diameter."""
LEAST_RIM = 3.0
"""The same in pixels, at least."""


def reviewed_area(
    before: NDArray[np.int32], corrected: CorrectedLabels, corrections: Sequence[Correction]
) -> NDArray[np.bool_]:
    """Find where corrected labels are complete.

    Whoever reviews an object looks at its outline. So its pixels count, and a rim of background around it. So do
    the pixels of objects that were deleted, with no rim. Other objects do not, where nobody reviewed them. A box
    that is ``reviewed`` counts whole, and without a box the whole image does.

    Parameters
    ----------
    before : ndarray of int32, shape (H, W)
        The labels that the corrections are about.
    corrected : CorrectedLabels
        What came out.
    corrections : sequence of Correction
        All of the image.

    Returns
    -------
    ndarray of bool, shape (H, W)
        True where the labels are complete; all False without corrections.
    """
    labels = corrected.labels
    area = np.zeros(labels.shape, bool)
    by_label = {origin.label: origin for origin in corrected.origins if origin.label}
    reviewed = np.zeros(len(corrected.scores) + 1, bool)
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        if box is not None and by_label[number].action:
            reviewed[number] = True
            window, near = _near(labels, number, box)
            area[window] |= near
    removed = [number for origin in corrected.origins if origin.action == "delete" for number in origin.before]
    area |= np.isin(before, removed)
    area &= reviewed[labels] | (labels == 0)
    for one in corrections:
        if one.action == "reviewed":
            area[_pixels(one)] = True
    return area


def _near(
    labels: NDArray[np.int32], number: int, box: tuple[slice, slice]
) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """Give the pixels of an object and of its rim, in a window."""
    own = labels[box] == number
    rim = max(LEAST_RIM, RIM * 2 * float(np.sqrt(np.count_nonzero(own) / np.pi)))
    more = int(np.ceil(rim))
    rows, cols = (slice(max(0, one.start - more), one.stop + more) for one in box)
    own = labels[rows, cols] == number
    return (rows, cols), ndimage.distance_transform_edt(~own) <= rim


def _pixels(one: Correction) -> tuple[slice, slice]:
    if one.box is None:
        return slice(None), slice(None)
    first, last = pixel_of(one.box[:2]), pixel_of(one.box[2:])
    return slice(first[0], last[0] + 1), slice(first[1], last[1] + 1)

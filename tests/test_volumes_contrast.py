"""The contrast of a volume is measured in what can be read of it."""

from dataclasses import dataclass

import numpy as np
import pytest

from autosam.config import make_config
from autosam.errors import InputError
from autosam.volumes.contrast import measure_contrast
from autosam.volumes.hole import HoleError

PLAIN = make_config({"images": {"limits": "plain", "low": 0.0, "high": 100.0}}).images


@dataclass(frozen=True)
class DamagedSlide:
    """A slide whose intensities rise from left to right, without the pixels above a row."""

    damaged_rows: int
    shape: tuple = (1, 2100, 2200)

    def read(self, z, window):
        rows, cols = window
        if rows.start < self.damaged_rows:
            raise HoleError("a slide", z, window, "it is damaged")
        return np.broadcast_to(np.arange(cols.start, cols.stop, dtype=np.uint16), (rows.stop - rows.start, 256))


def test_a_part_that_cannot_be_read_leaves_the_limits_of_the_rest():
    whole = measure_contrast(DamagedSlide(0), PLAIN)
    assert (whole.dark, whole.bright) == ((0.0,), (2199.0,))
    assert measure_contrast(DamagedSlide(1), PLAIN) == whole


def test_a_slide_that_cannot_be_read_at_all_is_one_line():
    with pytest.raises(InputError, match=r"a slide: slice 0, .* cannot be read: it is damaged"):
        measure_contrast(DamagedSlide(2100), PLAIN)


def test_slices_without_contrast_have_no_say():
    volume = np.full((5, 40, 40), 7, np.uint8)
    volume[2, :20] = 90

    class Volume:
        shape = volume.shape

        def read(self, z, window):
            return volume[(z, *window)]

    contrast = measure_contrast(Volume(), PLAIN)
    assert (contrast.z, contrast.at(0), contrast.at(4)) == ((2,), (7.0, 90.0), (7.0, 90.0))

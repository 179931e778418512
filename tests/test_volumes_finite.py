import numpy as np
import pytest

from autosam.errors import InputError
from autosam.volumes.finite import check_finite

WINDOW = (slice(100, 104), slice(50, 56))


def test_the_first_broken_pixel_is_named():
    pixels = np.zeros((4, 6), np.float32)
    check_finite(pixels, name="a.h5", z=7, window=WINDOW, non_finite="error")
    pixels[2, 3], pixels[3, 0] = np.nan, np.inf
    check_finite(pixels, name="a.h5", z=7, window=WINDOW, non_finite="background")
    with pytest.raises(
        InputError, match=r"a\.h5: 2 pixels of slice 7 are NaN .* row 102, column 53; .*background"
    ):
        check_finite(pixels, name="a.h5", z=7, window=WINDOW, non_finite="error")


def test_colors_and_integers():
    colors = np.zeros((4, 6, 3))
    colors[1, 1, 2] = -np.inf
    with pytest.raises(InputError, match=r"1 pixels of slice 0 .* row 101, column 51"):
        check_finite(colors, name="a", z=0, window=WINDOW, non_finite="error")
    check_finite(np.zeros((4, 6), np.uint8), name="a", z=0, window=WINDOW, non_finite="error")

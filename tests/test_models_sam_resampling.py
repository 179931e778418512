"""Any part of SAM's resampling equals that part of the whole, which torch makes."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from autosam.models.sam.resampling import reduction, upsampling

SIZES = [(64, 64), (44, 90), (64, 30), (21, 200), (64, 1)]


def reference(values: torch.Tensor, given: int, original: int) -> torch.Tensor:
    """Bring 16 values to an image's pixels, as SAM's postprocess_masks does with rows."""
    full = F.interpolate(values[None, None], (64, values.shape[1]), mode="bilinear", align_corners=False)
    cut = full[:, :, :given]
    return F.interpolate(cut, (original, values.shape[1]), mode="bilinear", align_corners=False)[0, 0]


@pytest.mark.parametrize(("given", "original"), SIZES)
def test_all_pixels_at_once(given, original):
    values = torch.randn(16, 5, generator=torch.Generator().manual_seed(0))
    axis = upsampling(16, 64, given, original)
    torch.testing.assert_close(axis.weights @ values, reference(values, given, original), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("given", "original"), SIZES)
def test_a_part_is_made_of_the_pixels_that_count(given, original):
    values = torch.randn(16, 5, generator=torch.Generator().manual_seed(0))
    whole, axis = reference(values, given, original), upsampling(16, 64, given, original)
    for begin in range(16):
        for end in range(begin + 1, 17):
            one = torch.zeros(16, 1)
            one[begin:end] = 1
            shown = np.flatnonzero(reference(one, given, original)[:, 0].numpy())
            span = axis.reached((begin, end))
            assert list(range(*span)) == shown.tolist()
            if not len(shown):
                continue
            weights, used = axis.product(span, (0, 16))
            assert (used[1] - used[0]) <= end - begin + 4
            torch.testing.assert_close(weights @ values[slice(*used)], whole[slice(*span)], atol=1e-5, rtol=1e-5)


def test_values_go_on_beyond_the_ends_of_what_there_is():
    axis = upsampling(16, 64, 64, 64)
    weights, used = axis.product(axis.reached((4, 8)), (4, 8))
    assert used == (4, 8)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(weights)))
    values = torch.tensor([3.0, 5, 7, 9])
    # Pixels 16 to 31 are those of values 4 to 7; two more on each side have a share in them.
    made = weights @ values
    assert axis.reached((4, 8)) == (14, 34)
    assert made[:4].tolist() == [3, 3, 3, 3]
    assert made[4].item() == pytest.approx(3 + 2 / 8)
    assert made[-4:].tolist() == [9, 9, 9, 9]


def test_nothing_reaches_nothing():
    assert upsampling(16, 64, 64, 64).reached((5, 5)) == (0, 0)


@pytest.mark.parametrize(("original", "given"), [(64, 64), (64, 40), (30, 64), (300, 64), (1, 64)])
def test_reduction_is_resizing_padding_and_pooling(original, given):
    values = torch.randn(original, 7, generator=torch.Generator().manual_seed(0))
    frame = values[None, None]
    if given != original:
        frame = F.interpolate(frame, (given, 7), mode="bilinear", antialias=True)
    frame = F.pad(frame, (0, 0, 0, 64 - given))
    expected = F.avg_pool2d(frame, (4, 1))[0, 0]
    torch.testing.assert_close(reduction(original, given, 64, 4) @ values, expected, atol=1e-5, rtol=1e-5)

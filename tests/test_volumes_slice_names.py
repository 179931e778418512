import pytest

from autosam.errors import InputError
from autosam.volumes.slice_names import order_slices


def names(numbers, text="raw_{:03}_x.png"):
    return [text.format(number) for number in numbers]


def test_numbers_sort_by_value():
    order = order_slices(["s10", "s9", "s8", "s11"])
    assert order.files == (2, 1, 0, 3)
    assert order.note == ""


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ([0, 1, 3, 4], [2]),
        ([7, 8, 9, 11, 12, *range(14, 30)], [3, 6]),
        # Every tenth slice was saved, and one is missing.
        ([10, 20, 40, 50, 60], [2]),
        ([5, 6, 7], []),
    ],
)
def test_what_numbers_leave_out_is_missing(numbers, missing):
    order = order_slices(names(numbers))
    assert [z for z, file in enumerate(order.files) if file is None] == missing
    assert [file for file in order.files if file is not None] == list(range(len(numbers)))
    assert order.note == ""


@pytest.mark.parametrize(
    "numbers",
    [
        # Runs of a longer stack: more than a tenth would be missing.
        [*range(20), *range(40, 60)],
        [0, 1, 2, 5, 6, 7],
        # No step is that of most.
        [1, 4, 6, 11],
        [0, 1, 3],
        # One number lies between steps.
        [0, 10, 20, 30, 35],
    ],
)
def test_numbers_that_jump_are_no_slices(numbers):
    order = order_slices(names(numbers))
    assert order.files == tuple(range(len(numbers)))
    assert "follow one another" in order.note


def test_names_without_a_count():
    for stems in (["a", "c", "b"], ["a1", "b2", "a3"], ["x1_2", "x2_4", "x3_7"], ["one"], ["a1", "a3"]):
        order = order_slices(stems)
        assert sorted(order.files) == list(range(len(stems)))
        assert order.note == ""


def test_slices_and_channels_are_not_mixed_up():
    stems = [f"z{z:02}_ch{c}.tif" for z in range(5) for c in range(2)]
    with pytest.raises(InputError, match=r"count in two ways, 5 × 2, .*pattern, such as 'z\*_ch0\.tif'"):
        order_slices(stems)
    assert len(order_slices([stem for stem in stems if "ch1" in stem]).files) == 5

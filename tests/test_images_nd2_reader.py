"""ND2 files of the layout of version 3: loops, channels, calibration, missing frames, damage."""

from pathlib import Path

import nd2
import numpy as np
import pytest
from microscope_files import write_nd2

from autosam.errors import InputError
from autosam.images import find_sources, read_image, read_pixel_size
from autosam.images.read import read_pixels
from autosam.images.readers import Selection

RNG = np.random.default_rng(5)
FRAMES = RNG.integers(0, 4000, (24, 12, 17, 2), dtype=np.uint16)
"""Frame, y, x, channel."""


def test_loops_in_any_order(tmp_path: Path) -> None:
    for order in (("T", 2), ("P", 3), ("Z", 4)), (("P", 3), ("T", 2), ("Z", 4)), (("Z", 4), ("T", 2), ("P", 3)):
        path = write_nd2(tmp_path / "a.nd2", FRAMES, loops=order, channels=("DAPI", "GFP"))
        lengths = dict(order)
        frames = FRAMES.reshape(*(n for _, n in order), *FRAMES.shape[1:])
        names = [axis for axis, _ in order]
        frames = frames.transpose(*(names.index(axis) for axis in "PTZ"), 5, 3, 4)
        sources = find_sources([path])
        assert len(sources) == 24
        assert [source.name for source in sources[:5]] == [
            "a_s0_t0_z0",
            "a_s0_t0_z1",
            "a_s0_t0_z2",
            "a_s0_t0_z3",
            "a_s0_t1_z0",
        ]
        for number, source in enumerate(sources):
            p, t, z = np.unravel_index(number, (lengths["P"], lengths["T"], lengths["Z"]))
            np.testing.assert_array_equal(np.stack(read_pixels(source)), frames[p, t, z])
        (one,) = find_sources([path], Selection(channel="gfp", series=2, time=1, z=3))
        np.testing.assert_array_equal(read_image(one), frames[2, 1, 3, 1])
        assert read_pixel_size(one) == pytest.approx(500)


@pytest.mark.parametrize(("micrometers", "nm"), [(0.11, 110), (None, None)])
def test_a_calibration_that_is_none(tmp_path: Path, micrometers: float | None, nm: float | None) -> None:
    path = write_nd2(tmp_path / "a.nd2", FRAMES[:1, ..., :1], channels=("DAPI",), micrometers=micrometers)
    (source,) = find_sources([path])
    assert read_pixel_size(source) == (None if nm is None else pytest.approx(nm))
    np.testing.assert_array_equal(read_image(source), FRAMES[0, ..., 0])
    np.testing.assert_array_equal(nd2.imread(path), FRAMES[0, ..., 0])


def test_colors(tmp_path: Path) -> None:
    picture = RNG.integers(0, 255, (1, 12, 17, 3), dtype=np.uint8)
    found = read_pixels(write_nd2(tmp_path / "a.nd2", picture))
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, picture[0])


def test_a_frame_that_was_never_taken_is_refused(tmp_path: Path) -> None:
    path = write_nd2(tmp_path / "a.nd2", FRAMES, loops=(("T", 6), ("Z", 4)), channels=("DAPI", "GFP"), frames=17)
    sources = find_sources([path])
    assert len(sources) == 24
    np.testing.assert_array_equal(
        read_image(find_sources([path], Selection(time=4, z=0, channel=0))[0]), FRAMES[16, ..., 0]
    )
    # nd2 itself gives zeros.
    with pytest.raises(
        InputError, match=r"a\.nd2 cannot be read: frame 17 is missing: the acquisition was stopped"
    ):
        read_pixels(sources[17])


def test_damage_is_one_line_with_the_name(tmp_path: Path) -> None:
    path = write_nd2(tmp_path / "cut.nd2", FRAMES, loops=(("T", 24),), channels=("DAPI", "GFP"))
    whole = path.read_bytes()
    for length in (len(whole) - 100, len(whole) // 2, 50, 0):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.nd2 cannot be read: .*damaged"):
            read_image(find_sources([path])[0])

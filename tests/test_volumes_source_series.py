"""Volumes in files of microscopes, by URL, and in OME-Zarr with five axes."""

from pathlib import Path

import fsspec
import numpy as np
import pytest
import zarr
from microscope_files import Tile, write_czi, write_lif, write_nd2

from autosam.errors import InputError
from autosam.volumes.open_volume import open_volume
from autosam.volumes.storage import close_volumes

RNG = np.random.default_rng(3)
STACK = RNG.integers(0, 4000, (2, 3, 4, 12, 17), dtype=np.uint16)
"""Time, channel, z, y, x."""
WINDOW = (slice(3, 9), slice(4, None))


@pytest.fixture(autouse=True)
def _closed():
    yield
    close_volumes()


def check(source, expected, voxel_size=None):
    assert (source.shape, source.dtype) == (expected.shape[:3], expected.dtype)
    for z in (3, 0, 2):
        np.testing.assert_array_equal(source.read(z, WINDOW), expected[(z, *WINDOW)])
    if voxel_size is not None:
        assert source.voxel_size == pytest.approx(voxel_size)


def test_czi(tmp_path):
    tiles = [
        Tile(STACK[t, c, z], at={"C": c, "Z": z, "T": t}) for t in range(2) for c in range(3) for z in range(4)
    ]
    path = write_czi(tmp_path / "a.czi", tiles, channels=("DAPI", "GFP", "Cy5"), micrometers=0.3)
    with pytest.raises(InputError, match=r"has 2 times; .*--time 0 to 1"):
        open_volume(path)
    with pytest.raises(InputError, match=r"has 3 channels \(DAPI, GFP, Cy5\)"):
        open_volume(path, time=1)
    with pytest.raises(InputError, match="names its axes itself; leave --axes out"):
        open_volume(path, axes="zyx")
    check(open_volume(path, time=1, channel="gfp"), STACK[1, 1], (300, 300, 300))


def test_nd2(tmp_path):
    frames = np.moveaxis(STACK[0], 0, -1)
    path = write_nd2(tmp_path / "a.nd2", frames, loops=[("Z", 4)], channels=("a", "b", "c"), micrometers=0.25)
    source = open_volume(path, channel=2)
    check(source, STACK[0, 2])
    assert source.pixel_size == pytest.approx(250)


def test_lif(tmp_path):
    path = write_lif(tmp_path / "a.lif", [("one", "ZYX", STACK[0, 0]), ("two", "ZYX", STACK[1, 2])])
    with pytest.raises(InputError, match=r"holds 2 series; name one with --series; there are 0 \(4 × 12 × 17\)"):
        open_volume(path)
    check(open_volume(path, series=1), STACK[1, 2], (200, 200, 200))


def test_dicom(tmp_path):
    from test_images_dicom_reader import write, write_slide

    path = write(tmp_path / "a.dcm", STACK[0, 0], PixelSpacing=[0.0005, 0.0005], SpacingBetweenSlices=0.002)
    check(open_volume(path), STACK[0, 0], (2000, 500, 500))
    picture = RNG.integers(0, 255, (70, 90, 3), dtype=np.uint8)
    slide = open_volume(write_slide(tmp_path / "b.dcm", picture, tile=32, millimeters=0.0005))
    assert (slide.shape, slide.color, slide.chunks) == ((1, 70, 90), True, (1, 32, 32))
    np.testing.assert_array_equal(slide.read(0, (slice(20, 70), slice(31, 66))), picture[20:, 31:66])


def write_five_axes(path: Path) -> Path:
    group = zarr.open_group(path, mode="w", zarr_format=2)
    for level, array in (("0", STACK), ("1", STACK[..., ::2, ::2])):
        group.create_array(level, data=array, chunks=(1, 1, 2, 5, 5))
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"]
    levels = [
        {
            "path": str(n),
            "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 0.3, 0.1 * side, 0.1 * side]}],
        }
        for n, side in ((0, 1), (1, 2))
    ]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": levels}]
    group.attrs["omero"] = {"channels": [{"label": name} for name in ("DAPI", "GFP", "Cy5")]}
    return path


def test_ome_zarr_with_five_axes(tmp_path):
    path = write_five_axes(tmp_path / "a.zarr")
    check(open_volume(path, time=1, channel="Cy5"), STACK[1, 2], (300, 100, 100))
    coarse = open_volume(path, time=0, channel=0, level=1)
    assert coarse.shape == (4, 6, 9)
    assert coarse.voxel_size == pytest.approx((300, 200, 200))
    with pytest.raises(InputError, match=r"2 resolution level\(s\): 0 \(12 × 17\), 1 \(6 × 9\); level 2"):
        open_volume(path, time=0, channel=0, level=2)
    # Times were called channels, and slices times.
    turned = open_volume(path, axes="cztyx", channel=1, time=3)
    np.testing.assert_array_equal(turned.read(2, WINDOW), STACK[(1, 2, 3, *WINDOW)])


def test_by_url(tmp_path):
    fsspec.filesystem("memory").put(str(write_five_axes(tmp_path / "a.zarr")), "/v.zarr", recursive=True)
    source = open_volume("memory://v.zarr", time=1, channel=2)
    check(source, STACK[1, 2])
    assert source.name == "memory://v.zarr"
    assert source.fingerprint == open_volume("memory://v.zarr", time=1, channel=2).fingerprint

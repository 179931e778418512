"""What a viewer is given: pyramids that it reads by itself, and volumes of which parts are read."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from autosam.volumes.hole import HoleError
from autosam.volumes.label_output import open_output
from autosam.volumes.ome_zarr_output import OmeVersion
from autosam.volumes.open_volume import open_volume
from autosam.volumes.pyramid import write_level
from autosam.volumes.view_layers import LazyArray, find_pyramid, usual_limits
from autosam.volumes.volume_source import VolumeSource


def written(path: Path, labels: np.ndarray, version: OmeVersion = "0.5", **options: object) -> Path:
    output = open_output(
        path,
        shape=labels.shape,
        dtype=labels.dtype,
        voxel_size=(30.0, 8.0, 6.0),
        identity="",
        ome_version=version,
        **options,  # type: ignore[arg-type]
    )
    for region in output.store.regions():
        output.store.write(region, labels[region])
    for level in range(1, len(output.store.levels)):
        for region in output.store.regions(level):
            write_level(output.store, region, level)
    output.finish().close()
    return path


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_a_pyramid_of_ours(tmp_path: Path, version: OmeVersion) -> None:
    labels = np.zeros((4, 40, 600), np.uint16)
    labels[:, 10:20, 100:300] = 5
    path = written(tmp_path / "mito.zarr", labels, version, origin=(2, 10, 0))
    found = find_pyramid(str(path))
    assert found is not None
    assert found.shapes == ((4, 40, 600), (4, 20, 300), (4, 10, 150))
    assert found.factors == ((1, 1, 1), (1, 2, 2), (1, 4, 4))
    assert found.voxel_size == pytest.approx((30.0, 8.0, 6.0))
    assert found.origin == (2, 10, 0)
    array, factors = found.coarse(25_000) or (None, None)
    assert factors == (1, 2, 2)
    np.testing.assert_array_equal(array, labels[:, ::2, ::2])
    assert found.coarse(10) is None


def test_what_is_no_such_pyramid(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(2, 3, 4), dtype="u1")
    assert find_pyramid(str(tmp_path / "a.zarr")) is None
    zarr.open_group(tmp_path / "g.zarr", mode="w")
    assert find_pyramid(str(tmp_path / "g.zarr")) is None
    assert find_pyramid(str(tmp_path / "g.zarr:/missing")) is None
    assert find_pyramid(str(tmp_path / "missing.zarr")) is None
    (tmp_path / "a.tif").write_bytes(b"")
    assert find_pyramid(str(tmp_path / "a.tif")) is None


@pytest.mark.parametrize("channels", [(), (3,)])
def test_parts_are_read_when_they_are_asked_for(channels: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 20, 30, *channels)).astype(np.uint8)
    array = LazyArray(open_volume(pixels))
    assert (array.shape, array.rank, array.dtype) == (pixels.shape, 3 + len(channels), np.uint8)
    part = (slice(1, 3), slice(5, 10), slice(0, 30), *(slice(0, 2) for _ in channels))
    np.testing.assert_array_equal(array[part], pixels[part])


def test_what_cannot_be_read_is_black(monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_volume(np.full((3, 8, 9), 7, np.uint8))
    read = VolumeSource.read

    def torn(self: VolumeSource, z: int, window: tuple[slice, slice]) -> np.ndarray:
        if z == 1:
            raise HoleError("stack", z, window, "torn")
        return read(self, z, window)

    monkeypatch.setattr(VolumeSource, "read", torn)
    shown = LazyArray(source)[slice(0, 3), slice(0, 8), slice(0, 9)]
    assert shown.mean(axis=(1, 2)).tolist() == [7, 0, 7]
    assert usual_limits(source) is None


def test_limits_are_those_of_the_middle() -> None:
    pixels = np.zeros((3, 50, 60), np.uint16)
    pixels[1] = np.linspace(100, 1100, 3000).reshape(50, 60)
    low, high = usual_limits(open_volume(pixels)) or (0, 0)
    assert (low, high) == pytest.approx((105, 1095), abs=2)
    assert usual_limits(open_volume(np.zeros((3, 50, 60), np.uint8))) is None
    broken = np.full((1, 9, 9), np.nan, np.float32)
    assert usual_limits(open_volume(broken)) is None

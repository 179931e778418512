"""Labels of a volume as TIFF: read again, with the voxel size, in tiles where slices are large."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from autosam.images import read_labels
from autosam.volumes import tiff_output
from autosam.volumes.ome_zarr_output import LabelStore
from autosam.volumes.store_levels import plan_levels
from autosam.volumes.tiff_output import write_tiff

SIZE = (30.0, 8.0, 6.0)


def stored(folder: Path, labels: np.ndarray, voxel_size: Any = SIZE) -> LabelStore:
    levels = plan_levels(labels.shape, voxel_size, chunk=(4, 16, 16), region=(8, 32, 32), pyramid=False)
    store = LabelStore(folder / "labels.zarr", folder / "written", labels.dtype.str, levels, voxel_size)
    store.create({})
    for region in store.regions():
        store.write(region, labels[region])
    return store


def drawn(dtype: str, shape: tuple[int, int, int] = (9, 40, 70)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8"])
@pytest.mark.parametrize("at_once", [1 << 28, 30_000, 1000])
def test_labels_are_read_again(tmp_path: Path, dtype: str, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_output, "_AT_ONCE", at_once)
    monkeypatch.setattr(tiff_output, "_TILE", 32)
    labels = drawn(dtype)
    write_tiff(tmp_path / "t.tif", stored(tmp_path, labels))
    again = read_labels(tmp_path / "t.tif")
    np.testing.assert_array_equal(again, labels)
    assert again.dtype == labels.dtype
    with tifffile.TiffFile(tmp_path / "t.tif") as file:
        assert file.series[0].axes == "ZYX"
        assert file.pages[0].is_tiled == (at_once == 1000)  # type: ignore[union-attr]


def test_small_ids_are_of_imagej(tmp_path: Path) -> None:
    write_tiff(tmp_path / "t.tif", stored(tmp_path, drawn("u2")))
    with tifffile.TiffFile(tmp_path / "t.tif") as file:
        said = file.imagej_metadata
        assert said is not None
        assert (said["spacing"], said["unit"], said["slices"]) == (0.03, "um", 9)
        tags = file.pages[0].tags  # type: ignore[union-attr]
        numerator, denominator = tags["XResolution"].value
        assert denominator / numerator == pytest.approx(0.006)
        numerator, denominator = tags["YResolution"].value
        assert denominator / numerator == pytest.approx(0.008)


def test_larger_ids_are_ome_tiff(tmp_path: Path) -> None:
    write_tiff(tmp_path / "t.tif", stored(tmp_path, drawn("u4")))
    with tifffile.TiffFile(tmp_path / "t.tif") as file:
        said = file.ome_metadata
        assert said is not None
        assert 'PhysicalSizeZ="0.03"' in said
        assert 'PhysicalSizeX="0.006"' in said
        assert 'PhysicalSizeYUnit="µm"' in said


def test_without_a_voxel_size_nothing_is_said(tmp_path: Path) -> None:
    write_tiff(tmp_path / "t.tif", stored(tmp_path, drawn("u2"), None))
    with tifffile.TiffFile(tmp_path / "t.tif") as file:
        assert not file.is_imagej
        assert not file.is_ome


def test_one_slice(tmp_path: Path) -> None:
    labels = drawn("u2", (1, 33, 65))
    write_tiff(tmp_path / "t.tif", stored(tmp_path, labels))
    np.testing.assert_array_equal(np.squeeze(read_labels(tmp_path / "t.tif")), labels[0])

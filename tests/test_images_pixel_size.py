"""What files say of the size of their pixels."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile

from autosam.errors import InputError
from autosam.images import ImageSource, find_sources, read_pixel_size, write_png

PIXELS = np.zeros((12, 16), dtype=np.uint8)


def tiff(path: Path, **how: Any) -> ImageSource:
    tifffile.imwrite(path, PIXELS, **how)
    return find_sources([path])[0]


def ome(size: Any, unit: str, **more: Any) -> dict[str, Any]:
    metadata = {"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeXUnit": unit}
    return {"ome": True, "metadata": {**metadata, "PhysicalSizeY": size, "PhysicalSizeYUnit": unit, **more}}


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        (ome(4.6, "nm"), 4.6),
        (ome(0.005, "µm"), 5.0),
        (ome(50, "Å"), 5.0),
        (ome(1, "pixel"), None),
        (ome(0, "nm"), None),
        # Rows and columns are a twentieth apart, and three times.
        (ome(4.0, "nm", PhysicalSizeY=4.2), np.sqrt(4.0 * 4.2)),
        (ome(4.0, "nm", PhysicalSizeY=12.0), None),
        ({"ome": True, "metadata": {"axes": "YX"}}, None),
        # Pixels for each µm, in ImageJ's way.
        ({"imagej": True, "resolution": (125, 125), "metadata": {"unit": "um"}}, 8.0),
        ({"imagej": True, "resolution": (125, 125), "metadata": {"unit": "micron"}}, 8.0),
        ({"imagej": True, "resolution": (1, 1), "metadata": {}}, None),
        # As autosam's own stores write it.
        ({"resolution": (1e7 / 5, 1e7 / 5), "resolutionunit": "CENTIMETER"}, 5.0),
        ({"resolution": (2.54e7 / 50, 2.54e7 / 50), "resolutionunit": "INCH"}, 50.0),
        # A screen, a scanner, and no unit at all.
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({"resolution": (1200, 1200), "resolutionunit": "INCH"}, None),
        ({"resolution": (1e6, 1e6), "resolutionunit": "NONE"}, None),
        ({"resolution": (0, 0), "resolutionunit": "CENTIMETER"}, None),
        ({}, None),
    ],
)
def test_tiff(tmp_path: Path, how: dict[str, Any], wanted: float | None) -> None:
    found = read_pixel_size(tiff(tmp_path / "a.tif", **how))
    assert found == (None if wanted is None else pytest.approx(wanted, rel=1e-3))


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ({"element_size_um": [0.05, 0.008, 0.008]}, 8.0),
        ({"resolution": [40.0, 4.0, 4.0]}, 4.0),
        ({"resolution": (4, 4)}, 4.0),
        ({"voxel_size": [0.05, 0.01, 0.01], "unit": "um"}, 10.0),
        ({"voxel_size": [50, 10, 10], "units": ["nm", "nm", "nm"]}, 10.0),
        ({"pixel_size": 6.5}, 6.5),
        ({"resolution": [40.0, 4.0, 16.0]}, None),
        ({"resolution": "fine"}, None),
        ({"resolution": [4.0, 4.0], "unit": "pixel"}, None),
        ({}, None),
    ],
)
def test_hdf5(tmp_path: Path, attributes: dict[str, Any], wanted: float | None) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("raw", data=PIXELS)
        for name, value in attributes.items():
            data.attrs[name] = value
    found = read_pixel_size(find_sources([tmp_path / "a.h5"])[0])
    assert found == (None if wanted is None else pytest.approx(wanted))


def test_a_png_says_nothing(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", PIXELS)
    assert read_pixel_size(ImageSource(tmp_path / "a.png")) is None


def test_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0nothing")
    with pytest.raises(InputError, match=r"a\.tif"):
        read_pixel_size(ImageSource(tmp_path / "a.tif"))

"""What files say of the size of their pixels."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile

from autosam.errors import InputError
from autosam.images import ImageSource, find_sources, read_pixel_size, write_png
from autosam.images.units import nm_of

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
        # One side alone, and sides in units of their own.
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 0.5}}, 500.0),
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeY": 0.5}}, 500.0),
        (ome(500, "nm", PhysicalSizeY=0.5, PhysicalSizeYUnit="µm"), 500.0),
        ({"imagej": True, "resolution": (2, 1 / 500), "metadata": {"unit": "micron", "yunit": "nm"}}, 500.0),
        ({"resolution": (2e3, 2e3), "resolutionunit": "MILLIMETER", "metadata": None}, 500.0),
        ({"resolution": (2, 2), "resolutionunit": "MICROMETER", "metadata": None}, 500.0),
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


MICRO = (
    "um", "µm", "\u03bcm", "micron", "microns", "Micron", "micrometer", "micrometers", "micrometre", "Micrometres",
    r"\u00B5m", r"\u00b5m", "µm\0", "Âµm", "UM", "mic", "µ",
)  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "nm"),
    [
        *((unit, 1e3) for unit in MICRO),
        *((unit, 1.0) for unit in ("nm", "nanometer", "nanometers", "nanometre", "Nanometres", "NM")),
        *((unit, 0.1) for unit in ("Å", "\u212b", "A", "angstrom", "Angstroms", "ångström")),
        *((unit, 2.54e7) for unit in ("in", "inch", "inches", "Inch", '"')),
        *((unit, 2.54e4) for unit in ("mil", "mils", "thou")),
        ("pm", 1e-3),
        ("picometers", 1e-3),
        ("mm", 1e6),
        ("millimeters", 1e6),
        ("cm", 1e7),
        ("centimetre", 1e7),
        ("dm", 1e8),
        ("m", 1e9),
        ("meter", 1e9),
        ("metres", 1e9),
        ("dam", 1e10),
        ("hm", 1e11),
        ("km", 1e12),
        ("ft", 3.048e8),
        ("pt", 2.54e7 / 72),
        *(
            (unit, None)
            for unit in ("pixel", "pixels", "px", "reference frame", "", "sec", "um2", "foo", "mmicron", "ms")
        ),
    ],
)
def test_units(unit: str, nm: float | None) -> None:
    assert nm_of(unit) == (None if nm is None else pytest.approx(nm))
    assert nm_of(unit.encode()) == nm_of(unit)


@pytest.mark.parametrize("unit", ["microns", "nanometre", "inches", "meter", "um", "m", "in", "angstrom"])
def test_units_in_files(tmp_path: Path, unit: str) -> None:
    per_nm = 1 / float(nm_of(unit) or 0)
    imagej = {"imagej": True, "resolution": (1 / (5 * per_nm),) * 2, "metadata": {"unit": unit}}
    assert read_pixel_size(tiff(tmp_path / "a.tif", **imagej)) == pytest.approx(5, rel=1e-3)
    assert read_pixel_size(tiff(tmp_path / "a.ome.tif", **ome(5 * per_nm, unit))) == pytest.approx(5)


def test_the_resolution_tag_counts_where_ome_says_nothing(tmp_path: Path) -> None:
    tag = {"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER"}
    silent = {"ome": True, "metadata": {"axes": "YX"}}
    assert read_pixel_size(tiff(tmp_path / "a.ome.tif", **silent, **tag)) == pytest.approx(500)
    for unit in ("pixel", "reference frame"):
        assert read_pixel_size(tiff(tmp_path / "a.ome.tif", **ome(1, unit), **tag)) is None


@pytest.mark.parametrize("axes", ["YX", "ZYX"])
def test_every_image_of_a_file_has_its_size(tmp_path: Path, axes: str) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for rows, size in ((12, 0.5), (6, 0.25), (12, None)):
            metadata = {"axes": axes, "PhysicalSizeX": size, "PhysicalSizeY": size} if size else {"axes": axes}
            writer.write(np.zeros((2,) * (axes == "ZYX") + (rows, 16), np.uint8), metadata=metadata)
    sizes = [read_pixel_size(source) for source in find_sources([tmp_path / "a.ome.tif"])]
    assert sizes == [size for size in (500.0, 250.0, None) for _ in range(2 if axes == "ZYX" else 1)]
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        for rows, per_cm in ((12, 2e4), (6, 4e4)):
            writer.write(np.zeros((rows, 16), np.uint8), resolution=(per_cm,) * 2, resolutionunit=3, metadata=None)
    assert [read_pixel_size(source) for source in find_sources([tmp_path / "b.tif"])] == pytest.approx([500, 250])


@pytest.mark.parametrize("pages", [3, 300])
def test_every_page_of_a_stack_has_its_size(tmp_path: Path, pages: int) -> None:
    # The last third is twice as fine; of many pages tifffile looks at a few only.
    per_cm = [4e4 if number >= pages - pages // 3 else 2e4 for number in range(pages)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for number in range(pages):
            writer.write(PIXELS + number % 7, resolution=(per_cm[number],) * 2, resolutionunit=3, metadata=None)
    found = find_sources([tmp_path / "a.tif"])
    assert [read_pixel_size(source) for source in found] == pytest.approx([1e7 / one for one in per_cm])


FEI = "[Beam]\r\nHV=5000\r\n[{section}]\r\nPixelWidth={width}\r\nPixelHeight={width}\r\n"
ZEISS = "\r\n0\r\n1\r\n{key}\r\nPixel Size = {value}\r\nAP_WD\r\nWD = 3.1 mm\r\n"


@pytest.mark.parametrize(
    ("tag", "text", "wanted"),
    [
        (34682, FEI.format(section="Scan", width="5e-09"), 5.0),
        (34680, FEI.format(section="Scan", width="4.2e-009"), 4.2),
        (34682, FEI.format(section="EScan", width="1.5e-09"), 1.5),
        (34682, FEI.format(section="Scan", width="0"), None),
        (34682, "[Beam]\r\nHV=5000\r\n", None),
        (34118, ZEISS.format(key="AP_IMAGE_PIXEL_SIZE", value="5.000 nm"), 5.0),
        (34118, ZEISS.format(key="AP_IMAGE_PIXEL_SIZE", value="1.25 µm"), 1250.0),
        (34118, ZEISS.format(key="AP_IMAGE_PIXEL_SIZE", value="0.5 um"), 500.0),
        (34118, ZEISS.format(key="AP_IMAGE_PIXEL_SIZE", value="800.0 pm"), 0.8),
        (34118, ZEISS.format(key="AP_PIXEL_SIZE", value="5.000nm"), 5.0),
        (34118, ZEISS.format(key="AP_IMAGE_PIXEL_SIZE", value="5.000"), None),
    ],
)
def test_headers_of_electron_microscopes(tmp_path: Path, tag: int, text: str, wanted: float | None) -> None:
    # 72 dots per inch beside it, as such programs write.
    extra = {"extratags": [(tag, "s", 0, text.encode("cp1252"), True)], "resolution": (72, 72), "metadata": None}
    found = read_pixel_size(tiff(tmp_path / "a.tif", **extra))
    assert found == (None if wanted is None else pytest.approx(wanted))


def test_aperio_says_micrometers_for_each_pixel(tmp_path: Path) -> None:
    text = "Aperio Image Library v11.2.1 \r\n46000x32914 -> 16x12 |AppMag = 20|MPP = 0.4990"
    assert read_pixel_size(tiff(tmp_path / "a.tif", description=text, metadata=None)) == pytest.approx(499)


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


def test_units_of_rows_and_columns_in_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = PIXELS
        file["raw"].attrs.update({"voxel_size": [1.0, 500.0, 0.5], "units": ["um", "nm", "um"]})
    assert read_pixel_size(find_sources([tmp_path / "a.h5"])[0]) == pytest.approx(500)

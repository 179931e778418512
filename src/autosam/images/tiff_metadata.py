"""Pixel sizes and names of channels in a TIFF, in the dialects that microscopes write."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import tifffile

from autosam.images.ome_tiff import OmeImage, describe_images
from autosam.images.units import LARGEST, Spacing, nm_of, pixel_side

MOST_PAGES = 256
"""Pages up to which all are asked for their size; it takes a millisecond each."""
_METER = 1e9
# 4 and 5 are tifffile's and others' extensions of the tag.
_RESOLUTION_UNITS = {2: "inch", 3: "cm", 4: "mm", 5: "um"}
_AXIS_UNITS = ("unit", "yunit")
_IMAGEJ_UNIT = re.compile(r"^(y?unit)=(.*?)$", re.MULTILINE)


def describe_series(file: tifffile.TiffFile, series: Sequence[tifffile.TiffPageSeries]) -> list[OmeImage]:
    """Say for each series of a file what side its pixels have and what its channels are called.

    Read are, in this order, OME-XML, the headers of FEI and Thermo Fisher, Zeiss SEM, Olympus SIS, Zeiss LSM,
    MetaMorph, TVIPS, Micro-Manager and Aperio, ImageJ's unit, and the resolution tags.
    """
    ome = describe_images(file.ome_metadata) if file.ome_metadata else []
    of_ome = [one for one in series if one.kind == "ome"]
    if of_ome and len(ome) != len(of_ome):
        # It is not sure which image is which.
        ome = [OmeImage(None, says_size=True, channel_names=())] * len(of_ome)
    described = []
    for one in series:
        page = one.keyframe
        known = ome[of_ome.index(one)] if one in of_ome else None
        if known is None and len({image.pixel_size_nm for image in ome}) == 1:
            # The file holds a part of a set, page by page.
            known = OmeImage(ome[0].pixel_size_nm, ome[0].says_size, ())
        side = known.pixel_size_nm if known else None
        if known is None or not known.says_size:
            side = _of_maker(file) or _of_resolution(file, page)
            spacing: Spacing = (_step_of_slices(file), side, side)
        else:
            spacing = known.spacing_nm
        names = known.channel_names if known else ()
        described.append(OmeImage(side, side is not None, names or _imagej_names(file, one), spacing))
    return described


def _step_of_slices(file: tifffile.TiffFile) -> float | None:
    """Read the distance of slices in nm, of ImageJ or of Zeiss LSM; None where neither tells."""
    imagej: Mapping[str, Any] = file.imagej_metadata or {}
    lsm: Mapping[str, Any] = file.lsm_metadata or {}
    with suppress(TypeError, ValueError):
        if "VoxelSizeZ" in lsm:
            step = float(lsm["VoxelSizeZ"]) * _METER
        else:
            unit = nm_of(str(imagej.get("zunit", imagej.get("unit", "")))) or 0
            # ImageJ keeps the sign of the direction.
            step = abs(float(imagej.get("spacing", 0))) * unit
        return step if 0 < step <= LARGEST else None
    return None


def sides_of_pages(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> list[float | None] | None:
    """Give the side of a pixel of each page, where each says so for itself; None where one size counts for all.

    Of more than ``MOST_PAGES`` three are asked first, and all only where these differ.
    """
    if series.kind not in ("generic", "uniform") or len(series.pages) < 2 or _of_maker(file) is not None:
        return None
    last = len(series.pages) - 1
    first = series.keyframe.index
    if last >= MOST_PAGES:
        few = {_of_resolution(file, _page(file, first + number)) for number in (0, last // 2, last)}
        if len(few) == 1:
            return None
    return [_of_resolution(file, _page(file, first + number)) for number in range(last + 1)]


def _page(file: tifffile.TiffFile, number: int) -> tifffile.TiffPage:
    page = file.pages[number]
    return page if isinstance(page, tifffile.TiffPage) else file.pages.first


def _of_maker(file: tifffile.TiffFile) -> float | None:
    """Read the headers of makers, as tifffile gives them; None where there is none, or it is damaged."""
    with suppress(KeyError, TypeError, ValueError, IndexError, AttributeError):
        for sides in (_fei(file), _zeiss(file), _sis(file), _lsm(file), _stk(file), _tvips(file), _others(file)):
            if sides is not None:
                return pixel_side(sides, largest=LARGEST)
    return None


_Sides = tuple[float, float] | None


def _fei(file: tifffile.TiffFile) -> _Sides:
    sections: Mapping[str, Any] = file.fei_metadata or {}
    for name in ("Scan", "EScan", "IScan", "Image"):
        section = sections.get(name)
        if isinstance(section, Mapping) and "PixelWidth" in section:
            width = _number(section["PixelWidth"])
            return _number(section.get("PixelHeight", width)) * _METER, width * _METER
    return None


def _zeiss(file: tifffile.TiffFile) -> _Sides:
    header: Mapping[str, Any] = file.sem_metadata or {}
    for name in ("ap_image_pixel_size", "ap_pixel_size"):
        # tifffile splits "5.000 nm" into number and unit, but not "5.000nm".
        said = re.fullmatch(r"([0-9.,eE+-]+)\s*(\S+)", " ".join(map(str, header.get(name, ())[1:])))
        unit = nm_of(said[2]) if said else None
        if said and unit:
            side = _number(said[1]) * unit
            return side, side
    return None


def _number(text: Any) -> float:
    """Read a number, also with a decimal comma."""
    return float(str(text).strip().replace(",", "."))


def _sis(file: tifffile.TiffFile) -> _Sides:
    header: Mapping[str, Any] = file.sis_metadata or {}
    return (header["pixelsizey"] * _METER, header["pixelsizex"] * _METER) if "pixelsizex" in header else None


def _lsm(file: tifffile.TiffFile) -> _Sides:
    header: Mapping[str, Any] = file.lsm_metadata or {}
    return (header["VoxelSizeY"] * _METER, header["VoxelSizeX"] * _METER) if "VoxelSizeX" in header else None


def _stk(file: tifffile.TiffFile) -> _Sides:
    header: Mapping[str, Any] = file.stk_metadata or {}
    if not header.get("SpatialCalibration") or "XCalibration" not in header:
        return None
    unit = nm_of(header.get("CalibrationUnits", "")) or 0
    return float(header["YCalibration"]) * unit, float(header["XCalibration"]) * unit


def _tvips(file: tifffile.TiffFile) -> _Sides:
    header: Mapping[str, Any] = file.tvips_metadata or {}
    return (float(header["PixelSizeY"]), float(header["PixelSizeX"])) if "PixelSizeX" in header else None


def _others(file: tifffile.TiffFile) -> _Sides:
    summary = (file.micromanager_metadata or {}).get("Summary", {})
    if summary.get("PixelSize_um"):
        side = float(summary["PixelSize_um"]) * 1e3
        return side, side
    plane = (file.metaseries_metadata or {}).get("PlaneInfo", {})
    if plane.get("spatial-calibration-state") and plane.get("spatial-calibration-x"):
        unit = nm_of(str(plane.get("spatial-calibration-units", ""))) or 0
        return float(plane["spatial-calibration-y"]) * unit, float(plane["spatial-calibration-x"]) * unit
    aperio = re.search(r"^Aperio.*\|\s*MPP\s*=\s*([0-9.]+)", file.pages.first.description, re.DOTALL)
    return (float(aperio[1]) * 1e3, float(aperio[1]) * 1e3) if aperio else None


def _of_resolution(file: tifffile.TiffFile, page: tifffile.TiffPage) -> float | None:
    if "XResolution" not in page.tags or "YResolution" not in page.tags:
        return None
    tag = int(page.tags["ResolutionUnit"].value) if "ResolutionUnit" in page.tags else 2
    # ImageJ's own unit counts, not the tag's; a later page can have a description of its own.
    said = dict(_IMAGEJ_UNIT.findall(page.description)) if page.description.startswith("ImageJ=") else {}
    imagej = said or {key: str(text) for key, text in (file.imagej_metadata or {}).items() if key in _AXIS_UNITS}
    column = nm_of(imagej.get("unit", _RESOLUTION_UNITS.get(tag, "")))
    row = nm_of(imagej["yunit"]) if "yunit" in imagej else column
    values = [page.tags[name].value for name in ("YResolution", "XResolution")]
    if row is None or column is None or not all(isinstance(value, tuple) and all(value) for value in values):
        return None
    spacing = (unit * lengths / pixels for unit, (pixels, lengths) in zip((row, column), values, strict=True))
    return pixel_side(spacing, largest=LARGEST)


def _imagej_names(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> tuple[str, ...]:
    """Take ImageJ's labels of slices for names where there is one for each channel."""
    labels = (file.imagej_metadata or {}).get("Labels")
    count = dict(zip(series.axes, series.shape, strict=True)).get("C", 1)
    if not isinstance(labels, (list, tuple)) or len(labels) != count or len(set(labels)) < count:
        return ()
    return tuple(str(label).split("\n")[0].strip() for label in labels)

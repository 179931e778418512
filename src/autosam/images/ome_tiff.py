"""The OME-XML of a TIFF: which planes of a set lie in one file, pixel sizes and names of channels."""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import tifffile

from autosam.images.units import LARGEST, Spacing, nm_of, pixel_side


@dataclass(frozen=True)
class OmeImage:
    """What OME-XML says of one image.

    Attributes
    ----------
    pixel_size_nm : float or None
        Side of a pixel; None where nothing of use is said.
    says_size : bool
        Something is said of the size of a pixel, be it of use or not.
    channel_names : tuple of str
        One for each channel, or none.
    spacing_nm : tuple of float or None
        Steps along z, y and x.
    """

    pixel_size_nm: float | None
    says_size: bool
    channel_names: tuple[str, ...]
    spacing_nm: Spacing = (None, None, None)


def describe_images(xml: str) -> list[OmeImage]:
    """Describe the images in OME-XML that have planes, in their order; none where the XML is damaged."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return []
    return [_describe(pixels) for pixels in _pixels(root) if any(_tag(child) == "TiffData" for child in pixels)]


def own_xml(file: tifffile.TiffFile, path: Path) -> str | None:
    """Give the OME-XML of the planes that lie in this file itself.

    Every file of a set tells of all, or refers to the file that does. The planes of the other files are taken out,
    and those that stay are counted anew, from 0 along each axis.

    Returns
    -------
    str or None
        None where it is unknown which planes the file holds, or they are no full grid of channels, slices and
        times, or the XML is damaged: its pages are images then.
    """
    try:
        return _own_xml(file, path)
    except (ElementTree.ParseError, KeyError, TypeError, ValueError):
        return None


def _own_xml(file: tifffile.TiffFile, path: Path) -> str | None:
    root = ElementTree.fromstring(file.ome_metadata or "")
    uuid = root.get("UUID")
    binary_only = next((child for child in root if _tag(child) == "BinaryOnly"), None)
    if binary_only is not None:
        text = _metadata_file(path.parent / Path(binary_only.get("MetadataFile", "")).name)
        if text is None:
            return None
        root = ElementTree.fromstring(text)
    for pixels in _pixels(root):
        # What tifffile relies on.
        if sorted(pixels.attrib["DimensionOrder"]) != sorted("XYZCT") or not all(
            int(pixels.attrib[f"Size{axis}"]) > 0 for axis in "XYZCT"
        ):
            return None
    named = {(element.text, element.get("FileName", "")) for element in root.iter() if _tag(element) == "UUID"}
    own = {(text, name) for text, name in named if (uuid and text == uuid) or _same(name, path)}
    if not own and len({text for text, _ in named}) == 1:
        # The file was renamed.
        own = named
    if binary_only is None and own == named and all(text == uuid for text, _ in named):
        return file.ome_metadata
    kept = [_keep_own(pixels, own, len(file.pages)) for pixels in _pixels(root)]
    if None in kept or not any(kept):
        return None
    for child in list(root):
        if _tag(child) == "StructuredAnnotations" or (_tag(child) == "Image" and not _planes(child)):
            root.remove(child)
    return ElementTree.tostring(root, encoding="unicode")


def _metadata_file(path: Path) -> str | None:
    """Read the OME-XML of a set, a companion file or the master among its TIFFs."""
    if not path.is_file():
        return None
    if path.suffix.lower() in (".tif", ".tiff"):
        with tifffile.TiffFile(path) as file:
            return file.ome_metadata
    return path.read_text(encoding="utf-8")


def _keep_own(pixels: ElementTree.Element, own: set[tuple[str | None, str]], pages: int) -> bool | None:
    """Take other files' planes out of an image; True if some are left, None if those are no full grid."""
    lead = pixels.attrib["DimensionOrder"][:1:-1]
    channels = [child for child in pixels if _tag(child) == "Channel"]
    samples = int(channels[0].get("SamplesPerPixel", 1)) if channels else 1
    sizes = [int(pixels.attrib[f"Size{axis}"]) // (samples if axis == "C" else 1) for axis in lead]
    ifd_of: dict[tuple[int, ...], int] = {}
    for data in [child for child in pixels if _tag(child) == "TiffData"]:
        pixels.remove(data)
        uuid = next((child for child in data if _tag(child) == "UUID"), None)
        if uuid is not None and (uuid.text, uuid.get("FileName", "")) not in own:
            continue
        place_of_first = [int(data.get(f"First{axis}", 0)) for axis in lead]
        if any(at >= size for at, size in zip(place_of_first, sizes, strict=True)):
            # ImageJ leaves such entries where it has cut a stack.
            continue
        first = int(np.ravel_multi_index(place_of_first, sizes))
        ifd = int(data.get("IFD", 0))
        count = data.get("PlaneCount", data.get("NumPlanes", "1" if "IFD" in data.attrib else str(pages)))
        for number in range(min(int(count), math.prod(sizes) - first)):
            place = tuple(int(i) for i in np.unravel_index(first + number, sizes))
            ifd_of[place] = ifd + number
    if not ifd_of:
        return False
    kept = [sorted(set(places)) for places in zip(*ifd_of, strict=True)]
    if math.prod(map(len, kept)) != len(ifd_of):
        return None
    for axis, places in zip(lead, kept, strict=True):
        pixels.set(f"Size{axis}", str(len(places) * (samples if axis == "C" else 1)))
    for number, channel in enumerate(channels):
        if number not in kept[lead.index("C")]:
            pixels.remove(channel)
    for place, ifd in ifd_of.items():
        where = {f"First{axis}": str(kept[i].index(place[i])) for i, axis in enumerate(lead)}
        namespace = pixels.tag.removesuffix("Pixels")
        ElementTree.SubElement(pixels, f"{namespace}TiffData", {**where, "IFD": str(ifd), "PlaneCount": "1"})
    return True


def _same(name: str, path: Path) -> bool:
    return Path(name.replace("\\", "/")).name.casefold() == path.name.casefold()


def _pixels(root: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """List what tells of the pixels of each image."""
    return (child for image in root if _tag(image) == "Image" for child in image if _tag(child) == "Pixels")


def _planes(image: ElementTree.Element) -> bool:
    return any(_tag(element) == "TiffData" for element in image.iter())


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _describe(pixels: ElementTree.Element) -> OmeImage:
    given = [
        (size, pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        for axis in "YX"
        if (size := pixels.get(f"PhysicalSize{axis}")) is not None
    ]
    side = None
    if given:
        # One of the two alone is that of square pixels.
        with suppress(ValueError):
            spacing = [float(size) * (nm_of(unit) or 0) for size, unit in (given[0], given[-1])]
            side = pixel_side(spacing, largest=LARGEST)
    channels = [child for child in pixels if _tag(child) == "Channel"]
    names = tuple(channel.get("Name", "") for channel in channels)
    z, y, x = (_step(pixels, axis) for axis in "ZYX")
    return OmeImage(side, bool(given), names if any(names) else (), (z, y or x, x or y))


def _step(pixels: ElementTree.Element, axis: str) -> float | None:
    with suppress(ValueError):
        unit = nm_of(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        step = float(pixels.get(f"PhysicalSize{axis}", "")) * (unit or 0)
        return step if 0 < step <= LARGEST else None
    return None

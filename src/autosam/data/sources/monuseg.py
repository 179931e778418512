"""MoNuSeg 2018: nuclei in H&E, outlines drawn in Aperio ImageScope."""

import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path

from autosam.data.manifest import as_name
from autosam.data.sources.losses import Losses
from autosam.data.sources.painting import OVERLAP_RULE, paint_outlines
from autosam.data.sources.release import ImageAndLabels, Release, ReleaseReader, Request, Slice
from autosam.data.sources.release_files import child, pair_up
from autosam.data.sources.shapes import Outline, as_ring
from autosam.errors import InputError
from autosam.images.folder_listing import by_stem

_IMAGES = ("Tissue Images", "TissueImages", "Tissue_Images", "images")


class MoNuSeg(ReleaseReader):
    """`Tissue Images/NAME.tif` and `Annotations/NAME.xml`."""

    name = "monuseg"
    layout = "Tissue Images/NAME.tif (or images/) and Annotations/NAME.xml"

    def _sniff(self, request: Request) -> bool:
        annotations = child(request.path, "Annotations")
        return (
            child(request.path, *_IMAGES) is not None
            and annotations is not None
            and next(iter(annotations.glob("*.xml")), None) is not None
        )

    def _open(self, request: Request) -> Release:
        images, annotations = child(request.path, *_IMAGES), child(request.path, "Annotations")
        if images is None or annotations is None or not annotations.is_dir():
            raise self._nothing(request.path)
        outlines = {p.stem: p for p in sorted(annotations.glob("*.xml")) if not p.name.startswith(".")}
        pairs = pair_up(by_stem(images), outlines, source=self.name)
        size = _pixel_size([xml for _, _, xml in pairs])
        return Release(
            self.name,
            [_slice(stem, image, xml) for stem, image, xml in pairs],
            "ids-2d",
            license="CC BY-NC-SA 4.0",
            citation="Kumar et al. 2020, IEEE Trans. Med. Imaging 39(5), 1380-1391, doi:10.1109/TMI.2019.2947628",
            voxel_size_nm=size,
            made="outlines of nuclei, filled; a pixel is inside if its center is",
            notes=(
                OVERLAP_RULE,
                "regions of fewer than 3 points and negative regions are left out",
                "the pixel size is the mean of those in the XML files",
            ),
        )


def _slice(stem: str, image: Path, xml: Path) -> Slice:
    losses = Losses()
    return Slice(as_name(stem), partial(_read, image, xml, losses), losses=losses)


def _read(image: Path, xml: Path, losses: Losses) -> ImageAndLabels:
    read = paint_outlines(image, read_regions(xml), losses)
    for number, region in enumerate(_root(xml).iter("Region"), start=1):
        if _is_negative(region):
            losses.add("left out as a negative region (NegativeROA)", f"region {number} of {xml.name}")
    return read


def read_regions(path: Path) -> list[tuple[str, Outline]]:
    """Read the outlines of an ImageScope file, of all its layers, in the order of the file.

    Returns
    -------
    list of (str, outline)
        For each object its name for messages, and one part of one ring, x before y, in pixels. Negative regions
        (`NegativeROA="1"`) are left out; a region of fewer than 3 vertices comes, and has no area.
    """
    found: list[tuple[str, Outline]] = []
    for number, region in enumerate(_root(path).iter("Region"), start=1):
        if _is_negative(region):
            continue
        vertices = [(vertex.get("X", ""), vertex.get("Y", "")) for vertex in region.iter("Vertex")]
        try:
            points = [(float(x), float(y)) for x, y in vertices]
        except ValueError as error:
            raise InputError(f"region {number} of {path} has a vertex that is not a number: {error}.") from error
        found.append((f"region {number} of {path.name}", [[as_ring(points, f"region {number} of {path}")]]))
    return found


def _is_negative(region: ET.Element) -> bool:
    return region.get("NegativeROA", "0") == "1"


def _root(path: Path) -> ET.Element:
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError) as error:
        raise InputError(f"{path} cannot be read as XML: {error}.") from error
    if root.tag != "Annotations":
        raise InputError(f"{path} is not an ImageScope file: its root is {root.tag!r}, not 'Annotations'.")
    return root


def _pixel_size(paths: list[Path]) -> tuple[float, float, float] | None:
    """Mean of the pixel sizes that files name; None where none does, or they differ by more than 5 %."""
    sizes = []
    for path in paths:
        try:
            # The attribute is in the first tag; the rest of the file is not parsed.
            with path.open("rb") as stream:
                _, root = next(iter(ET.iterparse(stream, events=("start",))))
            size = root.get("MicronsPerPixel")
            sizes += [] if size is None else [1000 * float(size)]
        except (OSError, ValueError, ET.ParseError, StopIteration):
            # What is wrong with the file is said when it is read.
            return None
    if not sizes or min(sizes) <= 0 or max(sizes) > 1.05 * min(sizes):
        return None
    mean = round(sum(sizes) / len(sizes), 2)
    return 0.0, mean, mean

"""`summary.csv`: a row for each image of a folder of results, made from the run record."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autosam.images import write_text

NAME = "summary.csv"

COLUMNS = (
    "image",
    "state",
    "objects",
    "objects_per_mm2",
    "objects_per_megapixel",
    "inside_px",
    "inside_mm2",
    "median_area",
    "median_area_um2",
    "area_share",
    "novelty",
    "warnings",
)


def write_summary(path: Path, images: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the table.

    Parameters
    ----------
    path : Path
        The CSV file.
    images : mapping of str to mapping
        Entries of the run record by name. What an entry of an earlier version does not say is an empty cell.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows({"image": name, **summarize_entry(images[name])} for name in sorted(images))
    write_text(path, text.getvalue())


def summarize_entry(entry: Mapping[str, Any]) -> dict[str, str]:
    """Give the cells of an image: densities by the area that counts, per mm² where the pixel size is known."""
    if "error" in entry:
        return {"state": "failed", "warnings": " ".join(str(entry["error"]).split())}
    objects, size_nm = entry.get("instances"), entry.get("pixel_size_nm")
    pixels = entry.get("inside_px", entry.get("rows", 0) * entry.get("columns", 0))
    area, share = entry.get("median_area"), entry.get("area_share")
    cells = {
        "objects": objects,
        "objects_per_megapixel": objects / pixels * 1e6 if objects is not None and pixels else None,
        "inside_px": entry.get("inside_px"),
        "inside_mm2": entry.get("inside_mm2"),
        "median_area": area,
        "area_share": share,
        "novelty": entry.get("novelty"),
    }
    if size_nm is not None:
        if objects is not None and pixels:
            # One mm² is 10¹² nm².
            cells["objects_per_mm2"] = objects / (pixels * size_nm**2) * 1e12
        cells["median_area_um2"] = None if area is None else area * (size_nm / 1000) ** 2
    told = {
        name: f"{value:.9g}" if isinstance(value, float) else str(value)
        for name, value in cells.items()
        if value is not None
    }
    return {"state": "done", **told, "warnings": "; ".join(entry.get("warnings", ()))}

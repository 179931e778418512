"""Results for other programs: ImageJ, QuPath, Cellpose, what reads COCO or OME-Zarr, and tables."""

from autosam.report.exports.export_formats import (
    FORMATS,
    ExportFormat,
    FolderFormat,
    choose_formats,
)
from autosam.report.exports.export_item import ExportItem, ExportPlane, StackPlace

__all__ = [
    "FORMATS",
    "ExportFormat",
    "ExportItem",
    "ExportPlane",
    "FolderFormat",
    "StackPlace",
    "choose_formats",
]

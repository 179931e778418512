"""One interface for all file formats that images are read from."""

from autosam.images.readers.listing import list_images
from autosam.images.readers.registry import FORMATS, Format, format_of, reader_of, suffixes
from autosam.images.readers.selection import EVERYTHING, Selection
from autosam.images.readers.stored import Reader, StoredImage

__all__ = [
    "EVERYTHING",
    "FORMATS",
    "Format",
    "Reader",
    "Selection",
    "StoredImage",
    "format_of",
    "list_images",
    "reader_of",
    "suffixes",
]

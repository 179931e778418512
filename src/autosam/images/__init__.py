"""Images in and results out, in plain numpy: find, read, normalize, tile, write."""

from autosam.images.coverage import resize_labels
from autosam.images.image_source import ImageSource
from autosam.images.label_files import read_labels
from autosam.images.normalize import normalize, normalize_for_display, to_uint8
from autosam.images.pixel_size import read_pixel_size
from autosam.images.read import read_image
from autosam.images.source import find_sources
from autosam.images.tile import Window, blend, read_window, tile_windows
from autosam.images.write import (
    atomic_path,
    ensure_folder,
    smallest_unsigned,
    write_json,
    write_labels,
    write_png,
    write_text,
)
from autosam.images.zoom import resize_map, resize_nearest, zoom_image

__all__ = [
    "ImageSource",
    "Window",
    "atomic_path",
    "blend",
    "ensure_folder",
    "find_sources",
    "normalize",
    "normalize_for_display",
    "read_image",
    "read_labels",
    "read_pixel_size",
    "read_window",
    "resize_labels",
    "resize_map",
    "resize_nearest",
    "smallest_unsigned",
    "tile_windows",
    "to_uint8",
    "write_json",
    "write_labels",
    "write_png",
    "write_text",
    "zoom_image",
]

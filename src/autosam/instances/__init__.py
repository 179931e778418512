"""Masks → labels: one id per instance."""

from autosam.instances.clean import clean_mask
from autosam.instances.crop import MaskCrop, resize_crop
from autosam.instances.holes import fill_masks
from autosam.instances.instance_table import InstanceTable, read_table, write_table
from autosam.instances.measure import measure_instances, measure_sizes
from autosam.instances.merge import Merged, fill_from_regions, keep_regions, merge_masks
from autosam.instances.open_regions import OpenRegions, open_regions
from autosam.instances.suppress import suppress_masks

__all__ = [
    "InstanceTable",
    "MaskCrop",
    "Merged",
    "OpenRegions",
    "clean_mask",
    "fill_from_regions",
    "fill_masks",
    "keep_regions",
    "measure_instances",
    "measure_sizes",
    "merge_masks",
    "open_regions",
    "read_table",
    "resize_crop",
    "suppress_masks",
    "write_table",
]

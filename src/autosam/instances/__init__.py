"""Masks → labels: one id per instance."""

from autosam.instances.clean import clean_mask
from autosam.instances.crop import MaskCrop, resize_crop
from autosam.instances.instance_table import InstanceTable, read_table, write_table
from autosam.instances.measure import measure_instances
from autosam.instances.merge import Merged, fill_from_regions, merge_masks
from autosam.instances.suppress import suppress_masks

__all__ = [
    "InstanceTable",
    "MaskCrop",
    "Merged",
    "clean_mask",
    "fill_from_regions",
    "measure_instances",
    "merge_masks",
    "read_table",
    "resize_crop",
    "suppress_masks",
    "write_table",
]

"""Masks → labels: one id per instance."""

from autosam.instances.clean import clean_mask
from autosam.instances.crop import MaskCrop, resize_crop
from autosam.instances.measure import Measurement, measure_instances, write_table
from autosam.instances.merge import Merged, fill_from_regions, merge_masks
from autosam.instances.suppress import suppress_masks

__all__ = [
    "MaskCrop",
    "Measurement",
    "Merged",
    "clean_mask",
    "fill_from_regions",
    "measure_instances",
    "merge_masks",
    "resize_crop",
    "suppress_masks",
    "write_table",
]

"""Probability maps → regions: one for each object, and what is known of each. Pure numpy."""

from autosam.regions.affinities import affinity_maps
from autosam.regions.features import FEATURES, describe_candidate_regions
from autosam.regions.find import find_regions
from autosam.regions.grow import grow_tree
from autosam.regions.numbering import means_in_regions, number_regions, renumbered, sizes_and_first_pixels
from autosam.regions.tree import MergeTree

__all__ = [
    "FEATURES",
    "MergeTree",
    "affinity_maps",
    "describe_candidate_regions",
    "find_regions",
    "grow_tree",
    "means_in_regions",
    "number_regions",
    "renumbered",
    "sizes_and_first_pixels",
]

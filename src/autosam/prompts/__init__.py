"""Maps → prompts: where the objects are, in the words that SAM understands."""

from autosam.prompts.affinities import affinity_maps
from autosam.prompts.basins import find_basins, number_regions
from autosam.prompts.candidates import FEATURES, describe_candidates
from autosam.prompts.check import check_prompts
from autosam.prompts.emit import emit_prompts
from autosam.prompts.grid import grid_prompts
from autosam.prompts.grow import grow_tree
from autosam.prompts.manual import read_prompts, write_prompts
from autosam.prompts.negatives import find_negatives
from autosam.prompts.points import place_points
from autosam.prompts.prompt import ABSENT, MaskPrompt, Prompt
from autosam.prompts.scale import scale_prompts
from autosam.prompts.tree import MergeTree
from autosam.prompts.unclaimed import unclaimed

__all__ = [
    "ABSENT",
    "FEATURES",
    "MaskPrompt",
    "MergeTree",
    "Prompt",
    "affinity_maps",
    "check_prompts",
    "describe_candidates",
    "emit_prompts",
    "find_basins",
    "find_negatives",
    "grid_prompts",
    "grow_tree",
    "number_regions",
    "place_points",
    "read_prompts",
    "scale_prompts",
    "unclaimed",
    "write_prompts",
]

"""Regions → prompts: where the objects are, in the words that SAM understands."""

from autosam.prompts.deduplicate import deduplicate_prompts
from autosam.prompts.grid import grid_prompts
from autosam.prompts.make import ground_truth_prompts, make_prompts
from autosam.prompts.negatives import find_negatives
from autosam.prompts.on_demand import PromptsOnDemand
from autosam.prompts.points import place_points
from autosam.prompts.prompt import MaskPrompt, Prompt, check_prompts
from autosam.prompts.region_logits import ABSENT
from autosam.prompts.resize import zoom_prompts
from autosam.prompts.second_prompt import prompt_place, second_prompt
from autosam.prompts.table import read_prompts, write_prompts

__all__ = [
    "ABSENT",
    "MaskPrompt",
    "Prompt",
    "PromptsOnDemand",
    "check_prompts",
    "deduplicate_prompts",
    "find_negatives",
    "grid_prompts",
    "ground_truth_prompts",
    "make_prompts",
    "place_points",
    "prompt_place",
    "read_prompts",
    "second_prompt",
    "write_prompts",
    "zoom_prompts",
]

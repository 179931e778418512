"""Where the objects of an image are lost: in detection, in the prompt, in the mask or in the merge."""

from autosam.evaluation.diagnosis.assignment import BOX_LIMIT, Assignment, Fault, assign_prompts
from autosam.evaluation.diagnosis.stages import LIMIT, ImageStages, Stage, find_stages

__all__ = ["BOX_LIMIT", "LIMIT", "Assignment", "Fault", "ImageStages", "Stage", "assign_prompts", "find_stages"]

"""Where the objects of an image are lost: in detection, in the prompt, in the mask or in the merge."""

from autosam.diagnosis.aims import BOX_LIMIT, Aims, Fault, find_aims
from autosam.diagnosis.stages import LIMIT, ImageStages, Stage, find_stages

__all__ = ["BOX_LIMIT", "LIMIT", "Aims", "Fault", "ImageStages", "Stage", "find_aims", "find_stages"]

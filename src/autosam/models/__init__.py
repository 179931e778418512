"""Networks and their weight files: SAM, LoRA, the prompt generator, checkpoints and the zoo."""

from autosam.models.light_packages import import_parts_alone

# Before any module of this room imports the classes of SAM.
import_parts_alone("segment_anything")

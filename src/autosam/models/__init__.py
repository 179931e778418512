"""Networks and their weight files: SAM, LoRA, the prompt generator, checkpoints and the zoo."""

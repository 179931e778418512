"""Prompts of a training tile and the objects that they point at."""

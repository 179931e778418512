"""Training and validation images with their instances."""

from autosam.data.folders import Scene, load_scenes

__all__ = ["Scene", "load_scenes"]
